//! Where the documents went: one band from what was read to what is in windows, with each loss turned off from it.

use std::fmt::Write as _;

use super::svg::{Svg, at};
use crate::plan::number;
use crate::report::model::DocumentFlow;

const WIDTH: f64 = 1040.0;
const NODE: f64 = 10.0;
const TOP: f64 = 44.0;
const BAND: f64 = 150.0;
const LINE: f64 = 21.0;
/// Where the stages stand.
const STAGES: [f64; 4] = [0.0, 270.0, 560.0, 830.0];

/// A loss: what it is called, how many, and its colour's class.
pub(super) struct Loss {
    pub(super) name: String,
    pub(super) documents: u64,
    pub(super) class: &'static str,
}

/// Losses of each step, in the order of the way.
pub(super) fn losses(flow: &DocumentFlow) -> [Vec<Loss>; 3] {
    let loss = |name: &str, documents, class| Loss { name: name.to_owned(), documents, class };
    let mut judged = vec![loss("bad rows", flow.bad, "l-bad")];
    judged.extend(flow.filtered.iter().map(|rule| Loss {
        name: format!("filtered: {}", rule.rule),
        documents: rule.documents,
        class: "l-filtered",
    }));
    judged.push(loss("empty", flow.empty, "l-empty"));
    judged.push(loss("contaminated", flow.contaminated, "l-contaminated"));
    let copies = vec![
        loss("exact duplicates", flow.exact, "l-exact"),
        loss("near duplicates", flow.near, "l-near"),
        loss("near a held-out one", flow.near_validation, "l-near-validation"),
        loss("held out", flow.held_out, "l-held-out"),
    ];
    [judged, copies, vec![loss("not drawn", flow.unused, "l-unused")]]
        .map(|list| list.into_iter().filter(|loss| loss.documents > 0).collect())
}

/// The chart.
pub(super) fn chart(flow: &DocumentFlow) -> String {
    let steps = losses(flow);
    let rows = steps.iter().map(Vec::len).max().unwrap_or(0) as f64;
    let height = TOP + BAND + if rows > 0.0 { 34.0 + rows * LINE } else { 12.0 };
    let all = flow.read.max(1) as f64;
    let thick = |documents: u64| documents as f64 / all * BAND;
    let share = |documents: u64| number::percent(documents as f64 / all);
    let mut text = format!("Of {} documents read", number::count(flow.read));
    for loss in steps.iter().flatten() {
        let _infallible = write!(text, ", {} {}", number::count(loss.documents), loss.name);
    }
    let _infallible = write!(text, "; {} are in windows.", number::count(flow.emitted));
    let mut svg = Svg::new("flow", "flow", (WIDTH, height), "Where the documents went", &text);
    let mut here = flow.read;
    for (step, losses) in steps.iter().enumerate() {
        let (from, to) = (STAGES[step] + NODE, STAGES[step + 1]);
        let lost: u64 = losses.iter().map(|loss| loss.documents).sum();
        let stays = here.saturating_sub(lost);
        let mut at_y = TOP + thick(stays);
        svg.rect("stay", (from, TOP), (to - from, thick(stays)), None);
        for (row, loss) in losses.iter().enumerate() {
            // A loss of few documents is still a line that can be seen.
            let shown = thick(loss.documents).max(1.2);
            let y = TOP + BAND + 34.0 + row as f64 * LINE;
            let drop = shown.min(LINE - 7.0);
            let tip = format!("{}: {} documents, {}", loss.name, number::count(loss.documents), share(loss.documents));
            let middle = from + (to - from) * 0.42;
            let turn = from + (to - from) * 0.30;
            let path = format!(
                "M{} {}C{} {} {} {} {} {}L{} {}C{} {} {} {} {} {}Z",
                at(from),
                at(at_y),
                at(turn),
                at(at_y),
                at(turn),
                at(y),
                at(middle),
                at(y),
                at(middle),
                at(y + drop),
                at(turn - drop.min(6.0)),
                at(y + drop),
                at(turn - drop.min(6.0)),
                at(at_y + shown),
                at(from),
                at(at_y + shown)
            );
            svg.path(&format!("loss {}", loss.class), &path, Some(&tip));
            svg.text(
                "loss-name",
                (middle + 6.0, y + drop / 2.0 + 4.0),
                &format!("{}  {}", loss.name, number::count(loss.documents)),
            );
            at_y += shown;
        }
        here = stays;
    }
    let after_judging = flow.read.saturating_sub(steps[0].iter().map(|loss| loss.documents).sum());
    let stages =
        [("read", flow.read), ("tokenized", after_judging), ("unique", flow.survived), ("in windows", flow.emitted)];
    for (place, (name, documents)) in STAGES.iter().zip(stages) {
        let tip = format!("{name}: {} documents, {}", number::count(documents), share(documents));
        svg.rect("node", (*place, TOP), (NODE, thick(documents).max(1.0)), Some(&tip));
        svg.text("stage", (*place, TOP - 24.0), name);
        svg.text("stage-count", (*place, TOP - 8.0), &number::tokens(documents));
    }
    svg.finish()
}

/// One source's documents by outcome, as a bar of full width.
pub(super) fn bar(flow: &DocumentFlow) -> String {
    let all = flow.read.max(1) as f64;
    let mut out =
        String::from("<svg class=\"share\" viewBox=\"0 0 120 10\" aria-hidden=\"true\" preserveAspectRatio=\"none\">");
    let mut x = 0.0;
    let emitted = Loss { name: "in windows".to_owned(), documents: flow.emitted, class: "l-emitted" };
    for loss in std::iter::once(emitted).chain(losses(flow).into_iter().rev().flatten()) {
        let width = loss.documents as f64 / all * 120.0;
        let _infallible =
            write!(out, "<rect class=\"{}\" x=\"{}\" width=\"{}\" height=\"10\"/>", loss.class, at(x), at(width));
        x += width;
    }
    out.push_str("</svg>");
    out
}
