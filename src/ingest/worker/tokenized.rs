//! A document that comes as ids: held to the contract, keyed, framed, and decoded where its text is asked for.

use xxhash_rust::xxh3::xxh3_128;

use super::Worker;
use crate::curriculum::checked::Frame;
use crate::error::Result;
use crate::tokenize::Contract;

/// The key of a document of ids: XXH3-128 of its ids without BOS and EOS, each as four bytes, little-endian; so it is the same
/// whatever the width of ids in the file, and whether or not the file has the frame.
#[must_use]
pub fn key_of_ids(body: &[u32], scratch: &mut Vec<u8>) -> u128 {
    scratch.clear();
    scratch.extend(body.iter().flat_map(|id| id.to_le_bytes()));
    xxh3_128(scratch)
}

/// The ids between BOS and EOS, or why these are no document of this tokenizer and curriculum.
fn unframed<'i>(ids: &'i [u32], contract: &Contract, frame: Frame) -> Result<&'i [u32], String> {
    let mut body = ids;
    for (id, name, first) in [(contract.bos_id, "BOS", true), (contract.eos_id, "EOS", false)] {
        let Some(id) = id else { continue };
        let rest = match (first, body) {
            (true, [found, rest @ ..]) | (false, [rest @ .., found]) if *found == id => Some(rest),
            _ => None,
        };
        match rest {
            Some(rest) => body = rest,
            None if frame == Frame::Complete => {}
            None => {
                let place = if first { "begin" } else { "end" };
                return Err(format!(
                    "the document does not {place} with {name} ({id}), as the curriculum's `{}` says; `frame: complete` in \
                     `tokenized` adds what is missing",
                    name.to_ascii_lowercase()
                ));
            }
        }
    }
    for (at, &id) in body.iter().enumerate() {
        if id >= contract.vocab_size {
            return Err(format!(
                "token id {id} is not below {}, the size of the tokenizer's vocabulary: another tokenizer wrote it",
                contract.vocab_size
            ));
        }
        if Some(id) == contract.bos_id || Some(id) == contract.eos_id {
            let name = if Some(id) == contract.eos_id { "EOS" } else { "BOS" };
            return Err(format!(
                "{name} ({id}) stands within the document, {at} ids after its beginning: several documents in one?"
            ));
        }
    }
    Ok(body)
}

impl Worker<'_> {
    /// Judges a document of ids.
    pub(super) fn take_ids(&mut self, place: &dyn Fn() -> String, ids: &[u32]) -> Result<()> {
        let shared = self.shared;
        let contract = shared.contract;
        let source = &shared.resolved.curriculum.sources[self.gather.source()];
        let frame = source.tokenized.as_ref().map_or(Frame::Check, |tokenized| tokenized.frame);
        if ids.is_empty() {
            self.gather.empty(0);
            return Ok(());
        }
        let body = match unframed(ids, contract, frame) {
            Ok(body) => body,
            Err(why) => return self.bad(place, why),
        };
        if body.is_empty() {
            self.gather.empty(0);
            return Ok(());
        }
        let framing = usize::from(contract.bos_id.is_some()) + usize::from(contract.eos_id.is_some());
        // The text is not known, so what stands for its bytes is the size of the tokens.
        let size = (body.len() + framing) * contract.dtype.width();
        let bytes = size as u64;
        let key = key_of_ids(body, &mut self.bytes);
        if !self.thin.keeps(key) {
            self.gather.filtered("thin", bytes);
            return Ok(());
        }
        let _alone = self.room_for(bytes)?;
        let text = match self.leaks.is_some() || self.signer.is_some() {
            true => Some(self.tokenizer.decode(body)?),
            false => None,
        };
        if let (Some((benchmarks, scratch)), Some(text)) = (&mut self.leaks, &text)
            && let Some(leak) = benchmarks.check(scratch, text)
        {
            self.gather.contaminated(key, leak, bytes);
            return Ok(());
        }
        for ids in [contract.bos_id.as_slice(), body, contract.eos_id.as_slice()] {
            // This row is not covered yet: what is committed meanwhile does not cover it.
            self.gather.add(ids)?;
        }
        let signature = match (&mut self.signer, &text) {
            (Some(signer), Some(text)) => Some(signer.sign(text)),
            _ => None,
        };
        self.gather.document(key, bytes, signature.as_ref())
    }
}
