//! Writing windows into a trainer's tensors: the tokens are read while they are in cache, nothing is allocated.

use crate::error::{Error, Result};
use crate::lanes;
use crate::set::{Window, WindowSet};

mod sealed {
    pub trait Sealed {}
    impl Sealed for i32 {}
    impl Sealed for i64 {}
}

/// Type of an id in a trainer's tensor: `i32` or `i64`.
pub trait Id: sealed::Sealed + Copy {
    /// Converts an id below 2^31.
    fn from_token(token: u32) -> Self;
    /// Converts an `ignore_index`.
    fn from_i32(value: i32) -> Self;
}

impl Id for i32 {
    #[expect(clippy::cast_possible_wrap, reason = "ids are below 2^31: compared with the manifest's largest before")]
    fn from_token(token: u32) -> Self {
        token as Self
    }

    fn from_i32(value: i32) -> Self {
        value
    }
}

impl Id for i64 {
    fn from_token(token: u32) -> Self {
        Self::from(token)
    }

    fn from_i32(value: i32) -> Self {
        Self::from(value)
    }
}

/// The caller's memory. Each buffer that is given is filled; those of a row length hold `rows × S` values, row after row, and may
/// be larger (the rest is left as it is).
#[derive(Debug)]
pub struct Buffers<'b, I> {
    /// Rows × S: the input ids.
    pub input_ids: Option<&'b mut [I]>,
    /// Rows × S: the id that follows each input. Masked ones are [`FillOptions::ignore_index`] where that is set.
    pub labels: Option<&'b mut [I]>,
    /// Rows × S: position within the fragment, from 0 at each fragment's start (and at the padding's).
    pub position_ids: Option<&'b mut [I]>,
    /// Rows × S: number of the fragment in its row, from 1; padding is 0.
    pub segment_ids: Option<&'b mut [i32]>,
    /// Rows × S: 1 where the label is trained on, else 0.
    pub loss_mask: Option<&'b mut [u8]>,
    /// Rows: the window's source, as an index into the manifest's sources.
    pub source_ids: Option<&'b mut [i32]>,
    /// Rows: the epoch of the window's first document, from 0.
    pub epochs: Option<&'b mut [i32]>,
    /// Rows: the window's number, as in [`Window::index`].
    pub window_ids: Option<&'b mut [i64]>,
    /// Cleared, then filled with the borders of all fragments in the flattened inputs, from 0 to rows × S: every row's end is a
    /// border, and padding is a sequence of its own.
    pub cu_seqlens: Option<&'b mut Vec<i32>>,
}

impl<I> Default for Buffers<'_, I> {
    fn default() -> Self {
        Self {
            input_ids: None,
            labels: None,
            position_ids: None,
            segment_ids: None,
            loss_mask: None,
            source_ids: None,
            epochs: None,
            window_ids: None,
            cu_seqlens: None,
        }
    }
}

/// What is masked, and how. The label of an input is masked when it is padding, or when there is none (the last of a window with
/// W = S).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FillOptions {
    /// Mask also the labels that begin another fragment: nothing in the window foretells them.
    pub mask_document_starts: bool,
    /// Value of masked labels; `None` leaves the token that follows (the padding id where there is none).
    pub ignore_index: Option<i32>,
}

impl Default for FillOptions {
    /// Document starts are trained on; masked labels are -100, as PyTorch's cross-entropy expects.
    fn default() -> Self {
        Self { mask_document_starts: false, ignore_index: Some(-100) }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filled {
    /// Rows.
    pub rows: usize,
    /// S: values in a row.
    pub sequence_length: usize,
    /// The longest sequence between two borders of `cu_seqlens`.
    pub max_seqlen: usize,
}

fn part<'b, T>(buffer: &'b mut [T], row: usize, width: usize, what: &str) -> Result<&'b mut [T]> {
    let have = buffer.len();
    let range = row.checked_mul(width).and_then(|start| Some(start..start.checked_add(width)?));
    range.and_then(|range| buffer.get_mut(range)).ok_or_else(|| {
        Error::OutOfRange(format!("{what}: room for {have} values, but row {row} of {width} needs more"))
    })
}

pub(crate) fn fill<'a, I: Id>(
    set: &WindowSet,
    windows: impl Iterator<Item = Result<Window<'a>>>,
    rows: usize,
    buffers: &mut Buffers<'_, I>,
    options: &FillOptions,
) -> Result<Filled> {
    let mut filled = begin(set, rows, buffers)?;
    for (row, window) in windows.enumerate() {
        fill_row(set, &window?, row, &mut filled, buffers, options)?;
    }
    Ok(filled)
}

/// Makes ready for `rows` rows.
pub(crate) fn begin<I: Id>(set: &WindowSet, rows: usize, buffers: &mut Buffers<'_, I>) -> Result<Filled> {
    let too_large = || Error::OutOfRange(format!("a batch of {rows} rows does not fit 32-bit borders"));
    let s = usize::try_from(set.sequence_length()).map_err(|_| too_large())?;
    let filled = Filled { rows, sequence_length: s, max_seqlen: 0 };
    let total = rows.checked_mul(s).ok_or_else(too_large)?;
    if let Some(borders) = &mut buffers.cu_seqlens {
        i32::try_from(total).map_err(|_| too_large())?;
        borders.clear();
        borders.push(0);
    }
    Ok(filled)
}

