use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};
use proptest::prelude::*;

use super::fixture::*;
use super::patch::{Patch, patches};
use super::*;
use crate::curriculum::checked::*;
use crate::curriculum::expect::Op;
use crate::error::Error;

fn declared(curriculum: &Curriculum) -> Vec<SourceSize> {
    declared_sizes(curriculum).unwrap()
}

fn one() -> BigRational {
    BigRational::one()
}

fn shares_of(curriculum: &Curriculum) -> Result<Vec<BigRational>> {
    let plan = draft(curriculum, &declared(curriculum), &one(), 2)?;
    Ok(plan.phases[0].shares.iter().map(|ramp| ramp.from.clone()).collect())
}

/// Sources a, b, c, ... with these tokens, and one phase of 1M tokens at S = 64 with this mix.
fn small(tokens: &[u64], mix: Mix) -> Curriculum {
    let names = ["a", "b", "c", "d", "e", "f"];
    let sources = tokens.iter().zip(names).map(|(tokens, name)| source(name, Some("all"), *tokens)).collect();
    let mut phase = phase("only", 1_000_000, mix, None);
    phase.sequence_length = 64;
    curriculum(sources, vec![phase])
}

fn summary(error: Error) -> String {
    match error {
        Error::Curriculum { rendered, summary } | Error::Infeasible { rendered, summary } => {
            assert!(rendered.contains(&summary), "{rendered}");
            summary
        }
        other => panic!("{other}"),
    }
}

#[test]
fn absolute_lines_come_first_then_relative_ones() {
    let mix = flat(&[(0, "20%"), (1, "300k"), (2, "3"), (3, "1")]);
    let shares = shares_of(&small(&[1 << 30; 4], mix)).unwrap();
    assert_eq!(shares, [fraction(1, 5), fraction(3, 10), fraction(3, 8), fraction(1, 8)]);
}

#[test]
fn rest_takes_the_remainder_and_percentages_are_of_their_level() {
    let inner = flat(&[(1, "25%"), (2, "rest")]);
    let shares = shares_of(&small(&[1 << 30; 3], mix(vec![("rest", MixPart::Source(0)), ("40%", group("g", inner))])));
    assert_eq!(shares.unwrap(), [fraction(3, 5), fraction(1, 10), fraction(3, 10)]);
}

#[test]
fn groups_divide_by_size_and_boost() {
    let all = by_size("all", &[0, 1, 2], &[(2, 5)]);
    let shares = shares_of(&small(&[3_000_000, 1_000_000, 2_000_000], mix(vec![("1", all)]))).unwrap();
    assert_eq!(shares, [fraction(3, 14), fraction(1, 14), fraction(10, 14)]);
}

/// `1x` is as many whole windows as one epoch holds, so it never asks for a second.
#[test]
fn a_weight_in_epochs_is_whole_windows() {
    let curriculum = small(&[100_000, 1 << 30], flat(&[(0, "1x"), (1, "rest")]));
    let plan = plan(&curriculum, &declared(&curriculum), &one(), 2).unwrap();
    assert_eq!(plan.phases[0].source_windows, [100_000 / 65, 15_625 - 100_000 / 65]);
    let half = draft(&curriculum, &declared(&curriculum), &fraction(1, 2), 2).unwrap();
    assert_eq!(half.phases[0].source_windows[0], 100_000 / 65 / 2);
}

#[test]
fn a_group_in_epochs_takes_whole_windows_of_each_member() {
    let all = by_size("all", &[0, 1], &[]);
    let curriculum = small(&[10_030, 20_040, 1 << 30], mix(vec![("2x", all), ("rest", MixPart::Source(2))]));
    let mut twice = curriculum.clone();
    twice.on_exhausted = OnExhausted::Repeat;
    let plan = plan(&twice, &declared(&curriculum), &one(), 2).unwrap();
    assert_eq!(plan.phases[0].source_windows[..2], [20_060 / 65, 40_080 / 65]);
}

