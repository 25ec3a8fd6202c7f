//! The report in Markdown: for a pull request, and as the data card of a Hugging Face dataset page.

use std::fmt::Write as _;

use super::model::{Kind, MixReport, PhaseSource};
use crate::plan::number;

/// A cell's text: no bar ends it early.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

fn maybe(count: Option<u64>) -> String {
    count.map_or_else(|| "–".to_owned(), number::tokens)
}

/// A YAML string in double quotes: JSON's are.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

/// Hugging Face's category for a number of rows.
fn size_category(rows: u64) -> &'static str {
    match rows {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        10_000_000..100_000_000 => "10M<n<100M",
        100_000_000..1_000_000_000 => "100M<n<1B",
        1_000_000_000..10_000_000_000 => "1B<n<10B",
        10_000_000_000..100_000_000_000 => "10B<n<100B",
        100_000_000_000..1_000_000_000_000 => "100B<n<1T",
        _ => "n>1T",
    }
}

/// The report, with the front matter that a dataset page asks for.
#[must_use]
pub fn markdown(report: &MixReport) -> String {
    let mut out = String::new();
    front_matter(&mut out, report);
    let _infallible = writeln!(out, "# {}\n", cell(&report.name));
    let _infallible = writeln!(
        out,
        "{} trained tokens in {} windows, {} phases, {} sources.",
        number::tokens(report.tokens),
        number::count(report.windows),
        report.phases.len(),
        report.sources.len()
    );
    if let Some(digest) = &report.dataset_digest {
        let _infallible = writeln!(out, "Dataset digest `{digest}`.");
    }
    if let Some(of) = &report.tokenizer {
        let id = |id: Option<u32>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
        let _infallible = writeln!(
            out,
            "Tokenizer `{}` (BLAKE3 `{}`), {} ids stored as {}, BOS {}, EOS {}.",
            of.name,
            of.digest,
            number::count(of.vocab_size.into()),
            report.token_dtype,
            id(of.bos_id),
            id(of.eos_id)
        );
    }
    expectations(&mut out, report);
    for phase in &report.phases {
        phase_table(&mut out, report, phase);
    }
    source_table(&mut out, report);
    document_table(&mut out, report);
    let _infallible = writeln!(out, "\n<details><summary>Curriculum</summary>\n");
    // A fence longer than any run of backticks in the text.
    let longest = report.curriculum.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let _infallible = writeln!(out, "{fence}yaml\n{}\n{fence}\n\n</details>", report.curriculum.trim_end());
    out
}

fn front_matter(out: &mut String, report: &MixReport) {
    let _infallible = writeln!(out, "---\npretty_name: {}\ntask_categories:\n- text-generation", quoted(&report.name));
    let _infallible = writeln!(out, "size_categories:\n- {}", size_category(report.windows));
    out.push_str("tags:\n- pretraining\n- tokenized\n- syllabus\n---\n\n");
}

fn expectations(out: &mut String, report: &MixReport) {
    if report.verdict.expect.is_empty() {
        return;
    }
    out.push_str("\n| expected | phase | is | |\n| --- | --- | ---: | --- |\n");
    for line in &report.verdict.expect {
        let value = if line.epochs { number::decimal(line.value) } else { number::percent(line.value) };
        let holds = if line.holds { "holds" } else { "**fails**" };
        let _infallible = writeln!(out, "| `{}` | {} | {value} | {holds} |", cell(&line.text), cell(&line.phase));
    }
}

fn phase_table(out: &mut String, report: &MixReport, phase: &super::model::Phase) {
    let _infallible = writeln!(
        out,
        "\n## {}\n\n{} tokens in {} windows of {}.\n",
        phase.name,
        number::tokens(phase.tokens),
        number::count(phase.windows),
        number::count(phase.sequence_length.into())
    );
    let dataset = report.kind == Kind::Dataset;
    out.push_str("| source | asked | got | tokens | windows | epochs so far |");
    out.push_str(if dataset { " documents |\n" } else { "\n" });
    out.push_str("| --- | ---: | ---: | ---: | ---: | ---: |");
    out.push_str(if dataset { " ---: |\n" } else { "\n" });
    let line = |source: &PhaseSource| {
        let asked = if source.share_from == source.share_to {
            number::percent(source.share)
        } else {
            format!("{} to {}", number::percent(source.share_from), number::percent(source.share_to))
        };
        let epochs = source.epochs.map_or_else(|| "–".to_owned(), number::decimal);
        let mut line = format!(
            "| {} | {asked} | {} | {} | {} | {epochs} |",
            cell(&source.name),
            number::percent(source.got),
            number::tokens(source.tokens),
            number::count(source.windows)
        );
        if dataset {
            let _infallible = write!(line, " {} |", maybe(source.documents));
        }
        line
    };
    for source in &phase.sources {
        let _infallible = writeln!(out, "{}", line(source));
    }
}

fn source_table(out: &mut String, report: &MixReport) {
    out.push_str("\n## Sources\n\n| source | group | share | tokens | unique tokens | epochs | unseen |\n");
    out.push_str("| --- | --- | ---: | ---: | ---: | ---: | ---: |\n");
    for source in &report.sources {
        let _infallible = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            cell(&source.name),
            cell(source.group.as_deref().unwrap_or("")),
            number::percent(source.share),
            number::tokens(source.tokens),
            number::tokens(source.size.tokens),
            source.epochs.map_or_else(|| "–".to_owned(), number::decimal),
            maybe(source.unseen_tokens)
        );
    }
}

fn document_table(out: &mut String, report: &MixReport) {
    let flows: Vec<_> = report.sources.iter().filter_map(|source| Some((source, source.flow.as_ref()?))).collect();
    if flows.is_empty() {
        return;
    }
    out.push_str("\n## Where the documents went\n\n");
    out.push_str("| source | read | bad | filtered | empty | contaminated | exact | near | held out | not drawn | in windows |\n");
    out.push_str("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    let all = report.flow.as_ref().map(|flow| ("all", flow)).filter(|_| flows.len() > 1);
    for (name, flow) in flows.iter().map(|(source, flow)| (source.name.as_str(), *flow)).chain(all) {
        let of = &flow.documents;
        let near = of.near + of.near_validation;
        let counts = [
            of.read,
            of.bad,
            of.filtered_all(),
            of.empty,
            of.contaminated,
            of.exact,
            near,
            of.held_out,
            of.unused,
            of.emitted,
        ];
        let counts: Vec<String> = counts.into_iter().map(number::count).collect();
        let _infallible = writeln!(out, "| {} | {} |", cell(name), counts.join(" | "));
    }
}
