//! The plan as tables for a terminal: no wider than 100 columns, nothing said by colour.

use num_rational::BigRational;
use num_traits::One;

use super::number;
use super::text::{Align, Table, filled};
use super::view::{PhaseSourceView, PhaseView, PlanView, SourceView};
use super::{Basis, exports::Order, predict::Prediction};

/// The whole plan as text.
#[must_use]
pub fn render(view: &PlanView) -> String {
    let mut out = head(view);
    for (index, phase) in view.phases.iter().enumerate() {
        out.push('\n');
        out.push_str(&phase_text(view, index, phase));
    }
    out.push_str("\nSources over the whole run\n");
    out.push_str(&sources_text(&view.sources));
    if view.phases.iter().any(|phase| phase.sources.iter().any(|source| source.drift.is_some())) {
        out.push_str(&drift_text(view));
    }
    if !view.exports.is_empty() {
        out.push_str(&exports_text(view));
    }
    if let Some(prediction) = &view.prediction {
        out.push_str(&prediction_text(prediction));
    }
    if !view.warnings.is_empty() {
        out.push('\n');
    }
    for warning in &view.warnings {
        out.push_str(&filled("warning: ", warning));
    }
    out
}

fn head(view: &PlanView) -> String {
    let phases = plural(view.phases.len() as u64, "phase");
    let scale = match view.scale.parse::<BigRational>() {
        Ok(scale) if scale.is_one() => String::new(),
        Ok(scale) => format!(", scale {}", number::scale(&scale)),
        Err(_) => format!(", scale {}", view.scale),
    };
    format!(
        "{}: {phases}, {} tokens in {}, seed {}, {}{scale}\n",
        view.name,
        number::tokens(view.tokens),
        plural(view.windows, "window"),
        view.seed,
        match view.token_dtype {
            syllabus_reader::format::TokenDtype::U16 => "u16",
            syllabus_reader::format::TokenDtype::U32 => "u32",
        }
    )
}

fn phase_text(view: &PlanView, index: usize, phase: &PhaseView) -> String {
    let label = if phase.window_tokens > phase.sequence_length { " + 1" } else { "" };
    let shards = if phase.shards == 1 {
        "1 shard".to_owned()
    } else {
        format!("{} of {}", plural(phase.shards, "shard"), number::count(phase.shard_windows))
    };
    let mut out = format!(
        "Phase {} of {}: {}\n  {} tokens in {} of {}{label}, {}, {shards}\n",
        index + 1,
        view.phases.len(),
        phase.name,
        number::tokens(phase.tokens),
        plural(phase.windows, "window"),
        number::count(phase.sequence_length.into()),
        phase.packing,
    );
    let mut table = Table::new(&[
        ("source", Align::Left),
        ("share asked", Align::Right),
        ("windows", Align::Right),
        ("tokens", Align::Right),
        ("unique", Align::Right),
        ("epochs so far", Align::Right),
        ("left", Align::Right),
    ]);
    for line in grouped(&phase.sources) {
        table.row(match line {
            Line::Source(source, indent) => vec![
                format!("{indent}{}", source.name),
                share(phase.ramp, source.share_from, source.share_to),
                number::count(source.windows),
                number::tokens(source.tokens),
                format!("{}{}", mark(view, &source.name), number::tokens(source.unique_tokens)),
                source.epochs.map_or_else(|| "-".to_owned(), number::decimal),
                left(source.left),
            ],
            Line::Group(name, sources) => vec![
                format!("{name}:"),
                share(
                    phase.ramp,
                    sources.iter().map(|source| source.share_from).sum(),
                    sources.iter().map(|source| source.share_to).sum(),
                ),
                number::count(sources.iter().map(|source| source.windows).sum()),
                number::tokens(sources.iter().map(|source| source.tokens).sum()),
            ],
        });
    }
    out.push_str(&table.render());
    if !phase.exact {
        out.push_str("  windows within one of the exact count, which --simulate finds\n");
    }
    let unread: Vec<&str> = (view.sources.iter())
        .filter(|source| phase.sources.iter().all(|read| read.name != source.name))
        .map(|source| source.name.as_str())
        .collect();
    if !unread.is_empty() {
        out.push_str(&filled("  not read: ", &unread.join(", ")));
    }
    if !phase.expect.is_empty() {
        let mut table = Table::new(&[("expect", Align::Left), ("is", Align::Right), ("", Align::Left)]);
        for line in &phase.expect {
            let verdict = if line.holds { "ok" } else { "FAILS" };
            table.row(vec![line.text.clone(), line.value_text.clone(), verdict.to_owned()]);
        }
        out.push_str(&table.render());
    }
    out
}

fn sources_text(sources: &[SourceView]) -> String {
    let mut table = Table::new(&[
        ("source", Align::Left),
        ("unique", Align::Right),
        ("basis", Align::Left),
        ("epochs", Align::Right),
        ("of at most", Align::Right),
        ("tokens read", Align::Right),
        ("left", Align::Right),
    ]);
    for source in sources {
        table.row(vec![
            source.name.clone(),
            format!("{}{}", tilde(source.basis), number::tokens(source.unique_tokens)),
            match source.basis {
                Basis::Counted => "counted".to_owned(),
                Basis::Declared => "declared".to_owned(),
                Basis::Estimated => match source.spread {
                    Some(spread) => format!("estimated {}", number::spread(spread)),
                    None => "estimated from one sample".to_owned(),
                },
            },
            source.epochs.map_or_else(|| "-".to_owned(), number::decimal),
            source.max_epochs.map_or_else(|| "any".to_owned(), number::count),
            number::tokens(source.stored_tokens),
            left(source.left),
        ]);
    }
    table.render()
}

