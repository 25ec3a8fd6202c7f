//! The reader against small datasets that the format's own writers made.

mod batches;
mod fill;
mod fixture;
mod loader;
mod safety;

use std::path::Path;

use crate::format::TokenDtype;
use crate::format::manifest::Manifest;
use crate::{Dataset, Error, OpenOptions, Window};
use fixture::{Plain, SetSpec, write};

const PHASES: [SetSpec<'_>; 3] = [("early", 8, 9, &[5, 3]), ("empty", 8, 9, &[]), ("late", 4, 4, &[2, 0, 7])];
const HELD_OUT: [SetSpec<'_>; 1] = [("validation/code", 8, 9, &[2])];

fn plain(window: &Window<'_>) -> Plain {
    Plain {
        source: window.source_index,
        tokens: window.tokens.to_vec(),
        padding: window.padding,
        fragments: window.fragments.collect(),
    }
}

fn small(dir: &Path) -> (Manifest, Vec<Vec<Plain>>, Vec<Vec<Plain>>) {
    write(dir, TokenDtype::U16, &PHASES, &HELD_OUT)
}

/// Writes the manifest again with its digests made to fit.
fn forge(dir: &Path, mut manifest: Manifest) {
    let hex = crate::format::digest::to_hex;
    for phase in &mut manifest.phases {
        phase.digest = hex(&phase.recompute_digest().unwrap());
    }
    manifest.dataset_digest = hex(&manifest.recompute_digest().unwrap());
    manifest.write(dir).unwrap();
}

#[test]
fn windows_are_what_was_written() {
    for dtype in [TokenDtype::U16, TokenDtype::U32] {
        let dir = tempfile::tempdir().unwrap();
        let (manifest, phases, held_out) = write(dir.path(), dtype, &PHASES, &HELD_OUT);
        let dataset = Dataset::open(dir.path()).unwrap();
        assert_eq!(dataset.len(), 17);
        assert_eq!(dataset.manifest(), &manifest);
        let all: Vec<_> = (0..dataset.len()).map(|i| plain(&dataset.window(i).unwrap())).collect();
        assert_eq!(all, phases.concat());
        for (set, expected) in dataset.phases().iter().zip(&phases) {
            let windows: Vec<_> = (0..set.len()).map(|i| plain(&set.window(i).unwrap())).collect();
            assert_eq!(&windows, expected);
            assert_eq!(dataset.phase(set.name()).unwrap().len(), set.len());
        }
        let set = dataset.validation_set("validation/code").unwrap();
        let windows: Vec<_> = (0..set.len()).map(|i| plain(&set.window(i).unwrap())).collect();
        assert_eq!(windows, held_out[0]);
        let window = dataset.window(9).unwrap();
        assert_eq!((window.index, window.phase), (9, "late"));
        assert_eq!(window.source, fixture::SOURCES[usize::try_from(window.source_index).unwrap()]);
        assert!(matches!(dataset.window(17), Err(Error::OutOfRange(_))));
        assert!(
            matches!(dataset.phase("none"), Err(Error::OutOfRange(message)) if message.contains("early, empty, late"))
        );
        dataset.verify_all().unwrap();
    }
}

#[test]
fn many_threads_read_at_once() {
    fn shared<T: Send + Sync>(_: &T) {}
    let dir = tempfile::tempdir().unwrap();
    let (_, phases, _) = small(dir.path());
    let dataset = Dataset::open(dir.path()).unwrap();
    shared(&dataset);
    let expected = phases.concat();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let all: Vec<_> = (0..dataset.len()).map(|i| plain(&dataset.window(i).unwrap())).collect();
                assert_eq!(all, expected);
            });
        }
    });
}

#[test]
fn opening_maps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    fs_err::write(dir.path().join("early/00001.arrow"), b"garbage").unwrap();
    let dataset = Dataset::open(dir.path()).unwrap();
    dataset.window(0).unwrap();
    let error = dataset.window(5).unwrap_err();
    assert!(error.to_string().contains("00001.arrow"), "{error}");
}

#[test]
fn a_shard_of_another_size_is_named() {
    for change in [-1_i64, 1] {
        let dir = tempfile::tempdir().unwrap();
        small(dir.path());
        let file = dir.path().join("late/00002.bin");
        let before = Dataset::open(dir.path()).unwrap();
        let size = fs_err::metadata(&file).unwrap().len();
        let out = fs_err::OpenOptions::new().write(true).open(&file).unwrap();
        out.set_len(size.checked_add_signed(change).unwrap()).unwrap();
        let error = Dataset::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains("late/00002.bin"), "{error}");
        // Cut after opening and before the first touch: still an error, not a fault.
        assert!(before.window(10).is_err());
        assert!(before.window(0).is_ok());
    }
}

