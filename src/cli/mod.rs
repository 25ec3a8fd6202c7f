//! The command line: arguments in, words and exit codes out. Data goes to stdout, everything else to stderr.

mod args;
mod check;
mod clean;
mod compile;
mod dedup;
#[cfg(feature = "report")]
mod diff;
mod export;
mod inspect;
mod memory;
mod plan;
pub mod progress;
mod report;
mod room;
mod schema;
mod stop;
pub mod values;
mod verify;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::error::{Error, Result, panic_is_contained};
use args::{Args, Command};

pub use memory::Allocator;

/// Runs the command line of this process, whose allocator is `allocator`.
#[must_use]
pub fn main(allocator: Allocator) -> ExitCode {
    memory::set(allocator);
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    prepare();
    let result = match args.command {
        Command::Check(args) => check::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Compile(args) => compile::run(&args),
        Command::Dedup(args) => dedup::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Report(args) => report::run(&args),
        #[cfg(feature = "report")]
        Command::Diff(args) => diff::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Clean(args) => clean::run(&args),
        Command::Schema(args) => schema::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has seen enough (`syllabus plan … | head`): not a failure.
        Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// What a process does once before it reads sources: as many open files as the system allows, and no words of panics that
/// become errors.
pub fn prepare() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        raise_open_files();
        quiet_contained_panics();
    });
}

/// Some crates panic on damaged files; where that is turned into an error, its message is the one to show.
fn quiet_contained_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic_is_contained() {
            usual(panic);
        }
    }));
}

/// Asks the system for as many open files as it allows: a store of many segments keeps them all open.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where it cannot be raised, the default will do for all but very large stores, and running out is an error that says so.
    let _as_it_is = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Shows an error: what there is to show, then the error in one line as the last line of stderr.
fn fail(error: &Error) -> ExitCode {
    let mut stderr = std::io::stderr().lock();
    let rendered = match error {
        Error::Curriculum { rendered, .. } | Error::Infeasible { rendered, .. } => rendered.trim_end(),
        _ => "",
    };
    // When stderr is gone there is nobody left to tell.
    if !rendered.is_empty() {
        let _gone = writeln!(stderr, "{rendered}\n");
    }
    let line = error.to_string().replace(['\n', '\r'], " ");
    let _gone = writeln!(stderr, "error: {line}");
    ExitCode::from(error.exit_code())
}

fn usage(error: &clap::Error) -> ExitCode {
    let _gone = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let what = error.to_string();
    let first = what.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let _gone = writeln!(std::io::stderr(), "error: {first}");
    ExitCode::from(2)
}

/// Whether messages may be coloured.
fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Writes to stdout: the command's data.
fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()?;
    Ok(())
}

/// Writes a value to stdout as indented JSON.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let json = serde_json::to_string_pretty(value).map_err(|e| Error::Failed(format!("JSON: {e}")))?;
    print(&json)
}

/// Writes a line to stderr.
fn say(line: &str) {
    let _gone = writeln!(std::io::stderr(), "{line}");
}
