//! A curriculum file from bytes to a checked curriculum, and back to places in it.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::check;
use super::checked::{Curriculum, SourceId};
use super::diagnostics::{self, Diagnostic, Diagnostics, Place};
use super::raw::{Raw, RawCurriculum};
use super::yaml::{self, Node, Value};
use crate::error::{Error, Result};

/// Largest curriculum file: 4 MiB.
const MAX_BYTES: u64 = 4 << 20;

/// A checked curriculum with what later diagnostics need.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The curriculum.
    pub curriculum: Curriculum,
    /// The file's text.
    pub text: String,
    /// The file.
    pub path: PathBuf,
    /// Warnings of the check, rendered with their lines (empty when there are none).
    pub warnings: String,
    /// How the file is named in diagnostics.
    name: String,
    /// The text as a tree, for places.
    node: Node,
    /// Whether diagnostics are coloured.
    colour: bool,
}

/// Reads and checks a curriculum file. All errors of the file come in one [`Error::Curriculum`].
pub fn load(path: &Path, colour: bool) -> Result<Loaded> {
    let name = path.display().to_string();
    let text = read(path, &name, colour)?;
    let Understood { curriculum, node, warnings } =
        understand(&text, &name).map_err(|list| diagnostics::failure(&list, &text, &name, colour))?;
    let warnings = diagnostics::render(&warnings, &text, &name, colour);
    Ok(Loaded { curriculum, text, path: path.to_owned(), warnings, name, node, colour })
}

/// Checks the text of a curriculum; `name` is what diagnostics call it.
pub fn parse(text: &str, name: &str, colour: bool) -> Result<Curriculum> {
    understand(text, name)
        .map(|understood| understood.curriculum)
        .map_err(|list| diagnostics::failure(&list, text, name, colour))
}

/// What a text without errors comes to.
pub(super) struct Understood {
    pub(super) curriculum: Curriculum,
    pub(super) node: Node,
    pub(super) warnings: Vec<Diagnostic>,
}

/// Text → tree → raw → checked, or all that is wrong, in the order of the text.
pub(super) fn understand(text: &str, name: &str) -> Result<Understood, Vec<Diagnostic>> {
    let mut out = Diagnostics::default();
    let node = yaml::parse(text).map_err(|error| vec![error])?;
    if matches!(node.value, Value::Null) {
        return Err(vec![Diagnostic::error(0..0, "this curriculum is empty").hint("begin with `syllabus: 1`")]);
    }
    let checked = RawCurriculum::read(&node, &mut out).and_then(|raw| check::check(&raw, text, &mut out));
    match checked {
        Some(mut curriculum) if !out.has_errors() => {
            let warnings = out.sorted();
            curriculum.warnings = warnings.iter().map(|warning| diagnostics::one_line(warning, text, name)).collect();
            Ok(Understood { curriculum, node, warnings })
        }
        _ => Err(out.sorted()),
    }
}

/// The file's text, or an error that shows where it is not text.
fn read(path: &Path, name: &str, colour: bool) -> Result<String> {
    let usage = |message: String| Error::Curriculum { rendered: format!("error: {message}"), summary: message };
    let mut bytes = Vec::new();
    fs_err::File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| usage(error.to_string()))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_BYTES) {
        return Err(usage(format!("{name}: larger than 4 MiB: this is no curriculum")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let problem = Diagnostic::error(valid..valid + '\u{fffd}'.len_utf8(), "these bytes are not UTF-8")
            .hint("save the file as UTF-8");
        diagnostics::failure(&[problem], &lossy, name, colour)
    })
}

impl Loaded {
    /// The folder that relative paths start at when there is no `--data`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// Where a key stands: `["phases", "1", "mix"]`, `["sources", "web", "max_epochs"]`. `None` when it is not in the file.
    #[must_use]
    pub fn place(&self, path: &[&str]) -> Option<Place> {
        let (at, _) = self.node.find_entry(path)?;
        Some(diagnostics::place(&self.text, at.start))
    }

    /// Where a source is declared.
    #[must_use]
    pub fn source_place(&self, source: SourceId) -> Place {
        let name = self.curriculum.sources.get(source).map_or("", |source| source.name.as_str());
        self.place(&["sources", name]).unwrap_or(Place { line: 1, column: 1 })
    }

    /// Where a phase (by its index) is declared.
    #[must_use]
    pub fn phase_place(&self, phase: usize) -> Place {
        let index = phase.to_string();
        self.place(&["phases", &index, "name"])
            .or_else(|| self.place(&["phases", &index]))
            .unwrap_or(Place { line: 1, column: 1 })
    }

    /// Renders an error or warning that points at a key (at the nearest one above it that is in the file), with a hint.
    /// The path is as for [`Loaded::place`]; a value of one word or number is underlined, else the key.
    #[must_use]
    pub fn point(&self, level: diagnostics::Level, path: &[&str], message: &str, hint: Option<&str>) -> String {
        let mut path = path;
        let at = loop {
            if let Some((key_at, node)) = self.node.find_entry(path) {
                break match node.value {
                    Value::Bool(_) | Value::Number(_) | Value::Text(_) => node.at.clone(),
                    _ => key_at,
                };
            }
            path = path.get(..path.len().saturating_sub(1)).unwrap_or(&[]);
        };
        let diagnostic = Diagnostic { level, ..Diagnostic::error(at, message).maybe_hint(hint.map(str::to_owned)) };
        self.render(&[diagnostic])
    }

    /// Renders diagnostics against this file.
    #[must_use]
    pub fn render(&self, list: &[Diagnostic]) -> String {
        diagnostics::render(list, &self.text, &self.name, self.colour)
    }

    /// The tree of the file's text.
    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    /// The error of a list of diagnostics.
    pub(super) fn failure(&self, list: &[Diagnostic]) -> Error {
        diagnostics::failure(list, &self.text, &self.name, self.colour)
    }
}