fn drift_text(view: &PlanView) -> String {
    let mut out = format!(
        "\nDrift over {} walked: windows given less windows due, where it is largest\n",
        plural(view.windows, "window")
    );
    let mut table = Table::new(&[
        ("phase / source", Align::Left),
        ("at block ends", Align::Right),
        ("after window", Align::Right),
        ("anywhere", Align::Right),
        ("after window", Align::Right),
    ]);
    for phase in &view.phases {
        let drifts: Vec<_> = phase.sources.iter().filter_map(|source| Some((source, source.drift.as_ref()?))).collect();
        let largest = |of: fn(&super::view::DriftView) -> f64| {
            drifts.iter().map(|(_, drift)| of(drift).abs()).fold(0.0, f64::max)
        };
        table.row(vec![
            format!("{}, largest", phase.name),
            format!("{:.4}", largest(|drift| drift.at_borders)),
            String::new(),
            format!("{:.4}", largest(|drift| drift.anywhere)),
        ]);
        for (source, drift) in drifts {
            table.row(vec![
                format!("  {}", source.name),
                format!("{:+.4}", drift.at_borders),
                number::count(drift.at_borders_after),
                format!("{:+.4}", drift.anywhere),
                number::count(drift.anywhere_after),
            ]);
        }
    }
    out.push_str(&table.render());
    out
}

fn exports_text(view: &PlanView) -> String {
    let mut out = "\nExports (syllabus export --for NAME)\n".to_owned();
    for export in &view.exports {
        let order = match export.order {
            Order::Kept => "order kept",
            Order::KeptUnshuffled => "order kept unless it shuffles",
            Order::Shuffled => "shuffles",
            Order::Sampled => "reads at random",
        };
        let allowed = if export.allowed { "yes" } else { "no " };
        let first = format!("  {:<14}  {allowed}  ", export.name);
        let note = export.note.as_deref().unwrap_or_default();
        let words = if export.allowed {
            let note = if note.is_empty() { String::new() } else { format!("; {note}") };
            format!("{}: {order}{note}", export.trainers)
        } else {
            format!("{}: {note}", export.trainers)
        };
        out.push_str(&filled(&first, &words));
    }
    out
}

fn prediction_text(prediction: &Prediction) -> String {
    let bytes = |number: u64| number::bytes(number.into());
    let mut out = "\nPrediction\n".to_owned();
    out.push_str(&format!(
        "  output   {} (tokens {}, indexes {}, windows {})\n",
        bytes(prediction.output_bytes()),
        bytes(prediction.bin_bytes),
        bytes(prediction.idx_bytes),
        bytes(prediction.arrow_bytes)
    ));
    out.push_str(&format!("  scratch  {}\n", bytes(prediction.scratch_bytes)));
    if let Some(near) = &prediction.near {
        let found: Vec<String> = (near.curve.iter())
            .map(|found| format!("{} at {}", number::percent(found.probability), number::decimal(found.similarity)))
            .collect();
        out.push_str(&filled(
            "  near     ",
            &format!(
                "signatures {}, search {} at most; {} bands of {} rows find a pair of documents with probability {}",
                bytes(near.signature_bytes),
                bytes(near.search_bytes),
                near.bands,
                near.rows,
                found.join(", ")
            ),
        ));
    }
    out.push_str(&format!("  memory   {} at least\n", bytes(prediction.memory_floor)));
    out.push_str(&match prediction.seconds {
        Some(seconds) => {
            format!("  time     {} for {} of text\n", number::duration(seconds), bytes(prediction.text_bytes))
        }
        None => format!("  time     not measured; {} of text\n", bytes(prediction.text_bytes)),
    });
    out
}

enum Line<'a> {
    Source(&'a PhaseSourceView, &'static str),
    Group(&'a str, Vec<&'a PhaseSourceView>),
}

/// Sources in declaration order, those of a group together under its sum, where its first stands.
fn grouped(sources: &[PhaseSourceView]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    for source in sources {
        let Some(group) = source.group.as_deref() else {
            lines.push(Line::Source(source, ""));
            continue;
        };
        if done.contains(&group) {
            continue;
        }
        done.push(group);
        let members: Vec<&PhaseSourceView> =
            sources.iter().filter(|source| source.group.as_deref() == Some(group)).collect();
        lines.push(Line::Group(group, members.clone()));
        lines.extend(members.into_iter().map(|member| Line::Source(member, "  ")));
    }
    lines
}

fn share(ramp: bool, from: f64, to: f64) -> String {
    if ramp {
        format!("{} → {:>5} %", number::percent_digits(from), number::percent_digits(to))
    } else {
        number::percent(from)
    }
}

fn left(left: Option<i64>) -> String {
    match left {
        None => "any".to_owned(),
        Some(left) if left < 0 => format!("-{}", number::tokens(left.unsigned_abs())),
        Some(left) => number::tokens(left.unsigned_abs()),
    }
}

fn tilde(basis: Basis) -> &'static str {
    if basis == Basis::Estimated { "~" } else { "" }
}

fn mark(view: &PlanView, source: &str) -> &'static str {
    view.sources.iter().find(|of| of.name == source).map_or("", |of| tilde(of.basis))
}

fn plural(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{} {what}s", number::count(number)) }
}

#[cfg(test)]
mod tests;
