//! The page's tables.

use std::collections::BTreeMap;

use super::flow;
use super::table::{Cell, Head, Row, Table, numbers, words};
use crate::plan::number;
use crate::report::model::{DocumentFlow, Kind, MixReport, Phase, PhaseSource};

fn class_of(report: &MixReport, name: &str) -> String {
    report.source_index(name).map_or_else(String::new, |index| format!("s{index}"))
}

/// `expect` lines.
pub(super) fn expect(report: &MixReport) -> Option<Table> {
    if report.verdict.expect.is_empty() {
        return None;
    }
    let row = |line: &crate::report::model::Expect| Row {
        class: if line.holds { "" } else { "fails" },
        cells: vec![
            Cell::code(line.text.clone()),
            Cell::words(line.phase.clone()),
            if line.epochs { Cell::decimal(Some(line.value)) } else { Cell::share(line.value) },
            Cell {
                class: if line.holds { "good" } else { "bad" },
                ..Cell::words(if line.holds { "holds" } else { "fails" })
            },
        ],
    };
    Some(Table {
        caption: "What the curriculum expects, and what it is".to_owned(),
        heads: vec![
            words("expected", "The line as written"),
            words("of phase", "The phase that it is judged on"),
            numbers("is", "The share of the phase's windows, or the epochs read by its end"),
            words("verdict", "Within one window for each source named"),
        ],
        rows: report.verdict.expect.iter().map(row).collect(),
    })
}

/// A phase in a sentence.
pub(super) fn phase_words(phase: &Phase) -> String {
    let label = if phase.window_tokens > phase.sequence_length { " + 1" } else { "" };
    let packing = phase.packing.replace('_', " ");
    let plural = if phase.shards == 1 { "shard" } else { "shards" };
    let ramp = if phase.ramp { ", shares ramped" } else { "" };
    format!(
        "{} tokens in {} windows of {}{label}, {} {plural}, packed by {packing}{ramp}",
        number::tokens(phase.tokens),
        number::count(phase.windows),
        number::count(phase.sequence_length.into()),
        number::count(phase.shards),
    )
}

/// What a row of the phase table sums.
fn phase_cells(report: &MixReport, phase: &Phase, name: Cell, of: &[&PhaseSource]) -> Vec<Cell> {
    let sum = |share: fn(&PhaseSource) -> f64| of.iter().map(|source| share(source)).sum::<f64>();
    let count = |part: fn(&PhaseSource) -> u64| of.iter().map(|source| part(source)).sum::<u64>();
    let maybe = |part: fn(&PhaseSource) -> Option<u64>| of.iter().map(|source| part(source)).sum::<Option<u64>>();
    let single = if let [one] = of { Some(*one) } else { None };
    let (from, to) = (sum(|s| s.share_from), sum(|s| s.share_to));
    let mut cells = vec![name];
    let mut asked = Cell::share(sum(|s| s.share));
    if from != to {
        asked.exact = format!("{} at the start, {} at the end", number::percent(from), number::percent(to));
    }
    cells.push(asked);
    cells.push(Cell::share(sum(|s| s.got)));
    cells.push(Cell::signed(sum(|s| s.windows_off)));
    cells.push(Cell::tokens(count(|s| s.tokens)));
    cells.push(Cell::tokens(count(|s| s.windows)));
    if report.kind == Kind::Dataset {
        cells.push(Cell::maybe(maybe(|s| s.documents)));
    }
    cells.push(single.map_or_else(|| Cell::words(""), |one| Cell::decimal(one.epochs)));
    cells.push(Cell::maybe(maybe(|s| s.unseen_tokens)));
    cells.push(single.map_or_else(|| Cell::words(""), |one| Cell::left(one.left)));
    if phase.packing == "best_fit" {
        cells.push(Cell::maybe(maybe(|s| s.padding)));
    }
    cells
}

