//! `check`, `plan`, `compile` and `verify`: what the command line does, with its messages.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::wrap_pyfunction;
use serde_json::json;
use syllabus::cli::{progress, values};
use syllabus::compile::{Options, compile as run_compile};
use syllabus::ingest::Watch;
use syllabus::plan::render;
use syllabus::preview::{Request, preview};
use syllabus::{Error, curriculum, verify as verification};

use crate::errors::{self, CurriculumError, InfeasibleError, SyllabusError, VerificationError};

/// How often a waiting call looks whether it was interrupted.
const GLANCE: Duration = Duration::from_millis(100);

/// Adds the functions to the module.
pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(check, module)?)?;
    module.add_function(wrap_pyfunction!(plan, module)?)?;
    module.add_function(wrap_pyfunction!(compile, module)?)?;
    module.add_function(wrap_pyfunction!(verify, module)?)
}

/// The command's error, with all that the command prints; `summary` is its last line.
fn raise(py: Python<'_>, error: Error) -> PyErr {
    let summary = error.to_string();
    let whole = |rendered: &str| {
        let rendered = rendered.trim_end();
        if rendered.is_empty() { summary.clone() } else { format!("{rendered}\n\n{summary}") }
    };
    let raised = match error {
        Error::Io(error) => return error.into(),
        Error::Dataset(error) => return errors::raise(error),
        Error::Curriculum { rendered, .. } => CurriculumError::new_err(whole(&rendered)),
        Error::Infeasible { rendered, .. } => InfeasibleError::new_err(whole(&rendered)),
        Error::Verification(message) => VerificationError::new_err(message),
        _ => SyllabusError::new_err(summary.clone()),
    };
    match raised.value(py).setattr("summary", summary) {
        Ok(()) => raised,
        Err(error) => error,
    }
}

/// Runs `work` on a thread of its own, hands the lines that it sends to `to`, and listens for Ctrl-C. What `to` raises stops the
/// work, as an interrupt does: `stop` asks it to end, and without one it is left to itself.
fn watched<T: Send + 'static>(
    py: Python<'_>,
    to: Option<&Py<PyAny>>,
    stop: Option<&dyn Fn()>,
    work: impl FnOnce(Sender<String>) -> Result<T, Error> + Send + 'static,
) -> PyResult<Result<T, Error>> {
    let (send, receive) = channel();
    let receive = Mutex::new(receive);
    let (give, take) = channel();
    let thread = std::thread::Builder::new().name("syllabus".to_owned());
    let thread = thread.spawn(move || {
        // Nobody waits any more for what an abandoned thread has found.
        let _abandoned = give.send(work(send));
    })?;
    let mut failed: Option<PyErr> = None;
    loop {
        let next = || receive.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(GLANCE);
        let told = match py.detach(next) {
            Ok(line) => match to {
                Some(to) if failed.is_none() => to.call1(py, (line,)).map(|_| ()),
                _ => Ok(()),
            },
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if failed.is_some() {
            continue;
        }
        if let Err(error) = told.and_then(|()| py.check_signals()) {
            let Some(stop) = stop else { return Err(error) };
            stop();
            failed = Some(error);
        }
    }
    let ended = py.detach(|| thread.join().is_ok());
    match (failed, take.try_recv()) {
        (Some(error), _) => Err(error),
        (None, Ok(result)) if ended => Ok(result),
        _ => Err(PyRuntimeError::new_err("a thread of Syllabus panicked; this is a bug")),
    }
}

fn value<T>(name: &str, text: &str, parse: impl Fn(&str) -> Result<T, String>) -> PyResult<T> {
    parse(text).map_err(|why| PyValueError::new_err(format!("{name}={text}: {why}")))
}

fn threads(threads: Option<u16>) -> PyResult<usize> {
    match threads {
        None => Ok(values::all_cores()),
        Some(0) => Err(PyValueError::new_err("threads=0: must be a whole number from 1 to 65535")),
        Some(threads) => Ok(usize::from(threads)),
    }
}

fn to_json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Failed(format!("JSON: {error}")))
}

