//! A checked curriculum bound to the file system: globs are files, the tokenizer is a path.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::checked::{Curriculum, Source, SourceId, Tokenized};
use super::diagnostics::{Diagnostic, Diagnostics, Span};
use super::files::{self, Found, Origin};
use super::load::Loaded;
use super::yaml::Value;
use crate::error::{Error, Result};

/// A curriculum with its files found.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What was asked.
    pub curriculum: Curriculum,
    /// The curriculum file's text, for the manifest.
    pub text: String,
    /// Path of `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// For each source, its files: absolute, each once, sorted by path; never empty.
    pub files: Vec<Vec<SourceFile>>,
    /// Benchmark files of `decontaminate`, sorted by path.
    pub benchmarks: Vec<PathBuf>,
}

/// One input file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Absolute path.
    pub path: PathBuf,
    /// Size in bytes when it was found.
    pub bytes: u64,
}

impl Loaded {
    /// Finds the files. Relative paths start at `data`, or else at the curriculum's folder.
    ///
    /// Every pattern must match, and every match must be a file that can be opened; all that is wrong comes in one
    /// [`Error::Curriculum`]. Links are followed; of several names for one file, the first by path stays.
    pub fn resolve(&self, data: Option<&Path>) -> Result<Resolved> {
        let base = std::path::absolute(data.unwrap_or_else(|| self.folder()))?;
        if let Some(data) = data
            && !base.is_dir()
        {
            let message = format!("--data {}: there is no such folder", data.display());
            return Err(Error::Curriculum { rendered: format!("error: {message}"), summary: message });
        }
        let origin = Origin { base, given: data.is_some() };
        let mut out = Diagnostics::default();
        let mut files = Vec::with_capacity(self.curriculum.sources.len());
        let mut owners = Owners::default();
        for (id, source) in self.curriculum.sources.iter().enumerate() {
            let places = self.items(&["sources", &source.name, "files"]);
            let found = find(&format!("source `{}`", source.name), &source.files, &places, &origin, &mut out);
            if let Some(tokenized) = &source.tokenized {
                beside(&source.name, tokenized, &found, places.first(), &mut out);
            }
            owners.add(id, &found, &self.curriculum.sources, places.first(), &mut out);
            files.push(found.into_iter().map(|found| SourceFile { path: found.path, bytes: found.bytes }).collect());
        }
        let benchmarks = self.curriculum.decontaminate.as_ref().map_or_else(Vec::new, |decontaminate| {
            let places = self.items(&["decontaminate", "files"]);
            find("decontaminate", &decontaminate.files, &places, &origin, &mut out)
        });
        let tokenizer = self.tokenizer(&origin, &mut out);
        match tokenizer {
            Some(tokenizer) if !out.has_errors() => Ok(Resolved {
                curriculum: self.curriculum.clone(),
                text: self.text.clone(),
                tokenizer,
                files,
                benchmarks: benchmarks.into_iter().map(|found| found.path).collect(),
            }),
            _ => Err(self.failure(&out.sorted())),
        }
    }

    fn tokenizer(&self, origin: &Origin, out: &mut Diagnostics) -> Option<PathBuf> {
        let at = self.items(&["tokenizer", "file"]).first().cloned().unwrap_or(0..0);
        let path = origin.base.join(&self.curriculum.tokenizer.file);
        match files::open(&path) {
            Ok(found) => Some(found.path),
            Err(problem) => {
                let inside = path.join("tokenizer.json");
                let hint = if path.is_dir() && inside.is_file() {
                    format!("write `{}/tokenizer.json`", self.curriculum.tokenizer.file.trim_end_matches('/'))
                } else {
                    origin.hint()
                };
                out.push(Diagnostic::error(at, format!("tokenizer: {}: {problem}", path.display())).hint(hint));
                None
            }
        }
    }

    /// The places of the items of a key: of a list's items, or of the one value.
    fn items(&self, path: &[&str]) -> Vec<Span> {
        match self.node().find(path) {
            Some(node) => match &node.value {
                Value::Seq(items) => items.iter().map(|item| item.at.clone()).collect(),
                _ => vec![node.at.clone()],
            },
            None => Vec::new(),
        }
    }
}