/// Writes row `row`.
pub(crate) fn fill_row<I: Id>(
    set: &WindowSet,
    window: &Window<'_>,
    row: usize,
    filled: &mut Filled,
    buffers: &mut Buffers<'_, I>,
    options: &FillOptions,
) -> Result<()> {
    let longest = write_row(set, window, row, filled.sequence_length, buffers, options)?;
    filled.max_seqlen = filled.max_seqlen.max(longest);
    Ok(())
}

/// Writes one row; gives the length of its longest fragment.
fn write_row<I: Id>(
    set: &WindowSet,
    window: &Window<'_>,
    row: usize,
    s: usize,
    buffers: &mut Buffers<'_, I>,
    options: &FillOptions,
) -> Result<usize> {
    let corrupt = |message: String| Error::Corrupt {
        file: window.file.to_owned(),
        message: format!("window {} of `{}`: {message}", window.index, window.phase),
    };
    let w = window.tokens.len();
    let padding = usize::try_from(window.padding).ok().filter(|&padding| padding <= w);
    let text_end = w - padding.ok_or_else(|| corrupt("more padding than tokens".to_owned()))?;
    if w < s {
        return Err(corrupt("shorter than its sequence".to_owned()));
    }

    let inputs = match &mut buffers.input_ids {
        Some(out) => part(out, row, s, "input_ids")?,
        None => &mut [],
    };
    let mut labels = match &mut buffers.labels {
        Some(out) => Some(part(out, row, s, "labels")?),
        None => None,
    };
    let mut mask = match &mut buffers.loss_mask {
        Some(out) => Some(part(out, row, s, "loss_mask")?),
        None => None,
    };
    let largest = lanes::ids(window.tokens, inputs, labels.as_deref_mut().unwrap_or_default());
    if largest > set.common.max_token_id || i32::try_from(largest).is_err() {
        return Err(corrupt(format!(
            "token id {largest}, but the manifest says that none is above {}",
            set.common.max_token_id
        )));
    }
    let ignored = options.ignore_index.map(I::from_i32);
    if let Some(last) = labels.as_mut().and_then(|labels| labels.get_mut(w - 1..)) {
        last.fill(I::from_token(set.common.pad_id));
    }
    // Label p is token p + 1: trained on while that lies before the padding.
    let trained = text_end.saturating_sub(1).min(s);
    if let (Some(labels), Some(ignored)) = (&mut labels, ignored) {
        labels.get_mut(trained..).unwrap_or_default().fill(ignored);
    }
    if let Some(mask) = &mut mask {
        let (on, off) = mask.split_at_mut(trained);
        on.fill(1);
        off.fill(0);
    }
    if let Some(out) = &mut buffers.source_ids {
        let source =
            i32::try_from(window.source_index).map_err(|_| corrupt("its source is out of range".to_owned()))?;
        part(out, row, 1, "source_ids")?.fill(source);
    }
    if let Some(out) = &mut buffers.epochs {
        let epoch = window.fragments.get(0).map_or(0, |fragment| fragment.epoch);
        let epoch = i32::try_from(epoch).map_err(|_| corrupt("its epoch is out of range".to_owned()))?;
        part(out, row, 1, "epochs")?.fill(epoch);
    }
    if let Some(out) = &mut buffers.window_ids {
        let index = i64::try_from(window.index).map_err(|_| corrupt("its number is out of range".to_owned()))?;
        part(out, row, 1, "window_ids")?.fill(index);
    }

    let mut positions = match &mut buffers.position_ids {
        Some(out) => Some(part(out, row, s, "position_ids")?),
        None => None,
    };
    let mut segments = match &mut buffers.segment_ids {
        Some(out) => Some(part(out, row, s, "segment_ids")?),
        None => None,
    };
    let mut longest = 0;
    let mut next = 0_usize;
    let mut border = |next: usize, end: usize, segment: i32| -> Result<()> {
        let stop = end.min(s);
        if stop <= next {
            return Ok(());
        }
        longest = longest.max(stop - next);
        if let Some(positions) = &mut positions {
            lanes::count(positions.get_mut(next..stop).unwrap_or_default());
        }
        if let Some(segments) = &mut segments {
            lanes::set(segments.get_mut(next..stop).unwrap_or_default(), segment);
        }
        if let Some(borders) = &mut buffers.cu_seqlens {
            let border = i32::try_from(row * s + stop).map_err(|_| corrupt("too many tokens".to_owned()))?;
            borders.push(border);
        }
        Ok(())
    };
    for (segment, fragment) in (1_i32..).zip(window.fragments) {
        let length = usize::try_from(fragment.length).unwrap_or(usize::MAX);
        let end = next.saturating_add(length);
        if usize::try_from(fragment.start) != Ok(next) || length == 0 || end > text_end {
            return Err(corrupt("its fragments do not tile it".to_owned()));
        }
        if options.mask_document_starts && next > 0 && next <= trained {
            if let Some(mask) = &mut mask {
                mask.get_mut(next - 1..next).unwrap_or_default().fill(0);
            }
            if let (Some(labels), Some(ignored)) = (&mut labels, ignored) {
                labels.get_mut(next - 1..next).unwrap_or_default().fill(ignored);
            }
        }
        border(next, end, segment)?;
        next = end;
    }
    if next != text_end {
        return Err(corrupt("its fragments do not tile it".to_owned()));
    }
    border(text_end, w, 0)?;
    Ok(longest)
}
