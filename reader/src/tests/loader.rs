use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::fixture::{SetSpec, write};
use crate::format::TokenDtype;
use crate::loader::{
    Array, Borders, Context, Cut, IdType, Loader, LoaderOptions, LoaderState, MicroBatch, PhaseEnd, Reads, heap,
};
use crate::{BatchOptions, BatchSize, Buffers, Dataset, Error, FillOptions};

const PHASES: [SetSpec<'_>; 4] = [("a", 4, 5, &[7, 6]), ("b", 4, 5, &[]), ("c", 8, 9, &[11]), ("d", 2, 3, &[1])];
/// Windows after each phase, and S.
const ENDS: [(u64, u64); 3] = [(13, 4), (24, 8), (25, 2)];
const ALL: u64 = 25;

static DATASET: LazyLock<(tempfile::TempDir, Arc<Dataset>)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), TokenDtype::U16, &PHASES, &[("validation/web", 4, 5, &[5])]);
    let dataset = Arc::new(Dataset::open(dir.path()).unwrap());
    (dir, dataset)
});

fn dataset() -> Arc<Dataset> {
    Arc::clone(&DATASET.1)
}

fn position(window: u64) -> u64 {
    window.min(13) * 4 + window.saturating_sub(13).min(11) * 8 + window.saturating_sub(24) * 2
}

fn size_at(size: &BatchSize, window: u64) -> u64 {
    let last = |steps: &[(u64, u64)], at| steps.iter().rfind(|step| step.0 <= at).unwrap().1;
    match size {
        BatchSize::Constant(size) => *size,
        BatchSize::ByWindow(steps) => last(steps, window),
        BatchSize::ByToken(steps) => last(steps, position(window)),
    }
}

/// The batches of the one-rank run from `start` on, found by walking.
fn walk(start: u64, size: &BatchSize, skip: &[(u64, u64)], phase_end: PhaseEnd) -> Vec<Vec<u64>> {
    let (mut batches, mut first) = (Vec::new(), 0);
    for (end, _) in ENDS {
        let skipped = |window: &u64| skip.iter().any(|(from, to)| from <= window && window < to);
        let mut windows = (first.max(start)..end).filter(|window| !skipped(window)).peekable();
        while let Some(&next) = windows.peek() {
            let full = usize::try_from(size_at(size, next)).unwrap();
            let batch: Vec<_> = windows.by_ref().take(full).collect();
            if phase_end == PhaseEnd::Short || batch.len() == full {
                batches.push(batch);
            }
        }
        first = end;
    }
    batches
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

fn skips() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0..ALL, 0..8_u64).prop_map(|(from, length)| (from, from + length)), 0..3)
}

fn ends() -> impl Strategy<Value = PhaseEnd> {
    prop::sample::select(vec![PhaseEnd::Short, PhaseEnd::Drop])
}

/// How one stretch of a run is read: batch size, ranks, rows of a piece, threads.
fn stretches() -> impl Strategy<Value = (BatchSize, u32, Option<u64>, usize)> {
    let world = prop::sample::select(vec![1_u32, 2, 3, 8]);
    (sizes(), world, prop::option::of(1..4_u64), prop::sample::select(vec![0, 0, 1, 3]))
}

/// Reads one step on every rank; its windows in the global order, taken from the ranks in turn.
fn step(ranks: &mut [Loader]) -> Option<Vec<u64>> {
    let mut queues = Vec::new();
    let mut targets = (0, None);
    for loader in ranks.iter_mut() {
        let mut rows = Vec::new();
        loop {
            let batch = loader.next_batch().unwrap()?;
            let ids = batch.i64(Array::WindowIds).unwrap();
            assert_eq!(ids.len(), batch.rows());
            rows.extend_from_slice(ids);
            targets.0 += batch.bytes(Array::LossMask).unwrap().iter().map(|&on| u64::from(on)).sum::<u64>();
            assert_eq!(*targets.1.get_or_insert(batch.num_targets_global()), batch.num_targets_global());
            if batch.micro().0 + 1 == batch.micro().1 {
                break;
            }
        }
        queues.push(rows.into_iter());
    }
    assert_eq!(Some(targets.0), targets.1);
    let count = queues.iter().map(ExactSizeIterator::len).sum::<usize>();
    let world = queues.len();
    let windows = (0..count).map(|i| u64::try_from(queues[i % world].next().unwrap()).unwrap()).collect();
    Some(windows)
}