#[test]
fn missing_files_are_named() {
    for name in ["early/00000.bin", "early/00000.arrow", "manifest.json"] {
        let dir = tempfile::tempdir().unwrap();
        small(dir.path());
        fs_err::remove_file(dir.path().join(name)).unwrap();
        let error = Dataset::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn manifests_that_contradict_themselves_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (manifest, ..) = small(dir.path());
    let changes: [fn(&mut Manifest); 6] = [
        |m| m.phases[0].shards[0].file = "../early/00000.bin".to_owned(),
        |m| m.phases[0].shards[0].file = "/etc/passwd".to_owned(),
        |m| m.phases[0].windows += 1,
        |m| m.phases[0].sequence_length = 7,
        |m| m.phases[0].shards[0].windows = u64::MAX,
        |m| m.phases[0].sequence_length = 0,
    ];
    for change in changes {
        let mut manifest = manifest.clone();
        change(&mut manifest);
        forge(dir.path(), manifest);
        assert!(Dataset::open(dir.path()).is_err());
    }
    let mut other = manifest.clone();
    other.dataset_digest = other.dataset_digest.chars().rev().collect();
    other.write(dir.path()).unwrap();
    assert!(Dataset::open(dir.path()).is_err());
    let mut other = manifest.clone();
    other.sources.remove(0);
    forge(dir.path(), other);
    assert!(Dataset::open(dir.path()).unwrap().window(0).is_err());
    forge(dir.path(), manifest);
    assert!(Dataset::open(dir.path()).is_ok());
}

#[test]
fn contracts_hold_or_opening_fails() {
    let dir = tempfile::tempdir().unwrap();
    let (manifest, ..) = write(dir.path(), TokenDtype::U16, &PHASES[..1], &[]);
    let kept = OpenOptions {
        tokenizer_digest: Some(manifest.tokenizer.digest),
        vocab_size: Some(60_032),
        token_dtype: Some(TokenDtype::U16),
        bos_id: Some(None),
        eos_id: Some(Some(fixture::EOS)),
        sequence_length: Some(8),
        dataset_digest: Some(manifest.dataset_digest),
        hash_on_first_touch: true,
    };
    kept.open(dir.path()).unwrap().window(0).unwrap();
    let broken = [
        (OpenOptions { tokenizer_digest: Some("0".repeat(64)), ..kept.clone() }, "tokenizer"),
        (OpenOptions { vocab_size: Some(59_999), ..kept.clone() }, "vocabulary"),
        (OpenOptions { token_dtype: Some(TokenDtype::U32), ..kept.clone() }, "dtype"),
        (OpenOptions { bos_id: Some(Some(1)), ..kept.clone() }, "BOS"),
        (OpenOptions { eos_id: Some(None), ..kept.clone() }, "EOS"),
        (OpenOptions { sequence_length: Some(9), ..kept.clone() }, "early"),
        (OpenOptions { dataset_digest: Some(String::new()), ..kept.clone() }, "dataset"),
    ];
    for (options, word) in broken {
        match options.open(dir.path()) {
            Err(Error::Contract(message)) => assert!(message.contains(word), "{message}"),
            other => panic!("{word}: {other:?}"),
        }
    }
}

/// Every byte of every file of a shard: flipped, it is an error when verifying, or (in Arrow's own padding) changes no row.
#[test]
fn every_flip_is_an_error_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let (_, phases, _) = write(dir.path(), TokenDtype::U16, &[("early", 4, 5, &[3])], &[]);
    for (extension, harmless_allowed) in [("bin", false), ("idx", false), ("arrow", true)] {
        let path = dir.path().join("early/00000.bin").with_extension(extension);
        let bytes = fs_err::read(&path).unwrap();
        for i in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[i] ^= 1 << (i % 8);
            fs_err::write(&path, flipped).unwrap();
            let dataset = Dataset::open(dir.path()).unwrap();
            if dataset.verify_all().is_ok() {
                assert!(harmless_allowed, "byte {i} of the .{extension}");
                let all: Vec<_> = (0..dataset.len()).map(|i| plain(&dataset.window(i).unwrap())).collect();
                assert_eq!(all, phases[0], "byte {i} of the .{extension}");
            } else if extension != "idx" {
                let options = OpenOptions { hash_on_first_touch: true, ..OpenOptions::default() };
                assert!(options.open(dir.path()).unwrap().window(0).is_err());
            }
        }
        fs_err::write(&path, bytes).unwrap();
    }
    Dataset::open(dir.path()).unwrap().verify_all().unwrap();
}
