//! Promise 6 in part: a compile that was stopped goes on from what was committed and ends with the same bytes; a store is used
//! again by another mix.

use std::path::Path;
use std::time::Duration;

use crate::harness::{self, Place, assert_same_dataset};

fn demo() -> String {
    harness::demo(harness::fixtures().join("corpora").to_str().unwrap())
}

fn copy(from: &Path, to: &Path) {
    for file in harness::files(from) {
        fs_err::create_dir_all(to.join(&file).parent().unwrap()).unwrap();
        fs_err::copy(from.join(&file), to.join(&file)).unwrap();
    }
}

/// The journal is cut after every so many of its lines: what it does not say did not happen, whatever files lie there.
#[test]
fn a_compile_goes_on_from_any_record() {
    let place = Place::new();
    place.write("curriculum.yaml", demo());
    place.compile("whole", &["--work", "work", "--segment-bytes", "40KiB"]).expect(0);
    let journal = fs_err::read_to_string(place.path("work/journal")).unwrap();
    let lines: Vec<&str> = journal.split_inclusive('\n').collect();
    assert!(lines.len() > 40, "{} records", lines.len());
    for kept in (0..lines.len()).step_by(9) {
        let (out, work) = (format!("out-{kept}"), format!("work-{kept}"));
        copy(&place.path("work"), &place.path(&work));
        // A half-written record after the last whole one, as a kill leaves it.
        let half = lines.get(kept).map_or("", |line| &line[..line.len() / 2]);
        fs_err::write(place.path(&format!("{work}/journal")), lines[..kept].concat() + half).unwrap();
        place.compile(&out, &["--work", &work, "--segment-bytes", "90KiB"]).expect(0);
        assert_same_dataset(&place.path("whole"), &place.path(&out));
    }
}

#[test]
fn a_killed_compile_goes_on() {
    let place = Place::new();
    place.write("curriculum.yaml", demo());
    place.compile("whole", &[]).expect(0);
    let mut killed = 0;
    for pause in [5, 10, 20, 40, 80, 120, 160, 200, 240, 300] {
        let mut child = place.start(&["compile", "curriculum.yaml", "--out", "out", "--segment-bytes", "40KiB"]);
        std::thread::sleep(Duration::from_millis(pause));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
    }
    assert!(killed > 0, "no kill came in time");
    place.compile("out", &[]).expect(0);
    assert_same_dataset(&place.path("whole"), &place.path("out"));
}

#[test]
fn another_mix_opens_no_source() {
    let place = Place::new();
    place.write("curriculum.yaml", demo());
    place.compile("one", &["--work", "work"]).expect(0);
    let other = demo().replace("seed: 20240424", "seed: 7").replace("packing: concat", "packing: best_fit");
    place.write("curriculum.yaml", &other);
    let run =
        place.run(&["compile", "curriculum.yaml", "--out", "two", "--work", "work", "--progress", "plain"]).expect(0);
    assert!(run.stderr.contains(" 0 of 0 parts"), "{}", run.stderr);
    place.compile("anew", &[]).expect(0);
    assert_same_dataset(&place.path("anew"), &place.path("two"));
}
