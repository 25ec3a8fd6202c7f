//! Ctrl-C and SIGTERM.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::ingest::Watch;

/// How long a stage has to come to a place where it stops by itself.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A signal asks the stage to stop; one that does not come to it in time is ended all the same, and so it is by a second
/// signal. Either way nothing is lost: what counts is committed already, and what is half-written does not count.
pub fn on_signal(watch: &Arc<Watch>) -> Result<()> {
    let watch = Arc::clone(watch);
    ctrlc::set_handler(move || {
        if watch.stop.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        super::say("stopping; what is committed stays (once more to stop at once)");
        let started = std::thread::Builder::new().name("stop".to_owned()).spawn(|| {
            std::thread::sleep(PATIENCE);
            super::fail(&Watch::stopped());
            std::process::exit(1)
        });
        if started.is_err() {
            std::process::exit(130);
        }
    })
    .map_err(|e| Error::Failed(format!("cannot listen for Ctrl-C: {e}")))
}
