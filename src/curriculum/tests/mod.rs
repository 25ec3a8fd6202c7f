//! Whole curricula: what they come to, what is said of broken ones, what the disk does to them.

mod broken;
mod files;
mod published;
mod valid;

use super::diagnostics::Level;
use super::load::{Understood, understand};

/// A small curriculum that is right.
const BASE: &str = r#"syllabus: 1
name: base
tokenizer: {file: tokenizer.json, bos: none, eos: "</s>"}
sequence_length: 1024
sources:
  web: {files: web/*}
  github: {files: github/*, group: code}
  sql: {files: sql/*, group: code}
  books: {files: books/*}
mixes:
  early: {web: 60%, code: 20%, books: rest}
phases:
  - {name: one, tokens: 1B, mix: early}
"#;

/// [`BASE`] with one part changed.
fn base(old: &str, new: &str) -> String {
    assert!(BASE.contains(old), "not in the base: {old}");
    BASE.replacen(old, new, 1)
}

fn good(text: &str) -> Understood {
    understand(text, "test.yaml")
        .unwrap_or_else(|list| panic!("{}", super::diagnostics::render(&list, text, "test.yaml", false)))
}

/// What is said of a text: `line:column message (hint)` for each error; warnings begin with `warning`.
fn told(text: &str) -> Vec<String> {
    let list = match understand(text, "test.yaml") {
        Ok(understood) => understood.warnings,
        Err(list) => list,
    };
    list.iter()
        .map(|diagnostic| {
            let place = super::diagnostics::place(text, diagnostic.at.start);
            let level = if diagnostic.level == Level::Warning { "warning " } else { "" };
            let hint = diagnostic.hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})"));
            format!("{level}{}:{} {}{hint}", place.line, place.column, diagnostic.message)
        })
        .collect()
}
