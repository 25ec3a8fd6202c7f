//! A whole small dataset that keeps every promise, made in memory from documents; what it holds may be bent before it is written.

use std::collections::BTreeMap;
use std::path::Path;

use syllabus_reader::format::digest::to_hex;
use syllabus_reader::format::manifest::{
    ExpectResult, FORMAT_VERSION, LedgerTotals, Manifest, OutcomeTotal, PhaseSource, PhaseSummary, Shard,
    SourceSummary, TokenizerContract, ValidationSummary,
};
use syllabus_reader::format::windows::WindowsWriter;
use syllabus_reader::format::{DocumentKey, Fragment, TokenDtype, beside, idx, tokens};

use crate::ledger::{self, Row};

pub const BOS: u32 = 1;
pub const EOS: u32 = 2;
pub const SOURCES: [&str; 2] = ["web", "code"];
/// Windows of each source in each phase. `web` has more tokens than both phases read; `code` goes through several epochs.
pub const WINDOWS: [[usize; 2]; 2] = [[9, 9], [10, 20]];
pub const S: u32 = 8;
pub const W: u32 = 9;

const CURRICULUM: &str = "\
syllabus: 1
name: small
seed: 7
tokenizer: {file: tokenizer.json, bos: <s>, eos: </s>}
sequence_length: 8
holdout: {validation: {share: 10%}}
sources:
  web: {files: web/*.jsonl}
  code: {files: code/*.jsonl, group: other, max_epochs: 9}
mixes:
  even: {web: 50%, code: 50%}
phases:
  - {name: early, tokens: TOKENS, mix: even, expect: [\"code == 50%\", \"web + other >= 99%\"]}
  - {name: late, tokens: 240, mix: {web: 1, code: 2}, expect: [\"code >= 60%\", \"epochs(code) <= 9\"]}
";

/// A document: its key and its tokens, BOS and EOS among them.
#[derive(Debug, Clone)]
pub struct Document {
    pub key: DocumentKey,
    pub tokens: Vec<u32>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    pub source: u32,
    pub tokens: Vec<u32>,
    pub padding: u32,
    pub fragments: Vec<Fragment>,
}

/// A dataset before it is written.
#[derive(Debug, Clone)]
pub struct Small {
    pub manifest: Manifest,
    /// Windows of the phases, then of the held-out sets; shards hold at most seven.
    pub sets: Vec<Vec<Window>>,
    pub ledger: Vec<Row>,
    pub removed: Vec<(u128, String, String)>,
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

fn documents(random: &mut Random, source: u32, count: usize) -> Vec<Document> {
    let document = |i: usize, random: &mut Random| {
        let mut tokens = vec![BOS];
        tokens.extend((0..random.below(20)).map(|_| u32::try_from(10 + random.below(80)).unwrap()));
        tokens.push(EOS);
        let key = (u128::try_from(random.below(1 << 30)).unwrap() << 98) + (u128::from(source) << 32) + i as u128;
        Document { key: key.into(), tokens }
    };
    (0..count).map(|i| document(i, random)).collect()
}

/// The documents' line, epoch after epoch (each begins with another document), cut into windows; the last may be padded.
fn line(source: u32, documents: &[Document], windows: usize, w: u32, one_pass: bool) -> Vec<Window> {
    let mut out: Vec<Window> = Vec::new();
    let new = || Window { source, tokens: Vec::new(), padding: 0, fragments: Vec::new() };
    let mut window = new();
    for epoch in 0..if one_pass { 1 } else { u32::MAX } {
        for i in 0..documents.len() {
            let document = &documents[(i + epoch as usize) % documents.len()];
            let mut offset = 0;
            while offset < document.tokens.len() {
                let start = u32::try_from(window.tokens.len()).unwrap();
                let length = (document.tokens.len() - offset).min((w - start) as usize);
                window.tokens.extend_from_slice(&document.tokens[offset..offset + length]);
                let length = u32::try_from(length).unwrap();
                let (key, at) = (document.key, u32::try_from(offset).unwrap());
                window.fragments.push(Fragment { start, length, document: key, offset: at, epoch });
                offset += length as usize;
                if window.tokens.len() == w as usize {
                    out.push(std::mem::replace(&mut window, new()));
                    if out.len() == windows {
                        return out;
                    }
                }
            }
        }
    }
    if !window.tokens.is_empty() {
        window.padding = w - u32::try_from(window.tokens.len()).unwrap();
        window.tokens.resize(w as usize, EOS);
        out.push(window);
    }
    out
}

impl Small {
    pub fn new() -> Self {
        Self::of(WINDOWS, [40, 9])
    }

    /// One whose first phase has several blocks: all windows of `web` come first.
    pub fn long() -> Self {
        Self::of([[300, 300], WINDOWS[1]], [400, 330])
    }

    fn of(counts: [[usize; 2]; 2], lists: [usize; 2]) -> Self {
        let mut random = Random(5);
        let lists = [documents(&mut random, 0, lists[0]), documents(&mut random, 1, lists[1])];
        let held_out = documents(&mut random, 2, 3);
        let mut sets: Vec<Vec<Window>> = vec![Vec::new(); 3];
        for (source, documents) in (0_u32..).zip(&lists) {
            let of = |phase: usize| counts[phase][source as usize];
            let mut windows = line(source, documents, of(0) + of(1), W, false);
            // Windows come in any order, as the mix permutes them.
            for i in (1..windows.len()).rev() {
                windows.swap(i, random.below(i + 1));
            }
            sets[1].extend(windows.split_off(of(0)));
            sets[0].extend(windows);
        }
        sets[2] = line(0, &held_out, usize::MAX, W, true);
        let manifest = manifest(&lists, &held_out, &sets, counts);
        let mut small = Self { manifest, sets, ledger: Vec::new(), removed: Vec::new() };
        small.removed = vec![(5, "web".to_owned(), "exact".to_owned()), (6, "code".to_owned(), "exact".to_owned())];
        small.ledger = ledger(&lists, &held_out, &small);
        small.manifest.ledger = totals(&small.ledger);
        small
    }

    /// Writes everything, with digests that fit whatever was bent.
    pub fn write(&self, dir: &Path) {
        let mut manifest = self.manifest.clone();
        let names = ["early", "late", "validation/web"];
        let mut shards: Vec<Vec<Shard>> = Vec::new();
        for (name, windows) in names.iter().zip(&self.sets) {
            fs_err::create_dir_all(dir.join(name)).unwrap();
            let write = |(i, windows): (usize, &[Window])| write_shard(dir, format!("{name}/{i:05}.bin"), windows);
            shards.push(windows.chunks(7).enumerate().map(write).collect());
        }
        for (phase, shards) in manifest.phases.iter_mut().zip(&shards) {
            phase.shards.clone_from(shards);
            phase.digest = to_hex(&phase.recompute_digest().unwrap());
        }
        manifest.validation[0].shards.clone_from(&shards[2]);
        manifest.validation[0].digest = to_hex(&manifest.validation[0].recompute_digest().unwrap());
        manifest.dataset_digest = to_hex(&manifest.recompute_digest().unwrap());
        manifest.write(dir).unwrap();
        ledger::write(&dir.join("ledger.parquet"), &self.ledger).unwrap();
        write_removed(&dir.join("removed.parquet"), &self.removed);
    }

    /// The row of the ledger with this source and outcome, before mixing.
    pub fn row(&mut self, source: &str, outcome: &str) -> &mut Row {
        let of = |row: &&mut Row| row.source == source && row.outcome == outcome && row.epoch.is_none();
        self.ledger.iter_mut().find(of).unwrap()
    }
}

fn sum(documents: &[Document]) -> u64 {
    documents.iter().map(|document| document.tokens.len() as u64).sum()
}

fn manifest(
    lists: &[Vec<Document>; 2],
    held_out: &[Document],
    sets: &[Vec<Window>],
    counts: [[usize; 2]; 2],
) -> Manifest {
    let phase = |i: usize, name: &str| PhaseSummary {
        name: name.to_owned(),
        digest: String::new(),
        sequence_length: S,
        window_tokens: W,
        windows: sets[i].len() as u64,
        tokens: sets[i].len() as u64 * u64::from(S),
        sources: (0..2).map(|s| PhaseSource { name: SOURCES[s].to_owned(), windows: counts[i][s] as u64 }).collect(),
        shards: Vec::new(),
    };
    let source = |i: usize, group: Option<&str>| SourceSummary {
        name: SOURCES[i].to_owned(),
        group: group.map(str::to_owned),
        documents: lists[i].len() as u64,
        tokens: sum(&lists[i]),
        bytes: 1,
    };
    let code = (counts[0][1] + counts[1][1]) as f64 * f64::from(W);
    let line = |phase: &str, text: &str, value: f64| ExpectResult {
        phase: phase.to_owned(),
        text: text.to_owned(),
        value,
        holds: true,
    };
    Manifest {
        format_version: FORMAT_VERSION,
        name: "small".to_owned(),
        dataset_digest: String::new(),
        curriculum: CURRICULUM.replace("TOKENS", &(sets[0].len() as u64 * u64::from(S)).to_string()),
        seed: 7,
        scale: "1".to_owned(),
        thin: "1".to_owned(),
        tokenizer: TokenizerContract {
            name: "tokenizer.json".to_owned(),
            digest: to_hex(&[9; 32]),
            vocab_size: 100,
            bos_id: Some(BOS),
            eos_id: Some(EOS),
            pad_id: EOS,
            backend: "none".to_owned(),
        },
        token_dtype: TokenDtype::U16,
        max_token_id: sets.iter().flatten().flat_map(|window| window.tokens.iter().copied()).max().unwrap(),
        sources: vec![source(0, None), source(1, Some("other"))],
        phases: vec![phase(0, "early"), phase(1, "late")],
        validation: vec![ValidationSummary {
            name: "validation".to_owned(),
            source: "web".to_owned(),
            digest: String::new(),
            documents: held_out.len() as u64,
            tokens: sum(held_out),
            sequence_length: S,
            window_tokens: W,
            windows: sets[2].len() as u64,
            shards: Vec::new(),
        }],
        ledger: LedgerTotals::default(),
        expect: vec![
            line("early", "code == 50%", 0.5),
            line("early", "web + other >= 99%", 1.0),
            line("late", "code >= 60%", 2.0 / 3.0),
            line("late", "epochs(code) <= 9", code / sum(&lists[1]) as f64),
        ],
    }
}

fn ledger(lists: &[Vec<Document>; 2], held_out: &[Document], small: &Small) -> Vec<Row> {
    let mut rows = Vec::new();
    for (s, name) in (0_u32..).zip(SOURCES) {
        let list = &lists[s as usize];
        let mut push = |phase: Option<&str>, epoch, outcome: &str, documents: Option<usize>, tokens: Option<u64>| {
            rows.push(Row {
                source: name.to_owned(),
                phase: phase.map(str::to_owned),
                epoch,
                outcome: outcome.to_owned(),
                documents: documents.map(|n| n as u64),
                tokens,
                bytes: None,
            });
        };
        let held = if s == 0 { held_out } else { &[] };
        let mut keys: Vec<DocumentKey> = Vec::new();
        let mut emitted: BTreeMap<(usize, u32), u64> = BTreeMap::new();
        for (phase, windows) in small.sets[..2].iter().enumerate() {
            for fragment in windows.iter().filter(|window| window.source == s).flat_map(|window| &window.fragments) {
                keys.push(fragment.document);
                *emitted.entry((phase, fragment.epoch)).or_default() += u64::from(fragment.length);
            }
        }
        keys.sort_unstable();
        keys.dedup();
        push(None, None, "read", Some(list.len() + held.len() + 2), None);
        push(None, None, "bad", Some(1), None);
        push(None, None, "exact", Some(1), Some(4));
        push(None, None, "held_out", Some(held.len()), Some(sum(held)));
        push(None, None, "tokenized", None, Some(sum(list) + sum(held) + 4));
        push(None, None, "survived", Some(list.len()), Some(sum(list)));
        push(None, None, "emitted", Some(keys.len()), None);
        push(None, None, "unused", Some(list.len() - keys.len()), None);
        for (&(phase, epoch), &tokens) in &emitted {
            push(Some(["early", "late"][phase]), Some(epoch), "emitted", None, Some(tokens));
        }
        let last = emitted.keys().map(|key| key.1).max().unwrap();
        for epoch in 0..=last {
            let read: u64 = emitted.iter().filter(|(key, _)| key.1 == epoch).map(|(_, tokens)| tokens).sum();
            push(None, Some(epoch), "truncated", None, Some(0));
            push(None, Some(epoch), "unused", None, Some(sum(list) - read));
        }
    }
    rows
}

pub fn totals(rows: &[Row]) -> LedgerTotals {
    let mut sums: BTreeMap<&str, (Option<u64>, Option<u64>)> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry(&row.outcome).or_default();
        sum.0 = row.documents.map(|n| n + sum.0.unwrap_or(0)).or(sum.0);
        sum.1 = row.tokens.map(|n| n + sum.1.unwrap_or(0)).or(sum.1);
    }
    let total =
        |(outcome, (documents, tokens)): (&str, _)| OutcomeTotal { outcome: outcome.to_owned(), documents, tokens };
    LedgerTotals { outcomes: sums.into_iter().map(total).collect() }
}

fn write_shard(dir: &Path, file: String, windows: &[Window]) -> Shard {
    let mut rows = WindowsWriter::new(Vec::new(), &SOURCES.map(str::to_owned)).unwrap();
    let (mut bin, mut lengths) = (Vec::new(), Vec::new());
    for window in windows {
        tokens::encode(&window.tokens, TokenDtype::U16, &mut bin).unwrap();
        rows.push(window.source, window.padding, &window.fragments).unwrap();
        lengths.extend(window.fragments.iter().map(|fragment| fragment.length));
        lengths.extend(Some(window.padding).filter(|&padding| padding > 0));
    }
    let (rows, windows_digest) = rows.finish().unwrap();
    let index = idx::encode(TokenDtype::U16, &lengths).unwrap();
    let path = dir.join(&file);
    fs_err::write(&path, &bin).unwrap();
    fs_err::write(beside(&path, "arrow"), &rows).unwrap();
    fs_err::write(beside(&path, "idx"), &index).unwrap();
    let hash = |bytes: &[u8]| to_hex(blake3::hash(bytes).as_bytes());
    Shard {
        file,
        windows: windows.len() as u64,
        bytes: bin.len() as u64,
        digest: hash(&bin),
        index_digest: hash(&index),
        windows_digest: to_hex(&windows_digest),
        arrow_digest: Some(hash(&rows)),
    }
}

fn write_removed(path: &Path, rows: &[(u128, String, String)]) {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, FixedSizeBinaryArray, Float64Array, RecordBatch, StringArray};

    let keys = |keys: Vec<u128>| -> ArrayRef {
        let bytes = keys.into_iter().map(u128::to_be_bytes);
        Arc::new(FixedSizeBinaryArray::try_from_iter(bytes).unwrap())
    };
    let texts = |column: fn(&(u128, String, String)) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(column)))
    };
    let all = || rows.iter().map(|row| row.0).collect();
    let similarity: ArrayRef = Arc::new(Float64Array::from(vec![1.0; rows.len()]));
    let batch = RecordBatch::try_from_iter([
        ("document", keys(all())),
        ("source", texts(|row| &row.1)),
        ("reason", texts(|row| &row.2)),
        ("kept", keys(all())),
        ("similarity", similarity),
        ("detail", texts(|_| "kept in web")),
    ]);
    let batch = batch.unwrap();
    let file = fs_err::File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}
