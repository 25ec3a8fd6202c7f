//! What changed from one curriculum or dataset to another: mix, tokens, documents, tokenizer.

use std::fmt::Write as _;

use super::model::{MixReport, Phase};
use crate::plan::number;
use crate::plan::text::{Align, Table};

/// The differences as text; says so when there are none.
#[must_use]
pub fn diff(a: &MixReport, b: &MixReport) -> String {
    let mut out = String::new();
    facts(&mut out, a, b);
    phases(&mut out, a, b);
    sources(&mut out, a, b);
    expectations(&mut out, a, b);
    if out.is_empty() { "no difference in mix, tokens, documents or tokenizer\n".to_owned() } else { out }
}

fn facts(out: &mut String, a: &MixReport, b: &MixReport) {
    let mut say = |what: &str, one: String, other: String| {
        if one != other {
            let _infallible = writeln!(out, "{what}: {one} -> {other}");
        }
    };
    let none = || "none".to_owned();
    say("name", a.name.clone(), b.name.clone());
    say("tokens", number::tokens(a.tokens), number::tokens(b.tokens));
    say("windows", number::count(a.windows), number::count(b.windows));
    say("seed", a.seed.to_string(), b.seed.to_string());
    say("scale", a.scale.clone(), b.scale.clone());
    if a.kind == b.kind {
        say("token dtype", a.token_dtype.clone(), b.token_dtype.clone());
        let part = |of: &MixReport, part: fn(&super::model::Tokenizer) -> String| {
            of.tokenizer.as_ref().map_or_else(none, part)
        };
        let id = |id: Option<u32>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
        say("tokenizer", part(a, |t| t.name.clone()), part(b, |t| t.name.clone()));
        say("tokenizer digest", part(a, |t| t.digest.clone()), part(b, |t| t.digest.clone()));
        say("vocabulary", part(a, |t| t.vocab_size.to_string()), part(b, |t| t.vocab_size.to_string()));
        let contract = |of: &MixReport| {
            of.tokenizer.as_ref().map_or_else(none, |t| format!("{}, {}, {}", id(t.bos_id), id(t.eos_id), t.pad_id))
        };
        say("BOS, EOS, padding", contract(a), contract(b));
        let digest = |of: &MixReport| of.dataset_digest.clone().unwrap_or_else(none);
        say("dataset digest", digest(a), digest(b));
    }
}