#[test]
fn shares_that_do_not_come_out_are_refused() {
    let sizes = [1_000_000, 1_000_000, 1_000_000];
    let refused = |mix: Mix| summary(shares_of(&small(&sizes, mix)).unwrap_err());
    assert_eq!(
        refused(flat(&[(0, "60%"), (1, "50%")])),
        "phase `only`: absolute lines come to 110.00 % of the phase, where 100.00 % can be had"
    );
    assert!(refused(flat(&[(0, "60%"), (1, "30%")])).contains("leave 10.00 % of the phase (100k tokens)"));
    assert!(refused(flat(&[(0, "60%"), (1, "40%"), (2, "3")])).contains("nothing is left for `c`"));
    assert!(refused(flat(&[(0, "60%"), (1, "400k"), (2, "rest")])).contains("nothing is left for `c`"));
    assert!(refused(flat(&[(0, "1"), (1, "rest")])).contains("`rest` takes all that is left"));
    let curriculum = small(&sizes, flat(&[(0, "2x"), (1, "rest")]));
    let error = draft(&curriculum, &declared(&curriculum), &one(), 2).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(summary(error).starts_with("phase `only`: absolute lines come to 196.92 %"));
    let empty = small(&[0, 10], flat(&[(0, "2x"), (1, "rest")]));
    assert!(summary(shares_of(&empty).unwrap_err()).contains("`a` is asked for in epochs, but has no token"));
}

/// A zero share asks for nothing and nothing is divided within it.
#[test]
fn a_group_of_no_share_gives_its_sources_none() {
    let inner = flat(&[(1, "25%"), (2, "rest")]);
    let mix = mix(vec![("5", MixPart::Source(0)), ("0", group("g", inner))]);
    assert_eq!(shares_of(&small(&[1 << 30; 3], mix)).unwrap(), [one(), fraction(0, 1), fraction(0, 1)]);
}

#[test]
fn windows_are_rounded_half_up() {
    for (tokens, windows) in [(1_000_000, 15_625), (96, 2), (95, 1), (160, 3), (32, 1)] {
        let mut phase = phase("p", tokens, flat(&[(0, "1")]), None);
        phase.sequence_length = 64;
        assert_eq!(budget::windows(&phase, &one()).unwrap(), windows, "{tokens}");
    }
    let mut phase = phase("p", 1_000_000_000_000, flat(&[(0, "1")]), None);
    assert_eq!(budget::windows(&phase, &one()).unwrap(), 244_140_625);
    assert_eq!(budget::windows(&phase, &fraction(1, 1_000_000)).unwrap(), 244);
    phase.tokens = 31;
    phase.sequence_length = 64;
    let Error::Infeasible { rendered, .. } = budget::windows(&phase, &one()).unwrap_err() else { panic!() };
    assert!(rendered.contains("--scale 1.04 or more"), "{rendered}");
    assert_eq!(budget::windows(&phase, &fraction(104, 100)).unwrap(), 1);
}

#[test]
fn shards_hold_whole_blocks() {
    assert_eq!(budget::shard_windows(1 << 30, 4097, 2), 511 * 256);
    assert_eq!(budget::shard_windows(1 << 30, 4096, 2), 512 * 256);
    assert_eq!(budget::shard_windows(1, 4097, 4), 256);
    assert_eq!(budget::shard_windows(u64::MAX, 1, 2) % 256, 0);
}

