//! The `syllabus` command.

use std::process::ExitCode;

/// Segments, batches and token buffers come and go on many threads; this allocator gives memory back and does not contend.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    encode_on_our_own_threads();
    eager(false);
    let code = syllabus::cli::main(syllabus::cli::Allocator { eager });
    // Never: the system takes all of it at once when the process is gone, and not piece by piece before.
    give_back_after(-1);
    code
}

/// Whether free memory goes back to the system at once, or after ten seconds in which it may be used again.
fn eager(eager: bool) {
    give_back_after(if eager { 0 } else { 10_000 });
}

/// Free memory goes back to the system after so many milliseconds; if negative, never.
fn give_back_after(milliseconds: std::ffi::c_long) {
    /// The place of `mi_option_purge_delay` among mimalloc's options (milliseconds), which the bindings do not name.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: sets a number in the allocator's own table of options; any option may be set to any number. Threads that
    // read it meanwhile see the one or the other.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, milliseconds) };
}

/// `fastokens` would spread long documents over a thread pool of its own, beyond `--threads`; ours are busy already.
fn encode_on_our_own_threads() {
    // SAFETY: no other thread runs yet, so none reads the environment meanwhile.
    unsafe { std::env::set_var("FASTOKENS_BPE_THREADS", "1") };
}
