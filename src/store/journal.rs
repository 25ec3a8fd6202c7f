//! The journal: one line a committed fact. What it does not say did not happen.
//!
//! Its lines are those of [`lines`]. The first names the identity of what is stored; then each segment with the extents of
//! rows it covers.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lines::{self, line};
use super::segment::Totals;
use crate::error::Result;
use crate::files::{self, NewFile};

/// Version of the store's layout; another one is not reused.
pub const STORE_VERSION: u32 = 1;

/// What the stored segments are a function of. Anything that differs is redone, and said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// What all segments depend on: name of the thing → its value or digest.
    pub common: BTreeMap<String, String>,
    /// What each source's segments depend on: source → name of the thing → value or digest.
    pub sources: BTreeMap<String, BTreeMap<String, String>>,
}

/// Rows of one file that one record covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Extent {
    /// Index of the file in the source's sorted list.
    pub file: u32,
    /// First row.
    pub first: u64,
    /// Number of rows.
    pub rows: u64,
}

/// How rows were judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows read.
    pub read: u64,
    /// Rows that could not be read.
    pub bad: u64,
    /// Where one of them is and why, for people: the first by file and place as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad_place: Option<String>,
    /// Readable rows without text.
    pub empty: u64,
    /// Readable rows removed by a rule: documents and bytes of text.
    pub filtered: BTreeMap<String, (u64, u64)>,
    /// Documents that hold a benchmark item, and their bytes.
    pub contaminated: (u64, u64),
    /// Bytes of text of readable rows.
    pub bytes: u64,
    /// What was tokenized.
    pub tokenized: Totals,
}

impl Counts {
    /// Remembers where a bad row is, unless one before it is known.
    pub fn note_bad(&mut self, place: String) {
        if self.bad_place.as_ref().is_none_or(|known| place < *known) {
            self.bad_place = Some(place);
        }
    }

    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.bad += other.bad;
        self.empty += other.empty;
        if let Some(place) = &other.bad_place {
            self.note_bad(place.clone());
        }
        for (rule, (documents, bytes)) in &other.filtered {
            let sum = self.filtered.entry(rule.clone()).or_default();
            sum.0 += documents;
            sum.1 += bytes;
        }
        self.contaminated.0 += other.contaminated.0;
        self.contaminated.1 += other.contaminated.1;
        self.bytes += other.bytes;
        self.tokenized.documents += other.tokenized.documents;
        self.tokenized.tokens += other.tokenized.tokens;
        self.tokenized.bytes += other.tokenized.bytes;
    }
}

/// One committed run of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The source's name.
    pub source: String,
    /// The segment's number within the store; `None` when no row of the extents became a document.
    pub segment: Option<u64>,
    /// The rows it covers.
    pub extents: Vec<Extent>,
    /// How they were judged.
    pub counts: Counts,
    /// Those that hold a benchmark item. Only the file keeps them: there may be more than memory holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<Leaked>,
}

/// A document that was not tokenized because a benchmark item stands in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaked {
    /// Its key, in hex.
    pub document: String,
    /// The benchmark.
    pub benchmark: String,
    /// The item.
    pub item: String,
    /// The first matching n-gram.
    pub ngram: String,
    /// Byte of the text where it starts.
    pub offset: u64,
    /// N-grams of the item in the document.
    pub matched: u64,
    /// N-grams of the item.
    pub total: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    Store {
        version: u32,
        identity: Identity,
    },
    Commit(Commit),
    /// All rows of the source are covered.
    Complete(String),
}

/// The open journal of a store.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: files::File,
    commits: Vec<Commit>,
    complete: Vec<String>,
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reuse {
    /// Sources whose segments were there and are kept.
    pub kept: Vec<String>,
    /// What was dropped and why, one line each, for people.
    pub dropped: Vec<String>,
}

impl Journal {
    /// Whether a folder has one.
    pub fn exists(folder: &Path) -> bool {
        folder.join("journal").is_file()
    }

    /// Opens or begins the journal in `folder` for a store of this identity. Segments of sources whose identity changed
    /// are dropped from it; the caller removes their files.
    pub fn open(folder: &Path, identity: &Identity) -> Result<(Self, Reuse)> {
        let path = folder.join("journal");
        let mut reuse = Reuse::default();
        let mut readable = false;
        if path.try_exists()? {
            let mut header = None;
            lines::read(&path, &mut |record, _| {
                if let Record::Store { version, identity } = record {
                    header = Some((version, identity));
                }
                Ok(())
            })?;
            match header {
                Some((version, old)) if version == STORE_VERSION => {
                    let changed = differences(&old.common, &identity.common);
                    if changed.is_empty() {
                        for (source, was) in &old.sources {
                            let now = identity.sources.get(source);
                            let changed = now.map_or_else(Vec::new, |now| differences(was, now));
                            if now.is_none() {
                                reuse.dropped.push(format!("source `{source}`: no longer in the curriculum"));
                            } else if changed.is_empty() {
                                reuse.kept.push(source.clone());
                            } else {
                                reuse.dropped.push(format!("source `{source}`: {} changed", changed.join(", ")));
                            }
                        }
                        readable = true;
                    } else {
                        reuse.dropped.push(format!("all segments: {} changed", changed.join(", ")));
                    }
                }
                Some((version, _)) => reuse.dropped.push(format!("all segments: store version {version}")),
                None => {}
            }
        }
        // The journal is written anew: it ends in a whole line, and holds only what still counts.
        let (mut commits, mut complete) = (Vec::new(), Vec::new());
        let mut out = BufWriter::new(NewFile::create(&path)?);
        out.write_all(&line(&Record::Store { version: STORE_VERSION, identity: identity.clone() })?)?;
        if readable {
            let keep = |source: &String| reuse.kept.contains(source);
            lines::read(&path, &mut |record, line| match record {
                Record::Commit(commit) if keep(&commit.source) => {
                    commits.push(Commit { leaks: Vec::new(), ..commit });
                    Ok(out.write_all(line)?)
                }
                Record::Complete(source) if keep(&source) => {
                    complete.push(source);
                    Ok(out.write_all(line)?)
                }
                _ => Ok(()),
            })?;
        }
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.commit()?;
        let file = files::File::append(&path)?;
        Ok((Self { path, file, commits, complete }, reuse))
    }

