//! What may stand on the command line.

use std::ops::Range;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use num_rational::BigRational;

use super::values;

/// Compile a training curriculum into token shards.
#[derive(Debug, Parser)]
#[command(name = "syllabus", version, about, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Parse and validate curricula; all errors at once
    Check(Check),
    /// Show what a curriculum will read: shares, windows, epochs, what it costs
    Plan(Plan),
    /// Compile a curriculum into token shards
    Compile(Compile),
    /// Find duplicates and leaks, and show what would go, with examples to read
    Dedup(Dedup),
    /// Prove that a dataset is what its manifest says
    Verify(Verify),
    /// Show windows, the documents of a training step, or a document's fate
    Inspect(Inspect),
    /// Show what a dataset holds, planned and realised
    Report(Report),
    /// Show what changed from one curriculum or dataset to another
    #[cfg(feature = "report")]
    Diff(Diff),
    /// Hand a dataset to another trainer: the same tokens with its names and sidecars
    Export(Export),
    /// Remove the work folder of a dataset; the dataset stays
    Clean(Clean),
    /// Print the JSON Schema of a file format
    Schema(Schema),
}

#[derive(Debug, clap::Args)]
pub struct Check {
    /// Curriculum files
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct Plan {
    /// The curriculum
    pub file: PathBuf,
    /// Multiply budgets and absolute weights: 1e-6, 0.01, 1/1000
    #[arg(long, value_name = "X", value_parser = values::scale, default_value = "1")]
    pub scale: BigRational,
    /// Where relative paths of sources start; sizes are then estimated from the files
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Walk the whole window schedule and show each source's largest drift
    #[arg(long)]
    pub simulate: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Write the plan as a page, with charts, to a file
    #[cfg(feature = "report")]
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub html: Option<PathBuf>,
    /// Threads
    #[arg(long, value_name = "N", value_parser = values::threads)]
    pub threads: Option<usize>,
}

#[derive(Debug, clap::Args)]
pub struct Compile {
    /// The curriculum
    pub file: PathBuf,
    /// Where the dataset goes
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Where relative paths of sources start [default: the curriculum's folder]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Write only this phase; may be given several times
    #[arg(long = "phase", value_name = "NAME")]
    pub phases: Vec<String>,
    /// Multiply budgets and absolute weights: 1e-6, 0.01, 1/1000
    #[arg(long, value_name = "X", value_parser = values::scale, default_value = "1")]
    pub scale: BigRational,
    /// Keep only this share of all documents, chosen by their keys: 1e-3, 1%
    #[arg(long, value_name = "X", value_parser = values::thin)]
    pub thin: Option<BigRational>,
    /// Ceiling of memory
    #[arg(long, value_name = "SIZE", value_parser = values::size, default_value = "4GiB")]
    pub memory: u64,
    /// Ceiling of what lies in the work folder at any time [default: none but the disk's]
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub scratch: Option<u64>,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = values::threads)]
    pub threads: Option<usize>,
    /// Where intermediate files go, and stay for the next compile [default: OUT/.work]
    #[arg(long, value_name = "DIR")]
    pub work: Option<PathBuf>,
    /// How progress is shown on stderr
    #[arg(long, value_enum, default_value = "auto")]
    pub progress: ProgressMode,
    /// Bytes of documents in a segment [default: what memory allows]
    #[arg(long, value_name = "SIZE", value_parser = values::size, hide = true)]
    pub segment_bytes: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub struct Dedup {
    /// The curriculum
    pub file: PathBuf,
    /// Where relative paths of sources start [default: the curriculum's folder]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where intermediate files go; a compile with the same --work goes on from them
    #[arg(long, value_name = "DIR", default_value = ".syllabus")]
    pub work: PathBuf,
    /// Examples shown for each source and reason
    #[arg(long, value_name = "N", default_value = "3")]
    pub examples: usize,
    /// Ceiling of memory
    #[arg(long, value_name = "SIZE", value_parser = values::size, default_value = "4GiB")]
    pub memory: u64,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = values::threads)]
    pub threads: Option<usize>,
    /// How progress is shown on stderr
    #[arg(long, value_enum, default_value = "auto")]
    pub progress: ProgressMode,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// Bars on a terminal, lines elsewhere
    Auto,
    /// A line for each stage
    Plain,
    /// A JSON object on each line
    Json,
    /// Nothing but warnings
    None,
}

#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The dataset
    pub dir: PathBuf,
    /// Only presence, sizes and the manifest's own fields; no hashing
    #[arg(long)]
    pub quick: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
#[group(id = "what", required = true, multiple = false)]
pub struct InspectWhat {
    /// Show one window, by its global number: source, phase, documents, text
    #[arg(long, value_name = "N")]
    pub window: Option<u64>,
    /// List the documents of windows A (included) to B (not included)
    #[arg(long, value_name = "A..B", value_parser = values::range)]
    pub windows: Option<Range<u64>>,
    /// Show what became of a document, by its key in hex
    #[arg(long, value_name = "KEY", value_parser = values::key)]
    pub document: Option<u128>,
}

#[derive(Debug, clap::Args)]
pub struct Inspect {
    /// The dataset
    pub dir: PathBuf,
    #[command(flatten)]
    pub what: InspectWhat,
    /// The dataset's `tokenizer.json`, to show text [default: where the curriculum says, if it is there]
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Report {
    /// The dataset
    pub dir: PathBuf,
    /// Write the page, with all charts, to a file
    #[cfg(feature = "report")]
    #[arg(long, value_name = "FILE", group = "form")]
    pub html: Option<PathBuf>,
    /// Print report.json
    #[cfg(feature = "report")]
    #[arg(long, group = "form")]
    pub json: bool,
    /// Print Markdown, for a pull request or as a data card
    #[cfg(feature = "report")]
    #[arg(long, group = "form")]
    pub markdown: bool,
}

#[cfg(feature = "report")]
#[derive(Debug, clap::Args)]
pub struct Diff {
    /// A curriculum, or a dataset's folder
    pub a: PathBuf,
    /// What it is compared with
    pub b: PathBuf,
    /// Where relative paths of sources start; sizes of curricula are then estimated from the files
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct Export {
    /// The dataset
    pub dir: PathBuf,
    /// The trainer
    #[arg(long = "for", value_name = "TRAINER", value_enum)]
    pub target: ExportFor,
    /// Where the export goes: a folder that is not there yet
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Print export.json
    #[arg(long)]
    pub json: bool,
}

/// Trainers that a dataset can be exported for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFor {
    /// Megatron-LM, NeMo, Megatron-DeepSpeed: .bin and .idx (they shuffle)
    Megatron,
    /// Megatron's GPTDataset, in the curriculum's order
    MegatronExact,
    /// OLMo-core
    Olmo,
    /// datatrove, nanotron
    Datatrove,
    /// nanoGPT (reads at random places)
    Nanogpt,
    /// llm.c
    Llmc,
    /// NeMo Automodel
    Automodel,
}

#[derive(Debug, clap::Args)]
pub struct Clean {
    /// The dataset
    pub dir: PathBuf,
}

#[derive(Debug, clap::Args)]
pub struct Schema {
    /// Of what
    #[arg(value_enum)]
    pub of: SchemaOf,
}

/// File formats with a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// The curriculum file
    Curriculum,
    /// The dataset's report.json
    #[cfg(feature = "report")]
    Report,
}