fn options(size: &BatchSize, (rank, world): (u32, u32)) -> LoaderOptions {
    LoaderOptions { size: size.clone(), rank, world, ..LoaderOptions::new(1) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Promise: whatever the ranks, batch sizes, skips and resumes, all read what one rank would have read, in its order.
    #[test]
    fn resumed_runs_together_equal_the_one_rank_run(
        runs in prop::collection::vec((stretches(), 0..6_usize), 1..4),
        skip in skips(),
        phase_end in ends(),
    ) {
        let mut state: Option<LoaderState> = None;
        let mut seen = Vec::new();
        let last = runs.len() - 1;
        for (number, ((size, world, micro, threads), steps)) in runs.into_iter().enumerate() {
            let mut ranks: Vec<_> = (0..world).map(|rank| {
                let mut options = options(&size, (rank, world));
                (options.micro, options.threads, options.phase_end) = (micro, threads, phase_end);
                options.skip.clone_from(&skip);
                options.prefetch_bytes = 1000;
                let mut loader = Loader::new(dataset(), options).unwrap();
                if let Some(state) = &state {
                    loader.load_state(state).unwrap();
                }
                loader
            }).collect();
            let start = state.as_ref().map_or(0, |state| state.next_window);
            let mut expected = walk(start, &size, &skip, phase_end).into_iter();
            let steps = if number == last { usize::MAX } else { steps };
            for _ in 0..steps {
                let found = step(&mut ranks);
                prop_assert_eq!(&found, &expected.next());
                let Some(windows) = found else { break };
                seen.extend(windows);
                let states: Vec<_> = ranks.iter().map(|loader| loader.state().unwrap()).collect();
                prop_assert!(states.iter().all(|state| *state == states[0]));
                prop_assert_eq!(states[0].next_window, seen.last().unwrap() + 1);
                state = states.into_iter().next();
            }
        }
        prop_assert!(seen.is_sorted_by(|a, b| a < b));
        if phase_end == PhaseEnd::Short {
            let all: Vec<_> = walk(0, &BatchSize::Constant(1), &skip, phase_end).concat();
            prop_assert_eq!(seen, all);
        }
    }

    /// Step, windows and tokens determine each other.
    #[test]
    fn a_schedule_is_the_run(size in sizes(), skip in skips(), phase_end in ends(), start in 0..=ALL) {
        let mut asked = options(&size, (0, 1));
        (asked.skip, asked.phase_end, asked.start, asked.threads) = (skip.clone(), phase_end, start, 0);
        let mut loader = Loader::new(dataset(), asked).unwrap();
        let batches = walk(start, &size, &skip, phase_end);
        let schedule = loader.schedule().clone();
        let first = loader.next_step();
        prop_assert_eq!(schedule.steps() - first, u64::try_from(batches.len()).unwrap());
        prop_assert_eq!(loader.remaining(), u64::try_from(batches.len()).unwrap());
        for (number, batch) in (first..).zip(&batches) {
            let step = schedule.at(number).unwrap();
            prop_assert_eq!((step.start, step.end - 1), (batch[0], *batch.last().unwrap()));
            prop_assert_eq!(step.windows, u64::try_from(batch.len()).unwrap());
            prop_assert_eq!(step.position, position(batch[0]));
            let (begin, end) = [(0, 13), (13, 24), (24, 25)].into_iter().find(|phase| batch[0] < phase.1).unwrap();
            let progress = (batch[0] - begin) as f64 / (end - begin) as f64;
            prop_assert_eq!(step.progress, progress);
            for &window in batch {
                prop_assert_eq!(schedule.step_of(window).unwrap(), number);
            }
            let read = loader.next_batch().unwrap().unwrap();
            prop_assert_eq!(read.step().unwrap().step, number);
        }
        prop_assert!(loader.next_batch().unwrap().is_none());
        prop_assert!(schedule.at(schedule.steps()).is_err());
        if start == 0 && phase_end == PhaseEnd::Short {
            let mut tokens = 0;
            for (number, batch) in (0..).zip(&batches) {
                prop_assert_eq!(schedule.at(number).unwrap().tokens, tokens);
                tokens += batch.iter().map(|&window| position(window + 1) - position(window)).sum::<u64>();
            }
        }
        for (from, to) in skip {
            for window in from..to.min(ALL) {
                prop_assert!(schedule.step_of(window).is_err());
            }
        }
    }
}

/// All arrays of all pieces of a run.
#[derive(Debug, Default, PartialEq)]
struct Arrays {
    ids: Vec<i64>,
    labels: Vec<i64>,
    positions: Vec<i64>,
    segments: Vec<i32>,
    mask: Vec<u8>,
    sources: Vec<i32>,
    epochs: Vec<i32>,
    windows: Vec<i64>,
    borders: Vec<i32>,
    longest: usize,
}

fn ids(batch: &MicroBatch, array: Array) -> Vec<i64> {
    match batch.i64(array) {
        Some(ids) => ids.to_vec(),
        None => batch.i32(array).unwrap().iter().map(|&id| i64::from(id)).collect(),
    }
}

fn arrays(batch: &MicroBatch) -> Arrays {
    Arrays {
        ids: ids(batch, Array::InputIds),
        labels: ids(batch, Array::Labels),
        positions: ids(batch, Array::PositionIds),
        segments: batch.i32(Array::SegmentIds).unwrap().to_vec(),
        mask: batch.bytes(Array::LossMask).unwrap().to_vec(),
        sources: batch.i32(Array::SourceIds).unwrap().to_vec(),
        epochs: batch.i32(Array::Epochs).unwrap().to_vec(),
        windows: batch.i64(Array::WindowIds).unwrap().to_vec(),
        borders: batch.cu_seqlens().to_vec(),
        longest: batch.max_seqlen(),
    }
}

/// What `Batch::fill`, itself compared with brute force, writes for the same batches.
fn filled(fill: &FillOptions) -> Vec<Arrays> {
    let of = |batch: crate::Batch<'_>| {
        let s = usize::try_from(batch.set().sequence_length()).unwrap();
        let (rows, n) = (batch.len(), batch.len() * s);
        let mut out = Arrays {
            ids: vec![0; n],
            labels: vec![0; n],
            positions: vec![0; n],
            segments: vec![0; n],
            mask: vec![0; n],
            sources: vec![0; rows],
            epochs: vec![0; rows],
            windows: vec![0; rows],
            ..Arrays::default()
        };
        let mut buffers = Buffers {
            input_ids: Some(&mut out.ids[..]),
            labels: Some(&mut out.labels),
            position_ids: Some(&mut out.positions),
            segment_ids: Some(&mut out.segments),
            loss_mask: Some(&mut out.mask),
            source_ids: Some(&mut out.sources),
            epochs: Some(&mut out.epochs),
            window_ids: Some(&mut out.windows),
            cu_seqlens: Some(&mut out.borders),
        };
        out.longest = batch.fill(&mut buffers, fill).unwrap().max_seqlen;
        out
    };
    dataset().batches(BatchOptions::new(3)).unwrap().map(of).collect()
}

