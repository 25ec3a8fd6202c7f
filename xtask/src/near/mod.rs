//! Near duplicates and benchmark leaks on real text: what is found, beside the truth.

mod corpus;
mod leaks;
mod memory;
mod quality;
mod removals;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

/// `cargo xtask near`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Folder of real data: domains with Parquet and JSON Lines files, `eval/` with benchmarks [default: $SYLLABUS_REALDATA, or
    /// ../shared/realdata]
    #[arg(long, global = true)]
    data: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Recall and survivors against brute force, on real documents with planted edits
    Quality {
        /// Documents, edited ones included
        #[arg(long, default_value_t = 4000)]
        documents: usize,
    },
    /// Near duplicates removed in each domain
    Removals {
        /// Folder to which shingles and removals are written, for `near_datasketch.py`
        #[arg(long)]
        out: Option<PathBuf>,
        /// Bytes of memory
        #[arg(long, default_value_t = 512 << 20)]
        memory: u64,
        /// Only this domain
        #[arg(long)]
        domain: Option<String>,
    },
    /// Peak memory on the corpus several times over
    Memory {
        /// How often, each time with small edits
        #[arg(long, default_value_t = 8)]
        copies: u64,
        /// Bytes of memory
        #[arg(long, default_value_t = 512 << 20)]
        memory: u64,
        /// Threads
        #[arg(long, default_value_t = 2)]
        threads: usize,
    },
    /// Documents in which benchmark items stand
    Leaks {
        /// Hits of each domain to show
        #[arg(long, default_value_t = 0)]
        show: usize,
    },
}

/// Runs it; fails when something is worse than it must be.
pub fn run(arguments: Arguments) -> Result<()> {
    let default = || std::env::var_os("SYLLABUS_REALDATA").map_or_else(|| "../shared/realdata".into(), PathBuf::from);
    let data = arguments.data.unwrap_or_else(default);
    if !data.join("eval").is_dir() {
        anyhow::bail!(
            "NOT TESTED: no real data in {}; say where it is with --data or SYLLABUS_REALDATA",
            data.display()
        );
    }
    match arguments.command {
        Command::Quality { documents } => quality::run(&data, documents),
        Command::Removals { out, memory, domain } => removals::run(&data, out.as_deref(), memory, domain.as_deref()),
        Command::Memory { copies, memory, threads } => memory::run(&data, copies, memory, threads),
        Command::Leaks { show } => leaks::run(&data, show),
    }
}
