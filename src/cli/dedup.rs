//! `syllabus dedup`.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::args::Dedup;
use super::{colour, memory, progress, stop, values};
use crate::compile::{Options, Started, Survived, survive};
use crate::curriculum;
use crate::dedup::removed::{Reason, Removed};
use crate::error::Result;
use crate::ingest::Watch;
use crate::plan::number;
use crate::plan::text::{Align, Table};
use crate::store::documents::SourceStore;

/// Runs up to the survivors and shows what would go, with examples to read.
pub fn run(args: &Dedup) -> Result<()> {
    let loaded = curriculum::load(&args.file, colour())?;
    let resolved = loaded.resolve(args.data.as_deref())?;
    let options = Options {
        out: args.work.clone(),
        data: args.data.clone(),
        phases: Vec::new(),
        scale: num_traits::One::one(),
        thin: None,
        memory: args.memory,
        scratch: None,
        threads: args.threads.unwrap_or_else(values::all_cores),
        work: Some(args.work.clone()),
        segment_bytes: None,
    };
    memory::limit(args.memory);
    let progress = progress::show(args.progress);
    let started = Started::new(&resolved, &options, true, &*progress)?;
    let watch = Arc::new(Watch::default());
    stop::on_signal(&watch)?;
    let survived = survive(&started, &resolved, &options, &watch, &*progress)?;
    let names: Vec<&str> = resolved.curriculum.sources.iter().map(|s| s.name.as_str()).collect();
    let gone = Gone::gather(&survived, args.examples)?;
    super::print(&counts(&names, &started, &gone)?)?;
    super::print(&examples(&names, &started, &survived, &gone)?)?;
    survived.refusal.map_or(Ok(()), Err)
}

/// What goes.
#[derive(Default)]
struct Gone {
    /// Documents by source and reason.
    counts: BTreeMap<(usize, &'static str), u64>,
    /// A few of them, the least similar first: those are the ones to doubt.
    examples: BTreeMap<(usize, &'static str), Vec<Removed>>,
}

impl Gone {
    /// Counts all, and keeps `most` examples of each source and reason but for exact duplicates.
    fn gather(survived: &Survived, most: usize) -> Result<Self> {
        let mut gone = Self::default();
        for duplicate in survived.duplicates.iter() {
            *gone.counts.entry((duplicate?.source, "exact")).or_default() += 1;
        }
        for removed in survived.others.iter()? {
            let removed = removed?;
            let of = (removed.source, removed.reason.name());
            *gone.counts.entry(of).or_default() += 1;
            let examples = gone.examples.entry(of).or_default();
            let at = examples.partition_point(|known| {
                known.reason.similarity().total_cmp(&removed.reason.similarity()).then_with(|| known.cmp(&removed))
                    == Ordering::Less
            });
            if at < most {
                examples.insert(at, removed);
                examples.truncate(most);
            }
        }
        Ok(gone)
    }
}

/// What goes, by source and reason.
fn counts(names: &[&str], started: &Started, gone: &Gone) -> Result<String> {
    let heads = ["source", "documents", "contaminated", "exact", "near", "near held out", "stay"];
    let mut table = Table::new(&heads.map(|head| (head, if head == "source" { Align::Left } else { Align::Right })));
    for (s, name) in names.iter().enumerate() {
        let of = |reason: &str| gone.counts.get(&(s, reason)).copied().unwrap_or(0);
        let parts = ["contaminated", "exact", "near", "near_validation"].map(of);
        let documents = started.store.tokenized(name).documents + parts[0];
        let mut cells = vec![(*name).to_owned(), number::count(documents)];
        cells.extend(parts.iter().map(|n| number::count(*n)));
        cells.push(number::count(documents - parts.iter().sum::<u64>()));
        table.row(cells);
    }
    Ok(format!("{}\n", table.render().trim_end()))
}

/// For each source, a few near duplicates beside what was kept, and a few leaks.
fn examples(names: &[&str], started: &Started, survived: &Survived, gone: &Gone) -> Result<String> {
    let mut out = String::new();
    for (s, name) in names.iter().enumerate() {
        for reason in ["near", "near_validation", "contaminated"] {
            for removed in gone.examples.get(&(s, reason)).into_iter().flatten() {
                out.push_str(&example(name, names, removed, started, survived)?);
            }
        }
    }
    Ok(out)
}

fn example(name: &str, names: &[&str], removed: &Removed, started: &Started, survived: &Survived) -> Result<String> {
    let percent = number::percent(removed.reason.similarity());
    let document = format!("{:032x}", removed.document);
    match &removed.reason {
        Reason::Near { kept, kept_in, .. } => {
            let gone = text_of(removed.document, &survived.stores[removed.source], started)?;
            let stays = text_of(*kept, &survived.stores[*kept_in], started)?;
            Ok(format!(
                "\n{name}: {document} goes, {percent} similar to {kept:032x} of {}\n{}",
                names.get(*kept_in).copied().unwrap_or_default(),
                beside(&gone, &stays)
            ))
        }
        Reason::Contaminated { detail, .. } => {
            Ok(format!("\n{name}: {document} goes, {percent} of the item's n-grams: {detail}\n"))
        }
        Reason::Exact { .. } => Ok(String::new()),
    }
}

/// Lines shown of each text.
const LINES: usize = 12;
const COLUMN: usize = 58;

/// Two texts in two columns from a little before where they part.
fn beside(gone: &str, stays: &str) -> String {
    let (left, right): (Vec<&str>, Vec<&str>) = (gone.lines().collect(), stays.lines().collect());
    let same = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(2);
    let mut out = format!("  {:<COLUMN$}  | stays\n", "goes");
    if from > 0 {
        out.push_str(&format!("  ... {from} equal lines\n"));
    }
    for at in from..left.len().max(right.len()).min(from + LINES) {
        let cut = |lines: &[&str]| -> String {
            let line = lines.get(at).copied().unwrap_or_default();
            line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(COLUMN).collect()
        };
        let (a, b) = (cut(&left), cut(&right));
        let mark = if left.get(at) == right.get(at) { ' ' } else { '|' };
        out.push_str(format!("  {a:<COLUMN$}  {mark} {b}").trim_end());
        out.push('\n');
    }
    out
}

/// The text that the model would read of a stored document.
fn text_of(key: u128, store: &SourceStore, started: &Started) -> Result<String> {
    for segment in &store.segments {
        let mut rows = Vec::new();
        let at = segment.lower_bound(key)?;
        segment.rows(at..at + 1, &mut rows)?;
        let Some(row) = rows.first().filter(|row| row.key == key) else { continue };
        let mut bytes = Vec::new();
        segment.row_tokens(row, &mut bytes)?;
        let ids = started.contract.ids(&bytes);
        return started.tokenizer()?.decode(started.contract.unframed(&ids));
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::beside;

    #[test]
    fn texts_stand_beside_each_other_from_where_they_part() {
        let shown = beside("a\nb\nc\nd\nX\n", "a\nb\nc\nd\nY\nZ");
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1], "  ... 2 equal lines");
        assert!(lines[2].starts_with("  c") && lines[2].ends_with("c") && !lines[2].contains('|'));
        assert!(lines[4].starts_with("  X") && lines[4].ends_with("| Y"));
        assert!(lines[5].ends_with("| Z"));
    }
}