#[test]
fn arrays_are_those_of_fill_and_stay_while_they_are_held() {
    for (threads, width) in [(0, IdType::I64), (1, IdType::I32), (3, IdType::I64)] {
        for mask_document_starts in [false, true] {
            let fill = FillOptions { mask_document_starts, ..FillOptions::default() };
            let mut options = LoaderOptions { threads, fill, ..LoaderOptions::new(3) };
            options.outputs.ids = width;
            // All are held until the end: none may be overwritten.
            let held: Vec<_> = Loader::new(dataset(), options).unwrap().map(Result::unwrap).collect();
            assert_eq!(held.iter().map(arrays).collect::<Vec<_>>(), filled(&fill));
        }
    }
}

#[test]
fn blocks_are_used_again() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let counting = |bytes| {
        MADE.fetch_add(1, Ordering::Relaxed);
        heap(bytes)
    };
    let options = LoaderOptions { threads: 2, prefetch_bytes: 2_000, ..LoaderOptions::new(1) };
    let mut loader = Loader::with_memory(dataset(), options.clone(), Box::new(counting), 0).unwrap();
    let mut held = None;
    while let Some(batch) = loader.next_batch().unwrap() {
        held = Some(batch);
    }
    drop(held);
    assert!((2..8).contains(&MADE.load(Ordering::Relaxed)), "{MADE:?}");
    // Blocks that rest longer than the ring is deep are never used again: each batch needs its own, and none is lost.
    let loader = Loader::with_memory(dataset(), options, Box::new(heap), 1_000).unwrap();
    assert_eq!(loader.map(|batch| batch.unwrap().rows()).sum::<usize>(), 25);
}

