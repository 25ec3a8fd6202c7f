//! `syllabus inspect`.

use std::path::PathBuf;

use syllabus_reader::Dataset;

use super::args::Inspect;
use crate::compile::tokenizer_of;
use crate::curriculum;
use crate::error::Result;
use crate::inspect;
use crate::tokenize::contract::{self, Loaded};

/// Shows a window, a step's documents, or a document.
pub fn run(args: &Inspect) -> Result<()> {
    let dataset = Dataset::open(&args.dir)?;
    let tokenizer = tokenizer(args, &dataset)?;
    let tokenizer = tokenizer.as_ref().map(|loaded| &*loaded.tokenizer);
    if let Some(n) = args.what.window {
        let view = inspect::window(&dataset, n, tokenizer)?;
        return if args.json { super::print_json(&view) } else { super::print(&view.to_text()) };
    }
    if let Some(range) = args.what.windows.clone() {
        let view = inspect::windows(&dataset, range)?;
        return if args.json { super::print_json(&view) } else { super::print(&view.to_text()) };
    }
    if let Some(key) = args.what.document {
        let view = inspect::document(&dataset, key, tokenizer)?;
        return if args.json { super::print_json(&view) } else { super::print(&view.to_text()) };
    }
    Ok(())
}

/// The dataset's tokenizer: the one given, or the one that the compile used if it is still there.
fn tokenizer(args: &Inspect, dataset: &Dataset) -> Result<Option<Loaded>> {
    let given: Option<PathBuf> = args.tokenizer.clone();
    let Some(path) = given.clone().or_else(|| tokenizer_of(&args.dir)) else {
        super::say("note: no text is shown; give the dataset's tokenizer with --tokenizer FILE");
        return Ok(None);
    };
    let manifest = dataset.manifest();
    let curriculum = curriculum::parse(&manifest.curriculum, "the dataset's curriculum", false)?;
    let loaded = contract::load(&path, &curriculum.tokenizer);
    let same = loaded.and_then(|loaded| {
        let digest = syllabus_reader::format::digest::to_hex(&loaded.contract.digest);
        inspect::check_tokenizer(&manifest.tokenizer, &digest).map(|()| loaded)
    });
    match same {
        Ok(loaded) => Ok(Some(loaded)),
        Err(error) if given.is_some() => Err(error),
        Err(_) => {
            super::say(&format!("note: no text is shown; {} is not the dataset's tokenizer any more", path.display()));
            Ok(None)
        }
    }
}
