//! Filling one micro-batch: which windows it holds, and writing them.

use std::sync::Arc;

use super::options::{Borders, Context, IdType, LoaderOptions};
use super::schedule::{Schedule, Span};
use super::slot::{Layout, Slot, Writing};
use crate::copy::Copier;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::fill::{self, Buffers, FillOptions, Id};
use crate::set::{Window, WindowSet};

/// What all threads of a loader read and none changes.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) dataset: Arc<Dataset>,
    pub(crate) options: LoaderOptions,
    pub(crate) schedule: Schedule,
}

/// What one thread goes on from, from piece to piece.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    copier: Copier,
    /// A step, and the count of its targets, which its pieces share.
    targets: Option<(u64, u64)>,
}

/// A micro-batch: one rank's piece of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) step: u64,
    pub(crate) micro: u64,
    pub(crate) micros: u64,
    pub(crate) span: Span,
    /// This rank's rows of the step, from the first of this piece to before the next piece's.
    first_row: u64,
    end_row: u64,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) rows: usize,
    /// Values in a row: S, or a context-parallel rank's part of it.
    pub(crate) width: usize,
    pub(crate) sequence_length: usize,
    pub(crate) max_seqlen: usize,
    pub(crate) num_targets_global: u64,
    pub(crate) layout: Layout,
}

impl Work {
    /// Piece `micro` of `step`; `None` past the last step.
    pub(crate) fn task(&self, step: u64, micro: u64) -> Option<Task> {
        let span = self.schedule.span(step)?;
        let (rank, world) = (u64::from(self.options.rank), u64::from(self.options.world));
        let windows = span.end - span.start;
        let most = windows.div_ceil(world);
        let rows = windows.saturating_sub(rank).div_ceil(world);
        let piece = self.options.micro.unwrap_or(most).max(1);
        let first_row = micro.saturating_mul(piece).min(rows);
        let end_row = first_row.saturating_add(piece).min(rows);
        Some(Task { step, micro, micros: most.div_ceil(piece), span, first_row, end_row })
    }

    fn set(&self, task: &Task) -> Result<&WindowSet> {
        let sets = self.options.reads.sets(&self.dataset)?;
        sets.get(task.span.set).ok_or_else(|| Error::OutOfRange(format!("there is no set {}", task.span.set)))
    }

    /// Rows, S, and values in a row of a piece.
    fn shape(&self, task: &Task) -> Result<(usize, usize, usize)> {
        let set = self.set(task)?;
        let too_large = |_| Error::OutOfRange("a micro-batch is too large for memory".to_owned());
        let rows = usize::try_from(task.end_row - task.first_row).map_err(too_large)?;
        let s = usize::try_from(set.sequence_length()).map_err(too_large)?;
        let width = match &self.options.context {
            None => s,
            Some(context) => context.parts(s)?.iter().map(ExactSizeIterator::len).sum(),
        };
        Ok((rows, s, width))
    }

    pub(crate) fn layout(&self, task: &Task) -> Result<Layout> {
        let (rows, _, width) = self.shape(task)?;
        Layout::new(rows, width, &self.options.outputs)
    }

    /// Bytes of the largest piece.
    pub(crate) fn block_bytes(&self) -> Result<usize> {
        let mut most = 0;
        for span in self.schedule.largest() {
            let (step, rank) = (0, u64::from(self.options.rank));
            let world = u64::from(self.options.world);
            let rows = (span.end - span.start).saturating_sub(rank).div_ceil(world);
            let end_row = rows.min(self.options.micro.unwrap_or(u64::MAX));
            let task = Task { step, micro: 0, micros: 1, span, first_row: 0, end_row };
            most = most.max(self.layout(&task)?.bytes);
        }
        Ok(most)
    }

    /// Fails for what is known to fail at some step: a phase whose sequences cannot be cut.
    pub(crate) fn check(&self) -> Result<()> {
        for set in self.options.reads.sets(&self.dataset)? {
            if let Some(context) = &self.options.context {
                context.parts(usize::try_from(set.sequence_length()).unwrap_or(usize::MAX))?;
            }
        }
        Ok(())
    }

