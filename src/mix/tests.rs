//! Streams against brute force: every token of every window is looked at.

#![expect(clippy::cast_possible_truncation, reason = "the small numbers of these cases")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::*;
use crate::curriculum::checked::Packing;
use crate::error::Error;

/// Documents in memory.
#[derive(Debug, Clone)]
struct Memory {
    bits: u32,
    entries: Vec<Entry>,
    tokens: Vec<u64>,
}

impl Memory {
    /// Documents of the given lengths, with keys that look random.
    fn new(bits: u32, lengths: &[u32]) -> Self {
        let mut start = 0;
        let mut entries: Vec<Entry> = Vec::new();
        for (&tokens, i) in lengths.iter().zip(0_u64..) {
            let half = |salt: u64| u128::from(xxh3_64(&(i * 2 + salt).to_le_bytes()));
            entries.push(Entry { key: half(0) << 64 | half(1), tokens, segment: u32::from(i % 3 == 0), start });
            start += u64::from(tokens);
        }
        entries.sort_by_key(|entry| entry.key);
        let mut tokens = vec![0; 1 << bits];
        for entry in &entries {
            tokens[range_of(entry.key, bits) as usize] += u64::from(entry.tokens);
        }
        Self { bits, entries, tokens }
    }

    fn total(&self) -> u64 {
        self.tokens.iter().sum()
    }
}

impl Documents for Memory {
    fn bits(&self) -> u32 {
        self.bits
    }

    fn range_tokens(&self) -> &[u64] {
        &self.tokens
    }