/// A phase's sources.
pub(super) fn phase(report: &MixReport, phase: &Phase) -> Table {
    let mut heads: Vec<Head> = vec![
        words("source", "Group, or source"),
        numbers("asked", "Share of the phase's windows that the curriculum asks for"),
        numbers("got", "Share that it has"),
        numbers("windows off", "Windows got less windows due"),
        numbers("tokens", "Trained positions"),
        numbers("windows", "Windows"),
    ];
    if report.kind == Kind::Dataset {
        heads.push(numbers("documents", "Different documents with a part in the phase"));
    }
    heads.push(numbers("epochs so far", "Stored tokens read by the phase's end, divided by unique tokens"));
    heads.push(numbers("still unseen", "Unique tokens that no phase so far has read"));
    heads.push(numbers("may be read", "Stored tokens that its epochs still permit"));
    if phase.packing == "best_fit" {
        heads.push(numbers("padding", "Padding tokens in its windows"));
    }
    let mut rows = Vec::new();
    for (group, members) in report.groups() {
        let names: Vec<&String> =
            members.iter().filter_map(|index| report.sources.get(*index)).map(|source| &source.name).collect();
        let parts: Vec<&PhaseSource> = phase.sources.iter().filter(|source| names.contains(&&source.name)).collect();
        let grouped = names.first().is_some_and(|first| **first != group) || names.len() > 1;
        if grouped && !parts.is_empty() {
            let cells = phase_cells(report, phase, Cell::words(group), &parts);
            rows.push(Row { class: "group", cells });
        }
        for part in parts {
            let name = Cell::source(&part.name, &class_of(report, &part.name));
            let cells = phase_cells(report, phase, name, &[part]);
            rows.push(Row { class: if grouped { "member" } else { "" }, cells });
        }
    }
    Table { caption: format!("Sources of {}", phase.name), heads, rows }
}

/// All sources over the whole curriculum.
pub(super) fn sources(report: &MixReport) -> Table {
    let dataset = report.kind == Kind::Dataset;
    let mut heads = vec![
        words("source", "Its name"),
        words("group", "Its group"),
        numbers("share", "Part of all trained tokens"),
        numbers("tokens", "Trained positions in all phases"),
        numbers("unique tokens", "Tokens of the documents that stayed, once each"),
        numbers("documents", "Documents that stayed"),
    ];
    if dataset {
        heads.push(numbers("tokens a byte", "Unique tokens divided by bytes of text"));
    } else {
        heads.push(words("size is", "How the number of unique tokens is known"));
    }
    heads.push(numbers("epochs", "Stored tokens divided by unique tokens"));
    heads.push(numbers("unseen", "Unique tokens that no phase reads"));
    heads.push(numbers("may be read", "Stored tokens that its epochs still permit"));
    if dataset {
        heads.push(numbers("truncated", "Tokens cut off where windows did not hold them, over all epochs"));
        heads.push(numbers("padding", "Padding tokens in its windows"));
    }
    let row = |source: &crate::report::model::Source| {
        let mut cells = vec![
            Cell::source(&source.name, &class_of(report, &source.name)),
            Cell::words(source.group.clone().unwrap_or_default()),
            Cell::share(source.share),
            Cell::tokens(source.tokens),
            Cell::tokens(source.size.tokens),
            Cell::maybe(source.size.documents),
        ];
        if dataset {
            cells.push(source.tokens_per_byte.map_or_else(|| Cell::maybe(None), |ratio| Cell::decimal(Some(ratio))));
        } else {
            let spread = source.size.spread.filter(|spread| *spread > 0.0).map(number::spread).unwrap_or_default();
            cells.push(Cell::words(format!("{} {spread}", source.size.basis)));
        }
        cells.push(Cell::decimal(source.epochs));
        cells.push(Cell::maybe(source.unseen_tokens));
        cells.push(Cell::left(source.left));
        if dataset {
            let flow = source.flow.as_ref();
            cells.push(Cell::loss(flow.map_or(0, |flow| flow.tokens.truncated)));
            cells.push(Cell::loss(flow.map_or(0, |flow| flow.tokens.padding)));
        }
        Row { cells, ..Row::default() }
    };
    Table {
        caption: "Every source over the whole curriculum".to_owned(),
        heads,
        rows: report.sources.iter().map(row).collect(),
    }
}

/// How far phases stray.
pub(super) fn drift(report: &MixReport) -> Option<Table> {
    let spans =
        report.phases.iter().any(|phase| phase.drift.as_ref().is_some_and(|drift| drift.span_windows.is_some()));
    let mut rows = Vec::new();
    for phase in &report.phases {
        let Some(drift) = &phase.drift else { continue };
        let mut cells = vec![
            Cell::words(phase.name.clone()),
            Cell::signed(drift.border),
            Cell::words(drift.border_source.clone()),
            Cell::place(phase.first_window + drift.border_after),
        ];
        if spans {
            cells.push(Cell::place(drift.span));
            cells.push(Cell::signed(drift.span_windows.unwrap_or(0.0)));
            cells.push(Cell::words(drift.span_source.clone().unwrap_or_default()));
            cells.push(Cell::place(phase.first_window + drift.span_from.unwrap_or(0)));
        }
        rows.push(Row { cells, ..Row::default() });
    }
    let mut heads = vec![
        words("phase", "Its name"),
        numbers(
            "at block borders",
            "Windows got less windows due, where that is most, after a whole block of 256 windows",
        ),
        words("of", "The source"),
        numbers("before window", "Global number of the window after the border"),
    ];
    if spans {
        heads.push(numbers("span", "Consecutive windows looked at together"));
        heads.push(numbers("in any span", "Windows got in the span less windows due in it, where that is most"));
        heads.push(words("of", "The source"));
        heads.push(numbers("from window", "Global number of the span's first window"));
    }
    let caption = "Largest deviation from the plan, in windows".to_owned();
    (!rows.is_empty()).then_some(Table { caption, heads, rows })
}

