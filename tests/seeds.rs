//! The seeds of the fuzz targets (`fuzz/seeds/TARGET/`): small inputs that are good, of each kind.

use crate::harness::{self, Place};
use crate::rows;

/// Every seed: target, name, bytes.
fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for name in ["demo", "arctic", "realdata"] {
        let path = harness::root().join(format!("curricula/{name}.yaml"));
        seeds.push(("curriculum", format!("{name}.yaml"), fs_err::read(path).unwrap()));
    }
    for (number, condition) in
        ["stars >= 3", "score > 0.1 AND NOT lang IN ('en', 'de')", "meta.title IS NULL OR clean = true"]
            .iter()
            .enumerate()
    {
        seeds.push(("where", number.to_string(), condition.as_bytes().to_vec()));
    }
    let place = Place::new();
    place.write("data/a.jsonl", rows::jsonl(&rows::source("dialog")[..12]));
    place.write("curriculum.yaml", harness::small("data/*", "", "600"));
    place.compile("out", &["--work", "work"]).expect(0);
    for (target, file) in [("manifest", "manifest.json"), ("idx", "only/00000.idx"), ("windows", "only/00000.arrow")] {
        seeds.push((target, "small".to_owned(), fs_err::read(place.path("out").join(file)).unwrap()));
    }
    let dialog = &rows::source("dialog")[..6];
    let sql = &rows::source("sql")[..6];
    for (name, some) in [("dialog", dialog), ("sql", sql)] {
        seeds.push(("jsonl", name.to_owned(), rows::jsonl(some)));
        seeds.push(("jsonl.gz", name.to_owned(), rows::jsonl_gz(some, 500)));
        seeds.push(("jsonl.zst", name.to_owned(), rows::jsonl_zst(some, 500)));
        seeds.push(("parquet", name.to_owned(), rows::parquet(some, 4)));
        seeds.push(("arrow", name.to_owned(), rows::arrow(some)));
    }
    seeds.push(("txt", "text".to_owned(), "a text ü\r\n\u{feff}".as_bytes().to_vec()));
    // A stream is what a file holds between its magic and its footer.
    let file = rows::arrow(dialog);
    let footer =
        usize::try_from(i32::from_le_bytes(file[file.len() - 10..file.len() - 6].try_into().unwrap())).unwrap();
    seeds.push(("arrows", "dialog".to_owned(), file[8..file.len() - 10 - footer].to_vec()));
    seeds
}

/// With `SYLLABUS_SEEDS=write` they are written; else each target must have those that are made here.
#[test]
fn every_fuzz_target_has_seeds() {
    let write = std::env::var("SYLLABUS_SEEDS").is_ok_and(|asked| asked == "write");
    for (target, name, bytes) in seeds() {
        let path = harness::root().join("fuzz/seeds").join(target).join(name);
        if write {
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(&path, &bytes).unwrap();
        }
        assert!(!bytes.is_empty() && path.is_file(), "{} is missing: run with SYLLABUS_SEEDS=write", path.display());
    }
}
