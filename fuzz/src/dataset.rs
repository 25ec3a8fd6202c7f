//! A dataset that somebody else made, one of its files at a time; the others are those of `fuzz/dataset/`.

use std::path::Path;
use std::sync::OnceLock;

use syllabus::verify;
use syllabus_reader::Dataset;
use syllabus_reader::format::idx::Idx;
use syllabus_reader::format::manifest::Manifest;
use syllabus_reader::format::windows::WindowsReader;

const WHOLE: [(&str, &[u8]); 4] = [
    ("manifest.json", include_bytes!("../dataset/manifest.json")),
    ("only/00000.bin", include_bytes!("../dataset/only/00000.bin")),
    ("only/00000.idx", include_bytes!("../dataset/only/00000.idx")),
    ("only/00000.arrow", include_bytes!("../dataset/only/00000.arrow")),
];

/// The folder of a dataset in which `name` has these bytes.
fn with<'p>(name: &str, bytes: &[u8], file: &'p Path) -> &'p Path {
    static MADE: OnceLock<()> = OnceLock::new();
    let folder = file.parent().expect("a file in a folder");
    MADE.get_or_init(|| {
        fs_err::create_dir_all(folder.join("only")).expect("a folder");
        WHOLE.iter().for_each(|(name, bytes)| fs_err::write(folder.join(name), bytes).expect("written"));
    });
    fs_err::write(folder.join(name), bytes).expect("written");
    folder
}

/// Reads and verifies all that can be.
fn look(folder: &Path) {
    if let Ok(dataset) = Dataset::open(folder) {
        let mut tokens = Vec::new();
        for window in 0..dataset.len().min(10_000) {
            let Ok(window) = dataset.window(window) else { continue };
            tokens.clear();
            window.tokens.extend_into(&mut tokens);
            std::hint::black_box((window.source, window.fragments.into_iter().count(), &tokens));
        }
    }
    let _report = verify::run(folder, false, &|_| {});
}

/// The manifest, under a checksum that is right: without one all else would go unread.
pub fn manifest(bytes: &[u8], file: &Path) {
    let _refused = Manifest::from_json(file, bytes);
    let body = match bytes.windows(14).rposition(|part| part == b"  \"checksum\": ") {
        Some(at) => &bytes[..at],
        None => bytes,
    };
    let mut whole = body.to_vec();
    whole.extend(format!("  \"checksum\": \"{}\"\n}}\n", blake3::hash(body).to_hex()).as_bytes());
    if let Ok(manifest) = Manifest::from_json(file, &whole) {
        let _off = manifest.recompute_digest();
        let _refused = manifest.to_json();
        look(with("manifest.json", &whole, file));
    }
}

/// Megatron's index.
pub fn idx(bytes: &[u8], file: &Path) {
    if let Ok(index) = Idx::parse(file, bytes) {
        let lengths = index.sequences().fold(0_i64, |sum, (length, _)| sum.wrapping_add(i64::from(length)));
        std::hint::black_box((lengths, index.documents().last(), index.dtype()));
        look(with("only/00000.idx", bytes, file));
    }
}

/// The table of windows.
pub fn windows(bytes: &[u8], file: &Path) {
    if let Ok(windows) = WindowsReader::new(file.to_owned(), bytes) {
        let _damaged = windows.digest();
        look(with("only/00000.arrow", bytes, file));
    }
}
