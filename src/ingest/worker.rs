//! One worker: draws batches, judges rows, gathers documents, commits segments with the rows they cover.

mod gather;
mod tokenized;

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use syllabus_reader::format::tokens;

use super::contaminate::{Benchmarks, Scratch};
use super::decode::{Batch, Held, Row};
use super::judge::{Thin, Verdict, judge};
use super::{Shared, Slot, State};
use crate::curriculum::checked::OnBadRow;
use crate::dedup::near::{Signature, Signer};
use crate::error::{Error, Result, or_defect};
use crate::plan::number;
use crate::tokenize::{Encoder, Tokenizer};
use gather::Gather;

pub(super) struct Worker<'a> {
    shared: &'a Shared<'a>,
    encoder: Box<dyn Encoder + Send + 'a>,
    thin: Thin,
    gather: Gather<'a>,
    /// Ids on their way from the encoder.
    ids: Vec<u32>,
    /// Bytes of ids, while they are hashed.
    bytes: Vec<u8>,
    leaks: Option<(&'a Benchmarks, Scratch)>,
    signer: Option<Signer>,
    tokenizer: &'a dyn Tokenizer,
    /// Whether the batch that is worked on is a large piece, so that it has the room already.
    has_room: bool,
}

/// Ids that there is room for from one document to the next. What longer ones take is given back, or in time every worker would
/// hold as much as the longest document of all.
const KEPT_IDS: usize = 1 << 18;

/// What a long document is worked on under: the room for large pieces, unless its batch has it, and the turn within the piece.
type Alone<'a> = (Option<Held>, MutexGuard<'a, ()>);

impl<'a> Worker<'a> {
    pub(super) fn new(shared: &'a Shared<'a>, tokenizer: &'a dyn Tokenizer) -> Result<Self> {
        Ok(Self {
            shared,
            encoder: tokenizer.encoder(),
            thin: Thin::new(shared.options.thin.as_ref()),
            gather: Gather::new(shared),
            ids: Vec::new(),
            bytes: Vec::new(),
            leaks: shared.options.benchmarks.as_deref().map(|benchmarks| (benchmarks, benchmarks.scratch())),
            signer: shared.options.shingle.map(Signer::new),
            tokenizer,
            has_room: false,
        })
    }

    /// Works until nothing is left to draw.
    pub(super) fn run(mut self) -> Result<()> {
        let shared = self.shared;
        loop {
            let next = shared.next.fetch_add(1, Ordering::Relaxed);
            let Some(slot) = usize::try_from(next).ok().and_then(|next| shared.slots.get(next)) else { break };
            self.drain(slot)?;
        }
        // Nothing unopened is left: help those who are not done yet.
        for slot in &shared.slots {
            self.drain(slot)?;
        }
        self.gather.flush()
    }

    fn drain(&mut self, slot: &Arc<Slot>) -> Result<()> {
        // A panic too must come to the line below.
        let drained = or_defect(|| self.draw_all(slot));
        if drained.is_err() || self.shared.watch.stop.load(Ordering::Relaxed) {
            // Its reader may hold the room that others wait for.
            *slot.reader() = State::Done;
        }
        drained
    }

    fn draw_all(&mut self, slot: &Arc<Slot>) -> Result<()> {
        let watch = self.shared.watch;
        while !watch.stop.load(Ordering::Relaxed) {
            let Some(batch) = self.draw(slot)? else { return Ok(()) };
            self.gather.turn_to(slot.source)?;
            self.take(slot, &batch)?;
        }
        Ok(())
    }

    /// The unit's next batch: the only part under its lock.
    fn draw(&self, slot: &Slot) -> Result<Option<Batch>> {
        let mut state = slot.reader();
        if matches!(*state, State::Unopened) {
            *state = State::Open(slot.unit.open(&self.shared.specs[slot.source])?);
        }
        let State::Open(reader) = &mut *state else { return Ok(None) };
        let batch = reader.next_batch()?;
        if batch.is_none() {
            *state = State::Done;
            self.shared.watch.units.fetch_add(1, Ordering::Relaxed);
        }
        Ok(batch)
    }

    fn take(&mut self, slot: &Slot, batch: &Batch) -> Result<()> {
        let shared = self.shared;
        self.has_room = batch.has_room();
        let covered = &shared.covered[slot.source][slot.file];
        let file =
            u32::try_from(slot.file).map_err(|_| Error::Failed("more than 2^32 files in a source".to_owned()))?;
        let path = &shared.resolved.files[slot.source][slot.file].path;
        let seen = batch.visit(&mut |at, row| {
            let number = at.row;
            if is_covered(covered, number) {
                return Ok(());
            }
            self.row(&|| format!("{}: {at}", path.display()), row).map_err(|error| match error {
                // The tokenizer knows what is wrong, this place knows where.
                Error::Failed(message) => Error::Source { file: path.clone(), place: at.to_string(), message },
                error => error,
            })?;
            self.gather.cover(file, number)
        })?;
        shared.note_presence(slot.source, &seen);
        Ok(())
    }

