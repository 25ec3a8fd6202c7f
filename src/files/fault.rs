//! Where tests stop the process, fail an operation, or lose what was not synced.
//!
//! In builds with debug assertions, `SYLLABUS_FAULT=MODE@N` names what happens at the N-th file operation of the process
//! (from 1), and `SYLLABUS_FAULT_LOG` a file that is told:
//!
//! | mode | at operation N |
//! | --- | --- |
//! | `trace` | nothing; every operation is written to the log |
//! | `kill` | the process ends before it |
//! | `tear` | half of a write, or all of another operation; then the process ends |
//! | `fail` | it fails (EIO); all others work |
//! | `full` | it and every later one that needs room fails (ENOSPC) |
//! | `stall` | it takes a minute more |
//! | `power` | the process ends, and bytes that were not synced are gone |
//! | `blackout` | the same, and names that were made, changed or removed in a folder not synced since are as before |
//!
//! For `blackout` what was removed or replaced is kept in a folder beside the log until its folder is synced. In other
//! builds there is nothing of this.

use std::path::Path;

/// What is done.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(debug_assertions), expect(dead_code, reason = "only looked at where faults are made"))]
pub(super) enum Operation<'a> {
    Create,
    Write,
    Resize,
    Sync,
    Rename { from: &'a Path },
    Link,
    Remove,
    Folder,
    SyncFolder,
}

#[cfg(not(debug_assertions))]
mod made {
    use super::{Operation, Path};
    use std::io;

    #[inline(always)]
    pub(in super::super) fn run<T>(_: Operation<'_>, _: &Path, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        act()
    }

    #[inline(always)]
    pub(in super::super) fn write<T>(
        _: &Path,
        _: impl FnOnce() -> io::Result<()>,
        whole: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        whole()
    }
}

#[cfg(debug_assertions)]
mod made {
    use std::io::{self, Write};
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Mutex, OnceLock, PoisonError};

    use super::super::unsynced::Unsynced;
    use super::Operation;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Mode {
        Trace,
        Kill,
        Tear,
        Fail,
        Full,
        Stall,
        Power,
        Blackout,
    }

    struct Plan {
        mode: Mode,
        at: u64,
        done: AtomicU64,
        log: PathBuf,
        unsynced: Mutex<Unsynced>,
    }

    /// What the environment asks for; read once.
    fn plan() -> Option<&'static Plan> {
        static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
        PLAN.get_or_init(|| {
            let asked = std::env::var("SYLLABUS_FAULT").ok()?;
            let (mode, at) = asked.split_once('@')?;
            let mode = match mode {
                "trace" => Mode::Trace,
                "kill" => Mode::Kill,
                "tear" => Mode::Tear,
                "fail" => Mode::Fail,
                "full" => Mode::Full,
                "stall" => Mode::Stall,
                "power" => Mode::Power,
                "blackout" => Mode::Blackout,
                _ => return None,
            };
            let log = PathBuf::from(std::env::var_os("SYLLABUS_FAULT_LOG")?);
            let unsynced = Mutex::new(Unsynced::new(log.with_extension("kept")));
            Some(Plan { mode, at: at.parse().ok()?, done: AtomicU64::new(0), log, unsynced })
        })
        .as_ref()
    }

    impl Plan {
        fn tell(&self, number: u64, operation: Operation<'_>, path: &Path) {
            let name = match operation {
                Operation::Create => "create",
                Operation::Write => "write",
                Operation::Resize => "resize",
                Operation::Sync => "sync",
                Operation::Rename { .. } => "rename",
                Operation::Link => "link",
                Operation::Remove => "remove",
                Operation::Folder => "folder",
                Operation::SyncFolder => "sync-folder",
            };
            let line = format!("{number} {name} {}\n", path.display());
            let log = fs_err::OpenOptions::new().create(true).append(true).open(&self.log);
            // Whoever asked for the fault looks for this line and says that it is missing.
            let _told = log.and_then(|mut log| log.write_all(line.as_bytes()));
        }

        /// Does `whole`, or what is to happen instead.
        fn act<T>(
            &self,
            operation: Operation<'_>,
            path: &Path,
            half: Option<&mut dyn FnMut()>,
            whole: impl FnOnce() -> io::Result<T>,
        ) -> io::Result<T> {
            // One at a time, so that what was lost at N is what came before it.
            let keeps = matches!(self.mode, Mode::Power | Mode::Blackout);
            let mut unsynced = keeps.then(|| self.unsynced.lock().unwrap_or_else(PoisonError::into_inner));
            let number = self.done.fetch_add(1, Ordering::Relaxed) + 1;
            if self.mode == Mode::Trace || number == self.at {
                self.tell(number, operation, path);
            }
            let needs_room = !matches!(operation, Operation::Remove | Operation::SyncFolder);
            if self.mode == Mode::Full && number >= self.at && needs_room {
                return Err(io::Error::new(
                    io::ErrorKind::StorageFull,
                    format!("failed to write to file `{}`: no space left on device", path.display()),
                ));
            }
            if number == self.at {
                match self.mode {
                    Mode::Trace | Mode::Full => {}
                    Mode::Stall => std::thread::sleep(std::time::Duration::from_secs(60)),
                    Mode::Kill => std::process::abort(),
                    Mode::Tear => {
                        match half {
                            Some(half) => half(),
                            None => drop(whole()),
                        }
                        std::process::abort()
                    }
                    Mode::Fail => {
                        return Err(io::Error::other(format!(
                            "failed to write to file `{}`: input/output error",
                            path.display()
                        )));
                    }
                    Mode::Power | Mode::Blackout => {
                        if let Some(unsynced) = &mut unsynced {
                            unsynced.lose(self.mode == Mode::Blackout);
                        }
                        std::process::abort()
                    }
                }
            }
            match &mut unsynced {
                None => whole(),
                Some(unsynced) => {
                    let change = unsynced.before(operation, path);
                    let result = whole();
                    if result.is_ok() {
                        unsynced.after(operation, path, change);
                    }
                    result
                }
            }
        }
    }

    pub(in super::super) fn run<T>(
        operation: Operation<'_>,
        path: &Path,
        act: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        match plan() {
            None => act(),
            Some(plan) => plan.act(operation, path, None, act),
        }
    }

    pub(in super::super) fn write<T>(
        path: &Path,
        half: impl Fn() -> io::Result<()>,
        whole: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        match plan() {
            None => whole(),
            Some(plan) => plan.act(Operation::Write, path, Some(&mut || drop(half())), whole),
        }
    }
}

pub(super) use made::{run, write};
