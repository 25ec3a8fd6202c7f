//! The mix as asked: each phase's windows are its budget, and at every block border each source is within one window of its share.

use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive};
use syllabus_reader::format::manifest::Manifest;
use syllabus_reader::{Dataset, WindowSet};

use super::Progress;
use super::findings::Findings;
use crate::curriculum::Curriculum;
use crate::mix::Ramp;
use crate::plan::{self, Plan, SourceSize};

const FILE: &str = "manifest.json";

/// Windows of a block: shares are held to at their borders.
const BLOCK: u64 = 256;

/// The plan on the sizes that the manifest says; `Err` says why there is none.
pub(super) fn plan(manifest: &Manifest, curriculum: &Curriculum) -> Result<Plan, String> {
    let scale: BigRational =
        manifest.scale.parse().map_err(|_| format!("scale `{}` is not a fraction", manifest.scale))?;
    let sizes: Vec<SourceSize> =
        manifest.sources.iter().map(|source| SourceSize::counted(source.tokens, source.documents)).collect();
    plan::draft(curriculum, &sizes, &scale, manifest.token_dtype.width()).map_err(|error| error.to_string())
}

/// Each phase's budget and counts against the plan.
pub(super) fn check_counts(manifest: &Manifest, plan: &Plan, findings: &Findings) {
    for phase in &manifest.phases {
        let Some(planned) = plan.phases.iter().find(|planned| planned.name == phase.name) else { continue };
        if phase.windows != planned.windows {
            let (name, found, asked) = (&phase.name, phase.windows, planned.windows);
            findings.add(FILE, format!("phase `{name}`: {found} windows, but its budget is {asked}"));
        }
        for (source, &asked) in plan.sources.iter().zip(&planned.source_windows).filter(|_| planned.exact) {
            let found = phase.sources.iter().find(|s| s.name == source.name).map_or(0, |s| s.windows);
            if found != asked {
                let (name, source) = (&phase.name, &source.name);
                findings.add(
                    FILE,
                    format!("phase `{name}`: {found} windows of `{source}`, but its share comes to {asked}"),
                );
            }
        }
    }
}

/// Walks all windows and holds each source to its share at every block border.
pub(super) fn check_borders(dataset: &Dataset, plan: &Plan, findings: &Findings, progress: &(dyn Fn(Progress) + Sync)) {
    let mut done = 0;
    for set in dataset.phases() {
        let Some(planned) = plan.phases.iter().find(|planned| planned.name == set.name()) else { continue };
        if let Err((file, message)) = walk(set, &planned.shares, plan) {
            findings.add(&file, message);
        }
        done += set.len();
        progress(Progress { stage: "shares", done, total: dataset.len() });
    }
}

/// Gives the first border at which a source is off, with the shard that ends there.
fn walk(set: &WindowSet, shares: &[Ramp], plan: &Plan) -> Result<(), (String, String)> {
    let quotas: Vec<Quota> = shares.iter().map(|share| Quota::new(share, set.len())).collect();
    let mut counts = vec![0_u64; shares.len()];
    for i in 0..set.len() {
        let named = |message: String| (FILE.to_owned(), message);
        let window = set.window(i).map_err(|error| named(error.to_string()))?;
        let count = usize::try_from(window.source_index).ok().and_then(|source| counts.get_mut(source));
        *count.ok_or_else(|| named("a window of no source".to_owned()))? += 1;
        let n = i + 1;
        if n % BLOCK != 0 && n != set.len() {
            continue;
        }
        for ((source, quota), &count) in plan.sources.iter().zip(&quotas).zip(&counts) {
            if !quota.holds(n, count) {
                let (source, share) = (&source.name, quota.at(n).to_f64().unwrap_or(f64::NAN));
                let message = format!(
                    "phase `{}`: after {n} windows source `{source}` has {count}, but its share is {share:.3}",
                    set.name()
                );
                return Err(named(message));
            }
        }
    }
    Ok(())
}

/// A source's share of the first n windows: from·n + (to − from)·n²/(2N).
struct Quota {
    from: BigRational,
    bend: BigRational,
    rough: (f64, f64),
}

impl Quota {
    fn new(share: &Ramp, windows: u64) -> Self {
        let bend = (&share.to - &share.from) / BigRational::from_integer((u128::from(windows.max(1)) * 2).into());
        let rough = (share.from.to_f64().unwrap_or(f64::NAN), bend.to_f64().unwrap_or(f64::NAN));
        Self { from: share.from.clone(), bend, rough }
    }

    fn at(&self, n: u64) -> BigRational {
        let n = BigRational::from_integer(n.into());
        (&self.from + &self.bend * &n) * &n
    }

    /// Whether the count is less than one window off.
    fn holds(&self, n: u64, count: u64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "only what is clearly within one window is decided by it")]
        let (at, have) = (n as f64, count as f64);
        let rough = (self.rough.0 + self.rough.1 * at) * at;
        // Below 2^40 windows the floats are off by less than 2^-10; what is near the border is decided exactly.
        if n < 1 << 40 && (rough - have).abs() < 0.99 {
            return true;
        }
        (self.at(n) - BigRational::from_integer(count.into())).abs() < BigRational::one()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_exact_at_their_border() {
        let ratio = |n: i64, d: i64| BigRational::new(n.into(), d.into());
        let constant = Quota::new(&Ramp { from: ratio(1, 3), to: ratio(1, 3) }, 1_000);
        assert!(
            constant.holds(300, 100)
                && constant.holds(301, 101)
                && !constant.holds(300, 101)
                && !constant.holds(300, 99)
        );
        // A ramp from nothing to all: half of all at its end, an eighth half way.
        let ramp = Quota::new(&Ramp { from: ratio(0, 1), to: ratio(1, 1) }, 1_000);
        assert_eq!((ramp.at(1_000), ramp.at(500)), (ratio(500, 1), ratio(125, 1)));
        assert!(ramp.holds(500, 125) && !ramp.holds(500, 126) && !ramp.holds(500, 124));
    }
}