    /// The windows of a piece, read one after the other.
    fn windows<'a>(&'a self, task: &Task, set: &'a WindowSet, copier: &'a mut Copier) -> Windows<'a> {
        copier.forget();
        Windows { work: self, set, span: task.span, row: task.first_row, end_row: task.end_row, copier }
    }

    /// Trained labels of the whole step, over all ranks: from the index alone.
    fn targets(&self, task: &Task, reading: &mut Reading) -> Result<u64> {
        if let Some((step, count)) = reading.targets
            && step == task.step
        {
            return Ok(count);
        }
        let set = self.set(task)?;
        let mut count = 0;
        for kept in task.span.start..task.span.end {
            let row = reading.copier.row(set, self.schedule.global(task.span.set, kept) - set.first_window())?;
            let text = u64::from(set.window_tokens()).saturating_sub(u64::from(row.padding));
            let trained = text.saturating_sub(1).min(u64::from(set.sequence_length()));
            // Every fragment but the first begins at a label that is masked where that is asked for.
            let starts = u64::try_from(row.fragments.len().saturating_sub(1)).unwrap_or(u64::MAX);
            let masked = if self.options.fill.mask_document_starts { starts } else { 0 };
            count += trained.saturating_sub(masked);
        }
        reading.targets = Some((task.step, count));
        Ok(count)
    }

    /// Writes a piece into a slot that fits its layout.
    pub(crate) fn fill(&self, task: &Task, slot: &mut Slot, reading: &mut Reading) -> Result<Written> {
        match self.options.outputs.ids {
            IdType::I32 => self.fill_as::<i32>(task, slot, reading),
            IdType::I64 => self.fill_as::<i64>(task, slot, reading),
        }
    }

    fn fill_as<I: Id + Default>(&self, task: &Task, slot: &mut Slot, reading: &mut Reading) -> Result<Written> {
        let targets = self.targets(task, reading)?;
        let set = self.set(task)?;
        let (rows, s, width) = self.shape(task)?;
        let layout = self.layout(task)?;
        let mut writing = slot.write::<I>(&layout)?;
        let windows = self.windows(task, set, &mut reading.copier);
        let borders = self.options.outputs.cu_seqlens;
        let max_seqlen = match &self.options.context {
            None => whole(windows, rows, &mut writing, borders != Borders::None, &self.options.fill)?,
            Some(context) => cut(windows, s, context, &mut writing, borders != Borders::None, &self.options.fill)?,
        };
        if let Borders::Padded(most) = borders {
            let have = writing.borders.len().saturating_sub(1);
            if have > most {
                return Err(Error::OutOfRange(format!(
                    "step {}: {have} sequences in a micro-batch, but `max_docs` is {most}; make it larger",
                    task.step
                )));
            }
            let last = writing.borders.last().copied().unwrap_or(0);
            writing.borders.resize(most + 1, last);
        }
        Ok(Written { rows, width, sequence_length: s, max_seqlen, num_targets_global: targets, layout })
    }
}

/// The windows of a piece, read one after the other.
struct Windows<'a> {
    work: &'a Work,
    set: &'a WindowSet,
    span: Span,
    /// The next of this rank's rows of the step, and the one after the last.
    row: u64,
    end_row: u64,
    copier: &'a mut Copier,
}

impl Windows<'_> {
    /// Number in its set of the window of a row.
    fn window_of(&self, row: u64) -> u64 {
        let (rank, world) = (u64::from(self.work.options.rank), u64::from(self.work.options.world));
        self.work.schedule.global(self.span.set, self.span.start + rank + row * world) - self.set.first_window()
    }

    /// The next, in memory that the one after it uses again.
    fn next(&mut self) -> Option<Result<Window<'_>>> {
        let row = self.row;
        if row >= self.end_row {
            return None;
        }
        self.row += 1;
        let i = self.window_of(row);
        // Numbers only grow, so where the last one is as far away as there are rows, all between are wanted.
        let last = self.window_of(self.end_row - 1);
        let end = if last - i == self.end_row - 1 - row { last + 1 } else { i + 1 };
        let first = self.set.first_window();
        Some(self.copier.window(self.set, i, end).map(|window| Window { index: first + i, ..window }))
    }
}

