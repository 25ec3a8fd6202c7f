//! One source's way through a phase: when its next window may be given, and when it must.

use super::NEVER;

/// Deadline of a window that need not be given before the phase ends: later than every other, yet eligible.
const AT_LEISURE: u64 = NEVER - 1;

/// A source with a positive share.
///
/// Its quota is kept as the integer G(n) = alpha n + beta n², in which one window counts `unit`: with share p/D, m sources and
/// M = 2m - 2, a constant share has alpha = pM, beta = 0, unit = DM; a ramp from A/D to B/D over N windows has alpha = 2NAM,
/// beta = (B - A)M, unit = 2NDM. δ of the rule is then unit/M, an integer. G never falls within the phase.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub(super) source: u16,
    alpha: i128,
    beta: i128,
    pub(super) unit: i128,
    /// δ in units of G; 0 when alone.
    slack: i128,
    clock: Clock,
}

#[derive(Debug, Clone)]
enum Clock {
    /// The only source: always eligible.
    Alone,
    /// Constant share: releases and deadlines advance by D/p, kept as whole positions and a remainder over alpha.
    Steady { whole: u64, part: u128, release_part: u128, deadline_part: u128 },
    /// Ramped share: solved anew each time, from a guess in floating point. `end`: G(windows); `slope`: 2 (to - from) / windows.
    Ramped { windows: u64, end: i128, from: f64, square: f64, slope: f64, delta: f64 },
}

impl Lane {
    pub(super) fn alone(source: u16, denominator: i128) -> Self {
        Self { source, alpha: denominator, beta: 0, unit: denominator, slack: 0, clock: Clock::Alone }
    }

    /// `positive`: m, at least 2. The caller has made sure that nothing here overflows.
    pub(super) fn new(source: u16, from: i128, to: i128, denominator: i128, windows: u64, positive: usize) -> Self {
        let per_window = 2 * positive as i128 - 2;
        if from == to {
            let (alpha, unit) = (from * per_window, denominator * per_window);
            let (step, divisor) = (unit.unsigned_abs(), alpha.unsigned_abs());
            let clock = Clock::Steady {
                whole: saturate(step / divisor),
                part: step % divisor,
                release_part: 0,
                deadline_part: 0,
            };
            return Self { source, alpha, beta: 0, unit, slack: denominator, clock };
        }
        let windows = windows.max(1);
        let twice = 2 * i128::from(windows);
        let (start, rise) = (from as f64 / denominator as f64, (to - from) as f64 / denominator as f64);
        let clock = Clock::Ramped {
            windows,
            end: (from + to) * per_window * i128::from(windows) * i128::from(windows),
            from: start,
            square: start * start,
            slope: 2.0 * rise / windows as f64,
            delta: 1.0 / per_window as f64,
        };
        Self {
            source,
            alpha: twice * from * per_window,
            beta: (to - from) * per_window,
            unit: twice * denominator * per_window,
            slack: twice * denominator,
            clock,
        }
    }

    /// G(n). Products are in range by the choice of the denominator, so the costly overflow checks of 128 bits are left out.
    #[inline]
    pub(super) fn quota(&self, position: u64) -> i128 {
        let n = i128::from(position);
        if self.beta == 0 {
            return self.alpha.wrapping_mul(n);
        }
        self.alpha.wrapping_add(self.beta.wrapping_mul(n)).wrapping_mul(n)
    }

    /// How far `count` windows are from the quota at `position`, in units of G.
    #[inline]
    pub(super) fn drift(&self, position: u64, count: u64) -> i128 {
        self.quota(position).wrapping_sub(self.unit.wrapping_mul(i128::from(count)))
    }

    /// Whether `count` windows at `position` are within the bound that the rule keeps.
    pub(super) fn within_bound(&self, position: u64, count: u64) -> bool {
        // A count beyond the position could overflow; it is wrong anyway.
        count <= position
            && self.drift(position, count).abs() <= if self.slack == 0 { 0 } else { self.unit - self.slack }
    }