    /// Appends a commit; after this returns it counts.
    pub fn commit(&mut self, commit: Commit) -> Result<()> {
        let record = Record::Commit(commit);
        self.append(&record)?;
        if let Record::Commit(commit) = record {
            self.commits.push(Commit { leaks: Vec::new(), ..commit });
        }
        Ok(())
    }

    /// Hands over all documents that hold a benchmark item, each with its source; read from the file.
    pub fn leaks(&self, each: &mut dyn FnMut(&str, Leaked) -> Result<()>) -> Result<()> {
        lines::read(&self.path, &mut |record, _| match record {
            Record::Commit(Commit { source, leaks, .. }) => leaks.into_iter().try_for_each(|leak| each(&source, leak)),
            _ => Ok(()),
        })
    }

    /// Records that all rows of a source are covered.
    pub fn complete(&mut self, source: &str) -> Result<()> {
        self.append(&Record::Complete(source.to_owned()))?;
        self.complete.push(source.to_owned());
        Ok(())
    }

    /// Whether all rows of a source are covered.
    #[must_use]
    pub fn is_complete(&self, source: &str) -> bool {
        self.complete.iter().any(|s| s == source)
    }

    /// All commits, in the order they were made, without their leaks.
    #[must_use]
    pub fn commits(&self) -> &[Commit] {
        &self.commits
    }

    fn append(&mut self, record: &Record) -> Result<()> {
        self.file.write_all(&line(record)?)?;
        Ok(self.file.sync()?)
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn differences(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    names.into_iter().filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(tokenizer: &str, web: &str) -> Identity {
        Identity {
            common: BTreeMap::from([("tokenizer".into(), tokenizer.into())]),
            sources: BTreeMap::from([
                ("web".into(), BTreeMap::from([("files".into(), web.into())])),
                ("sql".into(), BTreeMap::from([("files".into(), "s".into())])),
            ]),
        }
    }

    fn commit(source: &str, segment: u64) -> Commit {
        Commit {
            source: source.into(),
            segment: Some(segment),
            extents: vec![Extent { file: 0, first: 10 * segment, rows: 10 }],
            counts: Counts { read: 10, ..Counts::default() },
            leaks: Vec::new(),
        }
    }

    #[test]
    fn what_was_committed_is_there_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let id = identity("a", "w");
        let (mut journal, reuse) = Journal::open(folder.path(), &id).unwrap();
        assert_eq!(reuse, Reuse::default());
        journal.commit(commit("web", 0)).unwrap();
        journal.commit(commit("sql", 1)).unwrap();
        journal.complete("web").unwrap();
        drop(journal);
        let (journal, reuse) = Journal::open(folder.path(), &id).unwrap();
        assert_eq!(journal.commits(), [commit("web", 0), commit("sql", 1)]);
        assert!(journal.is_complete("web") && !journal.is_complete("sql"));
        assert_eq!(reuse.kept, ["sql", "web"]);
    }

    #[test]
    fn a_cut_last_line_is_dropped_and_a_damaged_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let id = identity("a", "w");
        let (mut journal, _) = Journal::open(folder.path(), &id).unwrap();
        for i in 0..3 {
            journal.commit(commit("web", i)).unwrap();
        }
        let path = journal.path().to_owned();
        drop(journal);
        let bytes = fs_err::read(&path).unwrap();
        let last = bytes[..bytes.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
        for length in last..bytes.len() {
            fs_err::write(&path, &bytes[..length]).unwrap();
            let (journal, _) = Journal::open(folder.path(), &id).unwrap();
            assert_eq!(journal.commits().len(), 2, "cut to {length}");
        }
        let mut damaged = bytes;
        damaged[last / 2] ^= 1;
        fs_err::write(&path, &damaged).unwrap();
        assert!(Journal::open(folder.path(), &id).unwrap_err().to_string().contains("is damaged"));
    }

    #[test]
    fn what_changed_is_dropped_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path(), &identity("a", "w")).unwrap();
        journal.commit(commit("web", 0)).unwrap();
        journal.commit(commit("sql", 1)).unwrap();
        drop(journal);
        let (journal, reuse) = Journal::open(folder.path(), &identity("a", "w2")).unwrap();
        assert_eq!(journal.commits(), [commit("sql", 1)]);
        assert_eq!(reuse.dropped, ["source `web`: files changed"]);
        drop(journal);
        let (journal, reuse) = Journal::open(folder.path(), &identity("b", "w2")).unwrap();
        assert_eq!(journal.commits(), []);
        assert_eq!(reuse.dropped, ["all segments: tokenizer changed"]);
    }
}
