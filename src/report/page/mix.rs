//! The mix over training as stacked areas: as planned and as it lies in the shards, by source and by group.

use std::fmt::Write as _;

use super::svg::{Svg, at, ticks};
use crate::plan::number;
use crate::report::model::MixReport;

const WIDTH: f64 = 1040.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 132.0;
const TOP: f64 = 30.0;
const PLOT: f64 = 236.0;
const BOTTOM: f64 = 34.0;

/// A layer of the stack: its name, its class, and the sources that it sums.
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) class: String,
    pub(super) sources: Vec<usize>,
}

/// A layer for each source.
pub(super) fn by_source(report: &MixReport) -> Vec<Layer> {
    // In the order of groups, so that a group's sources lie side by side and have its hue.
    let order = report.groups().into_iter().flat_map(|(_, members)| members);
    let layer = |index: usize| {
        let name = report.sources.get(index).map_or_else(String::new, |source| source.name.clone());
        Layer { name, class: format!("s{index}"), sources: vec![index] }
    };
    order.map(layer).collect()
}

/// A layer for each group.
pub(super) fn by_group(report: &MixReport) -> Vec<Layer> {
    let layer =
        |(number, (name, sources)): (usize, (String, Vec<usize>))| Layer { name, class: format!("g{number}"), sources };
    report.groups().into_iter().enumerate().map(layer).collect()
}

/// A stretch of the axis with the shares of all layers at both ends.
struct Piece {
    from: f64,
    to: f64,
    starts: Vec<f64>,
    ends: Vec<f64>,
}

/// What is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Planned,
    Realised,
}

/// The chart. `id` is unique on the page.
pub(super) fn chart(report: &MixReport, id: &str, what: What, layers: &[Layer]) -> String {
    let pieces = match what {
        What::Planned => planned(report, layers),
        What::Realised => realised(report, layers),
    };
    let total = report.tokens.max(1) as f64;
    let x = |tokens: f64| LEFT + tokens / total * (WIDTH - LEFT - RIGHT);
    let y = |share: f64| TOP + (1.0 - share) * PLOT;
    let (title, class) = match what {
        What::Planned => ("The mix over training as planned", "mix planned"),
        What::Realised => ("The mix over training as it lies in the shards", "mix realised"),
    };
    let mut svg = Svg::new(id, class, (WIDTH, TOP + PLOT + BOTTOM), title, &words(report, what, layers));
    let mut below = vec![(0.0, 0.0); pieces.len()];
    for (index, layer) in layers.iter().enumerate() {
        let (mut path, mut back) = (String::new(), Vec::new());
        let mut drawn = false;
        for (piece, below) in pieces.iter().zip(&mut below) {
            let (start, end) = (piece.starts.get(index).copied(), piece.ends.get(index).copied());
            let (start, end) = (start.unwrap_or(0.0), end.unwrap_or(0.0));
            drawn |= start > 0.0 || end > 0.0;
            let (low_start, low_end) = *below;
            let letter = if path.is_empty() { 'M' } else { 'L' };
            let _infallible = write!(
                path,
                "{letter}{} {}L{} {}",
                at(x(piece.from)),
                at(y(low_start + start)),
                at(x(piece.to)),
                at(y(low_end + end))
            );
            back.push((x(piece.from), y(low_start), x(piece.to), y(low_end)));
            *below = (low_start + start, low_end + end);
        }
        if !drawn {
            continue;
        }
        for (from, low_start, to, low_end) in back.into_iter().rev() {
            let _infallible = write!(path, "L{} {}L{} {}", at(to), at(low_end), at(from), at(low_start));
        }
        path.push('Z');
        svg.path(&format!("area {}", layer.class), &path, None);
    }
    axes(&mut svg, report, x, y);
    if let Some(last) = pieces.last() {
        labels(&mut svg, layers, &last.ends);
    }
    // Where the pointer is: moved by the script.
    svg.line("cursor", (LEFT, TOP), (LEFT, TOP + PLOT));
    svg.finish()
}

/// Shares of the layers at the start and end of every phase, as asked.
fn planned(report: &MixReport, layers: &[Layer]) -> Vec<Piece> {
    let mut from = 0.0;
    let piece = |phase: &crate::report::model::Phase| {
        let mut start = vec![0.0; report.sources.len()];
        let mut end = start.clone();
        for source in &phase.sources {
            if let Some(index) = report.source_index(&source.name) {
                start[index] = source.share_from;
                end[index] = source.share_to;
            }
        }
        let sum = |shares: &[f64]| {
            layers.iter().map(|layer| layer.sources.iter().filter_map(|index| shares.get(*index)).sum()).collect()
        };
        let piece = Piece { from, to: from + phase.tokens as f64, starts: sum(&start), ends: sum(&end) };
        from = piece.to;
        piece
    };
    report.phases.iter().map(piece).collect()
}