#[test]
fn context_ranks_together_hold_each_row() {
    for (ranks, cut) in [(1, Cut::Zigzag), (2, Cut::Contiguous), (2, Cut::Zigzag), (4, Cut::Contiguous)] {
        let reads = Reads::Phase("c".to_owned());
        let load = |context| {
            let options = LoaderOptions { context, reads: reads.clone(), ..LoaderOptions::new(4) };
            let batches: Vec<_> = Loader::new(dataset(), options).unwrap().map(Result::unwrap).collect();
            batches.iter().map(arrays).collect::<Vec<_>>()
        };
        let whole = load(None);
        for rank in 0..ranks {
            let context = Context { rank, ranks, cut };
            let parts = context.parts(8).unwrap();
            for (whole, part) in whole.iter().zip(load(Some(context))) {
                let rows = whole.windows.len();
                let places: Vec<_> =
                    (0..rows).flat_map(|row| parts.iter().cloned().flatten().map(move |p| row * 8 + p)).collect();
                let pick = |from: &[i64]| places.iter().map(|&p| from[p]).collect::<Vec<_>>();
                assert_eq!(part.ids, pick(&whole.ids));
                assert_eq!(part.labels, pick(&whole.labels));
                assert_eq!(part.positions, pick(&whole.positions));
                assert_eq!(part.segments, places.iter().map(|&p| whole.segments[p]).collect::<Vec<_>>());
                assert_eq!(part.mask, places.iter().map(|&p| whole.mask[p]).collect::<Vec<_>>());
                assert_eq!((&part.borders, part.longest), (&whole.borders, whole.longest));
                assert_eq!((&part.windows, &part.sources), (&whole.windows, &whole.sources));
            }
        }
    }
    assert_eq!(Context { rank: 1, ranks: 2, cut: Cut::Zigzag }.parts(8).unwrap(), [2..4, 4..6]);
    assert_eq!(Context { rank: 0, ranks: 2, cut: Cut::Zigzag }.parts(8).unwrap(), [0..2, 6..8]);
    let uneven = Some(Context { rank: 0, ranks: 3, cut: Cut::Contiguous });
    assert!(Loader::new(dataset(), LoaderOptions { context: uneven, ..LoaderOptions::new(4) }).is_err());
}

#[test]
fn padded_borders_have_one_shape_or_fail() {
    let mut options = LoaderOptions::new(5);
    options.outputs.cu_seqlens = Borders::Padded(64);
    for batch in Loader::new(dataset(), options.clone()).unwrap() {
        let batch = batch.unwrap();
        let borders = batch.cu_seqlens();
        assert_eq!(borders.len(), 65);
        assert!(borders.is_sorted());
        assert_eq!(usize::try_from(borders[64]).unwrap(), batch.rows() * batch.width());
    }
    options.outputs.cu_seqlens = Borders::Padded(2);
    for threads in [0, 2] {
        options.threads = threads;
        let mut loader = Loader::new(dataset(), options.clone()).unwrap();
        for _ in 0..2 {
            let error = loader.next_batch().unwrap_err().to_string();
            assert!(error.contains("max_docs"), "{error}");
        }
        assert_eq!(loader.state().unwrap().next_window, 0);
    }
}

#[test]
fn a_state_is_of_its_dataset_or_one_that_extends_it() {
    let shorter = tempfile::tempdir().unwrap();
    write(shorter.path(), TokenDtype::U16, &PHASES[..3], &[]);
    let open = |dir: &std::path::Path| Arc::new(Dataset::open(dir).unwrap());
    let load = |dataset: Arc<Dataset>| Loader::new(dataset, LoaderOptions::new(4)).unwrap();
    let mut first = load(open(shorter.path()));
    first.by_ref().take(4).for_each(|batch| drop(batch.unwrap()));
    let state = first.state().unwrap();
    assert_eq!((state.next_window, state.digests.len()), (13, 2));
    // The fixture's windows depend on those before them alone, so the longer dataset begins with the shorter.
    let mut longer = load(dataset());
    longer.load_state(&state).unwrap();
    assert_eq!(longer.next_batch().unwrap().unwrap().i64(Array::WindowIds).unwrap(), [13, 14, 15, 16]);
    let written = serde_json::to_string(&longer.state().unwrap()).unwrap();
    let read: LoaderState = serde_json::from_str(&written).unwrap();
    assert_eq!(read, longer.state().unwrap());
    assert!(!written.contains("batch") && !written.contains("rank"), "{written}");

    let other = tempfile::tempdir().unwrap();
    write(other.path(), TokenDtype::U16, &[("a", 4, 5, &[7, 6]), ("z", 8, 9, &[11])], &[]);
    let mut changed = load(open(other.path()));
    // Phase `a` alone was reached, and is the same.
    changed.load_state(&state).unwrap();
    let message = changed.load_state(&read).unwrap_err().to_string();
    assert!(message.contains("`z`"), "{message}");
    assert_eq!(changed.state().unwrap().next_window, 13, "a refused state changes nothing");
    let wide = tempfile::tempdir().unwrap();
    write(wide.path(), TokenDtype::U32, &PHASES, &[]);
    assert!(matches!(load(open(wide.path())).load_state(&state), Err(Error::Contract(_))));
    let one = LoaderOptions { reads: Reads::Phase("a".to_owned()), ..LoaderOptions::new(4) };
    assert!(Loader::new(dataset(), one).unwrap().load_state(&state).is_err());
}

