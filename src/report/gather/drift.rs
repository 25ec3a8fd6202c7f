//! How far the windows of a phase stray from its shares: at block borders, and in any 1,024 consecutive windows.
//!
//! Within a span the deviation of a source only jumps when a window enters or leaves it, and moves one way between jumps; so
//! its extremes lie right before and right after them, and a look at the two sources concerned is enough at each step. The
//! walk compares in floating point and works out the exact figure at the place it found.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::ToPrimitive;

use crate::mix::Ramp;
use crate::report::model::SourceDrift;

/// Windows of a block.
pub(super) const BLOCK: u64 = 256;
/// Consecutive windows looked at together.
pub(super) const SPAN: u64 = 1024;

#[derive(Debug, Clone, Copy, Default)]
struct Peak {
    /// Got less due, as compared.
    drift: f64,
    count: u64,
    /// After so many windows.
    after: u64,
}

impl Peak {
    fn see(&mut self, drift: f64, count: u64, after: u64) {
        // What differs by rounding alone is a tie, and the first stays.
        if drift.abs() > self.drift.abs() + 1e-7 {
            *self = Self { drift, count, after };
        }
    }
}

#[derive(Debug, Clone)]
struct Followed {
    linear: f64,
    square: f64,
    total: u64,
    in_span: u64,
    border: Peak,
    span: Peak,
}

impl Followed {
    fn due(&self, after: u64) -> f64 {
        let n = after as f64;
        n * self.square.mul_add(n, self.linear)
    }
}

/// Follows one phase.
pub(super) struct Meter<'a> {
    shares: &'a [Ramp],
    windows: u64,
    /// Windows of a span: [`SPAN`], or the phase where it is shorter.
    pub(super) span: u64,
    placed: u64,
    ring: Vec<u32>,
    sources: Vec<Followed>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(shares: &'a [Ramp], windows: u64) -> Self {
        let float = |number: BigRational| number.to_f64().unwrap_or(0.0);
        let twice = BigRational::from_integer(BigInt::from(windows.max(1)) * 2);
        let followed = |ramp: &Ramp| Followed {
            linear: float(ramp.from.clone()),
            square: float((&ramp.to - &ramp.from) / &twice),
            total: 0,
            in_span: 0,
            border: Peak::default(),
            span: Peak::default(),
        };
        let span = SPAN.min(windows);
        Self { shares, windows, span, placed: 0, ring: Vec::new(), sources: shares.iter().map(followed).collect() }
    }

    fn look(&mut self, source: u32) {
        let (placed, span) = (self.placed, self.span);
        if placed < span {
            return;
        }
        if let Some(of) = self.sources.get_mut(source as usize) {
            let due = of.due(placed) - of.due(placed - span);
            of.span.see(of.in_span as f64 - due, of.in_span, placed);
        }
    }

    /// The next window is of this source.
    pub(super) fn push(&mut self, source: u32) {
        let place = usize::try_from(self.placed % self.span.max(1)).unwrap_or(0);
        let leaving = self.ring.get(place).copied();
        self.look(source);
        if let Some(leaving) = leaving {
            self.look(leaving);
            if let Some(of) = self.sources.get_mut(leaving as usize) {
                of.in_span -= 1;
            }
            if let Some(slot) = self.ring.get_mut(place) {
                *slot = source;
            }
        } else {
            self.ring.push(source);
        }
        self.placed += 1;
        if let Some(of) = self.sources.get_mut(source as usize) {
            of.total += 1;
            of.in_span += 1;
        }
        let (placed, end) = (self.placed, self.placed == self.windows);
        if placed == self.span || end {
            (0..u32::try_from(self.sources.len()).unwrap_or(u32::MAX)).for_each(|source| self.look(source));
        } else {
            self.look(source);
            if let Some(leaving) = leaving {
                self.look(leaving);
            }
        }
        if placed.is_multiple_of(BLOCK) || end {
            for of in &mut self.sources {
                let drift = of.total as f64 - of.due(placed);
                of.border.see(drift, of.total, placed);
            }
        }
    }

    /// What each source came to.
    pub(super) fn finish(self) -> Vec<SourceDrift> {
        let due = |ramp: &Ramp, after: u64| {
            let after = BigRational::from_integer(after.into());
            let twice = BigRational::from_integer(BigInt::from(self.windows.max(1)) * 2);
            &ramp.from * &after + (&ramp.to - &ramp.from) * &after * &after / twice
        };
        let exact =
            |count: u64, due: BigRational| (BigRational::from_integer(count.into()) - due).to_f64().unwrap_or(f64::NAN);
        (self.shares.iter().zip(&self.sources))
            .map(|(ramp, of)| {
                let from = of.span.after.saturating_sub(self.span);
                SourceDrift {
                    border: exact(of.border.count, due(ramp, of.border.after)),
                    border_after: of.border.after,
                    span: Some(exact(of.span.count, due(ramp, of.span.after.max(from)) - due(ramp, from)))
                        .filter(|_| of.span.after > 0)
                        .or(Some(0.0)),
                    span_from: Some(from),
                }
            })
            .collect()
    }
}
