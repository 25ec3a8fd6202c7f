use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::fixture::write;
use crate::format::TokenDtype;
use crate::{BatchOptions, BatchSize, Dataset};

static DATASET: LazyLock<(tempfile::TempDir, Dataset)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let phases = [("a", 4, 5, [7, 6].as_slice()), ("b", 4, 5, &[]), ("c", 8, 9, &[11]), ("d", 2, 3, &[1])];
    write(dir.path(), TokenDtype::U16, &phases, &[("validation/web", 4, 5, &[5])]);
    let dataset = Dataset::open(dir.path()).unwrap();
    (dir, dataset)
});

const ENDS: [u64; 3] = [13, 24, 25];
const ALL: u64 = 25;

fn dataset() -> &'static Dataset {
    &DATASET.1
}

fn options(size: BatchSize, rank: u32, world: u32, start: u64) -> BatchOptions {
    BatchOptions { size, rank, world, start }
}

fn sizes() -> impl Strategy<Value = BatchSize> {
    let schedule = |limit: u64| {
        prop::collection::btree_map(1..limit, 1..9_u64, 0..3).prop_flat_map(|steps: BTreeMap<u64, u64>| {
            (1..9_u64).prop_map(move |first| [(0, first)].into_iter().chain(steps.clone()).collect::<Vec<_>>())
        })
    };
    prop_oneof![
        (1..30_u64).prop_map(BatchSize::Constant),
        schedule(ALL).prop_map(BatchSize::ByWindow),
        schedule(ALL * 5).prop_map(BatchSize::ByToken),
    ]
}

/// The size a schedule asks for at a window, by walking.
fn size_at(size: &BatchSize, window: u64) -> u64 {
    let token =
        |window: u64| window.min(13) * 4 + window.saturating_sub(13).min(11) * 8 + window.saturating_sub(24) * 2;
    let last = |steps: &[(u64, u64)], position| steps.iter().rfind(|step| step.0 <= position).unwrap().1;
    match size {
        BatchSize::Constant(size) => *size,
        BatchSize::ByWindow(steps) => last(steps, window),
        BatchSize::ByToken(steps) => last(steps, token(window)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn ranks_together_read_one_order(size in sizes(), world in prop::sample::select(vec![1_u32, 2, 3, 8]), start in 0..=ALL) {
        let ranks: Vec<Vec<_>> = (0..world)
            .map(|rank| dataset().batches(options(size.clone(), rank, world, start)).unwrap().collect())
            .collect();
        let mut next = start;
        for step in 0..ranks[0].len() {
            // Batches follow each other, have the size asked for, and none spans phases.
            let batch = &ranks[0][step];
            prop_assert_eq!(batch.start(), next);
            let phase_end = ENDS.into_iter().find(|&end| next < end).unwrap();
            prop_assert_eq!(batch.end(), (next + size_at(&size, next)).min(phase_end));
            // The ranks' windows, taken in turn, are the run.
            let mut queues: Vec<_> = ranks.iter().map(|batches| batches[step].indices().collect::<Vec<_>>().into_iter()).collect();
            for window in batch.start()..batch.end() {
                let turn = usize::try_from((window - batch.start()) % u64::from(world)).unwrap();
                prop_assert_eq!(queues[turn].next(), Some(window));
            }
            for (rank, queue) in queues.iter_mut().enumerate() {
                prop_assert_eq!(queue.next(), None);
                prop_assert_eq!(ranks[rank][step].indices().count(), ranks[rank][step].len());
                prop_assert_eq!(ranks[rank][step].end(), batch.end());
            }
            next = batch.end();
        }
        prop_assert!(ranks.iter().all(|batches| batches.len() == ranks[0].len()));
        prop_assert_eq!(next, ALL);
    }

    #[test]
    fn going_on_equals_never_having_stopped(size in sizes(), at in 0..25_usize, world in 1..4_u32) {
        let whole: Vec<_> = dataset().batches(options(size.clone(), 0, world, 0)).unwrap().collect();
        let at = at % whole.len();
        let mut first = dataset().batches(options(size.clone(), 0, world, 0)).unwrap();
        for _ in 0..at {
            first.next();
        }
        let rest: Vec<_> = dataset().batches(options(size, 0, world, first.next_window())).unwrap().collect();
        let shape = |batches: &[crate::Batch<'_>]| -> Vec<(u64, u64)> { batches.iter().map(|b| (b.start(), b.end())).collect() };
        prop_assert_eq!(shape(&rest), shape(&whole[at..]));
    }
}

#[test]
fn windows_carry_their_global_number() {
    let batches: Vec<_> = dataset().batches(options(BatchSize::Constant(4), 1, 3, 12)).unwrap().collect();
    let windows: Vec<u64> =
        batches.iter().flat_map(|batch| batch.windows().map(|window| window.unwrap().index)).collect();
    // 12..13 has nothing for rank 1; then 13..17, 17..21, 21..24, and 24..25.
    assert_eq!(windows, [14, 18, 22]);
    assert!(batches[0].is_empty());
    assert_eq!(batches[1].set().name(), "c");
}

#[test]
fn a_phase_or_a_held_out_set_alone() {
    let phase = dataset().phase("c").unwrap();
    let windows = |start| -> Vec<(u64, u64)> {
        phase.batches(options(BatchSize::Constant(8), 0, 1, start)).unwrap().map(|b| (b.start(), b.end())).collect()
    };
    assert_eq!(windows(0), [(13, 21), (21, 24)]);
    assert_eq!(windows(21), [(21, 24)]);
    let set = dataset().validation_set("validation/web").unwrap();
    assert_eq!(set.batches(BatchOptions::new(3)).unwrap().map(|batch| batch.len()).collect::<Vec<_>>(), [3, 2]);
}

#[test]
fn what_does_not_exist_is_refused() {
    let refused = [
        options(BatchSize::Constant(0), 0, 1, 0),
        options(BatchSize::Constant(1), 1, 1, 0),
        options(BatchSize::Constant(1), 0, 0, 0),
        options(BatchSize::Constant(1), 0, 1, ALL + 1),
        options(BatchSize::ByWindow(vec![]), 0, 1, 0),
        options(BatchSize::ByWindow(vec![(1, 1)]), 0, 1, 0),
        options(BatchSize::ByToken(vec![(0, 1), (5, 0)]), 0, 1, 0),
        options(BatchSize::ByToken(vec![(0, 1), (5, 2), (5, 3)]), 0, 1, 0),
    ];
    for options in refused {
        assert!(dataset().batches(options.clone()).is_err(), "{options:?}");
    }
    assert!(dataset().phase("c").unwrap().batches(options(BatchSize::Constant(1), 0, 1, 12)).is_err());
    let huge = options(BatchSize::Constant(u64::MAX), u32::MAX - 1, u32::MAX, 1);
    assert!(dataset().batches(huge).unwrap().all(|batch| batch.is_empty()));
}