#[test]
fn a_rewound_run_leaves_out_what_it_is_told() {
    let mut loader = Loader::new(dataset(), LoaderOptions::new(4)).unwrap();
    loader.next_batch().unwrap().unwrap();
    let state = loader.state().unwrap();
    let options = LoaderOptions { skip: vec![(6, 9)], ..LoaderOptions::new(2) };
    let mut rewound = Loader::new(dataset(), options).unwrap();
    rewound.load_state(&state).unwrap();
    let windows: Vec<i64> =
        rewound.by_ref().take(3).flat_map(|batch| batch.unwrap().i64(Array::WindowIds).unwrap().to_vec()).collect();
    assert_eq!(windows, [4, 5, 9, 10, 11, 12]);
    assert_eq!(rewound.state().unwrap().skip, [(6, 9)]);
}

#[test]
fn a_held_out_set_is_read_like_a_phase() {
    let options = LoaderOptions { reads: Reads::Validation("validation/web".to_owned()), ..LoaderOptions::new(3) };
    let mut loader = Loader::new(dataset(), options.clone()).unwrap();
    let ids = |loader: &mut Loader| loader.next_batch().unwrap().map(|b| b.i64(Array::WindowIds).unwrap().to_vec());
    assert_eq!(ids(&mut loader), Some(vec![0, 1, 2]));
    let state = loader.state().unwrap();
    assert_eq!(state.digests, [dataset().manifest().validation[0].digest.clone()]);
    assert_eq!(ids(&mut loader), Some(vec![3, 4]));
    assert_eq!(ids(&mut loader), None);
    let mut again = Loader::new(dataset(), options).unwrap();
    again.load_state(&state).unwrap();
    assert_eq!(ids(&mut again), Some(vec![3, 4]));
}

/// A shard cut after it was mapped: an error that names it, on whichever thread, and no fault; healed, the run goes on.
#[cfg(target_os = "linux")]
#[test]
fn a_shard_cut_under_the_map_is_an_error() {
    for threads in [0, 2] {
        let dir = tempfile::tempdir().unwrap();
        // 4,096 tokens of two bytes: a window lies on pages of its own.
        write(dir.path(), TokenDtype::U16, &[("a", 4_095, 4_096, &[6])], &[]);
        let dataset = Arc::new(Dataset::open(dir.path()).unwrap());
        let options = LoaderOptions { threads, prefetch_bytes: 1, ..LoaderOptions::new(1) };
        let mut loader = Loader::new(dataset, options).unwrap();
        loader.next_batch().unwrap().unwrap();
        let path = dir.path().join("a/00000.bin");
        let bytes = fs_err::read(&path).unwrap();
        let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(3 * 8_192).unwrap();
        let results: Vec<_> = loader.by_ref().take(5).collect();
        let fails = results.iter().filter_map(|result| result.as_ref().err()).map(ToString::to_string);
        let fails: Vec<_> = fails.collect();
        assert!(fails.len() >= 3 && fails.iter().all(|message| message.contains("a/00000.bin")), "{fails:?}");
        drop(results);
        fs_err::write(&path, bytes).unwrap();
        assert_eq!(loader.state().unwrap().next_window, 3);
        assert_eq!(loader.map(|batch| batch.unwrap().i64(Array::WindowIds).unwrap()[0]).collect::<Vec<_>>(), [3, 4, 5]);
    }
}

#[test]
fn what_does_not_exist_is_refused() {
    let good = LoaderOptions::new(2);
    let refused = [
        LoaderOptions { rank: 1, ..good.clone() },
        LoaderOptions { micro: Some(0), ..good.clone() },
        LoaderOptions { start: ALL + 1, ..good.clone() },
        LoaderOptions { skip: vec![(3, 2)], ..good.clone() },
        LoaderOptions { size: BatchSize::ByToken(vec![(1, 2)]), ..good.clone() },
        LoaderOptions { reads: Reads::Phase("none".to_owned()), ..good.clone() },
        LoaderOptions { context: Some(Context { rank: 2, ranks: 2, cut: Cut::Zigzag }), ..good.clone() },
    ];
    for options in refused {
        assert!(Loader::new(dataset(), options.clone()).is_err(), "{options:?}");
    }
    let huge = LoaderOptions { size: BatchSize::Constant(u64::MAX), phase_end: PhaseEnd::Drop, ..good };
    assert_eq!(Loader::new(dataset(), huge).unwrap().remaining(), 0);
}
