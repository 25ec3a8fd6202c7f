//! `include/syllabus.h` is what cbindgen makes of the sources.

use std::path::Path;

#[test]
fn the_header_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let about = fs_err::read_to_string(root.join("about.txt")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config).with_header(about.trim_end());
    for module in ["lib", "error", "dataset", "window", "options", "memory", "loader", "batch", "schedule"] {
        builder = builder.with_src(root.join(format!("src/{module}.rs")));
    }
    let mut text = Vec::new();
    builder.generate().unwrap().write(&mut text);
    let text = String::from_utf8(text).unwrap();
    let path = root.join("include/syllabus.h");
    if std::env::var_os("SYLLABUS_WRITE_HEADER").is_some() {
        fs_err::write(&path, &text).unwrap();
    }
    let found = fs_err::read_to_string(&path).unwrap_or_default();
    let why = "include/syllabus.h is not current; SYLLABUS_WRITE_HEADER=1 cargo test -p syllabus-capi --test header";
    assert!(found == text, "{why}");
}
