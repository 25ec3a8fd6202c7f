//! How fast real text is read, in CPU time of one thread: `cargo test -- --ignored --nocapture decode_speed`.

use std::time::Duration;

use super::write;
use super::*;

fn realdata() -> std::path::PathBuf {
    std::env::var_os("SYLLABUS_REALDATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/realdata"), std::path::PathBuf::from)
}

#[test]
#[ignore = "measures; needs real data"]
fn decode_speed() {
    let root = realdata();
    let spec = spec_with(&["{text}"], None, Limits::default());
    let filtered = spec_with(&["{text}"], Some("domain <> 'none' AND licence IS NOT NULL"), Limits::default());
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for domain in ["web", "books", "multilingual", "stem", "code", "sql", "maths", "dialog"] {
        let Ok(entries) = fs_err::read_dir(root.join(domain)) else {
            panic!("no real data at {}: set SYLLABUS_REALDATA", root.display());
        };
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        paths.push((domain.to_owned(), files));
    }
    let web: Vec<Doc> = paths[0]
        .1
        .iter()
        .flat_map(|path| outcomes(path, &spec))
        .map(|outcome| match outcome {
            Outcome::Text(text) => Doc { text: Some(text), ..Doc::default() },
            other => panic!("{other:?}"),
        })
        .collect();
    let place = |name: &str| folder.path().join(name);
    let lines = write::json_lines(&web, write::Spelling::default());
    fs_err::write(place("web.jsonl"), &lines).unwrap();
    fs_err::write(
        place("web-ascii.jsonl"),
        write::json_lines(&web, write::Spelling { ascii: true, ..Default::default() }),
    )
    .unwrap();
    fs_err::write(place("web.jsonl.gz"), write::gzip(&lines, usize::MAX)).unwrap();
    fs_err::write(place("web.jsonl.zst"), write::zstd(&lines, usize::MAX)).unwrap();
    write::arrow_file(&place("web.arrow"), &web, write::TextType::Utf8, 500, None);
    write::arrow_stream(
        &place("web-lz4.arrows"),
        &web,
        write::TextType::Utf8,
        500,
        Some(arrow::ipc::CompressionType::LZ4_FRAME),
    );
    let uncompressed = ::parquet::file::properties::WriterProperties::builder().set_dictionary_enabled(false);
    write::parquet(&place("web-plain.parquet"), &web, write::TextType::Utf8, uncompressed);
    for name in [
        "web.jsonl",
        "web-ascii.jsonl",
        "web.jsonl.gz",
        "web.jsonl.zst",
        "web.arrow",
        "web-lz4.arrows",
        "web-plain.parquet",
    ] {
        paths.push((name.to_owned(), vec![place(name)]));
    }
    for (name, files) in paths {
        for (what, spec) in [("", &spec), (" where", &filtered)] {
            if what == " where" && files.len() == 1 {
                continue;
            }
            let serial = run(&files, spec, false).0;
            let (both, bytes) = run(&files, spec, true);
            let parallel = both.saturating_sub(serial);
            let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64().max(1e-9);
            println!(
                "{name}{what}: {:.1} MB of text; serial {:.0} MB/s, visit {:.0} MB/s, both {:.0} MB/s",
                bytes as f64 / 1e6,
                rate(serial),
                rate(parallel),
                rate(both)
            );
        }
    }
}

/// CPU time of this thread, so that others on the machine do not count.
fn cpu_time() -> Duration {
    let stat = fs_err::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split_whitespace().next().unwrap().parse().unwrap())
}

fn run(files: &[std::path::PathBuf], spec: &Arc<ReadSpec>, visit: bool) -> (Duration, usize) {
    let mut bytes = 0;
    let start = cpu_time();
    for path in files {
        for unit in units(&source_file(path), spec).unwrap() {
            let mut reader = unit.open(spec).unwrap();
            while let Some(batch) = reader.next_batch().unwrap() {
                if visit {
                    batch
                        .visit(&mut |at, row| match row {
                            Row::Text(text) => {
                                bytes += text.len();
                                Ok(())
                            }
                            other => panic!("{at}: {other:?}"),
                        })
                        .unwrap();
                }
            }
        }
    }
    (cpu_time() - start, bytes)
}
