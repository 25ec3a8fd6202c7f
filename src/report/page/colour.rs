//! A colour for every source: hue by group, lightness within it.
//!
//! Neighbours in the stack differ in lightness as well as in hue, and a line in the colour of the page parts them, so that the
//! charts can be read without telling colours apart.

use crate::report::model::MixReport;

/// Lightness, chroma and hue (OKLCH) of the groups, in their order. Lightness goes up and down from one to the next.
const GROUPS: [(f64, f64, f64); 8] = [
    (0.56, 0.125, 252.0),
    (0.77, 0.130, 68.0),
    (0.60, 0.090, 186.0),
    (0.72, 0.110, 352.0),
    (0.50, 0.120, 300.0),
    (0.84, 0.110, 98.0),
    (0.58, 0.115, 148.0),
    (0.68, 0.030, 60.0),
];

/// A source's colour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Colour {
    lightness: f64,
    chroma: f64,
    hue: f64,
}

impl Colour {
    /// As CSS has it.
    pub(super) fn css(&self) -> String {
        format!("oklch({:.3} {:.3} {:.0})", self.lightness, self.chroma, self.hue)
    }
}

/// The colour of each source, by its index, and of each group, in order.
pub(super) fn colours(report: &MixReport) -> (Vec<Colour>, Vec<Colour>) {
    let mut sources = vec![Colour { lightness: 0.6, chroma: 0.0, hue: 0.0 }; report.sources.len()];
    let mut groups = Vec::new();
    for (number, (_, members)) in report.groups().iter().enumerate() {
        let (lightness, chroma, hue) = GROUPS[number % GROUPS.len()];
        // With more groups than hues, the same hues come back paler.
        let chroma = chroma * 0.6_f64.powf((number / GROUPS.len()) as f64);
        groups.push(Colour { lightness, chroma, hue });
        let count = members.len() as f64;
        let step = (0.30 / count).min(0.10);
        for (place, member) in members.iter().enumerate() {
            let offset = (place as f64 - (count - 1.0) / 2.0) * step;
            if let Some(colour) = sources.get_mut(*member) {
                *colour = Colour { lightness: (lightness + offset).clamp(0.42, 0.88), chroma, hue };
            }
        }
    }
    (sources, groups)
}