/// Shares of the layers in every run of windows.
fn realised(report: &MixReport, layers: &[Layer]) -> Vec<Piece> {
    let mut from = 0.0;
    let piece = |bin: &crate::report::model::Bin| {
        let phase = usize::try_from(bin.phase).ok().and_then(|phase| report.phases.get(phase));
        let length = phase.map_or(0, |phase| phase.sequence_length);
        let all = bin.windows.max(1) as f64;
        let sum =
            |layer: &Layer| layer.sources.iter().filter_map(|index| bin.sources.get(*index)).sum::<u64>() as f64 / all;
        let shares: Vec<f64> = layers.iter().map(sum).collect();
        let to = from + (bin.windows * u64::from(length)) as f64;
        let piece = Piece { from, to, starts: shares.clone(), ends: shares };
        from = to;
        piece
    };
    report.bins.iter().map(piece).collect()
}

fn axes(svg: &mut Svg, report: &MixReport, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) {
    for percent in [0, 25, 50, 75, 100] {
        let height = y(f64::from(percent) / 100.0);
        svg.line("grid", (LEFT, height), (WIDTH - RIGHT, height));
        svg.text("tick end", (LEFT - 8.0, height + 4.0), &format!("{percent} %"));
    }
    for tick in ticks(report.tokens as f64, 8) {
        let place = x(tick);
        svg.line("mark", (place, TOP + PLOT), (place, TOP + PLOT + 4.0));
        svg.text("tick mid", (place, TOP + PLOT + 18.0), &number::tokens_of(tick));
    }
    let mut from = 0.0;
    for phase in &report.phases {
        let to = from + phase.tokens as f64;
        if from > 0.0 {
            svg.line("border", (x(from), TOP - 22.0), (x(from), TOP + PLOT));
        }
        // A name is shown where there is room for it, cut short if need be.
        let room = (x(to) - x(from) - 10.0) / 6.6;
        let name: String = phase.name.chars().collect();
        let letters = name.chars().count() as f64;
        if letters <= room {
            svg.text("phase", (x(from) + 6.0, TOP - 10.0), &name);
        } else if room >= 4.0 {
            let kept: String =
                name.chars().enumerate().filter(|(at, _)| (*at as f64) < room - 1.0).map(|(_, c)| c).collect();
            svg.text("phase", (x(from) + 6.0, TOP - 10.0), &format!("{kept}\u{2026}"));
        }
        from = to;
    }
}

/// Names at the right border, of as many layers as have room, largest first; none over another.
fn labels(svg: &mut Svg, layers: &[Layer], ends: &[f64]) {
    const APART: f64 = 13.0;
    let mut below = 0.0;
    let mut places: Vec<(f64, f64, &Layer)> = Vec::new();
    for (layer, share) in layers.iter().zip(ends) {
        places.push((TOP + (1.0 - below - share / 2.0) * PLOT, *share, layer));
        below += share;
    }
    places.retain(|(_, share, _)| *share > 0.0);
    places.sort_by(|a, b| b.1.total_cmp(&a.1));
    places.truncate(16);
    places.sort_by(|a, b| b.0.total_cmp(&a.0));
    // From the bottom up, each at least a line above the one below it; what would leave the top is pushed down again.
    let mut lowest = TOP + PLOT;
    for place in &mut places {
        place.0 = place.0.min(lowest);
        lowest = place.0 - APART;
    }
    let mut highest = TOP;
    for place in places.iter_mut().rev() {
        place.0 = place.0.max(highest);
        highest = place.0 + APART;
    }
    for (y, _, layer) in places {
        let name: String = layer.name.chars().take(18).collect();
        svg.text("name", (WIDTH - RIGHT + 8.0, y + 4.0), &name);
    }
}

/// The chart in words.
fn words(report: &MixReport, what: What, layers: &[Layer]) -> String {
    let mut out = String::from("Stacked areas; shares of trained tokens by phase. ");
    for phase in &report.phases {
        let _infallible = write!(out, "{}, {} tokens: ", phase.name, number::tokens(phase.tokens));
        let mut first = true;
        for layer in layers {
            let of = |share: fn(&crate::report::model::PhaseSource) -> f64| -> f64 {
                let members = layer.sources.iter().filter_map(|index| report.sources.get(*index));
                members
                    .filter_map(|member| phase.sources.iter().find(|source| source.name == member.name))
                    .map(share)
                    .sum()
            };
            let (from, to, got) = (of(|s| s.share_from), of(|s| s.share_to), of(|s| s.got));
            if from == 0.0 && to == 0.0 && got == 0.0 {
                continue;
            }
            let separator = if first { "" } else { ", " };
            first = false;
            let share = match what {
                What::Planned if from != to => format!("{} to {}", number::percent(from), number::percent(to)),
                What::Planned => number::percent(from),
                What::Realised => number::percent(got),
            };
            let _infallible = write!(out, "{separator}{} {share}", layer.name);
        }
        out.push_str(". ");
    }
    out
}
