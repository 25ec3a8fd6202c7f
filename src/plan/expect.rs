//! `expect` lines: measured on windows, on the plan and again on what was emitted.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{ToPrimitive, Zero};
use syllabus_reader::format::manifest::ExpectResult;

use crate::curriculum::checked::Curriculum;
use crate::curriculum::expect::{Expect, Op, Subject};
use crate::error::Result;

use super::{Basis, Plan, number, refuse};

/// An `expect` line and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The line as written.
    pub text: String,
    /// What was measured: a share of the phase's windows (0.192 for 19.2 %), or epochs.
    pub value: BigRational,
    /// Whether `value` counts epochs.
    pub epochs: bool,
    /// How far rounding to windows may put `value` off without failing the line: one window for each source named.
    pub allowance: BigRational,
    /// Whether it holds.
    pub holds: bool,
}

impl Judged {
    /// The measured value for people: `19.20 %`, or `3.87` epochs.
    #[must_use]
    pub fn value_text(&self) -> String {
        let value = self.value.to_f64().unwrap_or(f64::MAX);
        if self.epochs { number::decimal(value) } else { number::percent(value) }
    }

    /// As the manifest has it.
    #[must_use]
    pub fn result(&self, phase: &str) -> ExpectResult {
        ExpectResult {
            phase: phase.to_owned(),
            text: self.text.clone(),
            value: self.value.to_f64().unwrap_or(f64::MAX),
            holds: self.holds,
        }
    }
}

/// Judges a line of a phase.
///
/// `windows` are the phase's windows by source, `stored` the stored tokens read of each source from the first phase's start
/// to this phase's end, `unique` the unique tokens of each source, `window_tokens` the phase's W. A source without tokens
/// counts as having one, so that reading it at all is many epochs.
#[must_use]
pub fn judge(expect: &Expect, window_tokens: u32, windows: &[u64], stored: &[u64], unique: &[u64]) -> Judged {
    let at = |list: &[u64], index: usize| BigInt::from(list.get(index).copied().unwrap_or(0));
    let (value, allowance, epochs) = match &expect.subject {
        Subject::Share(sources) => {
            let total = windows.iter().map(|count| BigInt::from(*count)).sum::<BigInt>().max(1.into());
            let given: BigInt = sources.iter().map(|source| at(windows, *source)).sum();
            (BigRational::new(given, total.clone()), BigRational::new(sources.len().into(), total), false)
        }
        Subject::Epochs(source) => {
            let unique = at(unique, *source).max(1.into());
            (
                BigRational::new(at(stored, *source), unique.clone()),
                BigRational::new(window_tokens.into(), unique),
                true,
            )
        }
    };
    let holds = holds(expect, &value, &allowance);
    Judged { text: expect.text.clone(), value, epochs, allowance, holds }
}

/// A phase as it was emitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// W.
    pub window_tokens: u32,
    /// Its windows by source.
    pub windows: Vec<u64>,
}

/// Judges all lines again on what was emitted: one [`Emitted`] for each phase of the curriculum, in order; `unique` are the
/// unique tokens of each source, counted.
#[must_use]
pub fn judge_emitted(curriculum: &Curriculum, phases: &[Emitted], unique: &[u64]) -> Vec<ExpectResult> {
    let mut stored = vec![0_u64; unique.len()];
    let mut results = Vec::new();
    for (asked, emitted) in curriculum.phases.iter().zip(phases) {
        for (total, windows) in stored.iter_mut().zip(&emitted.windows) {
            *total = total.saturating_add(windows.saturating_mul(emitted.window_tokens.into()));
        }
        results.extend(
            asked
                .expect
                .iter()
                .map(|line| judge(line, emitted.window_tokens, &emitted.windows, &stored, unique).result(&asked.name)),
        );
    }
    results
}

fn holds(expect: &Expect, value: &BigRational, allowance: &BigRational) -> bool {
    let wanted = &expect.value;
    match expect.op {
        Op::Eq => {
            let distance = if value < wanted { wanted - value } else { value - wanted };
            distance <= expect.tolerance.clone().unwrap_or_else(BigRational::zero) + allowance
        }
        Op::Lt => *value < wanted + allowance,
        Op::Le => *value <= wanted + allowance,
        Op::Gt => *value > wanted - allowance,
        Op::Ge => *value >= wanted - allowance,
    }
}

/// Refuses a plan with a line that cannot come to hold.
///
/// A line about shares is certain already in the plan. One about epochs is certain when sizes are counted; before that,
/// removals can only make a source smaller and its epochs more, so a line is refused when there are too many even of the
/// largest size the source may have, and the others are judged again after dedup.
///
/// # Errors
///
/// `Error::Infeasible` with every such line.
pub fn gate(curriculum: &Curriculum, plan: &Plan) -> Result<()> {
    let largest: Vec<u64> = plan.sources.iter().map(|source| source.size.at_most()).collect();
    let mut failed = Vec::new();
    for (phase, planned) in curriculum.phases.iter().zip(&plan.phases) {
        for (line, judged) in phase.expect.iter().zip(&planned.expect) {
            if judged.holds {
                continue;
            }
            let certain = match line.subject {
                Subject::Share(_) => true,
                Subject::Epochs(source) if plan.sources[source].size.basis == Basis::Counted => true,
                Subject::Epochs(_) => {
                    let least = judge(line, planned.window_tokens, &planned.source_windows, &planned.stored, &largest);
                    !least.holds && !matches!(line.op, Op::Gt | Op::Ge) && least.value > line.value
                }
            };
            if certain {
                failed.push((planned.name.as_str(), judged));
            }
        }
    }
    let Some((phase, first)) = failed.first() else { return Ok(()) };
    let more = match failed.len() {
        1 => String::new(),
        2 => " (and 1 more line)".to_owned(),
        others => format!(" (and {} more lines)", others - 1),
    };
    let summary =
        format!("phase `{phase}` does not do what it is expected to: `{}` is {}{more}", first.text, first.value_text());
    let story: String = failed
        .iter()
        .map(|(phase, line)| format!("  {phase}: `{}` is {}\n", line.text, line.value_text()))
        .chain(["  what would make it feasible: another mix, or another `expect` line\n".to_owned()])
        .collect();
    Err(refuse::infeasible(summary, &story))
}
