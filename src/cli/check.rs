//! `syllabus check`.

use super::args::Check;
use super::{colour, say};
use crate::curriculum;
use crate::error::{Error, Result};

/// Checks every file before it fails for any.
pub fn run(args: &Check) -> Result<()> {
    let mut failed: Vec<Error> = Vec::new();
    for file in &args.files {
        match curriculum::load(file, colour()) {
            Ok(loaded) => {
                let c = &loaded.curriculum;
                c.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
                let plural = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
                let what = format!("{}, {}", plural(c.sources.len(), "source"), plural(c.phases.len(), "phase"));
                super::print(&format!("{}: ok ({what})", file.display()))?;
            }
            Err(error) => failed.push(error),
        }
    }
    let Some(last) = failed.pop() else { return Ok(()) };
    for error in &failed {
        if let Error::Curriculum { rendered, .. } = error {
            say(rendered.trim_end());
            say("");
        } else {
            say(&format!("error: {error}"));
        }
    }
    Err(last)
}
