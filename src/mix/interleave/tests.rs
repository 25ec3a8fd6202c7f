use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One as _, Signed as _, Zero as _};
use proptest::prelude::*;

use super::*;

fn ratio(numerator: u64, denominator: u64) -> BigRational {
    BigRational::new(numerator.into(), denominator.into())
}

/// Shares from weights; constant when `to` is empty.
fn ramps(from: &[u64], to: &[u64]) -> Vec<Ramp> {
    let to = if to.is_empty() { from } else { to };
    let (from_sum, to_sum) = (from.iter().sum(), to.iter().sum());
    from.iter().zip(to).map(|(&a, &b)| Ramp { from: ratio(a, from_sum), to: ratio(b, to_sum) }).collect()
}

/// Λ(n), straight from its definition.
fn quota(ramp: &Ramp, position: u64, windows: u64) -> BigRational {
    let n = BigRational::from(BigInt::from(position));
    &ramp.from * &n + (&ramp.to - &ramp.from) * &n * &n / BigRational::from(BigInt::from(2 * windows.max(1)))
}

fn owners(interleave: &mut Interleave) -> Vec<u16> {
    let mut all = Vec::new();
    loop {
        let before = all.len();
        interleave.next_block(&mut all);
        if all.len() == before {
            return all;
        }
        assert!(all.len() - before <= 256);
    }
}

/// Everything that must hold of a walk, recomputed in rationals at every position.
fn check(ramps: &[Ramp], windows: u64) {
    let mut interleave = Interleave::new(ramps, windows).unwrap();
    assert!(interleave.exact());
    let owners = owners(&mut interleave);
    assert_eq!(owners.len() as u64, windows);
    let positive = ramps.iter().filter(|ramp| !(ramp.from.is_zero() && ramp.to.is_zero())).count() as u64;
    let bound = if positive == 1 { BigRational::zero() } else { BigRational::one() - ratio(1, 2 * positive - 2) };
    let mut counts = vec![0_u64; ramps.len()];
    let mut anywhere = vec![BigRational::zero(); ramps.len()];
    let mut borders = anywhere.clone();
    for (position, &owner) in owners.iter().enumerate() {
        counts[usize::from(owner)] += 1;
        let position = position as u64 + 1;
        for (source, ramp) in ramps.iter().enumerate() {
            let drift = (BigRational::from(BigInt::from(counts[source])) - quota(ramp, position, windows)).abs();
            assert!(drift <= bound, "source {source} is {drift} off at {position} of {windows}: {ramps:?}");
            if position.is_multiple_of(256) || position == windows {
                borders[source] = borders[source].clone().max(drift.clone());
            }
            anywhere[source] = anywhere[source].clone().max(drift);
        }
    }
    assert_eq!(interleave.counts(), counts);
    for (ramp, &count) in ramps.iter().zip(&counts) {
        let quota = quota(ramp, windows, windows);
        let count = BigInt::from(count);
        assert!(count == quota.floor().to_integer() || count == quota.ceil().to_integer());
    }

    let simulation = simulate(ramps, windows, |_| ()).unwrap();
    assert_eq!(simulation.counts, counts);
    assert_eq!(simulation.bound, bound);
    for (source, drift) in simulation.drift.iter().enumerate() {
        assert_eq!(drift.anywhere, anywhere[source], "source {source}");
        assert_eq!(drift.at_borders, borders[source], "source {source}");
    }

    assert_eq!(end_counts(ramps, windows, u64::MAX).unwrap(), (counts.clone(), true));
    let (near, exact) = end_counts(ramps, windows, 0).unwrap();
    assert_eq!(near.iter().sum::<u64>(), windows);
    for (source, &near) in near.iter().enumerate() {
        assert!(near.abs_diff(counts[source]) <= u64::from(!exact));
    }
}