/// Tells of files of ids beside which there is nothing that says where documents end; the first few of them.
fn beside(source: &str, tokenized: &Tokenized, files: &[Found], at: Option<&Span>, out: &mut Diagnostics) {
    const TOLD: usize = 3;
    let at = at.cloned().unwrap_or(0..0);
    let sidecars: BTreeSet<PathBuf> = files.iter().flat_map(|file| tokenized.sidecars(&file.path)).collect();
    let mut told = 0;
    for file in files {
        let Some(wanted) = tokenized.sidecars(&file.path).into_iter().next() else { return };
        let (message, hint) = if wanted == file.path || sidecars.contains(&file.path) {
            let message =
                format!("source `{source}`: {} says where documents end, and holds no ids", file.path.display());
            (
                message,
                "narrow the pattern to the files of ids (`*.bin`, `*.ds`, `*.npy`): what lies beside them is found",
            )
        } else if !wanted.is_file() {
            let message = format!("source `{source}`: {} has no {} beside it", file.path.display(), wanted.display());
            (message, "without it nothing says where documents end")
        } else {
            continue;
        };
        if told < TOLD {
            out.push(Diagnostic::error(at.clone(), message).hint(hint));
        }
        told += 1;
    }
}

/// The files of several patterns, sorted by path, each once.
fn find(what: &str, patterns: &[String], places: &[Span], origin: &Origin, out: &mut Diagnostics) -> Vec<Found> {
    // By the path without links, so that a file with two names is read once; the first name by path stays.
    let mut files: BTreeMap<PathBuf, Found> = BTreeMap::new();
    for (index, pattern) in patterns.iter().enumerate() {
        let at = places.get(index).or_else(|| places.first()).cloned().unwrap_or(0..0);
        match files::expand(pattern, origin) {
            Ok(found) => {
                for found in found {
                    let known = files.entry(found.real.clone()).or_insert_with(|| found.clone());
                    if found.path < known.path {
                        *known = found;
                    }
                }
            }
            Err(problems) => {
                for problem in problems {
                    out.push(Diagnostic::error(at.clone(), format!("{what}: {}", problem.message)).hint(problem.hint));
                }
            }
        }
    }
    let mut files: Vec<Found> = files.into_values().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Which source has a file already.
#[derive(Default)]
struct Owners {
    by_path: BTreeMap<PathBuf, Vec<SourceId>>,
    places: Vec<Span>,
}

impl Owners {
    /// Notes a source's files. Two sources may read one file only where that can have a sense: they pick other rows
    /// (`where`), other columns (`text`), or one is a declared copy. Else exact dedup would leave the second one empty.
    fn add(&mut self, id: SourceId, files: &[Found], sources: &[Source], at: Option<&Span>, out: &mut Diagnostics) {
        let at = at.cloned().unwrap_or(0..0);
        self.places.push(at.clone());
        let mut shared: BTreeMap<SourceId, (usize, &Path)> = BTreeMap::new();
        for file in files {
            let owners = self.by_path.entry(file.real.clone()).or_default();
            for owner in owners.iter().copied().filter(|owner| !may_share(*owner, id, sources)) {
                shared.entry(owner).or_insert((0, &file.path)).0 += 1;
            }
            owners.push(id);
        }
        let name = |id: SourceId| sources.get(id).map_or("", |source| source.name.as_str());
        for (owner, (count, first)) in shared {
            let files = if count == 1 { "a file".to_owned() } else { format!("{count} files") };
            let message =
                format!("`{}` and `{}` read the same: {files}, the first {}", name(owner), name(id), first.display());
            let mut error = Diagnostic::error(at.clone(), message)
                .hint("give each its own files, tell their rows apart with `where`, or declare one with `copies_of`");
            if let Some(place) = self.places.get(owner) {
                error = error.also(place.clone(), "here too");
            }
            out.push(error);
        }
    }
}

fn may_share(a: SourceId, b: SourceId, sources: &[Source]) -> bool {
    let (Some(first), Some(second)) = (sources.get(a), sources.get(b)) else { return true };
    first.filter.is_some()
        || second.filter.is_some()
        || first.text != second.text
        || first.copies_of == Some(b)
        || second.copies_of == Some(a)
}
