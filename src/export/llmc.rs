//! llm.c and NeMo Automodel: 256 numbers of 32 bits, then the tokens; below 2 GiB.
//!
//! Both read `train_*.bin` in order of names. A shard that is too large becomes several files, cut at windows.

use super::nanogpt::pieces_of;
use super::part::Part;
use super::staging::{Piece, Staging};
use super::{Job, Wrote};
use crate::error::{Error, Result};
use syllabus_reader::format::TokenDtype;

/// Bytes of the header.
const HEADER: u64 = 1024;
/// Largest file: token counts and offsets are 32-bit signed numbers in some of these readers.
const MOST: u64 = (1 << 31) - 1;

/// Whose header it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    LlmC,
    Automodel,
}

impl Reader {
    /// Magic number, version, and bytes of a token where the header says them.
    fn marks(self, dtype: TokenDtype) -> (u32, u32, u32) {
        match (self, dtype) {
            (Self::LlmC, TokenDtype::U16) => (20_240_520, 1, 0),
            (Self::LlmC, TokenDtype::U32) => (20_240_801, 7, 0),
            (Self::Automodel, _) => (278_895_051, 1, u32::from(dtype.width_u8())),
        }
    }

    fn header(self, dtype: TokenDtype, tokens: u64) -> Result<Vec<u8>> {
        let (magic, version, width) = self.marks(dtype);
        let tokens = u32::try_from(tokens).map_err(|_| Error::Failed(format!("{tokens} tokens in one file")))?;
        let mut bytes: Vec<u8> = [magic, version, tokens, width].iter().flat_map(|n| n.to_le_bytes()).collect();
        bytes.resize(usize::try_from(HEADER).unwrap_or(0), 0);
        Ok(bytes)
    }
}

pub(super) fn export(job: &Job<'_>, reader: Reader, staging: &mut Staging) -> Result<Wrote> {
    export_within(job, reader, MOST, staging)
}

/// With files of at most so many bytes.
pub(super) fn export_within(job: &Job<'_>, reader: Reader, most: u64, staging: &mut Staging) -> Result<Wrote> {
    let dtype = job.dataset.manifest().token_dtype;
    let width = u64::from(dtype.width_u8());
    let mut files = Vec::new();
    let (mut train, mut val) = (0, 0);
    for part in job.parts {
        let (kind, number) = if part.held_out { ("val", &mut val) } else { ("train", &mut train) };
        let mut of = Vec::new();
        for piece in cut(part, width, most)? {
            let name = format!("{kind}_{number:06}.bin");
            *number += 1;
            let header = reader.header(dtype, piece.bytes / width)?;
            staging.join(&name, &header, &[piece])?;
            of.push(name);
        }
        files.push(of);
    }
    let mut notes = Vec::new();
    let rows = job.parts.iter().all(|part| part.set.window_tokens() == part.set.sequence_length());
    if reader == Reader::Automodel {
        notes.push("with several ranks each reads files of its own, so the order is kept by one rank only".to_owned());
        if rows {
            notes.push("it takes S + 1 tokens a sample, so samples drift across windows of S".to_owned());
        }
        return Ok(Wrote { files, notes });
    }
    notes.push("its train_gpt2 shuffles unless `permute_train_loader` is 0 in its source".to_owned());
    if dtype == TokenDtype::U32 {
        notes.push("u32 tokens go to llm.c's Llama 3 program (train_llama3): its GPT-2 program reads u16".to_owned());
    }
    Ok(Wrote { files, notes })
}

/// A part's shards, cut at windows into pieces whose files are at most `most` bytes.
fn cut(part: &Part<'_>, width: u64, most: u64) -> Result<Vec<Piece>> {
    let window = u64::from(part.set.window_tokens()) * width;
    let fits = most.saturating_sub(HEADER) / window * window;
    if fits == 0 {
        return Err(Error::Failed(format!("a window of {window} bytes does not fit a file of {most}")));
    }
    let mut cut = Vec::new();
    for piece in pieces_of(part, width)? {
        let mut at = 0;
        while at < piece.bytes {
            let bytes = fits.min(piece.bytes - at);
            cut.push(Piece { path: piece.path.clone(), start: piece.start + at, bytes });
            at += bytes;
        }
    }
    Ok(cut)
}
