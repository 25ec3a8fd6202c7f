//! `syllabus compile`.

use std::sync::Arc;
use std::time::Instant;

use syllabus_reader::format::manifest::ValidationSummary;

use super::args::Compile;
use super::{colour, memory, progress, room, stop, values};
use crate::compile::{Options, Outcome, compile};
use crate::curriculum;
use crate::error::{Error, Result};
use crate::ingest::Watch;
use crate::plan::number;

pub fn run(args: &Compile) -> Result<()> {
    let started = Instant::now();
    let loaded = curriculum::load(&args.file, colour())?;
    let options = Options {
        out: args.out.clone(),
        data: args.data.clone(),
        phases: args.phases.clone(),
        scale: args.scale.clone(),
        thin: args.thin.clone(),
        memory: args.memory,
        scratch: args.scratch,
        threads: args.threads.unwrap_or_else(values::all_cores),
        work: args.work.clone(),
        segment_bytes: args.segment_bytes,
    };
    memory::limit(args.memory);
    let progress = progress::show(args.progress);
    let watch = Arc::new(Watch::default());
    stop::on_signal(&watch)?;
    let outcome = match compile(&loaded, &options, &watch, &*progress) {
        Err(Error::Io(error) | Error::Dataset(syllabus_reader::Error::Io(error)))
            if error.kind() == std::io::ErrorKind::StorageFull =>
        {
            return Err(room::explain(&error, &loaded, &options));
        }
        other => other?,
    };
    super::print(&summary(args, &outcome, started.elapsed().as_secs_f64()))
}

/// What a person wants to know at the end, and where things are.
fn summary(args: &Compile, outcome: &Outcome, seconds: f64) -> String {
    let manifest = &outcome.manifest;
    let out = args.out.display();
    let mut lines = Vec::new();
    let set_name = |set: &ValidationSummary| format!("{}/{}", set.name, set.source);
    let names = manifest.phases.iter().map(|phase| phase.name.len());
    let width = names.chain(manifest.validation.iter().map(|set| set_name(set).len())).max().unwrap_or(0);
    if outcome.reused {
        lines.push(format!("{out} was already compiled from this request; checked, not made again"));
    }
    for phase in &manifest.phases {
        lines.push(format!(
            "{:<width$} {:>10} tokens  {:>8} windows of {}  {}",
            phase.name,
            number::tokens(phase.tokens),
            number::count(phase.windows),
            phase.sequence_length,
            number::bytes(phase.shards.iter().map(|s| u128::from(s.bytes)).sum())
        ));
    }
    for set in &manifest.validation {
        let name = set_name(set);
        let tokens = number::tokens(set.tokens);
        lines.push(format!("{name:<width$} {tokens:>10} tokens  {:>8} windows", number::count(set.windows)));
    }
    lines.extend(manifest.expect.iter().map(|line| {
        format!("expect {}: {}  {}", line.phase, line.text, if line.holds { "holds" } else { "DOES NOT HOLD" })
    }));
    lines.push(format!("digest    {}", manifest.dataset_digest));
    lines.push(format!("manifest  {out}/manifest.json"));
    lines.push(format!("ledger    {out}/ledger.parquet"));
    lines.push(format!("removed   {out}/removed.parquet"));
    if cfg!(feature = "report") && args.out.join("report.html").is_file() {
        lines.push(format!("report    {out}/report.html"));
    }
    if !outcome.reused {
        lines.push(format!("took      {}", number::duration(seconds)));
    }
    lines.push(format!("next      syllabus verify {out}; syllabus report {out}; syllabus inspect {out} --window 0"));
    lines.join("\n")
}
