//! Files that change under an open dataset: errors that name them, no faults, no garbage.

use std::path::Path;
use std::sync::Arc;

use super::fixture::{Plain, write};
use super::plain;
use crate::format::TokenDtype;
use crate::loader::{Array, Loader, LoaderOptions};
use crate::{Dataset, Error, OpenOptions};

/// 9,000 windows: three row batches in the `.arrow`, 22 pages of 4 KiB in the `.bin`.
fn many(dir: &Path) -> Vec<Plain> {
    write(dir, TokenDtype::U16, &[("a", 4, 5, &[9_000])], &[]).1.concat()
}

fn cut(path: &Path, length: u64) {
    fs_err::OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
}

fn names(error: &Error, file: &str) {
    assert!(error.to_string().contains(file), "{error}");
}

#[test]
fn a_bin_cut_within_a_page_gives_no_zeros() {
    let dir = tempfile::tempdir().unwrap();
    let windows = many(dir.path());
    let file = dir.path().join("a/00000.bin");
    let dataset = Dataset::open(dir.path()).unwrap();
    assert_eq!(plain(&dataset.window(830).unwrap()), windows[830]);
    // Ten bytes a window: number 830 now lies in a page whose end reads as zeros.
    cut(&file, 8_192 + 100);
    if cfg!(target_arch = "x86_64") {
        assert_eq!(plain(&dataset.window(300).unwrap()), windows[300]);
    }
    for i in [829, 830, 1_200, 8_999] {
        names(&dataset.window(i).unwrap_err(), "a/00000.bin");
    }
    // A file of one page has none after it.
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), TokenDtype::U16, &[("a", 4, 5, &[100])], &[]);
    let dataset = Dataset::open(dir.path()).unwrap();
    dataset.window(0).unwrap();
    cut(&dir.path().join("a/00000.bin"), 999);
    names(&dataset.window(0).unwrap_err(), "a/00000.bin");
}

#[test]
fn an_arrow_cut_before_its_rows_were_touched_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let windows = many(dir.path());
    let file = dir.path().join("a/00000.arrow");
    let dataset = Dataset::open(dir.path()).unwrap();
    assert_eq!(plain(&dataset.window(4_000).unwrap()), windows[4_000]);
    let length = fs_err::metadata(&file).unwrap().len();
    cut(&file, length / 2);
    names(&dataset.window(8_999).unwrap_err(), "a/00000.arrow");
}

#[test]
fn a_loader_meets_no_fault_whenever_a_file_is_cut() {
    for (file, keeps) in [("a/00000.bin", 4_500), ("a/00000.arrow", 4_096)] {
        for threads in [0, 1] {
            let dir = tempfile::tempdir().unwrap();
            let windows = many(dir.path());
            let path = dir.path().join(file);
            let dataset = Arc::new(Dataset::open(dir.path()).unwrap());
            let options = LoaderOptions { threads, prefetch_bytes: 1, ..LoaderOptions::new(100) };
            let mut loader = Loader::new(Arc::clone(&dataset), options).unwrap();
            loader.next_batch().unwrap().unwrap();
            let length = fs_err::metadata(&path).unwrap().len();
            cut(&path, if file.ends_with("bin") { length / 2 + 1 } else { length / 2 });
            let mut read = 100;
            let error = loop {
                match loader.next_batch() {
                    Ok(Some(batch)) => {
                        let ids = batch.i64(Array::InputIds).unwrap();
                        for (row, window) in ids.chunks(4).zip(&windows[read..]) {
                            assert!(row.iter().zip(&window.tokens).all(|(&id, &token)| id == i64::from(token)));
                        }
                        read += batch.rows();
                    }
                    Ok(None) => panic!("{file}: the loader did not notice"),
                    Err(error) => break error,
                }
            };
            names(&error, file);
            assert!(read <= keeps, "{file}: {read} windows");
        }
    }
}

#[test]
fn a_loader_hashes_what_it_first_touches() {
    for (name, byte) in [("a/00001.bin", 7), ("a/00001.arrow", usize::MAX)] {
        for threads in [0, 2] {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), TokenDtype::U16, &[("a", 4, 5, &[6, 6, 6])], &[]);
            let path = dir.path().join(name);
            let mut bytes = fs_err::read(&path).unwrap();
            if byte == usize::MAX {
                // A padding count is another: a table that is valid, of other rows.
                let dataset = Dataset::open(dir.path()).unwrap();
                let paddings: Vec<u32> = (6..12).map(|i| dataset.window(i).unwrap().padding).collect();
                let column: Vec<u8> = paddings.iter().flat_map(|padding| padding.to_le_bytes()).collect();
                let at = bytes.windows(column.len()).position(|part| part == column).unwrap();
                bytes[at] ^= 1;
            } else {
                bytes[byte] ^= 1;
            }
            fs_err::write(&path, bytes).unwrap();
            let options = OpenOptions { hash_on_first_touch: true, ..OpenOptions::default() };
            let dataset = Arc::new(options.open(dir.path()).unwrap());
            let options = LoaderOptions { threads, ..LoaderOptions::new(3) };
            let mut loader = Loader::new(dataset, options).unwrap();
            for _ in 0..2 {
                assert_eq!(loader.next_batch().unwrap().unwrap().rows(), 3);
            }
            let error = loader.next_batch().unwrap_err();
            names(&error, name);
            assert!(error.to_string().contains("altered"), "{error}");
        }
    }
}

/// Where many shards are checked by threads, the first that is wrong is the one that is named.
#[test]
fn the_first_wrong_shard_of_many_is_named() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), TokenDtype::U16, &[("a", 2, 3, &[1; 700])], &[]);
    assert_eq!(Dataset::open(dir.path()).unwrap().len(), 700);
    for shard in [699, 600, 300] {
        fs_err::remove_file(dir.path().join(format!("a/{shard:05}.arrow"))).unwrap();
        names(&Dataset::open(dir.path()).unwrap_err(), &format!("a/{shard:05}.arrow"));
    }
    cut(&dir.path().join("a/00005.bin"), 1);
    names(&Dataset::open(dir.path()).unwrap_err(), "a/00005.bin");
}
