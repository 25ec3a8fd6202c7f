//! The work folder: what an interrupted compile left, as a disk may have damaged it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use syllabus::store::journal::{Identity, Journal};
use syllabus::store::segment::{Cursor, Segment};
use syllabus_reader::format::TokenDtype;
use xxhash_rust::xxh3::xxh3_64;

/// The journal: each line of the input under a checksum that is right, unless it begins with `!`.
pub fn journal(bytes: &[u8], file: &Path) {
    let folder = file.parent().expect("a file in a folder");
    let path = folder.join("journal");
    let mut out = Vec::new();
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        match line.strip_prefix(b"!") {
            Some(raw) => out.extend(raw),
            None => {
                let json = line.strip_suffix(b"\n").unwrap_or(line);
                write!(out, "{:016x} ", xxh3_64(json)).expect("written");
                out.extend(line);
            }
        }
    }
    fs_err::write(&path, out).expect("written");
    // What is kept is what was made of the same inputs: one source, `s`, of nothing.
    let identity = Identity { sources: BTreeMap::from([("s".to_owned(), BTreeMap::new())]), ..Identity::default() };
    if let Ok((journal, reuse)) = Journal::open(folder, &identity) {
        std::hint::black_box((journal.commits().len(), reuse));
        let _damaged = journal.leaks(&mut |_, leak| {
            std::hint::black_box(leak);
            Ok(())
        });
    }
}

/// A segment: all rows, and their tokens.
pub fn segment(bytes: &[u8], file: &Path) {
    fs_err::write(file, bytes).expect("written");
    for dtype in [TokenDtype::U16, TokenDtype::U32] {
        let Ok(segment) = Segment::open(file, dtype) else { continue };
        let _damaged = segment.check();
        let _at = segment.lower_bound(1 << 127);
        let mut cursor = Cursor::new(&segment, 0..u64::MAX, 16);
        let mut tokens = Vec::new();
        while let Ok(Some((_, row))) = cursor.next_row() {
            if segment.row_tokens(&row, &mut tokens).is_err() {
                break;
            }
        }
    }
}
