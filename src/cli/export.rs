//! `syllabus export`.

use syllabus_reader::Dataset;

use super::args::{Export, ExportFor};
use crate::error::Result;
use crate::export::{self, Target};

/// Writes the export, or finds it whole, and says what is there.
pub fn run(args: &Export) -> Result<()> {
    let dataset = Dataset::open(&args.dir)?;
    let target = match args.target {
        ExportFor::Megatron => Target::Megatron,
        ExportFor::MegatronExact => Target::MegatronExact,
        ExportFor::Olmo => Target::Olmo,
        ExportFor::Datatrove => Target::Datatrove,
        ExportFor::Nanogpt => Target::Nanogpt,
        ExportFor::Llmc => Target::Llmc,
        ExportFor::Automodel => Target::Automodel,
    };
    let outcome = export::run(&dataset, target, &args.out)?;
    if args.json { super::print_json(&outcome.exported) } else { super::print(&outcome.to_text(&args.out)) }
}
