//! `--phase NAME` makes the same files as compiling all.

use crate::harness::{self, Place};

#[test]
fn one_phase_alone_has_the_same_shards_and_digest() {
    let place = Place::new();
    place.write("curriculum.yaml", harness::demo(harness::fixtures().join("corpora").to_str().unwrap()));
    place.compile("all", &[]).expect(0);
    let all = place.manifest("all");
    for name in ["foundation", "enterprise", "late"] {
        let out = format!("only-{name}");
        place.compile(&out, &["--phase", name]).expect(0);
        let files = harness::files(&place.path(&out).join(name));
        assert_eq!(files, harness::files(&place.path("all").join(name)), "{name}");
        assert!(files.len() >= 3, "{name} has shards");
        for file in files {
            let same = fs_err::read(place.path(&out).join(name).join(&file)).unwrap()
                == fs_err::read(place.path("all").join(name).join(&file)).unwrap();
            assert!(same, "{name}/{} differs", file.display());
        }
        let digest = |manifest: &serde_json::Value| {
            let phases = manifest["phases"].as_array().unwrap();
            phases.iter().find(|phase| phase["name"] == name).unwrap()["digest"].clone()
        };
        assert_eq!(digest(&place.manifest(&out)), digest(&all), "{name}");
    }
    place.compile("none", &["--phase", "lat"]).expect(2).says("late");
}

#[test]
fn a_longer_run_extends_a_shorter_one() {
    let place = Place::new();
    let text = harness::demo(harness::fixtures().join("corpora").to_str().unwrap());
    place.write("curriculum.yaml", &text);
    place.compile("long", &[]).expect(0);
    let end = text.find("  - name: late").unwrap();
    place.write("curriculum.yaml", &text[..end]);
    place.compile("short", &[]).expect(0);
    let (long, short) = (place.manifest("long"), place.manifest("short"));
    assert_eq!(short["phases"].as_array().unwrap().len(), 2);
    for phase in 0..2 {
        assert_eq!(long["phases"][phase], short["phases"][phase]);
    }
    assert_ne!(long["dataset_digest"], short["dataset_digest"]);
}
