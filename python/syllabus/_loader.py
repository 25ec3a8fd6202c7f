"""The loader: dictionaries of arrays, filled ahead by native threads."""

import fractions
import json
import operator
from typing import NamedTuple

import numpy as np

from . import _native

_SUFFIXES = {"k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
# Pieces handed out before a pinned block is written again: a copy to a device may still be reading it.
_REST = 2
_OUTPUTS = ("labels", "position_ids", "segment_ids", "cu_seqlens", "loss_mask")


def _count(given):
    """A whole number, written as one or like `2.8T`."""
    if not isinstance(given, str):
        return operator.index(given)
    digits, factor = given, 1
    if given[-1:] in _SUFFIXES:
        digits, factor = given[:-1], _SUFFIXES[given[-1]]
    try:
        value = fractions.Fraction(digits) * factor
    except (ValueError, ZeroDivisionError):
        value = None
    if value is None or "/" in digits or value.denominator != 1:
        raise ValueError(f"{given!r} is no whole number; write 3072, or 2.8T with one of k, M, B, T")
    return int(value)


def _pinned(size):
    """A block of pinned memory: its owner and its address."""
    import torch

    block = torch.empty(size, dtype=torch.uint8, pin_memory=True)
    return block, block.data_ptr()


class Step(NamedTuple):
    """One step, a global batch.

    `start` is its first window and `end` the one after its last (windows between them may be skipped); `progress` is the part of
    its phase before it, 0 to below 1; `position` its place in the curriculum in trained tokens; `tokens` what all steps before
    it trained on.
    """

    step: int
    phase: str
    phase_index: int
    sequence_length: int
    start: int
    end: int
    windows: int
    progress: float
    position: int
    tokens: int


class Schedule:
    """The steps of a run: step, windows and tokens determine each other."""

    def __init__(self, native):
        self._native = native

    def at(self, step):
        """Step `step`. Raises `IndexError` where there is none."""
        return Step(step, *self._native.at(step))

    def step_of(self, window):
        """The step that trains on a global window. Raises `IndexError` where none does."""
        return self._native.step_of(window)

    @property
    def first_step(self):
        """Number of its first step."""
        return self._native.steps()[0]

    def __len__(self):
        """The number after its last step."""
        return self._native.steps()[1]


class Loader:
    """Iterates over the micro-batches of one rank, as dictionaries. `Dataset.loader` makes it.

    Each has arrays of shape (rows, S), or (rows, part of S) with `cp`:

    - `input_ids`, `labels`, `position_ids` (from 0 at each document's start): int64, or int32 with `ids="int32"`;
    - `segment_ids`: int32, the document's number in its window from 1, padding 0;
    - `loss_mask`: bool, where the label is trained on.

    Of shape (rows,): `window_ids` (int64, global), `source_ids` (int32, places in `Dataset.sources`), `epochs` (int32, of the
    window's first document). `cu_seqlens` is int32 of shape (sequences + 1,), or (max_docs + 1,) where that is given: the borders
    of all documents in the flattened rows, each row's end among them. Numbers: `max_seqlen`, the longest of these sequences;
    `num_targets_global`, the labels trained on in the whole step over all ranks, what a summed loss is divided by; `step`; `micro`,
    the piece's number in its step, of `micros`.

    An array may be written to. Its memory is used for another batch once the last array of its batch is gone.

    batch: windows of a global batch, or a schedule of them, `{0: 1024, "2.8T": 3072}`, by trained tokens (`by="windows"`: by
        windows). A batch never spans phases.
    rank, world: of the data-parallel ranks; rank r trains on every world-th window of a batch, from its r-th on.
    micro: windows of a piece; None for all of this rank's. Every rank gets the same number of pieces, if need be without rows.
    start: first global window. skip: spans (a, b) of global windows to leave out, b not included; nothing else moves.
    phase_end: "short" or "drop", what becomes of a phase's last windows when they do not fill a batch.
    cp: (rank, ranks, "contiguous" or "zigzag"): this context-parallel rank's part of each sequence; labels were shifted before.
    phase, validation: read one phase, or one held-out set, alone.
    outputs: which of labels, position_ids, segment_ids, cu_seqlens and loss_mask are written.
    max_docs: pads `cu_seqlens` to one shape, repeating its last value; a micro-batch with more sequences is an error.
    mask_document_starts: masks the first target of each following document. ignore_index: value of masked labels; None leaves the
        token that follows.
    format: "numpy", or "torch" for tensors. pin: whether torch's blocks are pinned; None: where torch has CUDA.
    threads: native threads that fill ahead (0: none); prefetch_bytes: bound on what they fill.

    Raises ValueError for what does not exist; while iterating, CorruptError or OSError naming a shard, and ValueError where
    `max_docs` is too small. The batch that failed is tried again when asked for again.

    It may be used from many threads, each batch going to one of them, and by parent and child after a fork.
    """

    def __init__(
        self, dataset, batch, *, by="tokens", rank=0, world=1, micro=None, start=0, skip=(), phase_end="short", cp=None,
        phase=None, validation=None, ids="int64", outputs=_OUTPUTS, max_docs=None, mask_document_starts=False,
        ignore_index=-100, format="numpy", pin=None, threads=1, prefetch_bytes=256 << 20,
    ):
        unknown = [name for name in outputs if name not in _OUTPUTS]
        if unknown:
            raise ValueError(f"outputs has {unknown}; known are {list(_OUTPUTS)}")
        if format not in ("numpy", "torch"):
            raise ValueError(f'format is {format!r}, not one of "numpy", "torch"')
        sizes = sorted((_count(at), _count(size)) for at, size in batch.items()) if isinstance(batch, dict) else [(0, _count(batch))]
        self._tensor, allocate = None, None
        if format == "torch":
            import torch

            self._tensor = torch.from_numpy
            if torch.cuda.is_available() if pin is None else pin:
                allocate = _pinned
        elif pin:
            raise ValueError('pin=True needs format="torch"')
        self._dataset = dataset
        self._native = _native.Loader(
            dataset._native, sizes=sizes, by=by, rank=rank, world=world, micro=micro, start=start,
            skip=[tuple(span) for span in skip], phase_end=phase_end, cp=cp, phase=phase, validation=validation, ids=ids,
            outputs=list(outputs), max_docs=max_docs, mask_document_starts=mask_document_starts, ignore_index=ignore_index,
            threads=threads, prefetch_bytes=prefetch_bytes, allocate=allocate, rest=_REST if allocate else 0,
        )
        self.schedule = Schedule(self._native)

    def __iter__(self):
        return self

    def __next__(self):
        batch = self._native.next()
        if batch is None:
            raise StopIteration
        if self._tensor is not None:
            for name, values in batch.items():
                if isinstance(values, np.ndarray):
                    batch[name] = self._tensor(values)
        return batch

    def __len__(self):
        """Micro-batches that are left."""
        return self._native.remaining()

    @property
    def next_step(self):
        """Step of the next micro-batch."""
        return self._native.steps()[2]

    def state_dict(self):
        """Where the run stands, as a dictionary of plain values: `version`, `reads`, `digests` (the dataset's chain up to the phase
        reached), `next_window`, `skip`.

        It counts what was handed out and not what was filled ahead; a step of which some pieces are to come counts as not done. It
        is the same on all ranks and has no batch shape.
        """
        return json.loads(self._native.state())

    def load_state_dict(self, state):
        """Goes on from `state`, under whatever ranks and batch sizes: with exactly the windows that were not handed out.

        Raises `ContractError` when it is not of this dataset, or of one that this one extends; nothing is changed then.
        """
        self._native.load_state(json.dumps(state))
