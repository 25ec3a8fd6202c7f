//! One reusable block of memory that holds the arrays of a micro-batch.

use memmap2::{MmapMut, MmapRaw};

use super::options::Outputs;
use crate::error::{Error, Result};
use crate::fill::Id;

/// Arrays begin at multiples of this, counted from the block's start.
const ALIGN: usize = 64;

/// A block of memory that arrays are written into: ordinary memory, or what a caller provides (pinned for a GPU, say).
///
/// # Safety
/// `pointer` is aligned to 64 bytes and valid for reads and writes of `length` bytes until the value is dropped; both never
/// change; nobody else writes to it while a loader fills it.
pub unsafe trait Memory: Send + Sync {
    /// Its first byte.
    fn pointer(&self) -> *mut u8;
    /// Its bytes.
    fn length(&self) -> usize;
}

/// Ordinary memory. A map rather than the allocator's: its pages cost nothing until they are written, and large ones may be used.
struct Heap(MmapRaw);

impl Heap {
    fn new(bytes: usize) -> Result<Self> {
        let map = MmapMut::map_anon(bytes.max(1))?;
        // Where that is not to be had, nothing is lost but time.
        #[cfg(target_os = "linux")]
        let _small = map.advise(memmap2::Advice::HugePage);
        Ok(Self(map.into()))
    }
}

// SAFETY: the map stays where it is until it is dropped and begins at a page; it is readable and writable, and private.
unsafe impl Memory for Heap {
    fn pointer(&self) -> *mut u8 {
        self.0.as_mut_ptr()
    }

    fn length(&self) -> usize {
        self.0.len()
    }
}

/// Makes blocks of at least so many bytes.
pub type Allocate = dyn Fn(usize) -> Result<Box<dyn Memory>> + Send + Sync;

/// Ordinary memory, zeroed.
///
/// # Errors
/// [`Error::Io`] when there is not so much.
pub fn heap(bytes: usize) -> Result<Box<dyn Memory>> {
    Ok(Box::new(Heap::new(bytes)?))
}

/// Which array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Array {
    /// Rows × L, the outputs' id type.
    InputIds,
    /// Rows × L, the outputs' id type.
    Labels,
    /// Rows × L, the outputs' id type.
    PositionIds,
    /// Rows × L, i32.
    SegmentIds,
    /// Rows × L, u8.
    LossMask,
    /// Rows, i64.
    WindowIds,
    /// Rows, i32.
    SourceIds,
    /// Rows, i32.
    Epochs,
}

/// Where each array lies in a block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    offsets: [Option<(usize, usize)>; 8],
    pub(crate) bytes: usize,
}

impl Layout {
    /// For `rows` rows of `width` values.
    pub(crate) fn new(rows: usize, width: usize, outputs: &Outputs) -> Result<Self> {
        let too_large =
            || Error::OutOfRange(format!("a micro-batch of {rows} rows of {width} is too large for memory"));
        let values = rows.checked_mul(width).ok_or_else(too_large)?;
        let id = outputs.ids.width();
        let arrays = [
            Some(values.checked_mul(id)),
            outputs.labels.then(|| values.checked_mul(id)),
            outputs.position_ids.then(|| values.checked_mul(id)),
            outputs.segment_ids.then(|| values.checked_mul(4)),
            outputs.loss_mask.then_some(Some(values)),
            Some(rows.checked_mul(8)),
            Some(rows.checked_mul(4)),
            Some(rows.checked_mul(4)),
        ];
        let mut layout = Self::default();
        for (offset, array) in layout.offsets.iter_mut().zip(arrays) {
            let Some(bytes) = array else { continue };
            let bytes = bytes.ok_or_else(too_large)?;
            *offset = Some((layout.bytes, bytes));
            let end = layout.bytes.checked_add(bytes).and_then(|end| end.checked_next_multiple_of(ALIGN));
            layout.bytes = end.ok_or_else(too_large)?;
        }
        Ok(layout)
    }

    /// Offset and bytes of an array; `None` when it was not asked for.
    pub(crate) fn place(&self, array: Array) -> Option<(usize, usize)> {
        let index = match array {
            Array::InputIds => 0,
            Array::Labels => 1,
            Array::PositionIds => 2,
            Array::SegmentIds => 3,
            Array::LossMask => 4,
            Array::WindowIds => 5,
            Array::SourceIds => 6,
            Array::Epochs => 7,
        };
        self.offsets.get(index).copied().flatten()
    }
}

/// A block and the borders, which have no fixed number.
pub(crate) struct Slot {
    pub(crate) memory: Box<dyn Memory>,
    pub(crate) borders: Vec<i32>,
}

/// The arrays of a slot while they are written.
pub(crate) struct Writing<'a, I> {
    pub(crate) input_ids: &'a mut [I],
    pub(crate) labels: Option<&'a mut [I]>,
    pub(crate) position_ids: Option<&'a mut [I]>,
    pub(crate) segment_ids: Option<&'a mut [i32]>,
    pub(crate) loss_mask: Option<&'a mut [u8]>,
    pub(crate) window_ids: &'a mut [i64],
    pub(crate) source_ids: &'a mut [i32],
    pub(crate) epochs: &'a mut [i32],
    pub(crate) borders: &'a mut Vec<i32>,
}

impl Slot {
    pub(crate) fn fits(&self, layout: &Layout) -> bool {
        self.memory.length() >= layout.bytes
    }

    /// The arrays to write. `I` must be the type that the layout was made for.
    pub(crate) fn write<I: Id>(&mut self, layout: &Layout) -> Result<Writing<'_, I>> {
        if !self.fits(layout) || self.memory.pointer().align_offset(ALIGN) != 0 {
            return Err(Error::OutOfRange("a block of memory is too small, or not aligned to 64 bytes".to_owned()));
        }
        let memory = &*self.memory;
        Ok(Writing {
            input_ids: slice(memory, layout, Array::InputIds).unwrap_or_default(),
            labels: slice(memory, layout, Array::Labels),
            position_ids: slice(memory, layout, Array::PositionIds),
            segment_ids: slice(memory, layout, Array::SegmentIds),
            loss_mask: slice(memory, layout, Array::LossMask),
            window_ids: slice(memory, layout, Array::WindowIds).unwrap_or_default(),
            source_ids: slice(memory, layout, Array::SourceIds).unwrap_or_default(),
            epochs: slice(memory, layout, Array::Epochs).unwrap_or_default(),
            borders: &mut self.borders,
        })
    }
}

/// One array of a block that fits `layout` and is aligned.
#[expect(clippy::mut_from_ref, reason = "the only caller has the slot to itself, and the arrays do not overlap")]
fn slice<'a, T: Value>(memory: &'a dyn Memory, layout: &Layout, array: Array) -> Option<&'a mut [T]> {
    let (offset, bytes) = layout.place(array)?;
    // SAFETY: the caller compared the block's length with the layout's bytes and holds the slot mutably; arrays of a layout do
    // not overlap and begin at multiples of 64 in a block that is aligned to 64; the bytes were initialised when the block was
    // made, or hold what a former batch wrote; every bit pattern is a `T`.
    Some(unsafe { std::slice::from_raw_parts_mut(memory.pointer().add(offset).cast::<T>(), bytes / size_of::<T>()) })
}

/// Types whose every bit pattern is a value.
trait Value {}
impl Value for u8 {}
impl<I: Id> Value for I {}
