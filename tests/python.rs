//! Promise 9: Python reads a dataset with numpy and pyarrow alone.

use std::process::Command;

use crate::harness::{self, Place};

#[test]
#[ignore = "needs numpy and pyarrow, which `cargo xtask test` installs"]
fn numpy_and_pyarrow_read_the_demo() {
    let python = std::env::var_os("SYLLABUS_PYTHON").unwrap_or_else(|| "python3".into());
    let place = Place::new();
    let text = harness::demo(harness::fixtures().join("corpora").to_str().unwrap());
    for packing in ["concat", "best_fit"] {
        place.write("curriculum.yaml", text.replace("packing: concat", &format!("packing: {packing}")));
        place.compile(packing, &[]).expect(0);
        let output = Command::new(&python)
            .arg(harness::root().join("tests/python/read_dataset.py"))
            .arg(place.path(packing))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(read["fragments"].as_u64().unwrap() > 2000 && read["removed"].as_u64().unwrap() > 50, "{read}");
    }
}