/// How documents come back.
pub(super) fn concentration(report: &MixReport) -> Option<Table> {
    let row = |of: &crate::report::model::Concentration| Row {
        cells: vec![
            Cell::source(&of.source, &class_of(report, &of.source)),
            Cell::tokens(of.windows),
            Cell::place(of.first_window),
            Cell::code(of.document.clone()),
        ],
        ..Row::default()
    };
    (!report.concentration.is_empty()).then(|| Table {
        caption: "Most windows of one document within any 1,024 consecutive windows".to_owned(),
        heads: vec![
            words("source", "Its name"),
            numbers("windows", "Windows that hold a part of the document"),
            numbers("from window", "Global number of the first of the 1,024"),
            words("document", "Its key: syllabus inspect DIR --document KEY"),
        ],
        rows: report.concentration.iter().map(row).collect(),
    })
}

/// Documents by source and outcome.
pub(super) fn documents(report: &MixReport) -> Table {
    let heads = vec![
        words("source", "Its name"),
        words("outcome", "In windows, then what was lost, as parts of what was read"),
        numbers("read", "Rows read"),
        numbers("bad", "Rows that could not be read"),
        numbers("filtered", "By any rule"),
        numbers("empty", "Without text"),
        numbers("contaminated", "Holding a benchmark item"),
        numbers("exact", "The same text stayed elsewhere"),
        numbers("near", "A similar text stayed, or is held out"),
        numbers("held out", "For validation"),
        numbers("not drawn", "Left, but in no window"),
        numbers("in windows", "With a part in some window"),
    ];
    let cells = |name: Cell, of: &DocumentFlow| {
        let mut cells = vec![name, Cell::markup(flow::bar(of)), Cell::tokens(of.read)];
        for loss in [
            of.bad,
            of.filtered_all(),
            of.empty,
            of.contaminated,
            of.exact,
            of.near + of.near_validation,
            of.held_out,
            of.unused,
        ] {
            cells.push(Cell::loss(loss));
        }
        cells.push(Cell::tokens(of.emitted));
        cells
    };
    let flows = report.sources.iter().filter_map(|source| Some((source, &source.flow.as_ref()?.documents)));
    let mut rows: Vec<Row> = flows
        .map(|(source, of)| Row {
            cells: cells(Cell::source(&source.name, &class_of(report, &source.name)), of),
            ..Row::default()
        })
        .collect();
    if let Some(all) = report.flow.as_ref().filter(|_| report.sources.len() > 1) {
        rows.push(Row { class: "total", cells: cells(Cell::words("all"), &all.documents) });
    }
    Table { caption: "Documents of every source by what became of them".to_owned(), heads, rows }
}

/// Filtered documents by rule.
pub(super) fn rules(report: &MixReport) -> Option<Table> {
    let mut rows = Vec::new();
    for source in &report.sources {
        for rule in source.flow.iter().flat_map(|flow| &flow.documents.filtered).filter(|rule| rule.documents > 0) {
            rows.push(Row {
                cells: vec![
                    Cell::source(&source.name, &class_of(report, &source.name)),
                    Cell::code(rule.rule.clone()),
                    Cell::tokens(rule.documents),
                ],
                ..Row::default()
            });
        }
    }
    (!rows.is_empty()).then(|| Table {
        caption: "Filtered documents by the first rule that failed".to_owned(),
        heads: vec![words("source", "Its name"), words("rule", "The rule"), numbers("documents", "Documents")],
        rows,
    })
}

