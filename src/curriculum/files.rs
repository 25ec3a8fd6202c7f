//! Patterns to files. Walks by itself: libraries' walkers drop names that are not UTF-8, and follow links in circles.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::names;

/// Where relative paths start.
pub(super) struct Origin {
    /// The folder, absolute.
    pub(super) base: PathBuf,
    /// Whether it is `--data`.
    pub(super) given: bool,
}

impl Origin {
    /// A hint that says so.
    pub(super) fn hint(&self) -> String {
        let base = self.base.display();
        if self.given {
            format!("relative paths start at --data, {base}")
        } else {
            format!("relative paths start at the curriculum's folder, {base}; `--data` names another")
        }
    }
}

/// A file that was found and can be opened.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Its absolute path as matched.
    pub(super) path: PathBuf,
    /// The path without links.
    pub(super) real: PathBuf,
    /// Its size.
    pub(super) bytes: u64,
}

/// What is wrong with a pattern's files.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) hint: String,
}

/// Most problems told of one pattern: a thousand unreadable files have one cause.
const MAX_PROBLEMS: usize = 10;

/// A part of a pattern between slashes.
enum Part {
    /// A name as it stands, `.` and `..` too.
    Plain(OsString),
    /// A name with wildcards.
    Wild(Pattern),
    /// `**`: any folders, or none.
    AnyFolders,
}

/// All files that a pattern matches, in order of their paths. An error when there are none, or when a match is no readable file.
pub(super) fn expand(pattern: &str, origin: &Origin) -> Result<Vec<Found>, Vec<Problem>> {
    let mut root = origin.base.clone();
    let mut parts = Vec::new();
    for component in Path::new(pattern).components() {
        match component {
            Component::Prefix(_) | Component::RootDir => root.push(component.as_os_str()),
            Component::CurDir => {}
            Component::ParentDir => parts.push(Part::Plain(component.as_os_str().to_owned())),
            Component::Normal(name) => parts.push(part(name)),
        }
    }
    if matches!(parts.last(), Some(Part::AnyFolders)) {
        parts.push(part(OsStr::new("*")));
    }
    // Under `**/*`, folders match too, and their files match by themselves; elsewhere a folder is taken for a mistake.
    let folders_match_too = match parts.as_slice() {
        [.., Part::AnyFolders, Part::Wild(last)] => last.as_str() == "*",
        _ => false,
    };
    let mut walk = Walk { parts: &parts, seen: BTreeSet::new(), matches: BTreeSet::new(), errors: Vec::new() };
    walk.step(&root, 0);
    let Walk { matches, errors, .. } = walk;
    let mut problems: Vec<Problem> = errors
        .into_iter()
        .map(|(path, error)| Problem {
            message: format!("{}: {}", path.display(), words(&error)),
            hint: "the folder must be readable: what lies in it is not known".to_owned(),
        })
        .collect();
    if matches.is_empty() && problems.is_empty() {
        return Err(vec![missing(pattern, &root, &parts, origin)]);
    }
    let mut found = Vec::with_capacity(matches.len());
    for path in matches {
        match open(&path) {
            Ok(file) => found.push(file),
            Err(_) if folders_match_too && path.is_dir() => {}
            Err(problem) => problems.push(Problem {
                message: format!("{}: {problem}", path.display()),
                hint: if path.is_dir() {
                    format!("to read the files in it, write `{}/*`", pattern.trim_end_matches('/'))
                } else {
                    "every file that a pattern matches is read: repair it, or narrow the pattern".to_owned()
                },
            }),
        }
    }
    if problems.is_empty() && found.is_empty() {
        return Err(vec![missing(pattern, &root, &parts, origin)]);
    }
    if problems.is_empty() {
        return Ok(found);
    }
    let more = problems.len().saturating_sub(MAX_PROBLEMS);
    problems.truncate(MAX_PROBLEMS);
    if more > 0
        && let Some(last) = problems.last_mut()
    {
        last.message.push_str(&format!(" (and {more} more like this)"));
    }
    Err(problems)
}

fn part(name: &OsStr) -> Part {
    let text = name.to_string_lossy();
    if text == "**" {
        return Part::AnyFolders;
    }
    match Pattern::new(&text) {
        Ok(pattern) if text.contains(['*', '?', '[']) => Part::Wild(pattern),
        _ => Part::Plain(name.to_owned()),
    }
}