/// Writes whole sequences; the longest sequence between two borders.
fn whole<I: Id>(
    mut windows: Windows<'_>,
    rows: usize,
    writing: &mut Writing<'_, I>,
    borders: bool,
    options: &FillOptions,
) -> Result<usize> {
    let mut buffers = Buffers {
        input_ids: Some(&mut *writing.input_ids),
        labels: writing.labels.as_deref_mut(),
        position_ids: writing.position_ids.as_deref_mut(),
        segment_ids: writing.segment_ids.as_deref_mut(),
        loss_mask: writing.loss_mask.as_deref_mut(),
        source_ids: Some(&mut *writing.source_ids),
        epochs: Some(&mut *writing.epochs),
        window_ids: Some(&mut *writing.window_ids),
        cu_seqlens: borders.then_some(&mut *writing.borders),
    };
    let set = windows.set;
    let mut filled = fill::begin(set, rows, &mut buffers)?;
    for row in 0..rows {
        let Some(window) = windows.next() else { break };
        fill::fill_row(set, &window?, row, &mut filled, &mut buffers, options)?;
    }
    Ok(filled.max_seqlen)
}

/// Copies a rank's parts of one row.
fn take<T: Copy>(from: &[T], parts: &[std::ops::Range<usize>], to: Option<&mut [T]>) {
    let Some(mut to) = to else { return };
    for part in parts {
        let Some(from) = from.get(part.clone()) else { return };
        let Some((here, rest)) = std::mem::take(&mut to).split_at_mut_checked(from.len()) else { return };
        here.copy_from_slice(from);
        to = rest;
    }
}

fn row_of<T>(array: Option<&mut [T]>, row: usize, width: usize) -> Option<&mut [T]> {
    array.and_then(|array| array.get_mut(row * width..(row + 1) * width))
}

/// Writes a context-parallel rank's parts: each row is written whole, labels shifted, and then cut. Borders are those of the
/// whole sequences, as attention across the ranks needs them.
fn cut<I: Id + Default>(
    mut windows: Windows<'_>,
    s: usize,
    context: &Context,
    writing: &mut Writing<'_, I>,
    borders: bool,
    options: &FillOptions,
) -> Result<usize> {
    let set = windows.set;
    let parts = context.parts(s)?;
    let width = parts.iter().map(ExactSizeIterator::len).sum();
    let [mut inputs, mut labels, mut positions] = [(); 3].map(|()| vec![I::default(); s]);
    let (mut segments, mut mask, mut row_borders) = (vec![0_i32; s], vec![0_u8; s], Vec::new());
    let mut longest = 0;
    if borders {
        writing.borders.clear();
        writing.borders.push(0);
    }
    let mut row = 0;
    while let Some(window) = windows.next() {
        let mut buffers = Buffers {
            input_ids: Some(&mut inputs[..]),
            labels: writing.labels.is_some().then_some(&mut labels[..]),
            position_ids: writing.position_ids.is_some().then_some(&mut positions[..]),
            segment_ids: writing.segment_ids.is_some().then_some(&mut segments[..]),
            loss_mask: writing.loss_mask.is_some().then_some(&mut mask[..]),
            source_ids: writing.source_ids.get_mut(row..=row),
            epochs: writing.epochs.get_mut(row..=row),
            window_ids: writing.window_ids.get_mut(row..=row),
            cu_seqlens: borders.then_some(&mut row_borders),
        };
        let filled = fill::fill(set, std::iter::once(window), 1, &mut buffers, options)?;
        longest = longest.max(filled.max_seqlen);
        take(&inputs, &parts, row_of(Some(&mut *writing.input_ids), row, width));
        take(&labels, &parts, row_of(writing.labels.as_deref_mut(), row, width));
        take(&positions, &parts, row_of(writing.position_ids.as_deref_mut(), row, width));
        take(&segments, &parts, row_of(writing.segment_ids.as_deref_mut(), row, width));
        take(&mask, &parts, row_of(writing.loss_mask.as_deref_mut(), row, width));
        if borders {
            let too_many = |_| Error::OutOfRange("a micro-batch has more tokens than 32-bit borders count".to_owned());
            let base = i32::try_from(row * s).map_err(too_many)?;
            for border in row_borders.iter().skip(1) {
                let border = base.checked_add(*border);
                writing.borders.push(border.ok_or(()).map_err(|()| Error::OutOfRange("too many tokens".to_owned()))?);
            }
        }
        row += 1;
    }
    Ok(longest)
}
