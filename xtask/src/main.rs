//! Chores of the repository: `cargo xtask COMMAND`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks")]

mod bench;
mod compat;
mod fixtures;
mod ids;
mod near;
mod reading;
mod reliability;
mod schemas;
mod supply;
mod testing;

use std::path::PathBuf;

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
    /// Install what testing needs (a virtual environment of Python under target/) and run all tests
    Test {
        /// Names of tests, or other arguments for the test runner
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        filter: Vec<String>,
    },
    /// Write the small corpora and tokenizers in fixtures/
    Fixtures {
        /// Only say whether they are current
        #[arg(long)]
        check: bool,
    },
    /// Write the golden datasets of the current format version, once: what is there stays
    Golden,
    /// Write the JSON Schemas in schemas/
    Schemas {
        /// Only say whether they are current
        #[arg(long)]
        check: bool,
    },
    /// Have the trainers' own packages read the exports back (installs torch, some 6 GB, once)
    Compat,
    /// Measure a whole compile against tokenizing alone, in the release profile
    Bench(bench::Arguments),
    /// Look at the licences, sources and versions of all crates (`deny.toml`)
    Supply,
    /// Compare the ids of every document of the real corpus with Hugging Face's
    Ids(ids::Args),
    /// The Python package under PyTorch's loaders and trainers (installs torch, once)
    Torch,
    /// Windows and batches read from Python, beside NumPy, Megatron, MosaicML Streaming and litdata (installs them, once)
    Reading(reading::Arguments),
    /// Near duplicates and benchmark leaks on real text, beside the truth
    Near(near::Arguments),
    /// Attack the compiler in every way it must survive, and write docs/reliability.md
    Reliability(reliability::Arguments),
    /// Give every reader of foreign bytes inputs that are guided by coverage
    Fuzz(reliability::fuzz::Arguments),
    /// Compile inputs that are large in one way, and hold them to --memory and --scratch
    Large(reliability::large::Arguments),
}

/// The repository's root.
fn root() -> Result<PathBuf> {
    // Cargo says where the package lies when it starts the program; a build folder shared by clones may hold another's.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    Ok(xtask.parent().context("xtask/ has no parent folder")?.to_path_buf())
}

fn main() -> Result<()> {
    let root = root()?;
    match Arguments::parse().command {
        Command::Test { filter } => testing::run(&root, &filter),
        Command::Fixtures { check } => fixtures::run(&root, check),
        Command::Supply => supply::run(&root),
        Command::Golden => reliability::golden(&root),
        Command::Compat => compat::run(&root),
        Command::Schemas { check } => schemas::run(&root, check),
        // The release profile keeps overflow checks and has no debug assertions; the dev profile has both.
        Command::Bench(_) if cfg!(debug_assertions) => bench::start(&root),
        Command::Bench(arguments) => bench::run(&root, &arguments),
        Command::Ids(arguments) => ids::run(&arguments),
        Command::Torch => testing::torch(&root),
        Command::Reading(arguments) => reading::run(&root, &arguments),
        Command::Near(arguments) => near::run(arguments),
        Command::Reliability(arguments) => reliability::run(&root, &arguments),
        Command::Fuzz(arguments) => reliability::fuzz::run(&root, &arguments),
        Command::Large(arguments) => reliability::large::run(&root, &arguments),
    }
}
