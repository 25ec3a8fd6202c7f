use super::*;
use crate::format::digest::{chain, from_hex, header_digest, phase_digest, to_hex};

fn shard(file: &str, seed: u8) -> Shard {
    Shard {
        file: file.to_owned(),
        windows: u64::from(seed) + 1,
        bytes: 100,
        digest: to_hex(&[seed; 32]),
        index_digest: to_hex(&[seed ^ 0xFF; 32]),
        windows_digest: to_hex(&[seed ^ 0x0F; 32]),
        arrow_digest: seed.is_multiple_of(2).then(|| to_hex(&[seed ^ 0xF0; 32])),
    }
}

fn manifest() -> Manifest {
    let phase = |name: &str, seed| PhaseSummary {
        name: name.to_owned(),
        digest: String::new(),
        sequence_length: 4,
        window_tokens: 5,
        windows: 3,
        tokens: 12,
        sources: vec![PhaseSource { name: "web".to_owned(), windows: 3 }],
        shards: vec![shard("early/00000.bin", seed), shard("early/00001.bin", seed + 1)],
    };
    let mut manifest = Manifest {
        format_version: FORMAT_VERSION,
        name: "small".to_owned(),
        dataset_digest: String::new(),
        curriculum: "syllabus: 1\n# a \"quoted\" ü\n".to_owned(),
        seed: u64::MAX,
        scale: "1/1000000".to_owned(),
        thin: "1".to_owned(),
        tokenizer: TokenizerContract {
            name: "phi".to_owned(),
            digest: to_hex(&[7; 32]),
            vocab_size: 32_011,
            bos_id: None,
            eos_id: Some(2),
            pad_id: 2,
            backend: "reference 1".to_owned(),
        },
        token_dtype: TokenDtype::U16,
        max_token_id: 31_999,
        sources: vec![SourceSummary { name: "web".to_owned(), group: None, documents: 2, tokens: 30, bytes: 99 }],
        phases: vec![phase("early", 1), phase("late", 3)],
        validation: Vec::new(),
        ledger: LedgerTotals::default(),
        expect: vec![ExpectResult {
            phase: "early".to_owned(),
            text: "web > 50%".to_owned(),
            value: 0.1 + 0.2,
            holds: true,
        }],
    };
    manifest.dataset_digest = to_hex(&manifest.recompute_digest().unwrap());
    manifest
}

#[test]
fn round_trips_and_ends_with_a_newline() {
    let manifest = manifest();
    let json = manifest.to_json().unwrap();
    assert!(json.ends_with(b"\"\n}\n"));
    assert_eq!(Manifest::from_json(Path::new("m"), &json).unwrap(), manifest);
    let dir = tempfile::tempdir().unwrap();
    manifest.write(dir.path()).unwrap();
    assert_eq!(Manifest::read(dir.path()).unwrap(), manifest);
    assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn every_altered_byte_and_every_cut_is_an_error() {
    let json = manifest().to_json().unwrap();
    for i in 0..json.len() {
        assert!(Manifest::from_json(Path::new("m"), &json[..i]).is_err(), "cut at {i}");
        for flip in [0x01, 0x20, 0x80, 0xFF] {
            let mut json = json.clone();
            json[i] ^= flip;
            assert!(Manifest::from_json(Path::new("m"), &json).is_err(), "byte {i} flipped by {flip:#x}");
        }
    }
}

#[test]
fn newer_formats_are_named_as_such() {
    let mut manifest = manifest();
    manifest.format_version = FORMAT_VERSION + 1;
    let error = Manifest::from_json(Path::new("out/manifest.json"), &manifest.to_json().unwrap()).unwrap_err();
    assert!(matches!(error, Error::TooNew { found, .. } if found == FORMAT_VERSION + 1), "{error}");
    let error = Manifest::from_json(Path::new("m"), br#"{"format_version": 9, "other": []}"#).unwrap_err();
    assert!(matches!(error, Error::TooNew { .. }), "{error}");
    assert!(Manifest::from_json(Path::new("m"), br#"{"format_version": 0}"#).is_err());
}

#[test]
fn a_longer_run_extends_a_shorter_one() {
    let long = manifest();
    let mut short = long.clone();
    short.phases.pop();
    let chain = long.digest_chain().unwrap();
    assert_eq!(chain.len(), 3);
    assert_eq!(short.digest_chain().unwrap(), chain[..2]);
    assert_ne!(chain[1], chain[2]);
}

/// The digests' field order, spelt out once more.
#[test]
fn golden_digests() {
    let manifest = manifest();
    let mut header = Vec::new();
    header.extend(16_u32.to_le_bytes());
    header.extend(b"syllabus dataset");
    header.extend(1_u32.to_le_bytes());
    header.push(2);
    header.extend([7; 32]);
    header.extend([0, 0, 0, 0, 0]);
    header.extend([1, 2, 0, 0, 0]);
    header.extend(2_u32.to_le_bytes());
    let chain_start = *blake3::hash(&header).as_bytes();
    assert_eq!(manifest.digest_chain().unwrap()[0], chain_start);

    let mut phase = Vec::new();
    phase.extend(14_u32.to_le_bytes());
    phase.extend(b"syllabus phase");
    phase.extend(5_u32.to_le_bytes());
    phase.extend(b"early");
    phase.extend(4_u32.to_le_bytes());
    phase.extend(5_u32.to_le_bytes());
    phase.extend(2_u64.to_le_bytes());
    for seed in [1_u8, 2] {
        phase.extend((u64::from(seed) + 1).to_le_bytes());
        phase.extend([seed; 32]);
        phase.extend([seed ^ 0x0F; 32]);
    }
    let phase = *blake3::hash(&phase).as_bytes();
    assert_eq!(manifest.phases[0].recompute_digest().unwrap(), phase);
    let next = *blake3::hash(&[chain_start, phase].concat()).as_bytes();
    assert_eq!(manifest.digest_chain().unwrap()[1], next);
    assert_eq!(chain(chain_start, &phase), next);
    assert_eq!(manifest.dataset_digest, "59141f6b1cdad9ff259450bd2c9350a0a3dd8fc690d555bea4d3f00d4444b689");
}

#[test]
fn digests_are_injective_in_their_fields() {
    let header = HeaderFields {
        format_version: 1,
        dtype: TokenDtype::U16,
        tokenizer: [0; 32],
        bos_id: None,
        eos_id: Some(0),
        pad_id: 0,
    };
    let others = [
        HeaderFields { bos_id: Some(0), ..header },
        HeaderFields { eos_id: None, ..header },
        HeaderFields { dtype: TokenDtype::U32, ..header },
        HeaderFields { pad_id: 1, ..header },
    ];
    for other in others {
        assert_ne!(header_digest(&header), header_digest(&other));
    }
    let phase = |name| phase_digest(&PhaseFields { name, sequence_length: 1, window_tokens: 2, shards: &[] });
    assert_ne!(phase("a"), phase("b"));
}

#[test]
fn hex_is_strict() {
    let hex = to_hex(&[0xAB; 32]);
    assert_eq!(from_hex(&hex), Some([0xAB; 32]));
    assert_eq!(from_hex(&hex.to_uppercase()), None);
    assert_eq!(from_hex(&hex[1..]), None);
    assert_eq!(from_hex(""), None);
}