#[test]
fn a_share_below_one_window_is_refused_unless_allowed_or_scaled() {
    let mut curriculum = small(&[1 << 30; 2], flat(&[(0, "rest"), (1, "0.005%")]));
    let message = summary(draft(&curriculum, &declared(&curriculum), &one(), 2).unwrap_err());
    assert_eq!(message, "a share below one window: `b` 0.0050 % of phase `only` is 0.78 of a window");
    let scaled = draft(&curriculum, &declared(&curriculum), &fraction(1, 10), 2).unwrap();
    assert_eq!(scaled.warnings.len(), 1);
    curriculum.phases[0].allow_zero = true;
    assert_eq!(draft(&curriculum, &declared(&curriculum), &one(), 2).unwrap().warnings.len(), 1);
    // A thousandth of an epoch that is no window is not silently nothing.
    let curriculum = small(&[6_000, 1 << 30], flat(&[(0, "0.01x"), (1, "rest")]));
    assert!(summary(draft(&curriculum, &declared(&curriculum), &one(), 2).unwrap_err()).contains("0.92 of a window"));
}

#[test]
fn expectations_allow_a_window_for_each_source() {
    let line = |op, value| share_expect("x", &[0, 1], op, value, None);
    let judged = |op, value| expect::judge(&line(op, value), 65, &[3, 4, 93], &[0; 3], &[1; 3]);
    assert_eq!(judged(Op::Eq, "7").value, fraction(7, 100));
    for (op, value, holds) in [
        (Op::Eq, "9", true),
        (Op::Eq, "9.1", false),
        (Op::Eq, "5", true),
        (Op::Lt, "5", false),
        (Op::Lt, "5.1", true),
        (Op::Le, "5", true),
        (Op::Le, "4.9", false),
        (Op::Gt, "9", false),
        (Op::Gt, "8.9", true),
        (Op::Ge, "9", true),
        (Op::Ge, "9.1", false),
    ] {
        assert_eq!(judged(op, value).holds, holds, "{op:?} {value}");
    }
    let epochs = |value| expect::judge(&epochs_expect("x", 0, Op::Le, value), 65, &[9], &[1065], &[500]);
    assert_eq!(epochs("2").value, fraction(1065, 500));
    assert!(epochs("2").holds && !epochs("1.99").holds);
}

#[test]
fn epochs_accumulate_over_phases() {
    let plan = plan(&arctic(), &declared(&arctic()), &one(), 2).unwrap();
    let windows: Vec<u64> = plan.phases.iter().map(|phase| phase.windows).collect();
    assert_eq!(windows, [244_140_625, 366_210_938, 244_140_625]);
    for source in 0..5 {
        let mut total = 0;
        for phase in &plan.phases {
            total += phase.source_windows[source] * 4097;
            assert_eq!(phase.stored[source], total);
        }
    }
    assert_eq!(plan.phases[0].quota(0), fraction(244_140_625 * 3, 4));
    assert!([183_105_468, 183_105_469].contains(&plan.phases[0].source_windows[0]));
    assert!(plan.phases[1].expect[0].holds, "{:?}", plan.phases[1].expect);
    assert!(plan.phases[2].expect.iter().all(|line| line.holds));
    let emitted: Vec<expect::Emitted> = (plan.phases.iter())
        .map(|phase| expect::Emitted { window_tokens: phase.window_tokens, windows: phase.source_windows.clone() })
        .collect();
    let unique: Vec<u64> = plan.sources.iter().map(|source| source.size.tokens).collect();
    let planned: Vec<_> =
        plan.phases.iter().flat_map(|phase| phase.expect.iter().map(|line| line.result(&phase.name))).collect();
    assert_eq!(planned.len(), 3);
    assert_eq!(expect::judge_emitted(&arctic(), &emitted, &unique), planned);
}

#[test]
fn a_source_that_falls_short_is_refused_with_its_story() {
    let mut curriculum = arctic();
    curriculum.sources[1].max_epochs = None;
    curriculum.sources[2].max_epochs = None;
    let error = plan(&curriculum, &declared(&curriculum), &one(), 2).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let Error::Infeasible { rendered, summary } = error else { panic!() };
    assert!(summary.starts_with("source `github` falls short by 208B tokens (50,703,260 windows)"), "{summary}");
    assert!(summary.contains("first in phase `late`, as does 1 more source"), "{summary}");
    assert!(rendered.contains("github: {max_epochs: 2}"), "{rendered}");
    assert!(rendered.contains("sql: {max_epochs: 2}"), "{rendered}");
    assert!(rendered.contains("on_exhausted: repeat"), "{rendered}");
    assert!(rendered.contains("--scale 0.52\n"), "{rendered}");
}

