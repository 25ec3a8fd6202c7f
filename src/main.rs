//! The `syllabus` command.

use std::process::ExitCode;

/// Segments, batches and token buffers come and go on many threads; this allocator gives memory back and does not contend.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    syllabus::cli::main()
}
