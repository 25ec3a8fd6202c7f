//! From tokens to windows.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, ToPrimitive, Zero};

use crate::curriculum::checked::Phase;
use crate::error::Result;

use super::{PhasePlan, SourcePlan, number, refuse};

/// Windows of a block: within one, owner labels are permuted; shards hold whole blocks.
pub const BLOCK: u64 = 256;

/// Windows of a phase: round(tokens × scale / S), a half rounded up, in exact arithmetic.
///
/// # Errors
///
/// `Error::Infeasible` when that is no window at all, naming the smallest scale that gives one.
pub fn windows(phase: &Phase, scale: &BigRational) -> Result<u64> {
    let quota = BigRational::from_integer(phase.tokens.into()) * scale
        / BigRational::from_integer(phase.sequence_length.max(1).into());
    let windows = (quota + BigRational::new(BigInt::one(), 2.into())).floor().to_integer();
    if windows.is_zero() {
        let least = BigRational::new(phase.sequence_length.into(), BigInt::from(phase.tokens.max(1)) * 2);
        return Err(refuse::infeasible(
            format!(
                "phase `{}` comes to no window: {} tokens × scale {} are less than half of {} positions",
                phase.name,
                number::tokens(phase.tokens),
                number::scale(scale),
                number::count(phase.sequence_length.into())
            ),
            &format!("  what would make it feasible: --scale {} or more\n", number::scale_up(&least)),
        ));
    }
    windows
        .to_u64()
        .ok_or_else(|| refuse::curriculum(format!("phase `{}`: more than 2^64 windows; is --scale meant?", phase.name)))
}

/// W: S + 1 with a label token (the default), else S.
///
/// # Errors
///
/// `Error::Curriculum` when S is zero or S + 1 passes 2^32.
pub fn window_tokens(sequence_length: u32, label_token: bool) -> Result<u32> {
    Some(sequence_length)
        .filter(|length| *length > 0)
        .and_then(|length| length.checked_add(u32::from(label_token)))
        .ok_or_else(|| refuse::curriculum(format!("a sequence length of {sequence_length} cannot be stored")))
}

/// Windows of a full shard: as many whole blocks as fit into `shard_bytes`, at least one.
#[must_use]
pub fn shard_windows(shard_bytes: u64, window_tokens: u32, token_width: usize) -> u64 {
    let block = u128::from(BLOCK) * u128::from(window_tokens) * token_width as u128;
    let blocks = u64::try_from(u128::from(shard_bytes) / block.max(1)).unwrap_or(u64::MAX / BLOCK);
    blocks.max(1) * BLOCK
}

/// Every positive share must come to a window. One that does not is an error, unless the phase says `allow_zero` or the run
/// is scaled: then it is a warning.
pub(super) fn below_one_window(
    plan: &PhasePlan,
    phase: &Phase,
    sources: &[SourcePlan],
    unscaled: bool,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let mut lost = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let quota = plan.quota(index);
        if quota <= BigRational::zero() || quota >= BigRational::one() {
            continue;
        }
        let share = (&plan.shares[index].from + &plan.shares[index].to) / BigRational::from_integer(2.into());
        lost.push(format!(
            "`{}` {} of phase `{}` is {} of a window",
            source.name,
            number::percent(share.to_f64().unwrap_or(0.0)),
            plan.name,
            number::decimal(quota.to_f64().unwrap_or(0.0)),
        ));
    }
    if lost.is_empty() {
        return Ok(());
    }
    if unscaled && !phase.allow_zero {
        return Err(refuse::infeasible(
            format!("a share below one window: {}", lost.join("; ")),
            "  what would make it feasible: a larger share or budget, a smaller `sequence_length`, no share at all,\n  \
             or `allow_zero: true` in the phase, if it may come to nothing\n",
        ));
    }
    warnings.extend(lost.into_iter().map(|line| format!("{line}: it may get none")));
    Ok(())
}
