//! The steps of a run.

use std::ffi::{CString, c_char};

use syllabus_reader::loader::{Loader, Reads};

use crate::argument::{self, Out};
use crate::error::{Failure, Status, c_text, guard};

/// The steps of a run: step, windows and tokens determine each other. Any number of threads may use it.
pub struct Schedule {
    inner: syllabus_reader::loader::Schedule,
    /// Names of the sets that are read.
    names: Vec<CString>,
}

impl Schedule {
    pub(crate) fn new(loader: &Loader) -> Self {
        let names = match &loader.options().reads {
            Reads::Phases => loader.dataset().phases().iter().map(|set| c_text(set.name())).collect(),
            Reads::Phase(name) | Reads::Validation(name) => vec![c_text(name)],
        };
        Self { inner: loader.schedule().clone(), names }
    }
}

/// One step. The text is valid as long as the schedule.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct StepInfo {
    /// Its number.
    step: u64,
    /// Name of its phase, or held-out set.
    phase: *const c_char,
    /// Its phase, counted from 0 among the sets that are read.
    phase_index: usize,
    /// S of its phase.
    sequence_length: u32,
    /// First global window.
    start: u64,
    /// The global window after its last.
    end: u64,
    /// Number of its windows, over all ranks.
    windows: u64,
    /// Part of its phase that lies before its first window: 0 to below 1.
    progress: f64,
    /// Place of its first window in the curriculum, in trained positions.
    position: u64,
    /// Trained positions of all steps before it.
    tokens: u64,
}

/// Sets `*first` to the number of the first step and `*end` to the number after the last. Either may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_schedule_steps(schedule: *const Schedule, first: *mut u64, end: *mut u64) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let schedule = &unsafe { argument::get(schedule, "schedule")? }.inner;
        for (out, value, name) in [(first, schedule.first_step(), "first"), (end, schedule.steps(), "end")] {
            if !out.is_null() {
                // SAFETY: as the header asks.
                unsafe { Out::new(out, name)? }.put(value);
            }
        }
        Ok(Status::Ok)
    })
}

/// Writes what step `step` is to `*out`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_schedule_at(schedule: *const Schedule, step: u64, out: *mut StepInfo) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (schedule, out) = unsafe { (argument::get(schedule, "schedule")?, Out::new(out, "out")?) };
        let step = schedule.inner.at(step)?;
        let name = schedule.names.get(step.phase_index).ok_or_else(|| Failure {
            status: Status::Internal,
            message: format!("step {} is of no phase", step.step),
        })?;
        out.put(StepInfo {
            step: step.step,
            phase: name.as_ptr(),
            phase_index: step.phase_index,
            sequence_length: step.sequence_length,
            start: step.start,
            end: step.end,
            windows: step.windows,
            progress: step.progress,
            position: step.position,
            tokens: step.tokens,
        });
        Ok(Status::Ok)
    })
}

/// Sets `*step` to the step that trains on global window `window`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_schedule_step_of(schedule: *const Schedule, window: u64, step: *mut u64) -> Status {
    guard(|| {
        // SAFETY: pointers are as the header asks.
        let (schedule, out) = unsafe { (argument::get(schedule, "schedule")?, Out::new(step, "step")?) };
        out.put(schedule.inner.step_of(window)?);
        Ok(Status::Ok)
    })
}

/// Frees the schedule; NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syllabus_schedule_free(schedule: *mut Schedule) {
    // SAFETY: as the header asks.
    unsafe { argument::free(schedule) };
}
