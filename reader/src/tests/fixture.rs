//! A small dataset, written with the format's own writers, and what it holds. Other crates' tests include this file by its path.

use std::path::Path;

use syllabus_reader::format::digest::to_hex;
use syllabus_reader::format::manifest::{
    FORMAT_VERSION, LedgerTotals, Manifest, PhaseSource, PhaseSummary, Shard, SourceSummary, TokenizerContract,
    ValidationSummary,
};
use syllabus_reader::format::windows::WindowsWriter;
use syllabus_reader::format::{DocumentKey, Fragment, TokenDtype, beside, idx, tokens};

pub const EOS: u32 = 2;
pub const SOURCES: [&str; 3] = ["web", "code", "books"];

/// One window as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Plain {
    pub source: u32,
    pub tokens: Vec<u32>,
    pub padding: u32,
    pub fragments: Vec<Fragment>,
}

/// A set to write: name, S, W, windows of each shard.
pub type SetSpec<'a> = (&'a str, u32, u32, &'a [u64]);

struct Random(u64);

impl Random {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(n)).unwrap()
    }
}

fn window(random: &mut Random, w: u32, dtype: TokenDtype) -> Plain {
    let padding = if random.below(3) == 0 { random.below(w) } else { 0 };
    let mut fragments: Vec<Fragment> = Vec::new();
    let mut start = 0;
    while start < w - padding {
        let length = 1 + random.below(w - padding - start);
        let document = DocumentKey::from(u128::from(random.below(1 << 30)) << 64);
        fragments.push(Fragment { start, length, document, offset: random.below(9), epoch: random.below(3) });
        start += length;
    }
    let ids = if dtype == TokenDtype::U16 { 60_000 } else { 1 << 30 };
    let mut tokens: Vec<u32> = (0..w - padding).map(|_| random.below(ids)).collect();
    tokens.resize(usize::try_from(w).unwrap(), EOS);
    Plain { source: random.below(3), tokens, padding, fragments }
}

fn write_set(
    dir: &Path,
    random: &mut Random,
    dtype: TokenDtype,
    (name, _, w, counts): SetSpec<'_>,
    max: &mut u32,
) -> (Vec<Shard>, Vec<Plain>) {
    fs_err::create_dir_all(dir.join(name)).unwrap();
    let (mut shards, mut windows) = (Vec::new(), Vec::new());
    for (i, &count) in counts.iter().enumerate() {
        let here: Vec<Plain> = (0..count).map(|_| window(random, w, dtype)).collect();
        *max = here.iter().flat_map(|window| &window.tokens).copied().fold(*max, u32::max);
        shards.push(write_shard(dir, format!("{name}/{i:05}.bin"), dtype, &here));
        windows.extend(here);
    }
    (shards, windows)
}

fn write_shard(dir: &Path, file: String, dtype: TokenDtype, windows: &[Plain]) -> Shard {
    let mut rows = WindowsWriter::new(Vec::new(), &SOURCES.map(str::to_owned)).unwrap();
    let (mut bin, mut lengths) = (Vec::new(), Vec::new());
    for window in windows {
        tokens::encode(&window.tokens, dtype, &mut bin).unwrap();
        rows.push(window.source, window.padding, &window.fragments).unwrap();
        lengths.extend(window.fragments.iter().map(|fragment| fragment.length));
        lengths.extend(Some(window.padding).filter(|&padding| padding > 0));
    }
    let (rows, windows_digest) = rows.finish().unwrap();
    let index = idx::encode(dtype, &lengths).unwrap();
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

/// Writes a dataset of these phases and held-out sets (named `validation/SOURCE`); gives the manifest, and each set's windows.
pub fn write(
    dir: &Path,
    dtype: TokenDtype,
    phases: &[SetSpec<'_>],
    held_out: &[SetSpec<'_>],
) -> (Manifest, Vec<Vec<Plain>>, Vec<Vec<Plain>>) {
    let mut random = Random(7);
    let mut max = 0;
    let (mut written, mut validation) = (Vec::new(), Vec::new());
    let mut manifest = Manifest {
        format_version: FORMAT_VERSION,
        name: "fixture".to_owned(),
        dataset_digest: String::new(),
        curriculum: "syllabus: 1\n".to_owned(),
        seed: 1,
        scale: "1".to_owned(),
        thin: "1".to_owned(),
        tokenizer: TokenizerContract {
            name: "none".to_owned(),
            digest: to_hex(&[1; 32]),
            vocab_size: if dtype == TokenDtype::U16 { 60_000 } else { 1 << 30 },
            bos_id: None,
            eos_id: Some(EOS),
            pad_id: EOS,
            backend: "none".to_owned(),
        },
        token_dtype: dtype,
        max_token_id: 0,
        sources: SOURCES
            .map(|name| SourceSummary { name: name.to_owned(), group: None, documents: 1, tokens: 1, bytes: 1 })
            .to_vec(),
        phases: Vec::new(),
        validation: Vec::new(),
        ledger: LedgerTotals::default(),
        expect: Vec::new(),
    };
    for &spec in phases {
        let (shards, windows) = write_set(dir, &mut random, dtype, spec, &mut max);
        let (name, sequence_length, window_tokens, counts) = spec;
        let count = |source: u32| windows.iter().filter(|window| window.source == source).count() as u64;
        let mut phase = PhaseSummary {
            name: name.to_owned(),
            digest: String::new(),
            sequence_length,
            window_tokens,
            windows: counts.iter().sum(),
            tokens: counts.iter().sum::<u64>() * u64::from(sequence_length),
            sources: (0..3_u32)
                .zip(SOURCES)
                .map(|(i, name)| PhaseSource { name: name.to_owned(), windows: count(i) })
                .collect(),
            shards,
        };
        phase.digest = to_hex(&phase.recompute_digest().unwrap());
        manifest.phases.push(phase);
        written.push(windows);
    }
    for &spec in held_out {
        let (shards, windows) = write_set(dir, &mut random, dtype, spec, &mut max);
        let (name, sequence_length, window_tokens, counts) = spec;
        let mut set = ValidationSummary {
            name: "validation".to_owned(),
            source: name.strip_prefix("validation/").unwrap().to_owned(),
            digest: String::new(),
            documents: 1,
            tokens: 1,
            sequence_length,
            window_tokens,
            windows: counts.iter().sum(),
            shards,
        };
        set.digest = to_hex(&set.recompute_digest().unwrap());
        manifest.validation.push(set);
        validation.push(windows);
    }
    manifest.max_token_id = max;
    manifest.dataset_digest = to_hex(&manifest.recompute_digest().unwrap());
    manifest.write(dir).unwrap();
    (manifest, written, validation)
}