#[test]
fn an_expectation_that_cannot_hold_is_refused() {
    let mut curriculum = arctic();
    curriculum.phases[2].expect.push(share_expect("web > 60%", &[0], Op::Gt, "60", None));
    let message = summary(plan(&curriculum, &declared(&curriculum), &one(), 2).unwrap_err());
    assert_eq!(message, "phase `late` does not do what it is expected to: `web > 60%` is 52.00 %");
    // Too many epochs of a declared size: removals could only make it worse.
    curriculum.phases[2].expect = vec![epochs_expect("epochs(github) <= 1", 1, Op::Le, "1")];
    assert!(plan(&curriculum, &declared(&curriculum), &one(), 2).is_err());
    // Too few: removals may mend it.
    curriculum.phases[2].expect = vec![epochs_expect("epochs(github) > 1.7", 1, Op::Gt, "1.7")];
    assert!(plan(&curriculum, &declared(&curriculum), &one(), 2).is_ok());
    let counted: Vec<SourceSize> =
        declared(&curriculum).iter().map(|size| SourceSize::counted(size.tokens, 1)).collect();
    assert!(plan(&curriculum, &counted, &one(), 2).is_err());
}

#[test]
fn an_estimate_within_its_spread_refuses_nothing() {
    let curriculum = small(&[1, 1], flat(&[(0, "50%"), (1, "50%")]));
    let estimated = |spread| SourceSize { tokens: 450_000, documents: None, basis: Basis::Estimated, spread };
    assert!(plan(&curriculum, &[estimated(0.01), estimated(0.5)], &one(), 2).is_err());
    let plan = plan(&curriculum, &[estimated(0.1), estimated(f64::INFINITY)], &one(), 2).unwrap();
    assert_eq!(plan.warnings.len(), 2, "{:?}", plan.warnings);
    assert!(plan.warnings[0].contains("`a` may fall short"), "{:?}", plan.warnings);
}

#[test]
fn sources_without_a_size_need_one_only_when_read() {
    let mut curriculum = small(&[5, 1 << 30], flat(&[(1, "1")]));
    curriculum.sources[0].tokens = None;
    assert_eq!(declared_sizes(&curriculum).unwrap()[0].tokens, 0);
    curriculum.sources[1].tokens = None;
    assert!(summary(declared_sizes(&curriculum).unwrap_err()).starts_with("`b` cannot be planned without data"));
}

/// Draws a mix by first drawing what every source is to get, in whole units, and then writing lines that mean just that.
struct Drawn {
    state: u64,
    windows_in_unit: u64,
    sources: Vec<Source>,
    units: Vec<u64>,
}

const S: u64 = 30;
const W: u64 = 31;

impl Drawn {
    fn random(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % below
    }

    fn source(&mut self, units: u64, tokens: u64) -> SourceId {
        self.sources.push(source(&format!("s{}", self.sources.len()), None, tokens));
        self.units.push(units);
        self.sources.len() - 1
    }

