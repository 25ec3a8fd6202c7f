//! A look at a part of a file, for planning before ingest has counted.

use std::sync::Arc;

use super::{Presence, ReadSpec, Row, Unit, units};
use crate::curriculum::resolved::SourceFile;
use crate::{Error, Result};

/// From how many places of a table a sample is taken.
const PLACES: usize = 4;

/// What a row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// Text.
    Text(&'a str),
    /// Ids, as the file has them.
    Ids(&'a [u32]),
}

/// What a part of a file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct FileSample {
    /// Rows looked at.
    pub rows: u64,
    /// Of these, rows that have a text, or ids.
    pub texts: u64,
    /// Of these, rows that the condition leaves out.
    pub excluded: u64,
    /// Of these, rows that cannot be read.
    pub bad: u64,
    /// Bytes of the texts; four an id.
    pub text_bytes: u64,
    /// Which share of the file was looked at, in [0, 1]; exactly 1 when all of it was. By rows where the file says how many
    /// it has, by stored bytes else.
    pub share: f64,
    /// Rows in the file, where it says so.
    pub file_rows: Option<u64>,
    /// Which columns of the condition were seen.
    pub presence: Presence,
}

impl FileSample {
    /// Bytes of text in the whole file, as far as the sample tells.
    #[must_use]
    pub fn estimated_text_bytes(&self) -> f64 {
        self.scale(self.text_bytes)
    }

    /// Rows with a text in the whole file, as far as the sample tells.
    #[must_use]
    pub fn estimated_texts(&self) -> f64 {
        self.scale(self.texts)
    }

    fn scale(&self, count: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let count = count as f64;
        if self.share > 0.0 { count / self.share } else { 0.0 }
    }
}

/// Looks at some `max_bytes` of a file: of a table at up to four places, of a stream at its start. Hands what each row holds to `each`.
///
/// # Errors
/// As for [`units`] and reading; rows that cannot be read are counted, not errors.
pub fn estimate(
    file: &SourceFile,
    spec: &Arc<ReadSpec>,
    max_bytes: u64,
    each: &mut dyn FnMut(Content<'_>) -> Result<()>,
) -> Result<FileSample> {
    let all = units(file, spec)?;
    let places = spread(&all);
    let file_rows = all.iter().map(|unit| unit.rows).sum::<Option<u64>>();
    let mut sample = FileSample {
        rows: 0,
        texts: 0,
        excluded: 0,
        bad: 0,
        text_bytes: 0,
        share: 0.0,
        file_rows,
        presence: spec.presence(),
    };
    let mut stored = 0;
    let mut whole = places.len() == all.len();
    let budget = max_bytes / u64::try_from(places.len().max(1)).unwrap_or(1);
    for unit in places {
        let mut reader = unit.open(spec)?;
        let mut bytes = 0;
        loop {
            if bytes > budget {
                whole = false;
                break;
            }
            let Some(batch) = reader.next_batch()? else { break };
            bytes += u64::try_from(batch.bytes()).unwrap_or(0);
            let seen = batch.visit(&mut |_, row| {
                sample.rows += 1;
                match row {
                    Row::Excluded => sample.excluded += 1,
                    Row::Bad(_) => sample.bad += 1,
                    Row::Text(text) => {
                        sample.texts += 1;
                        sample.text_bytes += u64::try_from(text.len()).unwrap_or(0);
                        each(Content::Text(&text))?;
                    }
                    Row::Ids(ids) => {
                        sample.texts += 1;
                        sample.text_bytes += 4 * u64::try_from(ids.len()).unwrap_or(0);
                        each(Content::Ids(ids))?;
                    }
                }
                Ok(())
            })?;
            sample.presence.merge(&seen);
        }
        stored += reader.stored_bytes();
    }
    sample.share = match (whole, file_rows) {
        (true, _) => 1.0,
        (false, Some(rows)) => ratio(sample.rows, rows),
        (false, None) => ratio(stored, file.bytes),
    };
    Ok(sample)
}

/// Up to `PLACES` units, evenly spread.
fn spread(units: &[Unit]) -> Vec<&Unit> {
    let count = units.len().min(PLACES);
    (0..count).filter_map(|place| units.get(place * units.len() / count.max(1))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { (part as f64 / whole as f64).min(1.0) }
}

/// The first texts of a file, at most `count`, of `max_bytes` together (the first one is given whatever its length).
///
/// # Errors
/// As for [`estimate`].
pub fn texts(file: &SourceFile, spec: &Arc<ReadSpec>, count: usize, max_bytes: u64) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut bytes = 0;
    let mut full = count == 0;
    'units: for unit in units(file, spec)? {
        let mut reader = unit.open(spec)?;
        while !full {
            let Some(batch) = reader.next_batch()? else { continue 'units };
            batch.visit(&mut |_, row| {
                if let Row::Text(text) = row
                    && !full
                {
                    bytes += u64::try_from(text.len()).unwrap_or(0);
                    if bytes <= max_bytes || found.is_empty() {
                        found.push(text.into_owned());
                    }
                    full = bytes >= max_bytes || found.len() >= count;
                }
                Ok::<(), Error>(())
            })?;
        }
        break;
    }
    Ok(found)
}