/// Warnings of a curriculum without errors.
#[pyfunction]
fn check(py: Python<'_>, file: PathBuf) -> PyResult<Vec<String>> {
    let loaded = py.detach(|| curriculum::load(&file, false)).map_err(|error| raise(py, error))?;
    Ok(loaded.curriculum.warnings)
}

/// JSON, text, a note, and an error to raise.
type Planned = (String, String, Option<String>, Option<Py<PyAny>>);

/// The plan as JSON and as text, what it stands on where no data was read, and why it cannot be carried out.
#[pyfunction]
#[pyo3(signature = (file, *, data, scale, simulate, threads))]
fn plan(
    py: Python<'_>,
    file: PathBuf,
    data: Option<PathBuf>,
    scale: &str,
    simulate: bool,
    threads: Option<u16>,
) -> PyResult<Planned> {
    let scale = value("scale", scale, values::scale)?;
    let threads = self::threads(threads)?;
    let work = move |_send: Sender<String>| {
        syllabus::cli::prepare();
        let loaded = curriculum::load(&file, false)?;
        let found = preview(&loaded, &Request { data: data.as_deref(), scale, simulate, threads })?;
        let texts = (to_json(&found.view)?, render::render(&found.view), found.note.clone());
        Ok((texts, found.gate(&loaded.curriculum).err()))
    };
    let ((json, text, note), refusal) = watched(py, None, None, work)?.map_err(|error| raise(py, error))?;
    let refusal = refusal.map(|error| raise(py, error).into_value(py).into_any());
    Ok((json, text, note, refusal))
}

/// Compiles; whether the dataset was there already. `progress` is called with lines of JSON.
#[pyfunction]
#[pyo3(signature = (file, out, *, data, phases, scale, thin, memory, threads, work, progress))]
#[expect(clippy::too_many_arguments, reason = "each is a keyword in Python")]
fn compile(
    py: Python<'_>,
    file: PathBuf,
    out: PathBuf,
    data: Option<PathBuf>,
    phases: Vec<String>,
    scale: &str,
    thin: Option<&str>,
    memory: &str,
    threads: Option<u16>,
    work: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> PyResult<bool> {
    let options = Options {
        out,
        data,
        phases,
        scale: value("scale", scale, values::scale)?,
        thin: thin.map(|thin| value("thin", thin, values::thin)).transpose()?,
        scratch: None,
        memory: value("memory", memory, values::size)?,
        threads: self::threads(threads)?,
        work,
        segment_bytes: None,
    };
    let watch = Arc::new(Watch::default());
    let stop = || watch.stop.store(true, Ordering::Relaxed);
    let watched_by = Arc::clone(&watch);
    let work = move |send: Sender<String>| {
        syllabus::cli::prepare();
        let loaded = curriculum::load(&file, false)?;
        let to = progress::json_lines(move |line| {
            // Nobody listens any more once the call was left.
            let _left = send.send(line.to_owned());
        });
        run_compile(&loaded, &options, &watched_by, &to)
    };
    let outcome = watched(py, progress.as_ref(), Some(&stop), work)?;
    Ok(outcome.map_err(|error| raise(py, error))?.reused)
}

/// The report of a verification as JSON, and what is off. `progress` is called with lines of JSON.
#[pyfunction]
#[pyo3(signature = (path, *, quick, progress))]
fn verify(
    py: Python<'_>,
    path: PathBuf,
    quick: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<(String, Option<Py<PyAny>>)> {
    let work = move |send: Sender<String>| {
        let report = verification::run(&path, quick, &|at| {
            let line = json!({"event": "progress", "stage": at.stage, "done": at.done, "of": at.total});
            let _left = send.send(line.to_string());
        })?;
        Ok((to_json(&report)?, report.error()))
    };
    let (json, error) = watched(py, progress.as_ref(), None, work)?.map_err(|error| raise(py, error))?;
    Ok((json, error.map(|error| raise(py, error).into_value(py).into_any())))
}