    fn range(&self, range: u32) -> Result<Vec<Entry>> {
        Ok(self.entries.iter().copied().filter(|entry| range_of(entry.key, self.bits) == range).collect())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    draw: usize,
    padding: u32,
    pieces: Vec<Piece>,
}

/// All windows of all draws in training order.
fn windows(stream: &SourceStream<'_>, draws: &[Draw]) -> Vec<Window> {
    let mut windows = Vec::new();
    for (number, draw) in draws.iter().enumerate() {
        for k in 0..draw.windows {
            let mut pieces = Vec::new();
            let padding = stream.window(number, k, &mut pieces).unwrap();
            windows.push(Window { draw: number, padding, pieces });
        }
        assert!(stream.window(number, draw.windows, &mut Vec::new()).is_err());
    }
    windows
}

type Token = (u128, u32);

fn tokens(piece: &Piece) -> impl Iterator<Item = Token> {
    let Piece { entry, offset, length, .. } = *piece;
    (offset..offset + length).map(move |token| (entry.key, token))
}

/// All that must hold, whatever the documents and the draws.
fn check(documents: &Memory, draws: &[Draw], stream: &SourceStream<'_>, windows: &[Window]) {
    let all: BTreeSet<Token> =
        documents.entries.iter().flat_map(|entry| (0..entry.tokens).map(|token| (entry.key, token))).collect();
    let mut epochs: BTreeMap<u32, BTreeSet<Token>> = BTreeMap::new();
    for window in windows {
        let Draw { window_tokens, packing, .. } = draws[window.draw];
        let filled: u32 = window.pieces.iter().map(|piece| piece.length).sum();
        assert_eq!(filled + window.padding, window_tokens);
        assert!(filled > 0 && (window.padding == 0 || packing == Packing::BestFit));
        for piece in &window.pieces {
            assert!(
                piece.length > 0 && u64::from(piece.offset) + u64::from(piece.length) <= u64::from(piece.entry.tokens)
            );
            assert!(documents.entries.contains(&piece.entry));
            let seen = epochs.entry(piece.epoch).or_default();
            for token in tokens(piece) {
                assert!(seen.insert(token), "token {token:?} is read twice in epoch {}", piece.epoch);
            }
        }
        if packing == Packing::BestFit {
            assert!(window.pieces.iter().all(|piece| piece.epoch == window.pieces[0].epoch), "packed across epochs");
        }
        // Epochs are finished before the next is read beyond the window that finishes one.
        let begun = epochs.last_key_value().map_or(0, |(&epoch, _)| epoch);
        for epoch in begun.saturating_sub(1)..begun {
            let seen = epochs.get(&epoch).map_or(0, BTreeSet::len);
            assert_eq!(seen, all.len(), "epoch {epoch} is not finished when {begun} begins");
        }
    }

    let begun = epochs.last_key_value().map_or(0, |(&epoch, _)| epoch);
    let usage = stream.usage();
    assert_eq!(usage.len() as u32, begun + 1);
    for (epoch, used) in usage.iter().enumerate() {
        let epoch = epoch as u32;
        let emitted = epochs.get(&epoch).map_or(0, |seen| seen.len() as u64);
        let unused = documents.total() - emitted;
        assert_eq!(*used, EpochUse { epoch, emitted, unused, truncated: 0 });
        assert!(unused == 0 || epoch == begun);
    }
    let touched: BTreeSet<u128> = epochs.values().flatten().map(|token| token.0).collect();
    let untouched = documents.entries.iter().filter(|entry| entry.tokens > 0 && !touched.contains(&entry.key)).count();
    assert_eq!(stream.untouched_documents().unwrap(), untouched as u64);
}

fn draw(windows: u64, window_tokens: u32, packing: Packing) -> Draw {
    Draw { windows, window_tokens, packing }
}

fn documents() -> impl Strategy<Value = Memory> {
    let length = prop_oneof![4 => 1_u32..60, 1 => 60_u32..500, 1 => 0_u32..3];
    (0_u32..5, prop::collection::vec(length, 1..60))
        .prop_map(|(bits, lengths)| Memory::new(bits, &lengths))
        .prop_filter("tokens", |documents| documents.total() > 0)
}

fn packing() -> impl Strategy<Value = Packing> {
    prop_oneof![Just(Packing::Concat), Just(Packing::BestFit)]
}

/// Draws of which neighbours are often alike, and which together read the source up to a few times.
fn draws() -> impl Strategy<Value = Vec<Draw>> {
    let shape = prop_oneof![Just(7_u32), Just(16), 2_u32..65, 200_u32..3_000];
    prop::collection::vec((0_u64..40, shape, packing()), 1..7)
        .prop_map(|draws| draws.into_iter().map(|(windows, tokens, packing)| draw(windows, tokens, packing)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_token_is_accounted_for(documents in documents(), draws in draws(), seed: u64) {
        let stream = SourceStream::new(&documents, seed, "source", None, &draws).unwrap();
        let forward = windows(&stream, &draws);
        check(&documents, &draws, &stream, &forward);

        // Any order of asking, from a stream laid out anew, gives the same; so do several threads at once.
        let again = SourceStream::new(&documents, seed, "source", None, &draws).unwrap();
        let mut asked = Vec::new();
        for (number, draw) in draws.iter().enumerate() {
            asked.extend((0..draw.windows).map(|k| (number, k)));
        }
        let mut order: Vec<usize> = (0..asked.len()).collect();
        order.sort_by_key(|index| xxh3_64(&index.to_le_bytes()));
        std::thread::scope(|scope| {
            for half in order.chunks(order.len().div_ceil(2).max(1)) {
                let (again, asked, forward) = (&again, &asked, &forward);
                scope.spawn(move || {
                    for &index in half {
                        let (number, k) = asked[index];
                        // What an earlier call left in the vector must go.
                        let mut pieces = vec![forward[0].pieces[0]];
                        let padding = again.window(number, k, &mut pieces).unwrap();
                        assert_eq!((&pieces, padding), (&forward[index].pieces, forward[index].padding));
                    }
                });
            }
        });

        // A shorter curriculum's windows are the beginning of a longer one's.
        for shorter in 0..draws.len() {
            let mut first = draws[..=shorter].to_vec();
            first[shorter].windows /= 2;
            let stream = SourceStream::new(&documents, seed, "source", None, &first).unwrap();
            let windows = windows(&stream, &first);
            prop_assert_eq!(&windows[..], &forward[..windows.len()]);
            check(&documents, &first, &stream, &windows);
        }
    }

    /// What a source can give is said exactly: so many windows can be had, and one more cannot.
    #[test]
    fn exhaustion_is_exact(documents in documents(), mut draws in draws(), seed: u64, epochs in 0_u32..4) {
        for draw in &mut draws {
            draw.windows *= 3;
        }
        let error = loop {
            match SourceStream::new(&documents, seed, "source", Some(epochs), &draws) {
                Ok(_) => draws.push(draw(1_000, 9, Packing::Concat)),
                Err(error) => break error,
            }
        };
        let StreamError::Exhausted { draw: short, asked, available, tokens, .. } = error else { panic!("{error}") };
        prop_assert_eq!((asked, tokens), (draws[short].windows, documents.total()));
        prop_assert!(available < asked);
        draws.truncate(short + 1);
        draws[short].windows = available;
        let stream = SourceStream::new(&documents, seed, "source", Some(epochs), &draws).unwrap();
        let all = windows(&stream, &draws);
        check(&documents, &draws, &stream, &all);
        prop_assert!(all.iter().flat_map(|window| &window.pieces).all(|piece| piece.epoch < epochs));
        // Nothing that would fill a window is left, unless it lies where a packed window has no room for it.
        let left: u64 = stream.usage().last().unwrap().unused
            + u64::from(epochs - stream.usage().len().min(epochs as usize) as u32) * documents.total();
        if draws[short].packing == Packing::Concat && epochs > 0 {
            prop_assert!(left < u64::from(draws[short].window_tokens));
        } else if epochs > 0 {
            prop_assert_eq!(left, 0);
        }
        draws[short].windows += 1;
        let error = SourceStream::new(&documents, seed, "source", Some(epochs), &draws).err().unwrap();
        let exhausted = matches!(error, StreamError::Exhausted { available: a, draw, .. } if a == available && draw == short);
        prop_assert!(exhausted, "{error}");
    }

    /// One stretch of `concat` against the line itself, cut by hand.
    #[test]
    fn concat_is_the_line_cut_and_permuted(documents in documents(), tokens in 1_u32..90, count in 1_u64..80, seed: u64) {
        let draws = [draw(count / 2, tokens, Packing::Concat), draw(count - count / 2, tokens, Packing::Concat)];
        let stream = SourceStream::new(&documents, seed, "source", None, &draws).unwrap();
        let read: Vec<Vec<Piece>> = windows(&stream, &draws).into_iter().map(|window| window.pieces).collect();

        let hash = hash::SourceHash::new(seed, "source");
        let needed = (count * u64::from(tokens) + documents.total()) as usize;
        let mut line: Vec<(u32, Token)> = Vec::new();
        // Where each range begins and ends, its epoch, and the range.
        let mut chunks = Vec::new();
        let mut epoch = 0;
        while line.len() < needed + documents.total() as usize {
            for range in hash.ranges(epoch, 1 << documents.bits) {
                let start = line.len();
                let mut entries = documents.range(range).unwrap();
                let mut order = hash.documents(epoch);
                entries.sort_by_key(|entry| order(entry.key));
                line.extend(entries.iter().flat_map(|entry| (0..entry.tokens).map(|token| (epoch, (entry.key, token)))));
                chunks.push((start, line.len(), epoch, range));
            }
            epoch += 1;
        }
        let size = tokens as usize;
        let mut expected = Vec::new();
        for (start, end, epoch, range) in chunks {
            let mut starts: Vec<usize> = (start.div_ceil(size)..end.div_ceil(size)).collect();
            let total = documents.total() as usize;
            let last = starts.pop_if(|last| (*last + 1) * size > (epoch as usize + 1) * total);
            expected.extend(hash.windows(epoch, range, starts.len() as u32).into_iter().map(|index| starts[index as usize]));
            expected.extend(last);
        }
        prop_assert!(expected.len() as u64 >= count);
        for (window, pieces) in expected.into_iter().zip(&read) {
            let read: Vec<(u32, Token)> =
                pieces.iter().flat_map(|piece| tokens_of(piece).map(|token| (piece.epoch, token))).collect();
            prop_assert_eq!(&read[..], &line[window * size..(window + 1) * size]);
        }
    }

    #[test]
    fn best_fit_splits_nothing_that_fits(documents in documents(), tokens in 1_u32..90, count in 1_u64..60, seed: u64) {
        let draws = [draw(count, tokens, Packing::BestFit)];
        let stream = SourceStream::new(&documents, seed, "source", None, &draws).unwrap();
        let mut per_epoch = BTreeMap::new();
        for window in windows(&stream, &draws) {
            *per_epoch.entry(window.pieces[0].epoch).or_insert(0_u32) += 1;
            for piece in window.pieces {
                let whole = piece.offset == 0 && piece.length == piece.entry.tokens;
                prop_assert!(whole || piece.entry.tokens > tokens);
                prop_assert_eq!(piece.offset % tokens, 0);
            }
        }
        // As many windows in every finished epoch.
        per_epoch.pop_last();
        prop_assert!(per_epoch.values().all(|windows| windows == per_epoch.values().next().unwrap()));
    }
}

fn tokens_of(piece: &Piece) -> impl Iterator<Item = Token> + use<> {
    tokens(piece).collect::<Vec<_>>().into_iter()
}

#[test]
fn a_window_longer_than_the_source() {
    let documents = Memory::new(0, &[3]);
    let draws = [draw(4, 10, Packing::Concat), draw(2, 2, Packing::BestFit), draw(1, 5, Packing::Concat)];
    let stream = SourceStream::new(&documents, 1, "one", None, &draws).unwrap();
    let windows = windows(&stream, &draws);
    check(&documents, &draws, &stream, &windows);
    let epochs: Vec<Vec<(u32, u32, u32)>> = windows
        .iter()
        .map(|window| window.pieces.iter().map(|piece| (piece.epoch, piece.offset, piece.length)).collect())
        .collect();
    assert_eq!(epochs[0], [(0, 0, 3), (1, 0, 3), (2, 0, 3), (3, 0, 1)]);
    // 40 tokens are read: epoch 13 has two left, which are packed alone. Epoch 14 is two windows, of which the shorter comes first;
    // the other is the rest, before epoch 15.
    assert_eq!(epochs[4..], [vec![(13, 1, 2)], vec![(14, 2, 1)], vec![(14, 0, 2), (15, 0, 3)]]);
    assert_eq!(windows.iter().map(|window| window.padding).collect::<Vec<_>>(), [0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(stream.usage().len(), 16);
}

#[test]
fn a_source_never_drawn() {
    let documents = Memory::new(2, &[5, 6, 7, 0]);
    for draws in [&[][..], &[draw(0, 8, Packing::Concat), draw(0, 9, Packing::BestFit)]] {
        let stream = SourceStream::new(&documents, 1, "idle", Some(1), draws).unwrap();
        assert_eq!(stream.usage(), [EpochUse { epoch: 0, emitted: 0, unused: 18, truncated: 0 }]);
        assert_eq!(stream.untouched_documents().unwrap(), 3);
    }
}

#[test]
fn a_source_without_tokens() {
    let documents = Memory::new(1, &[0]);
    for packing in [Packing::Concat, Packing::BestFit] {
        let error = SourceStream::new(&documents, 1, "nothing", None, &[draw(1, 8, packing)]).err().unwrap();
        let StreamError::Exhausted { available: 0, asked: 1, draw: 0, .. } = error else { panic!("{error}") };
        assert!(error.to_string().contains("`nothing` has 0 windows left for phase 1"), "{error}");
        assert_eq!(Error::from(error).exit_code(), 3);
    }
}

/// An empty draw between two of one shape changes nothing: the source was not in that phase.
#[test]
fn an_absence_does_not_pack_anew() {
    let documents = Memory::new(1, &[50, 60, 70, 80]);
    let with = [draw(3, 16, Packing::Concat), draw(0, 9, Packing::BestFit), draw(4, 16, Packing::Concat)];
    let without = [draw(7, 16, Packing::Concat)];
    let read = |draws: &[Draw]| -> Vec<Vec<Piece>> {
        let stream = SourceStream::new(&documents, 1, "source", None, draws).unwrap();
        windows(&stream, draws).into_iter().map(|window| window.pieces).collect()
    };
    assert_eq!(read(&with), read(&without));
}

/// Documents of one key (a collision of hashes) are told apart by their order in the store.
#[test]
fn equal_keys_keep_stored_order() {
    let mut documents = Memory::new(0, &[4, 4]);
    let key = documents.entries[0].key;
    documents.entries[1].key = key;
    let stream = SourceStream::new(&documents, 1, "twins", Some(1), &[draw(1, 8, Packing::Concat)]).unwrap();
    let mut pieces = Vec::new();
    stream.window(0, 0, &mut pieces).unwrap();
    assert_eq!(pieces.iter().map(|piece| piece.entry).collect::<Vec<_>>(), documents.entries);
}

#[test]
fn a_store_that_miscounts_is_an_error() {
    let mut documents = Memory::new(1, &[9, 9, 9, 9]);
    documents.tokens[0] += 1;
    let stream = SourceStream::new(&documents, 1, "odd", None, &[draw(9, 4, Packing::Concat)]);
    let error = stream.and_then(|stream| {
        (0..9).try_for_each(|k| stream.window(0, k, &mut Vec::new()).map(drop))?;
        Ok(())
    });
    assert!(error.unwrap_err().to_string().contains("store is damaged"));
    documents.tokens.pop();
    assert!(SourceStream::new(&documents, 1, "odd", None, &[]).is_err());
    let zero = [draw(1, 0, Packing::Concat)];
    assert!(SourceStream::new(&Memory::new(0, &[9]), 1, "odd", None, &zero).is_err());
}

/// Interleave, labels and streams together: sources by name, each source's windows in its own order.
#[test]
fn a_stream_depends_on_its_seed_and_name_alone() {
    let documents = Memory::new(2, &(1..50).collect::<Vec<u32>>());
    let draws = [draw(20, 16, Packing::Concat)];
    let read = |seed, name| windows(&SourceStream::new(&documents, seed, name, None, &draws).unwrap(), &draws);
    assert_eq!(read(1, "web"), read(1, "web"));
    assert_ne!(read(1, "web"), read(2, "web"));
    assert_ne!(read(1, "web"), read(1, "wob"));
}

/// `cargo test --release -p syllabus --lib speed_of_streams -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, not a check"]
fn speed_of_streams() {
    let lengths: Vec<u32> = (0..400_000_u64).map(|i| 1 + (xxh3_64(&i.to_le_bytes()) % 1_000) as u32).collect();
    let large = Memory::new(2, &lengths);
    let tiny = Memory::new(0, &[5, 6, 7]);
    for (name, documents, count) in [("200M tokens", &large, 60_000), ("18 tokens", &tiny, 1_000)] {
        for packing in [Packing::Concat, Packing::BestFit] {
            let draws = [draw(count / 2, 4_097, packing), draw(count / 2, 4_097, packing)];
            let start = std::time::Instant::now();
            let stream = SourceStream::new(documents, 1, "source", None, &draws).unwrap();
            let laid = start.elapsed();
            let mut pieces = Vec::new();
            let mut read = 0;
            for number in 0..2 {
                for k in 0..count / 2 {
                    stream.window(number, k, &mut pieces).unwrap();
                    read += pieces.len();
                }
            }
            let each = (start.elapsed() - laid).as_secs_f64() * 1e6 / count as f64;
            println!("{name}, {packing:?}: laid out in {laid:?}, then {each:.2} us a window ({read} pieces)");
        }
    }
}
