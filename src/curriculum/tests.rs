use super::*;
#[test]
fn show() {
    for file in std::env::var("SHOW").unwrap().split(',') {
        match load(std::path::Path::new(file), false) {
            Ok(l) => println!("OK {:#?}\n{}", l.curriculum.phases.len(), l.warnings),
            Err(crate::Error::Curriculum { rendered, summary }) => println!("{rendered}\n== {summary}"),
            Err(e) => println!("{e}"),
        }
    }
}