    /// What a part gets in units is decided before its line: a part with its units, and epochs that would say the same.
    fn part(&mut self, depth: u64) -> (u64, MixPart, Option<BigRational>) {
        let name = format!("g{}", self.sources.len());
        match self.random(6) {
            0 | 1 if depth > 0 => {
                let (units, mix) = self.mix(depth - 1);
                (units, group(&name, mix), None)
            }
            2 => {
                let mut members = Vec::new();
                let mut boost = Vec::new();
                let mut total = 0;
                for _ in 0..=self.random(3) {
                    let factor = 1 + self.random(5);
                    let units = 1 + self.random(9);
                    let member = self.source(units, units * 60 / factor * 1000);
                    members.push(member);
                    boost.push((member, i64::try_from(factor).unwrap()));
                    total += units;
                }
                (total, by_size(&name, &members, &boost), None)
            }
            _ => {
                let units = 1 + self.random(40);
                let halves = 1 + self.random(8);
                // The smallest size of which halves/2 epochs hold that many windows.
                let tokens = (units * self.windows_in_unit * W * 2).div_ceil(halves);
                let part = self.source(units, tokens);
                (units, MixPart::Source(part), Some(fraction(i64::try_from(halves).unwrap(), 2)))
            }
        }
    }

    fn mix(&mut self, depth: u64) -> (u64, Mix) {
        let parts: Vec<_> = (0..1 + self.random(5)).map(|_| self.part(depth)).collect();
        let total: u64 = parts.iter().map(|(units, ..)| units).sum();
        let rational = |number: u64| BigRational::from_integer(number.into());
        let factor = rational(1 + self.random(50)) / rational(1 + self.random(50));
        let rest = (self.random(2) == 0).then(|| usize::try_from(self.random(parts.len() as u64)).unwrap());
        let mut entries = Vec::new();
        for (index, (units, of, epochs)) in parts.into_iter().enumerate() {
            let weight = match (self.random(4), epochs) {
                _ if rest == Some(index) => Weight::Rest,
                (0, _) => Weight::Percent(rational(units) / rational(total)),
                (1, _) => Weight::Tokens(units * self.windows_in_unit * S),
                (2, Some(epochs)) => Weight::Epochs(epochs),
                _ if rest.is_none() => Weight::Relative(rational(units) * &factor),
                _ => Weight::Percent(rational(units) / rational(total)),
            };
            entries.push(MixEntry { weight, of });
        }
        (total, Mix { name: None, entries })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn shares_are_what_the_lines_were_written_for(state: u64, windows_in_unit in 1_u64..50) {
        let mut drawn = Drawn { state, windows_in_unit, sources: Vec::new(), units: Vec::new() };
        let (total, mix) = drawn.mix(3);
        let mut phase = phase("p", total * windows_in_unit * S, mix, None);
        phase.sequence_length = u32::try_from(S).unwrap();
        let mut curriculum = curriculum(drawn.sources, vec![phase]);
        curriculum.on_exhausted = OnExhausted::Repeat;
        let sources = size::source_plans(&curriculum, &declared(&curriculum));
        let level = shares::Level {
            curriculum: &curriculum,
            sources: &sources,
            phase: &curriculum.phases[0],
            windows: total * windows_in_unit,
            window_tokens: u32::try_from(W).unwrap(),
            scale: &one(),
        };
        let shares = shares::shares(&level).unwrap();
        for (ramp, units) in shares.iter().zip(&drawn.units) {
            prop_assert_eq!(&ramp.from, &BigRational::new((*units).into(), total.into()));
            prop_assert_eq!(&ramp.from, &ramp.to);
        }
    }
}

/// A small curriculum over which everything can be recounted.
fn drawn_curriculum(state: u64) -> (Curriculum, Vec<SourceSize>, BigRational) {
    let mut drawn = Drawn { state, windows_in_unit: 1, sources: Vec::new(), units: Vec::new() };
    let count = 2 + drawn.random(4);
    let mut sources = Vec::new();
    let mut sizes = Vec::new();
    for index in 0..count {
        let tokens = if drawn.random(20) == 0 { 0 } else { 1 + drawn.random(40_000) };
        let mut one = source(&format!("s{index}"), None, tokens);
        one.max_epochs = match drawn.random(4) {
            0 => Some(u32::try_from(1 + drawn.random(3)).unwrap()),
            _ => None,
        };
        sources.push(one);
        sizes.push(SourceSize::counted(tokens, 1));
    }
    let mut phases = Vec::new();
    for index in 0..1 + drawn.random(4) {
        let mut weights = || {
            let entries = (0..count)
                .map(|source| MixEntry {
                    weight: Weight::Relative(BigRational::from_integer(BigInt::from(1 + drawn.random(9)))),
                    of: MixPart::Source(usize::try_from(source).unwrap()),
                })
                .collect();
            Mix { name: None, entries }
        };
        let from = weights();
        let to = (index % 2 == 1).then(weights);
        let mut phase = phase(&format!("p{index}"), 500 + drawn.random(30_000), from, to);
        phase.sequence_length = [16, 40, 64][usize::try_from(drawn.random(3)).unwrap()];
        phase.allow_zero = true;
        phases.push(phase);
    }
    let mut curriculum = curriculum(sources, phases);
    if drawn.random(3) == 0 {
        curriculum.on_exhausted = OnExhausted::Repeat;
    }
    let scale = [fraction(1, 1), fraction(7, 3), fraction(2, 5)][usize::try_from(drawn.random(3)).unwrap()].clone();
    (curriculum, sizes, scale)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_gate_is_exact_and_its_patches_are_feasible(state: u64) {
        let (curriculum, sizes, scale) = drawn_curriculum(state);
        let drafted = draft(&curriculum, &sizes, &scale, 2).unwrap();
        let mut short = Vec::new();
        for (index, size) in sizes.iter().enumerate() {
            let cap = match (curriculum.sources[index].max_epochs, curriculum.on_exhausted) {
                (Some(cap), _) => u64::from(cap),
                (None, OnExhausted::Repeat) if size.tokens > 0 => u64::MAX / 1_000_000,
                _ => 1,
            };
            let mut asked = 0;
            for (number, phase) in drafted.phases.iter().enumerate() {
                asked += phase.source_windows[index] * u64::from(phase.window_tokens);
                if asked > cap * size.tokens {
                    short.push((index, number));
                    break;
                }
            }
        }
        let found = feasible::shortfalls(&drafted);
        prop_assert_eq!(found.iter().map(|short| (short.source, short.phase)).collect::<Vec<_>>(), short.clone());
        prop_assert_eq!(plan(&curriculum, &sizes, &scale, 2).is_err(), !short.is_empty());
        for short in &found {
            let phase = &drafted.phases[short.phase];
            let window = u128::from(phase.window_tokens);
            prop_assert!(u128::from(short.windows) * window >= short.tokens());
            prop_assert!(short.sustained < phase.source_windows[short.source]);
        }
        // With counts known only within one window, nothing is refused that is feasible.
        let rough = draft_with(&curriculum, &sizes, &scale, 2, |_, shares, windows| end_counts(shares, windows, 0)).unwrap();
        for short in feasible::shortfalls(&rough) {
            prop_assert!(found.iter().any(|certain| certain.source == short.source && certain.phase <= short.phase));
        }
        if found.is_empty() {
            return Ok(());
        }
        let offered = patches(&curriculum, &drafted, &found);
        let hopeless = found.iter().any(|short| sizes[short.source].tokens == 0);
        prop_assert!(hopeless || offered.iter().any(|patch| matches!(patch, Patch::MaxEpochs(_))));
        for patch in offered {
            let (mut curriculum, mut scale) = (curriculum.clone(), scale.clone());
            patch.apply(&mut curriculum, &mut scale);
            prop_assert!(plan(&curriculum, &sizes, &scale, 2).is_ok(), "{:?}", patch);
        }
    }

    #[test]
    fn windows_and_shares_add_up(state: u64) {
        let (curriculum, sizes, scale) = drawn_curriculum(state);
        let drafted = draft(&curriculum, &sizes, &scale, 2).unwrap();
        let walked = simulate::simulate(&drafted, 2, &|_| ()).unwrap();
        let settled = simulate::settled(&curriculum, &drafted, &walked).unwrap();
        for (index, (phase, asked)) in settled.phases.iter().zip(&curriculum.phases).enumerate() {
            // round(x) is the integer n with n - 1/2 <= x < n + 1/2.
            let quota = BigRational::from_integer(asked.tokens.into()) * &scale
                / BigRational::from_integer(asked.sequence_length.into());
            let distance = BigRational::from_integer(phase.windows.into()) - quota;
            prop_assert!(distance > fraction(-1, 2) && distance <= fraction(1, 2));
            prop_assert_eq!(phase.source_windows.iter().sum::<u64>(), phase.windows);
            prop_assert!(phase.exact);
            prop_assert_eq!(&phase.source_windows, &drafted.phases[index].source_windows);
            for (source, windows) in phase.source_windows.iter().enumerate() {
                let away = (phase.quota(source) - BigRational::from_integer((*windows).into())).abs();
                prop_assert!(away < one());
            }
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// The drift that the walk reports is the largest of all that a plain recount finds.
    #[test]
    fn the_walk_finds_the_largest_drift(state: u64) {
        let (curriculum, sizes, scale) = drawn_curriculum(state);
        let drafted = draft(&curriculum, &sizes, &scale, 2).unwrap();
        let walked = simulate::simulate(&drafted, 1, &|_| ()).unwrap();
        for (phase, walk) in drafted.phases.iter().zip(&walked.phases) {
            let mut interleave = crate::mix::interleave::Interleave::new(&phase.shares, phase.windows).unwrap();
            let mut owners = Vec::new();
            while owners.len() as u64 != phase.windows {
                interleave.next_block(&mut owners);
            }
            for (source, ramp) in phase.shares.iter().enumerate() {
                let mut given = 0_i64;
                let (mut anywhere, mut border) = (BigRational::zero(), BigRational::zero());
                for (index, owner) in owners.iter().enumerate() {
                    given += i64::from(usize::from(*owner) == source);
                    let n = BigRational::from_integer((index + 1).into());
                    let due = &ramp.from * &n
                        + (&ramp.to - &ramp.from) * &n * &n / BigRational::from_integer((2 * phase.windows).into());
                    let drift = (BigRational::from_integer(given.into()) - due).abs();
                    if (index + 1) % 256 == 0 || index + 1 == owners.len() {
                        border = border.max(drift.clone());
                    }
                    anywhere = anywhere.max(drift);
                }
                prop_assert_eq!(walk.anywhere[source].windows.abs(), anywhere);
                prop_assert_eq!(walk.at_borders[source].windows.abs(), border);
            }
        }
    }
}

/// A plan's shares do not hang on the scale, but for epochs, which are whole windows.
#[test]
fn scale_multiplies_budgets_and_nothing_else() {
    let curriculum = arctic();
    let whole = draft(&curriculum, &declared(&curriculum), &one(), 2).unwrap();
    let part = draft(&curriculum, &declared(&curriculum), &fraction(1, 1_000_000), 2).unwrap();
    for (whole, part) in whole.phases.iter().zip(&part.phases) {
        assert_eq!(whole.shares, part.shares);
    }
}

/// In best-fit packing the gate leaves room for padding: windows half full could still do.
#[test]
fn best_fit_is_refused_only_when_padding_cannot_explain_it() {
    let mut curriculum = small(&[500_000, 1 << 30], flat(&[(0, "90%"), (1, "10%")]));
    assert!(plan(&curriculum, &declared(&curriculum), &one(), 2).is_err());
    curriculum.phases[0].packing = Packing::BestFit;
    assert!(plan(&curriculum, &declared(&curriculum), &one(), 2).is_ok());
    curriculum.sources[0].tokens = Some(450_000);
    assert!(plan(&curriculum, &declared(&curriculum), &one(), 2).is_err());
}