/// Who gave way to whom, and examples.
pub(super) fn evidence(report: &MixReport) -> Vec<Table> {
    let Some(evidence) = &report.evidence else { return Vec::new() };
    let mut tables = Vec::new();
    let mut pairs: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for pair in &evidence.pairs {
        *pairs.entry((&pair.source, &pair.kept_in, &pair.reason)).or_default() += pair.documents;
    }
    if !pairs.is_empty() {
        let row = |((source, kept_in, reason), documents): (&(&str, &str, &str), &u64)| Row {
            cells: vec![
                Cell::source(source, &class_of(report, source)),
                Cell::words(reason.replace('_', " ")),
                Cell::source(kept_in, &class_of(report, kept_in)),
                Cell::tokens(*documents),
            ],
            ..Row::default()
        };
        tables.push(Table {
            caption: "Copies by where the one that stayed is".to_owned(),
            heads: vec![
                words("removed from", "Whose documents went"),
                words("because", "Equal, or similar"),
                words("stayed in", "Whose document stayed"),
                numbers("documents", "Documents removed"),
            ],
            rows: pairs.iter().map(row).collect(),
        });
    }
    if !evidence.examples.is_empty() {
        let row = |of: &crate::report::model::Example| Row {
            cells: vec![
                Cell::source(&of.source, &class_of(report, &of.source)),
                Cell::words(of.reason.replace('_', " ")),
                Cell::decimal(of.similarity),
                Cell::words(of.detail.clone().unwrap_or_default()),
                Cell::code(of.document.clone()),
                Cell::code(of.kept.clone().unwrap_or_default()),
            ],
            ..Row::default()
        };
        tables.push(Table {
            caption: "Examples: the smallest keys of each source and reason".to_owned(),
            heads: vec![
                words("source", "Its name"),
                words("reason", "Why it went"),
                numbers("similarity", "Jaccard index, or the part of the benchmark item that occurs"),
                words("evidence", "Where the other one is, or what is quoted"),
                words("document", "Key of the document that went"),
                words("stayed", "Key of the document that stayed"),
            ],
            rows: evidence.examples.iter().map(row).collect(),
        });
    }
    tables
}

/// Forms for trainers.
pub(super) fn exports(report: &MixReport) -> Option<Table> {
    let plan = report.plan.as_ref().filter(|plan| !plan.exports.is_empty())?;
    let row = |of: &crate::report::model::TrainerForm| Row {
        cells: vec![
            Cell::code(of.name.clone()),
            Cell { class: if of.allowed { "good" } else { "" }, ..Cell::words(if of.allowed { "yes" } else { "no" }) },
            Cell::words(of.trainers.clone()),
            Cell::words(of.note.clone().unwrap_or_default()),
        ],
        ..Row::default()
    };
    Some(Table {
        caption: "Trainers that can read it".to_owned(),
        heads: vec![
            words("form", "What follows --for"),
            words("possible", "Whether this curriculum can be exported so"),
            words("trainers", "Who reads it"),
            words("note", "Why not, or what to know"),
        ],
        rows: plan.exports.iter().map(row).collect(),
    })
}

/// Time by stage.
pub(super) fn stages(report: &MixReport) -> Option<Table> {
    let run = report.run.as_ref()?;
    let row = |of: &crate::report::model::StageTime| {
        let rate = match of.stage.as_str() {
            "ingest" if run.bytes > 0 => Some((run.bytes, "of text")),
            "emit" if run.written_bytes > 0 => Some((run.written_bytes, "of tokens")),
            _ => None,
        };
        let rate = rate.map_or_else(String::new, |(bytes, what)| {
            let rate = number::tokens_of(bytes as f64 / of.seconds.max(1e-3));
            format!("{rate}B/s {what}")
        });
        let seconds = format!("{:.2} s", of.seconds);
        Row {
            cells: vec![
                Cell::words(of.stage.clone()),
                Cell { number: true, sort: of.seconds.to_string(), ..Cell::words(seconds) },
                Cell { number: true, ..Cell::words(rate) },
            ],
            ..Row::default()
        }
    };
    Some(Table {
        caption: "How long each stage took".to_owned(),
        heads: vec![
            words("stage", "Its name"),
            numbers("time", "Seconds"),
            numbers("throughput", "By all threads together"),
        ],
        rows: run.stages.iter().map(row).collect(),
    })
}

/// Held-out sets.
pub(super) fn held_out(report: &MixReport) -> Option<Table> {
    let sets = report.sources.iter().filter_map(|source| Some((source, source.held_out.as_ref()?)));
    let rows: Vec<Row> = sets
        .map(|(source, set)| Row {
            cells: vec![
                Cell::source(&source.name, &class_of(report, &source.name)),
                Cell::words(format!("{}/{}", set.name, source.name)),
                Cell::tokens(set.documents),
                Cell::tokens(set.tokens),
                Cell::tokens(set.windows),
            ],
            ..Row::default()
        })
        .collect();
    (!rows.is_empty()).then(|| Table {
        caption: "Held-out documents".to_owned(),
        heads: vec![
            words("source", "Its name"),
            words("folder", "Where its shards are"),
            numbers("documents", "Documents"),
            numbers("tokens", "Their tokens"),
            numbers("windows", "Windows"),
        ],
        rows,
    })
}
