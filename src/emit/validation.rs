//! Held-out documents to `validation/SOURCE/`: one pass in the order of their draw, the last window padded.

use std::path::Path;

use syllabus_reader::format::digest::{PhaseFields, ShardFields};
use syllabus_reader::format::digest::{from_hex, phase_digest, to_hex};
use syllabus_reader::format::manifest::{Shard, ValidationSummary};

use super::fill::{fill, in_order, task_windows};
use super::shard::{ShardWriter, shard_name};
use crate::curriculum::checked::{Curriculum, Holdout};
use crate::dedup::holdout::draw;
use crate::error::{Error, Result};
use crate::ingest::Watch;
use crate::mix::{Entry, Piece};
use crate::store::documents::SourceStore;
use crate::store::fates::Fate;
use crate::tokenize::Contract;

/// Writes one source's held-out documents; `None` when it has none. Also returns the largest token id.
pub fn emit(
    out: &Path,
    curriculum: &Curriculum,
    holdout: &Holdout,
    source: usize,
    stores: &[&SourceStore],
    contract: &Contract,
    watch: &Watch,
) -> Result<Option<(ValidationSummary, u32)>> {
    let mut entries = stores[source].entries(0, u128::MAX, Fate::HeldOut)?;
    if entries.is_empty() {
        return Ok(None);
    }
    entries.sort_by_key(|entry| (draw(&holdout.name, entry.key), entry.key));
    let line = Line::new(&entries);
    let sequence_length = curriculum.sequence_length;
    let window_tokens = sequence_length + u32::from(curriculum.label_token);
    let windows = line.tokens.div_ceil(u64::from(window_tokens));
    let count = usize::try_from(windows).map_err(|_| Error::Failed("too many held-out windows".to_owned()))?;
    let name = &curriculum.sources[source].name;
    let folder = format!("{}/{name}", holdout.name);
    crate::files::make_folder(&out.join(&folder))?;
    let names: Vec<String> = curriculum.sources.iter().map(|s| s.name.clone()).collect();
    let mut writer = ShardWriter::create(out, &shard_name(&folder, 0), contract.dtype, &names)?;
    let (mut max_id, mut hash) = (0, blake3::Hasher::new());
    let task = task_windows(window_tokens, contract);
    in_order(
        count.div_ceil(task),
        |t, filled| {
            let windows = t * task..count.min((t + 1) * task);
            fill(filled, windows, window_tokens, contract, stores, |i, pieces| {
                Ok((source, line.window(i as u64, window_tokens, pieces)))
            })
        },
        |filled| {
            hash.update(&filled.bytes);
        },
        |filled| {
            watch.check()?;
            max_id = max_id.max(filled.max_id);
            writer.push(filled)
        },
    )?;
    let shards = vec![writer.finish(&hash)?];
    let digest = digest(&folder, sequence_length, window_tokens, &shards)?;
    let summary = ValidationSummary {
        name: holdout.name.clone(),
        source: name.clone(),
        digest,
        documents: entries.len() as u64,
        tokens: line.tokens,
        sequence_length,
        window_tokens,
        windows,
        shards,
    };
    Ok(Some((summary, max_id)))
}

/// Hex digest of a phase or held-out set.
pub(super) fn digest(name: &str, sequence_length: u32, window_tokens: u32, shards: &[Shard]) -> Result<String> {
    let fields: Option<Vec<ShardFields>> = shards
        .iter()
        .map(|shard| {
            Some(ShardFields {
                windows: shard.windows,
                bin: from_hex(&shard.digest)?,
                rows: from_hex(&shard.windows_digest)?,
            })
        })
        .collect();
    let fields = fields.ok_or_else(|| Error::Failed("a digest that is not hex".to_owned()))?;
    Ok(to_hex(&phase_digest(&PhaseFields { name, sequence_length, window_tokens, shards: &fields })))
}

/// Documents joined to one line of tokens.
struct Line<'a> {
    entries: &'a [Entry],
    /// First token of each document in the line.
    starts: Vec<u64>,
    tokens: u64,
}

impl<'a> Line<'a> {
    fn new(entries: &'a [Entry]) -> Self {
        let mut tokens = 0;
        let starts = entries
            .iter()
            .map(|entry| {
                let start = tokens;
                tokens += u64::from(entry.tokens);
                start
            })
            .collect();
        Self { entries, starts, tokens }
    }

    /// The pieces of the i-th window; returns its padding.
    fn window(&self, i: u64, window_tokens: u32, pieces: &mut Vec<Piece>) -> u32 {
        let mut at = i * u64::from(window_tokens);
        let end = at + u64::from(window_tokens);
        let mut document = self.starts.partition_point(|start| *start <= at).saturating_sub(1);
        while at < end.min(self.tokens) {
            let (Some(&entry), Some(&start)) = (self.entries.get(document), self.starts.get(document)) else { break };
            let stop = end.min(start + u64::from(entry.tokens));
            // Both fit: they are parts of one document, whose length is a u32.
            let (Ok(offset), Ok(length)) = (u32::try_from(at - start), u32::try_from(stop.saturating_sub(at))) else {
                break;
            };
            if length > 0 {
                pieces.push(Piece { entry, offset, length, epoch: 0 });
            }
            at = stop.max(at);
            document += 1;
        }
        u32::try_from(end - at).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_into_windows_and_the_last_is_padded() {
        let entries: Vec<Entry> = [3u32, 1, 9, 4]
            .iter()
            .map(|&tokens| Entry { key: u128::from(tokens), tokens, segment: 0, start: 0 })
            .collect();
        let line = Line::new(&entries);
        let mut all = Vec::new();
        let mut padding = 0;
        for i in 0..line.tokens.div_ceil(5) {
            let mut pieces = Vec::new();
            padding = line.window(i, 5, &mut pieces);
            assert_eq!(pieces.iter().map(|p| p.length).sum::<u32>() + padding, 5);
            all.extend(pieces.iter().flat_map(|p| (p.offset..p.offset + p.length).map(|o| (p.entry.tokens, o))));
        }
        assert_eq!(padding, 3);
        let expected: Vec<(u32, u32)> = entries.iter().flat_map(|e| (0..e.tokens).map(|o| (e.tokens, o))).collect();
        assert_eq!(all, expected);
    }
}
