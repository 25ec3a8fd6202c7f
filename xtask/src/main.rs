//! Chores of the repository: `cargo xtask COMMAND`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks")]

mod bench;
mod fixtures;
mod near;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// The compiler's allocator: what a benchmark encodes here must not be slowed by another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the Syllabus repository")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Near duplicates and benchmark leaks on real text, beside the truth
    Near(near::Arguments),
    /// Write the small corpora and tokenizers in fixtures/
    Fixtures {
        /// Only say whether they are current
        #[arg(long)]
        check: bool,
    },
}

/// The repository's root.
fn root() -> Result<PathBuf> {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(xtask.parent().context("xtask/ has no parent folder")?.to_path_buf())
}

fn main() -> Result<()> {
    let root = root()?;
    match Arguments::parse().command {
        Command::Near(arguments) => near::run(arguments),
        Command::Fixtures { check } => fixtures::run(&root, check),
    }
}