    /// Release and deadline of the window after `count`.
    pub(super) fn start(&mut self, count: u64) -> (u64, u64) {
        let (release_at, deadline_at) = self.thresholds(count);
        match &mut self.clock {
            Clock::Alone => (0, AT_LEISURE),
            Clock::Steady { release_part, deadline_part, .. } => {
                // The smallest n with alpha n ≥ t is floor((t - 1) / alpha) + 1; the remainders are carried on.
                let divisor = self.alpha.unsigned_abs();
                let (release, deadline) = ((release_at - 1).unsigned_abs(), (deadline_at - 1).unsigned_abs());
                (*release_part, *deadline_part) = (release % divisor, deadline % divisor);
                (saturate(release / divisor).saturating_add(1), saturate(deadline / divisor).saturating_add(1))
            }
            Clock::Ramped { .. } => self.solve_both(count, release_at, deadline_at),
        }
    }

    /// Release and deadline of the window after `count`, from those of the window before it.
    #[inline]
    pub(super) fn next(&mut self, count: u64, release: u64, deadline: u64) -> (u64, u64) {
        match &mut self.clock {
            Clock::Alone => (release, deadline),
            Clock::Steady { whole, part, release_part, deadline_part } => {
                let divisor = self.alpha.unsigned_abs();
                (
                    advance(release, *whole, release_part, *part, divisor),
                    advance(deadline, *whole, deadline_part, *part, divisor),
                )
            }
            Clock::Ramped { .. } => {
                let (release_at, deadline_at) = self.thresholds(count);
                self.solve_both(count, release_at, deadline_at)
            }
        }
    }

    /// What G must reach for the window after `count` to be released, and to be due: G ≥ count + δ, and G > count + 1 - δ.
    #[inline]
    fn thresholds(&self, count: u64) -> (i128, i128) {
        let given = self.unit.wrapping_mul(i128::from(count));
        (given.wrapping_add(self.slack), given.wrapping_add(self.unit - self.slack + 1))
    }

    #[inline]
    fn solve_both(&self, count: u64, release_at: i128, deadline_at: i128) -> (u64, u64) {
        let Clock::Ramped { windows, end, from, square, slope, delta } = self.clock else { return (NEVER, AT_LEISURE) };
        let count = count as f64;
        // The smaller root of (slope / 4) n² + from n = t, in the form that does not cancel.
        let guess = |t: f64| 2.0 * t / (from + (square + slope * t).max(0.0).sqrt());
        let release = if release_at > end { NEVER } else { self.solve(release_at, guess(count + delta), windows) };
        let deadline =
            if deadline_at > end { AT_LEISURE } else { self.solve(deadline_at, guess(count + 1.0 - delta), windows) };
        (release, deadline)
    }

    /// The smallest n in 1..=windows with G(n) ≥ `threshold` (positive, at most G(windows)), from a guess.
    #[inline]
    fn solve(&self, threshold: i128, guess: f64, windows: u64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a guess; `as` saturates, NaN is 0"
        )]
        let mut n = (guess as u64).saturating_add(1).min(windows);
        let mut quota = self.quota(n);
        for _ in 0..8 {
            // G(n) - G(n - 1)
            let rise = self.alpha.wrapping_add(self.beta.wrapping_mul(i128::from(2 * n - 1)));
            if quota < threshold {
                n += 1;
                quota = quota.wrapping_add(rise).wrapping_add(2 * self.beta);
            } else if n > 1 && quota.wrapping_sub(rise) >= threshold {
                n -= 1;
                quota = quota.wrapping_sub(rise);
            } else {
                return n;
            }
        }
        // The guess is far off only where a share has almost faded to nothing.
        let (mut below, mut reached) = (0, windows);
        while reached - below > 1 {
            let middle = below + (reached - below) / 2;
            if self.quota(middle) < threshold { below = middle } else { reached = middle }
        }
        reached
    }
}

#[inline]
fn advance(position: u64, whole: u64, part: &mut u128, step: u128, divisor: u128) -> u64 {
    let sum = part.wrapping_add(step);
    let carry = sum >= divisor;
    *part = if carry { sum.wrapping_sub(divisor) } else { sum };
    position.saturating_add(whole).saturating_add(u64::from(carry)).min(AT_LEISURE)
}

/// Positions beyond 64 bits lie beyond every phase.
fn saturate(position: u128) -> u64 {
    u64::try_from(position).unwrap_or(AT_LEISURE).min(AT_LEISURE - 1)
}
