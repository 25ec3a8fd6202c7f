//! Makes the `getrandom` of `src/repeatable.rs` one that is found by name too: the crates that do not link it look it up.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bins=-Wl,--export-dynamic-symbol=getrandom");
}
