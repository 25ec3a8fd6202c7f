//! Writing SVG by hand: the few shapes that the charts need, with classes for colours and texts for those who cannot see them.

use std::fmt::Write as _;

/// Text that may stand in HTML and in a quoted attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A coordinate in tenths, without needless zeros.
pub(super) fn at(number: f64) -> String {
    let text = format!("{number:.1}");
    let text = text.strip_suffix(".0").map_or(text.as_str(), |whole| whole);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A chart being drawn.
pub(super) struct Svg {
    out: String,
}

impl Svg {
    /// Begins a chart of this size. `id` is unique on the page; `title` and `text` stand for it where it is not seen.
    pub(super) fn new(id: &str, class: &str, (width, height): (f64, f64), title: &str, text: &str) -> Self {
        let mut out = String::new();
        let _infallible = write!(
            out,
            "<svg id=\"{id}\" class=\"{class}\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
            at(width),
            at(height),
            escaped(title),
            escaped(text)
        );
        Self { out }
    }

    /// A rectangle; `tip` is shown where the pointer rests.
    pub(super) fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64), tip: Option<&str>) {
        let _infallible = write!(
            self.out,
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
            at(x),
            at(y),
            at(width.max(0.0)),
            at(height.max(0.0))
        );
        self.end(tip);
    }

    /// A path.
    pub(super) fn path(&mut self, class: &str, path: &str, tip: Option<&str>) {
        let _infallible = write!(self.out, "<path class=\"{class}\" d=\"{path}\"");
        self.end(tip);
    }

    /// A circle.
    pub(super) fn circle(&mut self, class: &str, (x, y): (f64, f64), radius: f64, tip: Option<&str>) {
        let _infallible =
            write!(self.out, "<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"{}\"", at(x), at(y), at(radius));
        self.end(tip);
    }

    fn end(&mut self, tip: Option<&str>) {
        match tip {
            Some(tip) => {
                let _infallible = write!(self.out, " data-tip=\"{}\"/>", escaped(tip));
            }
            None => self.out.push_str("/>"),
        }
    }

    /// A straight line.
    pub(super) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let _infallible = write!(
            self.out,
            "<line class=\"{class}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>",
            at(x1),
            at(y1),
            at(x2),
            at(y2)
        );
    }

    /// Words; the class says where they are anchored.
    pub(super) fn text(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        let _infallible =
            write!(self.out, "<text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>", at(x), at(y), escaped(text));
    }

    /// The markup.
    pub(super) fn finish(mut self) -> String {
        self.out.push_str("</svg>");
        self.out
    }
}

/// Round steps that cut `0..=most` into at most `count` parts.
pub(super) fn ticks(most: f64, count: u32) -> Vec<f64> {
    if most <= 0.0 || !most.is_finite() {
        return vec![0.0];
    }
    let rough = most / f64::from(count.max(1));
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|of| of * power).into_iter().find(|step| *step >= rough * 0.999_999);
    let step = step.unwrap_or(power * 10.0);
    let mut ticks = Vec::new();
    let mut tick = 0.0;
    while tick <= most * 1.000_001 && ticks.len() < 100 {
        ticks.push(tick);
        tick += step;
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_a_text() {
        assert_eq!(escaped("<b a=\"1\">&'"), "&lt;b a=&quot;1&quot;&gt;&amp;&#39;");
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(3.5, 8), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]);
        assert_eq!(ticks(97.0, 4), [0.0, 25.0, 50.0, 75.0]);
        assert_eq!(ticks(0.0, 4), [0.0]);
        assert_eq!(at(-0.04), "0");
        assert_eq!(at(12.0), "12");
        assert_eq!(at(12.34), "12.3");
    }
}
