//! Bars and dots: distributions, and the corpus beside the mix.

use std::fmt::Write as _;

use super::svg::{Svg, at, ticks};
use crate::plan::number;
use crate::report::model::MixReport;

const WIDTH: f64 = 500.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 10.0;
const PLOT: f64 = 150.0;

/// A bar: what stands below it, what is said of it, and how high it is.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) tip: String,
    pub(super) count: u64,
}

/// Bars over a line, as high as their counts.
pub(super) fn bars(id: &str, title: &str, axis: &str, bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.count).max().unwrap_or(0);
    let marks = ticks(most as f64, 4);
    let top = marks.last().copied().unwrap_or(1.0).max(most as f64).max(1.0);
    let y = |count: f64| TOP + (1.0 - count / top) * PLOT;
    let mut text = format!("{axis}: ");
    for bar in bars {
        let _infallible = write!(text, "{}. ", bar.tip);
    }
    let mut svg = Svg::new(id, "bars", (WIDTH, TOP + PLOT + 40.0), title, &text);
    for mark in marks.iter().filter(|mark| mark.fract() == 0.0) {
        svg.line("grid", (LEFT, y(*mark)), (WIDTH, y(*mark)));
        svg.text("tick end", (LEFT - 8.0, y(*mark) + 4.0), &number::tokens_of(*mark));
    }
    let each = (WIDTH - LEFT) / bars.len().max(1) as f64;
    let width = (each * 0.82).min(46.0);
    // As many labels as have room.
    let longest = bars.iter().map(|bar| bar.label.chars().count()).max().unwrap_or(1) as f64;
    let every = ((longest * 6.2 + 8.0) / each).ceil().max(1.0);
    for (index, bar) in bars.iter().enumerate() {
        let middle = LEFT + (index as f64 + 0.5) * each;
        // What is there can be seen, however little it is.
        let height = if bar.count == 0 { 0.0 } else { (PLOT * bar.count as f64 / top).max(1.5) };
        let x = middle - width / 2.0;
        svg.rect("bar", (x, TOP + PLOT - height), (width, height), None);
        svg.rect("catch", (middle - each / 2.0, TOP), (each, PLOT), Some(&bar.tip));
        if (index as f64 % every) == 0.0 {
            svg.text("tick mid", (middle, TOP + PLOT + 16.0), &bar.label);
        }
    }
    svg.line("axis", (LEFT, TOP + PLOT), (WIDTH, TOP + PLOT));
    svg.text("axis-name mid", ((LEFT + WIDTH) / 2.0, TOP + PLOT + 35.0), axis);
    svg.finish()
}

/// For each source its part of the corpus before and after removal, and of what is trained on.
pub(super) fn natural(report: &MixReport) -> String {
    const ROW: f64 = 24.0;
    const NAMES: f64 = 150.0;
    const WIDE: f64 = 1040.0;
    let sources: Vec<_> = report.sources.iter().filter_map(|source| Some((source, source.natural.as_ref()?))).collect();
    let most = sources.iter().map(|(source, of)| of.before.max(of.after).max(source.share)).fold(0.0, f64::max);
    let marks = ticks(most * 100.0, 8);
    let top = (most * 100.0).max(1e-9) * 1.02;
    let x = |share: f64| NAMES + share * 100.0 / top * (WIDE - NAMES - 30.0);
    let height = 24.0 + sources.len() as f64 * ROW + 24.0;
    let mut text = String::new();
    for (source, of) in &sources {
        let _infallible = write!(
            text,
            "{}: {} of the corpus before removal, {} after, {} of training. ",
            source.name,
            number::percent(of.before),
            number::percent(of.after),
            number::percent(source.share)
        );
    }
    let mut svg = Svg::new("natural", "natural", (WIDE, height), "The corpus beside the mix", &text);
    for mark in marks {
        let place = x(mark / 100.0);
        svg.line("grid", (place, 18.0), (place, height - 24.0));
        svg.text("tick mid", (place, height - 6.0), &format!("{} %", at(mark)));
    }
    for (row, (source, of)) in sources.iter().enumerate() {
        let y = 30.0 + row as f64 * ROW;
        let name: String = source.name.chars().take(22).collect();
        svg.text("name end", (NAMES - 14.0, y + 4.0), &name);
        let ends = [of.before, of.after, source.share];
        let (least, most) = ends.iter().fold((f64::MAX, 0.0_f64), |(a, b), share| (a.min(*share), b.max(*share)));
        svg.line("span", (x(least), y), (x(most), y));
        let say = |what: &str, share: f64| format!("{}: {} {what}", source.name, exact_percent(share));
        svg.circle("before", (x(of.before), y), 5.0, Some(&say("of the tokenized corpus", of.before)));
        svg.circle("after", (x(of.after), y), 4.0, Some(&say("of what stayed", of.after)));
        let (dx, r) = (x(source.share), 5.5);
        let diamond = format!(
            "M{} {}L{} {}L{} {}L{} {}Z",
            at(dx),
            at(y - r),
            at(dx + r),
            at(y),
            at(dx),
            at(y + r),
            at(dx - r),
            at(y)
        );
        svg.path("trained", &diamond, Some(&say("of what is trained on", source.share)));
    }
    svg.finish()
}

/// A share with all digits that mean something.
pub(super) fn exact_percent(share: f64) -> String {
    let text = format!("{:.6}", share * 100.0);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} %")
}
