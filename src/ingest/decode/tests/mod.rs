//! Tests of reading, over the same rows in every format.

mod formats;
mod hostile;
mod lines;
mod scan;
mod speed;
mod tokens;
mod where_;
mod write;

use super::*;
use crate::curriculum::checked::{TemplatePiece, TextTemplate};
use crate::curriculum::filter::Filter;

/// A row, as a test means it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Doc {
    pub text: Option<String>,
    pub stars: Option<i64>,
    pub score: Option<f64>,
    pub lang: Option<String>,
    pub clean: Option<bool>,
    /// The field `title` of the struct `meta`.
    pub meta: Option<Option<String>>,
}

/// What a row came to, owned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Excluded,
    Bad(String),
    Text(String),
}

pub(super) fn template(pieces: &[&str]) -> TextTemplate {
    // `{name}` is a column, all else literal.
    let pieces = pieces
        .iter()
        .map(|piece| match piece.strip_prefix('{').and_then(|piece| piece.strip_suffix('}')) {
            Some(name) => TemplatePiece::Column(name.to_owned()),
            None => TemplatePiece::Literal((*piece).to_owned()),
        })
        .collect();
    TextTemplate { pieces }
}

pub(super) fn spec_with(pieces: &[&str], condition: Option<&str>, limits: Limits) -> Arc<ReadSpec> {
    let filter = condition.map(|text| Filter::parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}")));
    Arc::new(ReadSpec::new(&template(pieces), filter.as_ref(), limits))
}

pub(super) fn spec(condition: Option<&str>) -> Arc<ReadSpec> {
    spec_with(&["{text}"], condition, Limits { batch_bytes: 700, ..Limits::default() })
}

pub(super) fn source_file(path: &Path) -> SourceFile {
    SourceFile { path: path.to_path_buf(), bytes: fs_err::metadata(path).unwrap().len() }
}

/// Reads a file to its end and checks that rows are numbered without gaps.
pub(super) fn read(path: &Path, spec: &Arc<ReadSpec>) -> Result<Vec<(At, Outcome)>> {
    let mut all = Vec::new();
    let mut presence = Presence::default();
    for unit in units(&source_file(path), spec)? {
        let mut reader = unit.open(spec)?;
        let start = all.len();
        assert_eq!(unit.first_row, start as u64);
        while let Some(batch) = reader.next_batch()? {
            assert!(batch.rows > 0);
            presence.merge(&visit(&batch, &mut all)?);
        }
        assert!(unit.rows.is_none_or(|rows| rows == (all.len() - start) as u64));
        assert_eq!(reader.stored_bytes(), unit.bytes, "{}", path.display());
    }
    Ok(all)
}

pub(super) fn visit(batch: &Batch, all: &mut Vec<(At, Outcome)>) -> Result<Presence> {
    let before = all.len();
    let presence = batch.visit(&mut |at, row| {
        let outcome = match row {
            Row::Excluded => Outcome::Excluded,
            Row::Bad(why) => Outcome::Bad(why),
            Row::Text(text) => Outcome::Text(text.into_owned()),
            Row::Ids(ids) => Outcome::Text(format!("{ids:?}")),
        };
        assert_eq!(at.row, batch.first_row + (all.len() - before) as u64);
        all.push((at, outcome));
        Ok(())
    })?;
    assert_eq!((all.len() - before) as u64, batch.rows);
    Ok(presence)
}

pub(super) fn outcomes(path: &Path, spec: &Arc<ReadSpec>) -> Vec<Outcome> {
    read(path, spec)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        .into_iter()
        .map(|(_, outcome)| outcome)
        .collect()
}

/// Some rows with everything that texts hold.
pub(super) fn docs(count: usize) -> Vec<Doc> {
    let texts = [
        "",
        "plain",
        "two\nlines\r\n",
        "\"quoted\" \\ back/slash",
        "日本語 ü é",
        "nul \0 tab \t",
        "😀🏳️‍🌈",
        "\u{feff}bom",
        "end\u{2028}",
    ];
    (0..count)
        .map(|i| Doc {
            text: Some(format!("{} {i}", texts[i % texts.len()].repeat(1 + i % 5))),
            stars: (!i.is_multiple_of(4)).then(|| i64::try_from(i).unwrap() % 7 - 2),
            score: (!i.is_multiple_of(5)).then(|| (i % 9) as f64 / 2.0),
            lang: (!i.is_multiple_of(3)).then(|| ["en", "de", "zh"][i % 3].to_owned()),
            clean: (!i.is_multiple_of(6)).then_some(i.is_multiple_of(2)),
            meta: (!i.is_multiple_of(7)).then(|| (!i.is_multiple_of(2)).then(|| format!("T{}", i % 5))),
        })
        .collect()
}