    /// Judges one row. It is not yet covered: a segment written on its account does not cover it.
    fn row(&mut self, place: &dyn Fn() -> String, row: Row<'_>) -> Result<()> {
        self.gather.next_row()?;
        let source = &self.shared.resolved.curriculum.sources[self.gather.source()];
        let text = match row {
            Row::Excluded => {
                self.gather.excluded();
                return Ok(());
            }
            Row::Bad(why) => return self.bad(place, why),
            Row::Ids(ids) => return self.take_ids(place, ids),
            Row::Text(text) => text,
        };
        let bytes = text.len() as u64;
        match judge(&text, &source.rules, self.thin) {
            Verdict::Empty => self.gather.empty(bytes),
            Verdict::Filtered(rule) => self.gather.filtered(rule, bytes),
            Verdict::Document(key) => {
                if let Some((benchmarks, scratch)) = &mut self.leaks
                    && let Some(leak) = benchmarks.check(scratch, &text)
                {
                    self.gather.contaminated(key, leak, bytes);
                    return Ok(());
                }
                let _alone = self.room_for(bytes)?;
                let kept = self.encode(&text)?;
                if let Some(judge) = &self.shared.judge {
                    let of = (self.gather.source(), source.name.as_str());
                    judge.document(of, key, &text, &mut *self.encoder, self.tokenizer.backend())?;
                }
                if self.gather.open_tokens() == 0 {
                    // Without BOS and EOS a text may come to no token at all; there is nothing of it to read.
                    self.gather.empty(bytes);
                    return Ok(());
                }
                let signature = self.sign(&text, kept)?;
                self.gather.document(key, bytes, signature.as_ref())?;
            }
        }
        Ok(())
    }

    /// Encodes a text, framed, straight into what is gathered. Where it is to be signed, gives whether all ids stand for the text that
    /// they were made of: they are asked while they are at hand.
    fn encode(&mut self, text: &str) -> Result<bool> {
        let Self { encoder, ids, gather, shared, tokenizer, signer, .. } = self;
        ids.clear();
        ids.extend(shared.contract.bos_id);
        let (mut own, mut kept) = (ids.len(), true);
        encoder.encode_in_parts(text, ids, &mut |ids| {
            kept &= signer.is_none() || tokenizer.keeps_ids(ids.get(own..).unwrap_or_default());
            own = 0;
            gather.add(ids)?;
            ids.clear();
            // A backend that knows no parts gives a long document whole.
            ids.shrink_to(KEPT_IDS);
            Ok(())
        })?;
        gather.add(shared.contract.eos_id.as_slice())?;
        Ok(kept)
    }

    /// Counts a row that cannot be read, where that is allowed.
    fn bad(&mut self, place: &dyn Fn() -> String, why: String) -> Result<()> {
        let source = &self.shared.resolved.curriculum.sources[self.gather.source()];
        if source.on_bad_row == OnBadRow::Error {
            return Err(Error::Failed(format!(
                "{why} (source `{}`; to count such rows and go on, give it `on_bad_row: count`)",
                source.name
            )));
        }
        self.gather.bad(format!("{}: {why}", place()));
        Ok(())
    }

    /// Refuses a document that memory has no room for. One that is long is worked on alone, while what this gives back lives.
    fn room_for(&self, bytes: u64) -> Result<Option<Alone<'a>>> {
        let shared = self.shared;
        let most = shared.options.document_bytes;
        if bytes > most {
            return Err(Error::Failed(format!(
                "a document of {} is longer than the {} that memory allows; give more --memory or fewer --threads, or \
                 set `max_document_bytes` of source `{}`",
                number::bytes(bytes.into()),
                number::bytes(most.into()),
                shared.resolved.curriculum.sources[self.gather.source()].name
            )));
        }
        let alone = bytes > most / (4 * shared.options.threads as u64);
        Ok(alone.then(|| {
            // In this order everywhere: who has the turn never waits for the room.
            let held = (!self.has_room).then(|| shared.room.enter());
            (held, shared.long_document.lock().unwrap_or_else(PoisonError::into_inner))
        }))
    }

    /// Signs the text that the model reads, which is the ids decoded: nearly always the text itself. `kept` is what encoding gave.
    fn sign(&mut self, text: &str, kept: bool) -> Result<Option<Signature>> {
        let Some(signer) = &mut self.signer else { return Ok(None) };
        if kept && self.tokenizer.keeps(text) {
            return Ok(Some(signer.sign(text)));
        }
        self.ids.clear();
        tokens::decode(self.gather.open_bytes(), self.shared.contract.dtype, &mut self.ids);
        let signature = signer.sign(&self.tokenizer.decode(self.shared.contract.unframed(&self.ids))?);
        self.ids.clear();
        self.ids.shrink_to(KEPT_IDS);
        Ok(Some(signature))
    }
}

fn is_covered(covered: &[(u64, u64)], row: u64) -> bool {
    let after = covered.partition_point(|(first, _)| *first <= row);
    after > 0 && row < covered[after - 1].1
}

#[cfg(test)]
mod tests {
    use super::is_covered;

    #[test]
    fn covered_rows() {
        let covered = [(2, 4), (7, 8)];
        let rows: Vec<u64> = (0..10).filter(|row| is_covered(&covered, *row)).collect();
        assert_eq!(rows, [2, 3, 7]);
    }
}
