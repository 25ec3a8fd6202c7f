//! Every form, read back from its bytes and held to the windows as the reader gives them. What the trainers' own code makes of
//! them is `cargo xtask compat`'s to say.

use std::path::Path;

use syllabus_reader::Dataset;
use syllabus_reader::format::idx::Idx;
use syllabus_reader::format::{TokenDtype, tokens};

use super::*;
use crate::verify::tests::fixture::Small;

/// A dataset with two phases, shards of seven windows, and a held-out set whose last window is padded.
fn dataset(folder: &Path) -> Dataset {
    let dir = folder.join("dataset");
    fs_err::create_dir(&dir).unwrap();
    Small::new().write(&dir);
    Dataset::open(&dir).unwrap()
}

fn windows(dataset: &Dataset) -> Vec<Vec<u32>> {
    (0..dataset.len()).map(|i| dataset.window(i).unwrap().tokens.to_vec()).collect()
}

fn ids(path: &Path, skip: usize) -> Vec<u32> {
    let mut ids = Vec::new();
    tokens::decode(&fs_err::read(path).unwrap()[skip..], TokenDtype::U16, &mut ids);
    ids
}

fn fails(result: Result<Outcome>) -> Error {
    match result {
        Ok(outcome) => panic!("it was exported: {outcome:?}"),
        Err(error) => error,
    }
}

#[test]
fn every_file_holds_the_windows_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let expected = windows(&dataset).concat();
    for target in [Target::Megatron, Target::Datatrove, Target::Nanogpt, Target::Llmc, Target::Automodel] {
        let out = folder.path().join(target.name());
        let outcome = run(&dataset, target, &out).unwrap();
        let skip = if matches!(target, Target::Llmc | Target::Automodel) { 1024 } else { 0 };
        let mut files: Vec<&String> =
            outcome.exported.parts.iter().filter(|part| !part.held_out).flat_map(|part| &part.files).collect();
        files.dedup();
        let sorted: std::collections::BTreeSet<&String> = files.iter().copied().collect();
        assert!(sorted.into_iter().eq(files.iter().copied()), "names in order are the training order: {files:?}");
        let found: Vec<u32> = files.iter().flat_map(|file| ids(&out.join(file), skip)).collect();
        assert!(found == expected, "{}", target.name());
        assert!(outcome.exported.files.iter().any(|file| file.file.contains("held_out/") || file.file.contains("val")));
    }
}

#[test]
fn the_exact_arrays_say_each_window() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let out = folder.path().join("out");
    run(&dataset, Target::MegatronExact, &out).unwrap();
    let bin = ids(&out.join("train.bin"), 0);
    let bytes = fs_err::read(out.join("train.idx")).unwrap();
    let index = Idx::parse(Path::new("train.idx"), &bytes).unwrap();
    let array = |name: &str| -> Vec<usize> {
        let bytes = fs_err::read(out.join(format!("train-{name}.npy"))).unwrap();
        let head = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        bytes[head..].as_chunks::<4>().0.iter().map(|n| u32::from_le_bytes(*n) as usize).collect()
    };
    let (documents, samples, shuffle) = (array("document_index"), array("sample_index"), array("shuffle_index"));
    assert_eq!(shuffle.len() as u64, dataset.len());
    for (window, expected) in windows(&dataset).into_iter().enumerate() {
        let at = shuffle[window];
        let row = |i: usize| (samples[2 * i], samples[2 * i + 1]);
        let ((first, start), (last, end)) = (row(at), row(at + 1));
        let mut found = Vec::new();
        for (position, document) in documents.iter().enumerate().take(last + 1).skip(first) {
            let (length, offset) = index.sequence(*document).unwrap();
            let (length, offset) = (usize::try_from(length).unwrap(), usize::try_from(offset).unwrap() / 2);
            let from = if position == first { start } else { 0 };
            let to = if position == last { end + 1 } else { length };
            found.extend_from_slice(&bin[offset + from..offset + to]);
        }
        assert_eq!(found, expected, "window {window}");
    }
}

#[test]
fn padding_is_in_no_sequence_of_a_plain_index() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let out = folder.path().join("out");
    run(&dataset, Target::Megatron, &out).unwrap();
    let set = &dataset.validation()[0];
    let padding = set.window(set.len() - 1).unwrap().padding;
    assert!(padding > 0, "the fixture's last held-out window is padded");
    let path = out.join("held_out").join(set.name()).join("00000.idx");
    let bytes = fs_err::read(&path).unwrap();
    let tokens: i32 = Idx::parse(&path, &bytes).unwrap().sequences().map(|(length, _)| length).sum();
    let stored = set.len() * u64::from(set.window_tokens());
    assert_eq!(u64::try_from(tokens).unwrap(), stored - u64::from(padding));
    // The phases have none, so theirs are the dataset's own.
    use std::os::unix::fs::MetadataExt;
    let same = |a: &Path, b: &Path| fs_err::metadata(a).unwrap().ino() == fs_err::metadata(b).unwrap().ino();
    assert!(same(&out.join("train/0-early/00000.idx"), &folder.path().join("dataset/early/00000.idx")));
    assert!(same(&out.join("train/0-early/00000.bin"), &folder.path().join("dataset/early/00000.bin")));
}

