"""The loader: dictionaries of arrays, filled ahead by native threads."""

import fractions
import json
import operator
from typing import NamedTuple

import numpy as np

from . import _native
from ._arrays import array

_SUFFIXES = {"k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
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
    """Iterates over the micro-batches of one rank, as dictionaries.

    Arrays have the shape (rows, S), or (rows, part of S) with `cp`: `input_ids`, `labels`, `position_ids` (int64, or int32 with
    `ids="int32"`), `segment_ids` (int32), `loss_mask` (bool); of shape (rows,): `window_ids` (int64, global), `source_ids`,
    `epochs` (int32). `cu_seqlens` is int32, of length `max_docs + 1` where that is given. Numbers: `max_seqlen`,
    `num_targets_global` (labels trained on in the whole step, over all ranks), `step`, `micro`, `micros`. An array may be written
    to; its memory is used again once the last array of its batch is gone.

    batch: windows of a global batch, or a schedule of them, `{0: 1024, "2.8T": 3072}`, by trained tokens (`by="windows"`: by
        windows). rank, world: of the data-parallel ranks. micro: windows of a piece; None for all of this rank's.
    start: first global window. skip: spans of global windows to leave out, half-open. phase_end: "short" or "drop".
    cp: (rank, ranks, "contiguous" or "zigzag"), this rank's part of each sequence. phase, validation: read one set alone.
    outputs: which of labels, position_ids, segment_ids, cu_seqlens and loss_mask are written. max_docs: pads `cu_seqlens` to one
        shape; a batch with more is an error. mask_document_starts: masks the first target of each following document.
    threads: native threads that fill ahead (0: none); prefetch_bytes: bound on what they fill.

    Raises ValueError for what does not exist; while iterating, CorruptError or OSError naming a shard.
    """

    def __init__(
        self, dataset, batch, *, by="tokens", rank=0, world=1, micro=None, start=0, skip=(), phase_end="short", cp=None,
        phase=None, validation=None, ids="int64", outputs=_OUTPUTS, max_docs=None, mask_document_starts=False, threads=1,
        prefetch_bytes=256 << 20,
    ):
        unknown = [name for name in outputs if name not in _OUTPUTS]
        if unknown:
            raise ValueError(f"outputs has {unknown}; known are {list(_OUTPUTS)}")
        sizes = sorted((_count(at), _count(size)) for at, size in batch.items()) if isinstance(batch, dict) else [(0, _count(batch))]
        self._dataset, self._ids = dataset, np.dtype(ids) if ids in ("int32", "int64") else None
        self._native = _native.Loader(
            dataset._native, sizes=sizes, by=by, rank=rank, world=world, micro=micro, start=start,
            skip=[tuple(span) for span in skip], phase_end=phase_end, cp=cp, phase=phase, validation=validation, ids=ids,
            outputs=list(outputs), max_docs=max_docs, mask_document_starts=mask_document_starts, threads=threads,
            prefetch_bytes=prefetch_bytes,
        )
        self._outputs = tuple(outputs)
        self.schedule = Schedule(self._native)

    def __iter__(self):
        return self

    def __next__(self):
        batch = self._native.next()
        if batch is None:
            raise StopIteration
        rows, width, longest, targets, step, micro, micros = batch.shape()
        types = {"input_ids": self._ids, "labels": self._ids, "position_ids": self._ids, "segment_ids": np.int32, "loss_mask": np.bool_}
        out = {
            name: array(batch.array(name), dtype, (rows, width))
            for name, dtype in types.items()
            if name == "input_ids" or name in self._outputs
        }
        if "cu_seqlens" in self._outputs:
            out["cu_seqlens"] = array(batch.cu_seqlens(), np.int32)
        for name, dtype in (("window_ids", np.int64), ("source_ids", np.int32), ("epochs", np.int32)):
            out[name] = array(batch.array(name), dtype)
        out.update(max_seqlen=longest, num_targets_global=targets, step=step, micro=micro, micros=micros)
        return out

    def __len__(self):
        """Micro-batches that are left."""
        return self._native.remaining()

    @property
    def next_step(self):
        """Step of the next micro-batch."""
        return self._native.steps()[2]

    def state_dict(self):
        """Where the run stands, as a dictionary of plain values: what was handed out, the same on all ranks."""
        return json.loads(self._native.state())

    def load_state_dict(self, state):
        """Goes on from `state`, whatever ranks and batch sizes it was made under.

        Raises `ContractError` when it is not of this dataset, or of one that this one extends; nothing is changed then.
        """
        self._native.load_state(json.dumps(state))
