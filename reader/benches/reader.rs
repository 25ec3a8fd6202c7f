//! What the reader costs: `cargo bench -p syllabus-reader`, or with the names of some: `open`, `window`, `loader`.
//!
//! Datasets are written to the folder for temporary files. All numbers are of a warm page cache. Where Linux tells, times are of
//! the CPU and not of the clock, so that other work on the machine shows less; `open`, which may use threads, is timed by the clock.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark talks, and dies")]
#![expect(clippy::cast_precision_loss, clippy::cast_possible_wrap, reason = "figures for people")]

#[path = "../src/tests/fixture.rs"]
mod fixture;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use syllabus_reader::format::TokenDtype;
use syllabus_reader::loader::{Array, Loader, LoaderOptions};
use syllabus_reader::{Dataset, OpenOptions};

const SHARDS: usize = 10_000;

fn main() {
    let names: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let asked = |name: &str| names.is_empty() || names.iter().any(|asked| asked == name);
    if asked("open") {
        open();
    }
    if asked("window") || asked("loader") {
        let dir = tempfile::tempdir().unwrap();
        // 61 million tokens.
        fixture::write(dir.path(), TokenDtype::U16, &[("a", 4_095, 4_096, &[5_000, 5_000, 5_000])], &[]);
        if asked("window") {
            window(dir.path());
        }
        if asked("loader") {
            loader(dir.path());
        }
    }
}

/// Seconds that this thread has run on a CPU, where Linux tells.
fn ran() -> Option<f64> {
    let text = fs_err::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}

/// The smallest and the middle of some times of this thread, in milliseconds.
fn time(times: usize, body: impl FnMut()) -> (f64, f64) {
    let start = Instant::now();
    measure(times, || ran().unwrap_or_else(|| start.elapsed().as_secs_f64()), body)
}

/// As [`time`], by the clock.
fn clock(times: usize, body: impl FnMut()) -> (f64, f64) {
    let start = Instant::now();
    measure(times, || start.elapsed().as_secs_f64(), body)
}

fn measure(times: usize, now: impl Fn() -> f64, mut body: impl FnMut()) -> (f64, f64) {
    let mut found: Vec<f64> = (0..times)
        .map(|_| {
            let start = now();
            body();
            (now() - start) * 1e3
        })
        .collect();
    found.sort_by(f64::total_cmp);
    (found[0], found[times / 2])
}

/// A line of `/proc/self/status`, in KiB.
fn status(key: &str) -> u64 {
    let text = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

fn memory(when: &str) {
    let count = |path: &str| fs_err::read_dir(path).map_or(0, Iterator::count);
    let maps = fs_err::read_to_string("/proc/self/maps").unwrap_or_default().lines().count();
    println!(
        "  {when}: RSS {} KiB (own {}, of files {}), page tables {} KiB, {maps} maps, {} open files",
        status("VmRSS"),
        status("RssAnon"),
        status("RssFile"),
        status("VmPTE"),
        count("/proc/self/fd"),
    );
}

fn open() {
    let dir = tempfile::tempdir().unwrap();
    fixture::write(dir.path(), TokenDtype::U16, &[("a", 512, 513, &[4; SHARDS])], &[]);
    let size = fs_err::metadata(dir.path().join("manifest.json")).unwrap().len();
    let (best, middle) = clock(9, || drop(black_box(Dataset::open(dir.path()).unwrap())));
    println!("open: {SHARDS} shards, manifest of {size} bytes: {best:.1} ms, middle {middle:.1} ms");
    let dataset = Arc::new(Dataset::open(dir.path()).unwrap());
    memory("opened");
    for threads in [0, 1] {
        let options = LoaderOptions { threads, prefetch_bytes: 1 << 20, ..LoaderOptions::new(8) };
        let start = Instant::now();
        let windows: usize = Loader::new(Arc::clone(&dataset), options)
            .unwrap()
            .map(|batch| {
                let batch = batch.unwrap();
                let first = batch.i64(Array::WindowIds).unwrap().first().copied();
                if first == Some(4 * SHARDS as i64 / 2) {
                    memory(&format!("a loader with {threads} threads, half-way"));
                }
                batch.rows()
            })
            .sum();
        assert_eq!(windows, 4 * SHARDS);
        memory(&format!("after its pass ({:.2} s)", start.elapsed().as_secs_f64()));
    }
    let start = Instant::now();
    for i in 0..dataset.len() {
        black_box(dataset.window(i).unwrap());
    }
    memory(&format!("after a pass by windows, all mapped ({:.2} s)", start.elapsed().as_secs_f64()));
}

fn window(dir: &std::path::Path) {
    let order: Vec<u64> = {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % 15_000
        };
        (0..100_000).map(|_| next()).collect()
    };
    let each = |(best, middle): (f64, f64)| (best * 1e6 / order.len() as f64, middle * 1e6 / order.len() as f64);
    for hash_on_first_touch in [false, true] {
        let dataset = OpenOptions { hash_on_first_touch, ..OpenOptions::default() }.open(dir).unwrap();
        let set = &dataset.phases()[0];
        let start = Instant::now();
        for shard in 0..3 {
            black_box(set.window(shard * 5_000).unwrap());
        }
        println!(
            "window: first touch of a shard of 41 MB, hashed: {hash_on_first_touch}: {:.2} ms",
            start.elapsed().as_secs_f64() * 1e3 / 3.0
        );
        let tokens = each(time(5, || order.iter().for_each(|&i| _ = black_box(set.tokens(i).unwrap()))));
        let whole = each(time(5, || order.iter().for_each(|&i| _ = black_box(dataset.window(i).unwrap()))));
        let rows = each(time(5, || order.iter().for_each(|&i| _ = black_box(set.row(i).unwrap()))));
        println!(
            "  random order: tokens {:.0} ns (middle {:.0}), window {:.0} ns ({:.0}), row {:.0} ns ({:.0})",
            tokens.0, tokens.1, whole.0, whole.1, rows.0, rows.1
        );
    }
}

fn loader(dir: &std::path::Path) {
    for (threads, world) in [(0, 1), (0, 8), (1, 1)] {
        let (mut windows, mut bytes) = (0, 0);
        let run = || {
            (windows, bytes) = (0, 0);
            let dataset = Arc::new(Dataset::open(dir).unwrap());
            let options = LoaderOptions { threads, world, ..LoaderOptions::new(16 * u64::from(world)) };
            for batch in Loader::new(dataset, options).unwrap() {
                let batch = batch.unwrap();
                windows += batch.rows();
                // ids, labels and positions of 8 bytes, segments of 4, the mask of 1.
                bytes += batch.rows() * batch.width() * 29;
            }
        };
        // What threads do is not this thread's time.
        let (best, middle) = if threads == 0 { time(5, run) } else { clock(5, run) };
        let rate = |ms: f64| (windows as f64 / ms * 1e3, bytes as f64 / ms / 1e6);
        let (best, middle) = (rate(best), rate(middle));
        println!(
            "loader: {threads} threads, rank 0 of {world}: {:.0} windows/s, {:.2} GB/s written (middle {:.0}, {:.2})",
            best.0, best.1, middle.0, middle.1
        );
    }
}
