//! Syllabus.
fn main() {}