/// Weights of which some are zero, but not all.
fn weights(sources: usize) -> impl Strategy<Value = Vec<u64>> {
    let weight = prop_oneof![2 => Just(0), 4 => 1_u64..10, 3 => 10_u64..1_000, 1 => 1_000_u64..1_000_000];
    prop::collection::vec(weight, sources).prop_filter("a positive weight", |weights| weights.iter().any(|&w| w > 0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn constant_shares_stay_within_the_bound(from in (1_usize..9).prop_flat_map(weights), windows in 0_u64..700) {
        check(&ramps(&from, &[]), windows);
    }

    #[test]
    fn ramps_stay_within_the_bound(
        (from, to) in (1_usize..7).prop_flat_map(|sources| (weights(sources), weights(sources))),
        windows in 1_u64..500,
    ) {
        check(&ramps(&from, &to), windows);
    }

    #[test]
    fn a_walk_goes_on_from_anywhere(
        (from, to) in (1_usize..7).prop_flat_map(|sources| (weights(sources), weights(sources))),
        ramped: bool,
        windows in 1_u64..2_000,
        at in 0_u64..8,
    ) {
        let shares = ramps(&from, if ramped { &to } else { &[] });
        let mut whole = Interleave::new(&shares, windows).unwrap();
        let mut before = Vec::new();
        for _ in 0..at {
            whole.next_block(&mut before);
        }
        let (position, counts) = (whole.position(), whole.counts());
        let mut cloned = whole.clone();
        let rest = owners(&mut whole);
        prop_assert_eq!(&rest, &owners(&mut cloned));
        let mut restarted = Interleave::new(&shares, windows).unwrap();
        restarted.seek(position, &counts).unwrap();
        prop_assert_eq!(&rest, &owners(&mut restarted));
        if position > 0 {
            prop_assert!(restarted.seek(position - 1, &counts).is_err());
        }
    }
}

#[test]
fn many_tiny_shares_and_one_large() {
    let mut from = vec![1_u64; 63];
    from.push(10_000);
    check(&ramps(&from, &[]), 2_000);
    let mut to = from.clone();
    to.reverse();
    check(&ramps(&from, &to), 1_000);
}

#[test]
fn shares_that_fade_in_and_out() {
    check(&ramps(&[1, 0, 3], &[0, 1, 3]), 1_999);
    check(&ramps(&[1, 0], &[0, 1]), 1_999);
    check(&ramps(&[1, 0, 0], &[0, 0, 1]), 1);
}

/// Whoever gets the first window of m equal shares is 1 - 1/m ahead: no rule could keep a bound much below Tijdeman's.
#[test]
fn equal_shares_come_near_the_bound() {
    for sources in 2..7 {
        let simulation = simulate(&ramps(&vec![1; sources], &[]), sources as u64 * 3, |_| ()).unwrap();
        let largest = simulation.drift.iter().map(|drift| &drift.anywhere).max().unwrap();
        assert_eq!(*largest, BigRational::one() - ratio(1, sources as u64));
        assert!(simulation.drift.iter().all(|drift| drift.at_borders.is_zero()));
    }
}

/// A walk too long to check at every position: exact figures against the closed form at its end.
#[test]
fn a_long_ramp_guesses_right() {
    let shares = ramps(&[750, 119, 105, 25, 1, 0], &[520, 265, 105, 26, 83, 1]);
    let simulation = simulate(&shares, 3_000_017, |_| ()).unwrap();
    assert!(simulation.exact);
    for (source, drift) in simulation.drift.iter().enumerate() {
        assert!(drift.anywhere <= simulation.bound, "{drift:?}");
        let end = quota(&shares[source], 3_000_017, 3_000_017);
        assert!((end - BigRational::from(BigInt::from(simulation.counts[source]))).abs() <= simulation.bound);
    }
}

#[test]
fn shares_beyond_128_bits_are_apportioned() {
    // Denominators of three large primes: 2^183 together.
    let primes = [(1_u64 << 61) - 1, 2_305_843_009_213_693_921, 2_305_843_009_213_693_907];
    let mut shares: Vec<BigRational> = primes.iter().map(|&prime| ratio(prime / 5, prime)).collect();
    let rest = BigRational::one() - shares.iter().sum::<BigRational>();
    shares.push(rest);
    shares.push(BigRational::zero());
    let constant: Vec<Ramp> = shares.iter().map(|share| Ramp { from: share.clone(), to: share.clone() }).collect();
    let ramped: Vec<Ramp> =
        shares.iter().zip(shares.iter().rev()).map(|(from, to)| Ramp { from: from.clone(), to: to.clone() }).collect();
    for ramps in [constant, ramped] {
        let windows = 5_000;
        let mut interleave = Interleave::new(&ramps, windows).unwrap();
        assert!(!interleave.exact());
        let mut counts = [0_u64; 5];
        let bound = BigRational::one() - ratio(1, 8) + ratio(1, 1_000_000);
        for (position, owner) in owners(&mut interleave).into_iter().enumerate() {
            counts[usize::from(owner)] += 1;
            for (source, ramp) in ramps.iter().enumerate() {
                let drift =
                    (quota(ramp, position as u64 + 1, windows) - BigRational::from(BigInt::from(counts[source]))).abs();
                assert!(drift <= bound);
            }
        }
        // Sources 4 and, where constant, none else have a share of zero.
        assert_eq!(counts[4] == 0, ramps[4].to.is_zero());
        // The longest phases that anybody could ask for still have shares to 2^-20 and better.
        assert!(!Interleave::new(&ramps, 1 << 36).unwrap().exact());
    }
}

#[test]
fn end_counts_without_a_walk() {
    // Arctic's second phase: 366 million windows; constant shares in thousandths.
    let shares = ramps(&[600, 192, 108, 100], &[]);
    let (counts, exact) = end_counts(&shares, 366_210_938, 1 << 22).unwrap();
    assert!(exact);
    assert_eq!(counts.iter().sum::<u64>(), 366_210_938);
    // The same by what the period says, far from the end: 938 windows walked by hand.
    let mut rest = Interleave::new(&shares, 938).unwrap();
    owners(&mut rest);
    let walked: Vec<u64> = rest.counts().iter().zip([600, 192, 108, 100]).map(|(c, p)| c + 366_210 * p).collect();
    assert_eq!(counts, walked);
    // A ramp with whole quotas at its end is exact too; one without is not.
    let ramp = ramps(&[1, 3], &[3, 1]);
    assert_eq!(end_counts(&ramp, 1 << 30, 1 << 22).unwrap(), (vec![1 << 29; 2], true));
    let (counts, exact) = end_counts(&ramp, (1 << 30) + 1, 1 << 22).unwrap();
    assert!(!exact);
    assert_eq!(counts.iter().sum::<u64>(), (1 << 30) + 1);
}

#[test]
fn wrong_shares_are_errors() {
    let short = [Ramp { from: ratio(1, 2), to: ratio(1, 2) }];
    assert!(Interleave::new(&short, 10).unwrap_err().to_string().contains("sum to 1/2"));
    let negative = [Ramp { from: -ratio(1, 2), to: ratio(1, 2) }, Ramp { from: ratio(3, 2), to: ratio(1, 2) }];
    assert!(Interleave::new(&negative, 10).unwrap_err().to_string().contains("negative"));
    assert!(Interleave::new(&[], 10).is_err());
}

/// `cargo test --release -p syllabus --lib speed_of_the_walk -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, not a check"]
fn speed_of_the_walk() {
    for sources in [8_u64, 60] {
        let from: Vec<u64> = (0..sources).map(|i| 1_000 / (i + 1) + 1).collect();
        let to: Vec<u64> = (0..sources).map(|i| 1_000 / (sources - i) + 1).collect();
        for (name, shares) in [("constant", ramps(&from, &[])), ("ramped", ramps(&from, &to))] {
            let windows = 20_000_000;
            let mut interleave = Interleave::new(&shares, windows).unwrap();
            let start = std::time::Instant::now();
            let mut block = Vec::new();
            for _ in 0..windows.div_ceil(256) {
                block.clear();
                interleave.next_block(&mut block);
            }
            let walk = start.elapsed();
            let start = std::time::Instant::now();
            simulate(&shares, windows, |_| ()).unwrap();
            let simulated = start.elapsed();
            println!(
                "{sources} sources, {name}: {:.1} ns a window, {:.1} simulated",
                walk.as_secs_f64() * 1e9 / windows as f64,
                simulated.as_secs_f64() * 1e9 / windows as f64
            );
        }
    }
}