#[test]
fn datatrove_says_where_documents_end() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let out = folder.path().join("out");
    run(&dataset, Target::Datatrove, &out).unwrap();
    let bytes = fs_err::read(out.join("train/0-early/00000.ds.index")).unwrap();
    let ends: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|end| u64::from_le_bytes(*end)).collect();
    let first: Vec<u64> = dataset.window(0).unwrap().fragments.map(|f| u64::from(f.start + f.length)).collect();
    assert_eq!(ends[..first.len()], first);
    assert_eq!(ends.last().copied(), Some(7 * 9));
    let text = fs_err::read_to_string(out.join("train/0-early/00000.ds.metadata")).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(text.lines().next().unwrap().ends_with("|2") && text.lines().nth(1) == Some("63"), "{text}");
}

#[test]
fn llmc_files_are_cut_at_windows() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let parts = part::parts(&dataset);
    let out = folder.path().join("out");
    let mut staging = Staging::begin(&out).unwrap();
    let job = Job { dataset: &dataset, parts: &parts, out: &out };
    // Two windows of 18 bytes and a header, and no third.
    let wrote = llmc::export_within(&job, llmc::Reader::LlmC, 1024 + 53, &mut staging).unwrap();
    let partial = folder.path().join("out.partial");
    let mut found = Vec::new();
    for file in wrote.files.iter().flatten().filter(|file| file.starts_with("train_")) {
        let path = partial.join(file);
        let bytes = fs_err::read(&path).unwrap();
        assert!(bytes.len() <= 1024 + 36 && (bytes.len() - 1024).is_multiple_of(18), "{} bytes", bytes.len());
        let head: Vec<u32> = bytes[..16].as_chunks::<4>().0.iter().map(|n| u32::from_le_bytes(*n)).collect();
        assert_eq!(head, [20_240_520, 1, u32::try_from((bytes.len() - 1024) / 2).unwrap(), 0]);
        assert!(bytes[16..1024].iter().all(|byte| *byte == 0));
        found.extend(ids(&path, 1024));
    }
    assert!(found == windows(&dataset).concat());
    // Held-out tokens come without the padding at their end.
    let set = &dataset.validation()[0];
    let held: u64 = wrote
        .files
        .iter()
        .flatten()
        .filter(|file| file.starts_with("val_"))
        .map(|file| (fs_err::metadata(partial.join(file)).unwrap().len() - 1024) / 2)
        .sum();
    let padding = u64::from(set.window(set.len() - 1).unwrap().padding);
    assert_eq!(held, set.len() * 9 - padding);
    assert!(llmc::export_within(&job, llmc::Reader::LlmC, 1024 + 17, &mut staging).is_err());
}

#[test]
fn what_the_windows_do_not_allow_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let error = fails(run(&dataset, Target::Olmo, &folder.path().join("out")));
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("label_token: false"), "{error}");
    assert!(!folder.path().join("out").exists() && !folder.path().join("out.partial").exists());
}

#[test]
fn an_export_is_whole_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let out = folder.path().join("out");
    // What a stopped run left is taken away; what is somebody's own is not.
    let partial = folder.path().join("out.partial");
    fs_err::create_dir(&partial).unwrap();
    fs_err::write(partial.join("own.txt"), b"mine").unwrap();
    assert!(fails(run(&dataset, Target::Datatrove, &out)).to_string().contains("in the way"));
    fs_err::write(partial.join(".syllabus-export"), b"").unwrap();
    // An empty folder of that name will do, and a slash at the end too.
    fs_err::create_dir(&out).unwrap();
    let first = run(&dataset, Target::Datatrove, &folder.path().join("out/")).unwrap();
    assert!(!first.reused && !partial.exists() && out.join(NOTE).is_file() && !out.join(".syllabus-export").exists());
    assert!(first.linked > 0 && first.written > 0);

    let again = run(&dataset, Target::Datatrove, &out).unwrap();
    assert!(again.reused && again.exported == first.exported);
    assert!(fails(run(&dataset, Target::Nanogpt, &out)).to_string().contains("another export"));
    fs_err::write(out.join("train/0-early/00000.ds.index"), b"short").unwrap();
    assert!(fails(run(&dataset, Target::Datatrove, &out)).to_string().contains("00000.ds.index"));

    let other = folder.path().join("other");
    fs_err::create_dir(&other).unwrap();
    fs_err::write(other.join("own.txt"), b"mine").unwrap();
    assert!(fails(run(&dataset, Target::Datatrove, &other)).to_string().contains("something else"));
    assert!(fails(run(&dataset, Target::Datatrove, &other.join("own.txt"))).to_string().contains("own.txt"));
    assert_eq!(fs_err::read(other.join("own.txt")).unwrap(), b"mine");
}
