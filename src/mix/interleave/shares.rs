//! Shares as integers over one denominator.

use num_bigint::BigInt;
use num_integer::Integer as _;
use num_rational::BigRational;
use num_traits::{One as _, Signed as _, ToPrimitive as _, Zero as _};

use super::lane::Lane;
use crate::error::{Error, Result};
use crate::mix::Ramp;

/// Everything computed stays below 2^LIMIT in absolute value; i128 holds up to 2^127.
const LIMIT: u32 = 126;
/// The finest denominator that shares are apportioned to, as a power of two.
const FINEST: u32 = 60;
/// The coarsest that is still worth calling shares.
const COARSEST: u32 = 20;

/// The shares of a phase.
pub(super) struct Shares {
    /// Numerators at the first and the last position, by source.
    pub(super) numerators: Vec<(i128, i128)>,
    pub(super) denominator: i128,
    /// Whether these are the shares asked for.
    pub(super) exact: bool,
}

impl Shares {
    pub(super) fn new(ramps: &[Ramp], windows: u64) -> Result<Self> {
        check(ramps)?;
        let positive = ramps.iter().filter(|ramp| !ramp.from.is_zero() || !ramp.to.is_zero()).count();
        let ramped = ramps.iter().any(|ramp| ramp.from != ramp.to);
        let largest = largest_denominator(positive, ramped, windows);
        let common =
            ramps.iter().fold(BigInt::one(), |common, ramp| common.lcm(ramp.from.denom()).lcm(ramp.to.denom()));
        if common <= largest {
            let whole = |share: &BigRational| (share * &common).to_integer();
            return Self::build(ramps.iter().map(|ramp| (whole(&ramp.from), whole(&ramp.to))), &common, true);
        }
        let power = (COARSEST..=FINEST).rev().find(|&power| (BigInt::one() << power) <= largest);
        let denominator = BigInt::one()
            << power.ok_or_else(|| {
                Error::Failed(format!(
                    "a phase of {windows} windows with ramped shares is too long to compute: split it"
                ))
            })?;
        let from = apportion(ramps.iter().map(|ramp| &ramp.from), &denominator);
        let to = apportion(ramps.iter().map(|ramp| &ramp.to), &denominator);
        Self::build(from.into_iter().zip(to), &denominator, false)
    }

    fn build(numerators: impl Iterator<Item = (BigInt, BigInt)>, denominator: &BigInt, exact: bool) -> Result<Self> {
        let small = |number: &BigInt| {
            number.to_i128().ok_or_else(|| Error::Failed(format!("a share's numerator {number} does not fit 128 bits")))
        };
        let numerators = numerators.map(|(from, to)| Ok((small(&from)?, small(&to)?))).collect::<Result<_>>()?;
        Ok(Self { numerators, denominator: small(denominator)?, exact })
    }

    /// The lanes of the sources with a positive share, over a phase of `windows` windows.
    pub(super) fn lanes(&self, windows: u64) -> Result<Vec<Lane>> {
        let positive = self.numerators.iter().filter(|&&(from, to)| from != 0 || to != 0).count();
        let mut lanes = Vec::with_capacity(positive);
        for (source, &(from, to)) in self.numerators.iter().enumerate() {
            if from == 0 && to == 0 {
                continue;
            }
            let source = u16::try_from(source)
                .map_err(|_| Error::Failed("a mix of more than 65,536 sources cannot be laid out".to_owned()))?;
            lanes.push(if positive == 1 {
                Lane::alone(source, self.denominator)
            } else {
                Lane::new(source, from, to, self.denominator, windows, positive)
            });
        }
        Ok(lanes)
    }
}

fn check(ramps: &[Ramp]) -> Result<()> {
    let (mut from, mut to) = (BigRational::zero(), BigRational::zero());
    for (source, ramp) in ramps.iter().enumerate() {
        if ramp.from.is_negative() || ramp.to.is_negative() {
            return Err(Error::Failed(format!("source {source} has a negative share: {} to {}", ramp.from, ramp.to)));
        }
        from += &ramp.from;
        to += &ramp.to;
    }
    if !from.is_one() || !to.is_one() {
        return Err(Error::Failed(format!(
            "shares must sum to one; they sum to {from} at the start and {to} at the end"
        )));
    }
    Ok(())
}

/// The largest denominator D with which no number of [`Lane`] passes 2^LIMIT. The largest number is a quota in the lanes' unit:
/// D (2m - 2) (N + 2) for constant shares, 2 D (2m - 2) (N + 2)^2 for ramped ones.
fn largest_denominator(positive: usize, ramped: bool, windows: u64) -> BigInt {
    let windows = BigInt::from(windows) + 2;
    let per_window = BigInt::from(2 * positive.max(2) - 2);
    let largest = if ramped { per_window * 2 * &windows * &windows } else { per_window * &windows };
    (BigInt::one() << LIMIT) / largest
}

/// Integers that sum to `whole`, each within one of its share of it: largest remainder, ties to the smaller index.
pub(super) fn apportion<'a>(shares: impl Iterator<Item = &'a BigRational>, whole: &BigInt) -> Vec<BigInt> {
    let mut remainders = Vec::new();
    let mut parts: Vec<BigInt> = shares
        .enumerate()
        .map(|(source, share)| {
            let exact = share * whole;
            remainders.push((exact.fract(), source));
            exact.to_integer()
        })
        .collect();
    let left = whole - parts.iter().sum::<BigInt>();
    remainders.sort_unstable_by(|(a, i), (b, j)| b.cmp(a).then(i.cmp(j)));
    // What is left is the sum of the remainders, so fewer than there are positive ones: a share of zero stays zero.
    for (_, source) in remainders.iter().take(left.to_usize().unwrap_or(0)) {
        parts[*source] += 1;
    }
    parts
}