struct Walk<'a> {
    parts: &'a [Part],
    /// Folders without links, and the part at which they were entered: each once, so that links cannot lead in circles.
    seen: BTreeSet<(PathBuf, usize)>,
    matches: BTreeSet<PathBuf>,
    errors: Vec<(PathBuf, io::Error)>,
}

impl Walk<'_> {
    /// Matches the parts from `index` on against what lies under `folder`.
    fn step(&mut self, folder: &Path, index: usize) {
        let parts = self.parts;
        let last = index + 1 == parts.len();
        match parts.get(index) {
            None => {
                self.matches.insert(folder.to_owned());
            }
            Some(Part::Plain(name)) => {
                let path = folder.join(name);
                if last {
                    if path.symlink_metadata().is_ok() {
                        self.matches.insert(path);
                    }
                } else if path.is_dir() {
                    self.step(&path, index + 1);
                }
            }
            Some(Part::Wild(pattern)) => {
                for name in self.list(folder) {
                    if !pattern.matches_with(&name.to_string_lossy(), OPTIONS) {
                        continue;
                    }
                    let path = folder.join(&name);
                    if last {
                        self.matches.insert(path);
                    } else if path.is_dir() {
                        self.step(&path, index + 1);
                    }
                }
            }
            Some(Part::AnyFolders) => {
                let real = match fs_err::canonicalize(folder) {
                    Ok(real) => real,
                    Err(error) => {
                        self.errors.push((folder.to_owned(), error));
                        return;
                    }
                };
                if !self.seen.insert((real, index)) {
                    return;
                }
                self.step(folder, index + 1);
                for name in self.list(folder) {
                    let path = folder.join(&name);
                    if !name.to_string_lossy().starts_with('.') && path.is_dir() {
                        self.step(&path, index);
                    }
                }
            }
        }
    }

    /// The names in a folder, sorted.
    fn list(&mut self, folder: &Path) -> Vec<OsString> {
        let names: io::Result<Vec<OsString>> = fs_err::read_dir(folder)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.file_name())).collect());
        match names {
            Ok(mut names) => {
                names.sort();
                names
            }
            Err(error) => {
                self.errors.push((folder.to_owned(), error));
                Vec::new()
            }
        }
    }
}

/// As a shell does it: wildcards match neither slashes nor a leading dot.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// A path as a file that can be opened, or why it is none.
pub(super) fn open(path: &Path) -> Result<Found, String> {
    // `std`'s errors are told without the path: the caller names it.
    let metadata = path.metadata().map_err(|error| {
        let link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
        match error.kind() {
            io::ErrorKind::NotFound if link => "is a link to a file that is not there".to_owned(),
            _ if link => format!("is a link that cannot be followed ({})", words(&error)),
            _ => words(&error),
        }
    })?;
    if metadata.is_dir() {
        return Err("is a folder, not a file".to_owned());
    }
    if !metadata.is_file() {
        // Opening a pipe would wait for a writer, and a second pass over it would find nothing.
        return Err("is a pipe, socket or device, not a file".to_owned());
    }
    let file = fs_err::File::open(path).and_then(|_| fs_err::canonicalize(path));
    let real = file.map_err(|error| words(&error))?;
    Ok(Found { path: path.to_owned(), real, bytes: metadata.len() })
}

/// An I/O error in words, without a path.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// The problem of a pattern without files: how far its path leads, and what was meant.
fn missing(pattern: &str, root: &Path, parts: &[Part], origin: &Origin) -> Problem {
    let mut reached = root.to_owned();
    for part in parts {
        let Part::Plain(name) = part else { break };
        let next = reached.join(name);
        if next.symlink_metadata().is_err() {
            let names: Vec<String> = fs_err::read_dir(&reached)
                .map(|entries| {
                    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
                })
                .unwrap_or_default();
            let mut names = names;
            names.sort();
            let name = name.to_string_lossy();
            let hint = match names::nearest(&name, names.iter().map(String::as_str)) {
                Some(near) => format!("{} has no `{name}`: did you mean `{near}`?", reached.display()),
                None => format!("{} has no `{name}`; {}", reached.display(), origin.hint()),
            };
            return Problem { message: format!("`{pattern}` matches no file"), hint };
        }
        reached = next;
    }
    let hint = if pattern.contains(['{', '}']) {
        "braces are no wildcards: write the patterns as a list".to_owned()
    } else {
        format!("nothing in {} matches; {}", reached.display(), origin.hint())
    };
    Problem { message: format!("`{pattern}` matches no file"), hint }
}
