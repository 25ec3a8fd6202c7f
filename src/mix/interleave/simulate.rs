//! What a phase's walk comes to: end counts without walking where that can be known, and the figures of a whole walk.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One as _, ToPrimitive as _, Zero as _};

use super::shares::{Shares, apportion};
use super::{BLOCK, Interleave, Ramp};
use crate::error::{Error, Result};

/// Windows of each source at the end of a phase, and whether that is exactly what the walk gives.
///
/// Exact where every quota is whole at the end; where shares are constant, by walking only what follows the last multiple of
/// their common denominator (there all quotas are whole, and the walk is where it began), if that is at most `budget` windows;
/// else by walking the phase if it has at most `budget` windows. In all other cases the integers nearest to the quotas that sum
/// to the phase (largest remainder): each is the floor or the ceiling of its quota, as the walk's own counts are, so within one.
///
/// # Errors
///
/// As [`Interleave::new`].
pub fn end_counts(ramps: &[Ramp], windows: u64, budget: u64) -> Result<(Vec<u64>, bool)> {
    let shares = Shares::new(ramps, windows)?;
    let whole = BigInt::from(windows);
    let means: Vec<BigRational> =
        ramps.iter().map(|ramp| (&ramp.from + &ramp.to) / BigRational::from(BigInt::from(2))).collect();
    let to_counts = |parts: Vec<BigInt>| -> Result<Vec<u64>> {
        let count =
            |part: &BigInt| part.to_u64().ok_or_else(|| Error::Failed(format!("{part} windows are not a count")));
        parts.iter().map(count).collect()
    };
    if shares.exact {
        if means.iter().all(|mean| (mean * &whole).is_integer()) {
            return Ok((to_counts(means.iter().map(|mean| (mean * &whole).to_integer()).collect())?, true));
        }
        if ramps.iter().all(|ramp| ramp.from == ramp.to) {
            let period = u64::try_from(shares.denominator).unwrap_or(u64::MAX);
            let rest = windows % period;
            if rest <= budget {
                let mut counts = walk(&mut Interleave::new(ramps, rest)?);
                let periods = i128::from(windows / period);
                for (count, &(numerator, _)) in counts.iter_mut().zip(&shares.numerators) {
                    *count += u64::try_from(periods * numerator)
                        .map_err(|_| Error::Failed("a source's windows pass 64 bits".to_owned()))?;
                }
                return Ok((counts, true));
            }
        }
    }
    if windows <= budget {
        return Ok((walk(&mut Interleave::new(ramps, windows)?), true));
    }
    Ok((to_counts(apportion(means.iter(), &whole))?, false))
}

fn walk(interleave: &mut Interleave) -> Vec<u64> {
    while interleave.position < interleave.windows {
        interleave.step();
    }
    interleave.counts()
}

/// How far a source strays from its quota, in windows; exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Largest |count - quota| at a block border (every 256 windows, and the phase's end).
    pub at_borders: BigRational,
    /// Largest |count - quota| at any position, before labels are permuted within blocks.
    pub anywhere: BigRational,
}

/// A phase walked from end to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulation {
    /// Windows of each source.
    pub counts: Vec<u64>,
    /// Drift of each source.
    pub drift: Vec<Drift>,
    /// The bound that the algorithm guarantees: 1 - 1/(2m - 2) for m sources with a positive share; 0 for one.
    pub bound: BigRational,
    /// Whether drift is from the quotas asked for, or from those of shares apportioned to a power of two.
    pub exact: bool,
}

/// Walks a whole phase; `progress` is told the position after every 2^20 windows or so and at the end.
///
/// # Errors
///
/// As [`Interleave::new`].
pub fn simulate(ramps: &[Ramp], windows: u64, mut progress: impl FnMut(u64)) -> Result<Simulation> {
    let mut interleave = Interleave::new(ramps, windows)?;
    let lanes = interleave.lanes.len();
    let (mut borders, mut anywhere) = (vec![0_i128; lanes], vec![0_i128; lanes]);
    while interleave.position < windows {
        for _ in 0..(windows - interleave.position).min(BLOCK) {
            // A source falls behind until it is chosen and is furthest ahead right after: these two are all its extremes.
            let before = interleave.position;
            let chosen = interleave.step();
            let (lane, given) = (&interleave.lanes[chosen], interleave.given[chosen]);
            let extreme = lane.drift(before, given - 1).max(-lane.drift(before + 1, given));
            anywhere[chosen] = anywhere[chosen].max(extreme);
        }
        for (index, lane) in interleave.lanes.iter().enumerate() {
            let drift = lane.drift(interleave.position, interleave.given[index]).abs();
            borders[index] = borders[index].max(drift);
        }
        if interleave.position.is_multiple_of(1 << 20) {
            progress(interleave.position);
        }
    }
    progress(windows);
    let zero = || Drift { at_borders: BigRational::zero(), anywhere: BigRational::zero() };
    let mut drift: Vec<Drift> = std::iter::repeat_with(zero).take(ramps.len()).collect();
    for (index, lane) in interleave.lanes.iter().enumerate() {
        let fraction = |part: i128| BigRational::new(part.into(), lane.unit.into());
        drift[usize::from(lane.source)] =
            Drift { at_borders: fraction(borders[index]), anywhere: fraction(anywhere[index].max(borders[index])) };
    }
    let bound = match lanes {
        0 | 1 => BigRational::zero(),
        _ => BigRational::one() - BigRational::new(1.into(), (2 * lanes - 2).into()),
    };
    Ok(Simulation { counts: interleave.counts(), drift, bound, exact: interleave.exact })
}