/// Names of both lists, those of the first in its order.
fn names<'a>(a: impl Iterator<Item = &'a String>, b: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    let mut names: Vec<&String> = a.collect();
    for name in b {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn phases(out: &mut String, a: &MixReport, b: &MixReport) {
    for name in names(a.phases.iter().map(|phase| &phase.name), b.phases.iter().map(|phase| &phase.name)) {
        let find = |of: &'_ MixReport| of.phases.iter().position(|phase| phase.name == *name);
        match (find(a).and_then(|at| a.phases.get(at)), find(b).and_then(|at| b.phases.get(at))) {
            (Some(one), Some(other)) => phase(out, one, other),
            (Some(one), None) => {
                let _infallible = writeln!(out, "\n{name}: gone ({} tokens)", number::tokens(one.tokens));
            }
            (None, Some(other)) => {
                let _infallible = writeln!(out, "\n{name}: new ({} tokens)", number::tokens(other.tokens));
            }
            (None, None) => {}
        }
    }
}

fn phase(out: &mut String, a: &Phase, b: &Phase) {
    let mut lines = Vec::new();
    let mut say = |what: &str, one: String, other: String| {
        if one != other {
            lines.push(format!("  {what}: {one} -> {other}"));
        }
    };
    say("tokens", number::tokens(a.tokens), number::tokens(b.tokens));
    say("sequence length", a.sequence_length.to_string(), b.sequence_length.to_string());
    say("window", a.window_tokens.to_string(), b.window_tokens.to_string());
    say("packing", a.packing.clone(), b.packing.clone());
    let mut table = Table::new(&[
        ("source", Align::Left),
        ("asked", Align::Left),
        ("share", Align::Right),
        ("->", Align::Right),
        ("points", Align::Right),
        ("tokens", Align::Right),
        ("->", Align::Right),
    ]);
    let mut changed = false;
    for name in names(a.sources.iter().map(|source| &source.name), b.sources.iter().map(|source| &source.name)) {
        let one = a.sources.iter().find(|source| source.name == *name);
        let other = b.sources.iter().find(|source| source.name == *name);
        let figures = |of: Option<&super::model::PhaseSource>| {
            of.map_or((0.0, 0.0, 0.0, 0), |of| (of.share_from, of.share_to, of.got, of.windows))
        };
        if figures(one) == figures(other) {
            continue;
        }
        changed = true;
        let asked = |of: Option<&super::model::PhaseSource>| match of {
            None => "-".to_owned(),
            Some(of) if of.share_from == of.share_to => number::percent(of.share),
            Some(of) => format!("{} to {}", number::percent(of.share_from), number::percent(of.share_to)),
        };
        let (before, after) = (asked(one), asked(other));
        let got = |of: Option<&super::model::PhaseSource>| of.map_or(0.0, |of| of.got);
        table.row(vec![
            name.clone(),
            if before == after { before } else { format!("{before} -> {after}") },
            number::percent(got(one)),
            number::percent(got(other)),
            format!("{:+.2}", (got(other) - got(one)) * 100.0),
            number::tokens(one.map_or(0, |of| of.tokens)),
            number::tokens(other.map_or(0, |of| of.tokens)),
        ]);
    }
    if !lines.is_empty() || changed {
        let _infallible = writeln!(out, "\n{}", a.name);
        for line in lines {
            let _infallible = writeln!(out, "{line}");
        }
        if changed {
            out.push_str(&table.render());
        }
    }
}

fn sources(out: &mut String, a: &MixReport, b: &MixReport) {
    let mut table = Table::new(&[
        ("source", Align::Left),
        ("what", Align::Left),
        ("before", Align::Right),
        ("after", Align::Right),
    ]);
    let mut changed = false;
    for name in names(a.sources.iter().map(|source| &source.name), b.sources.iter().map(|source| &source.name)) {
        let find = |of: &'_ MixReport| of.source_index(name);
        let (one, other) = (find(a).and_then(|at| a.sources.get(at)), find(b).and_then(|at| b.sources.get(at)));
        let mut say = |what: &str, before: Option<String>, after: Option<String>| {
            if before != after {
                changed = true;
                let text = |of: Option<String>| of.unwrap_or_else(|| "-".to_owned());
                table.row(vec![name.clone(), what.to_owned(), text(before), text(after)]);
            }
        };
        let count = |number: u64| Some(number::count(number));
        say("group", one.and_then(|of| of.group.clone()), other.and_then(|of| of.group.clone()));
        say("unique tokens", one.and_then(|of| count(of.size.tokens)), other.and_then(|of| count(of.size.tokens)));
        say(
            "documents",
            one.and_then(|of| of.size.documents).and_then(count),
            other.and_then(|of| of.size.documents).and_then(count),
        );
        say("trained tokens", one.and_then(|of| count(of.tokens)), other.and_then(|of| count(of.tokens)));
        let epochs = |of: Option<&super::model::Source>| of.and_then(|of| of.epochs).map(number::decimal);
        say("epochs", epochs(one), epochs(other));
        let (before, after) = (one.and_then(|of| of.flow.as_ref()), other.and_then(|of| of.flow.as_ref()));
        if let (Some(before), Some(after)) = (before, after) {
            let (before, after) = (&before.documents, &after.documents);
            for (what, one, other) in [
                ("read", before.read, after.read),
                ("bad", before.bad, after.bad),
                ("filtered", before.filtered_all(), after.filtered_all()),
                ("empty", before.empty, after.empty),
                ("contaminated", before.contaminated, after.contaminated),
                ("exact duplicates", before.exact, after.exact),
                ("near duplicates", before.near + before.near_validation, after.near + after.near_validation),
                ("held out", before.held_out, after.held_out),
                ("in windows", before.emitted, after.emitted),
            ] {
                say(what, count(one), count(other));
            }
        }
    }
    if changed {
        let _infallible = writeln!(out, "\nsources");
        out.push_str(&table.render());
    }
}

fn expectations(out: &mut String, a: &MixReport, b: &MixReport) {
    let text = |of: &MixReport| {
        let line = |line: &super::model::Expect| {
            let value = if line.epochs { number::decimal(line.value) } else { number::percent(line.value) };
            format!("{}: {}  {value}  {}", line.phase, line.text, if line.holds { "holds" } else { "FAILS" })
        };
        of.verdict.expect.iter().map(line).collect::<Vec<_>>()
    };
    let (before, after) = (text(a), text(b));
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    let lines: Vec<String> = gone.chain(new).collect();
    if !lines.is_empty() {
        let _infallible = writeln!(out, "\nexpected\n{}", lines.join("\n"));
    }
}
