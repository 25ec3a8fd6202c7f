"""Datasets, sets of windows, and windows."""

import bisect
import functools
import html
import json
import operator
import os
from typing import NamedTuple

import numpy as np

from . import _native
from ._arrays import array
from ._loader import Loader


class Fragment(NamedTuple):
    """The part of one document that lies in one window."""

    start: int
    length: int
    document: str
    offset: int
    epoch: int


class Phase(NamedTuple):
    """A phase of the curriculum, or a held-out set. `sources` maps names to windows."""

    name: str
    first_window: int
    windows: int
    sequence_length: int
    window_tokens: int
    sources: dict


class Window:
    """One window of W tokens, all of one source."""

    __slots__ = ("_dtype", "_layout", "_native", "index")

    def __init__(self, native, index, dtype):
        self._native, self.index, self._dtype, self._layout = native, index, dtype, None

    @property
    def tokens(self):
        """All W tokens, padding among them: uint16 or uint32, read-only, mapped memory. No copy; keeps the map alive."""
        return array(self._native.tokens(), self._dtype)

    @property
    def source(self):
        """Name of its source."""
        return self._native.source

    @property
    def phase(self):
        """Name of its phase, or of its held-out set."""
        return self._native.phase

    @property
    def padding(self):
        """Padding tokens at its end."""
        return self._native.padding

    @property
    def file(self):
        """The `.bin` file that holds it."""
        return self._native.file

    @property
    def fragments(self):
        """Its documents, in order."""
        return [Fragment(*fragment) for fragment in self._native.fragments()]

    def _laid_out(self):
        if self._layout is None:
            self._layout = tuple(array(memory, np.int32) for memory in self._native.layout())
        return self._layout

    def position_ids(self):
        """Positions of the S inputs, from 0 at each document's start: int32, read-only."""
        return self._laid_out()[0]

    def segment_ids(self):
        """Number of each input's document in the window: int32 of length S, read-only."""
        return self._laid_out()[1]

    def cu_seqlens(self):
        """Borders of the documents in the S inputs, from 0 to S: int32, read-only."""
        return self._laid_out()[2]

    def __len__(self):
        return len(self.tokens)

    def __array__(self, dtype=None, copy=None):
        """The tokens, for `numpy.asarray`."""
        tokens = self.tokens
        if dtype is not None and np.dtype(dtype) != tokens.dtype:
            if copy is False:
                raise ValueError("another dtype needs a copy")
            return tokens.astype(dtype)
        return tokens.copy() if copy else tokens

    def __dlpack__(self, **options):
        """The tokens, for `from_dlpack` of any framework that takes read-only memory."""
        return self.tokens.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.tokens.__dlpack_device__()

    def __repr__(self):
        return f"<Window {self.index} of {self.phase}: {len(self)} tokens of {self.source}>"


class Windows:
    """Windows in order. An index gives a `Window`; a slice or an array of indices gives their tokens, of shape (n, W)."""

    def __init__(self, native, dtype, held_out, sets):
        self._native, self._dtype, self._held_out, self._sets = native, dtype, held_out, sets
        self._firsts = [first for _, first, _ in sets]
        self._length = sum(windows for _, _, windows in sets)

    def __len__(self):
        return self._length

    def _place(self, index):
        i = operator.index(index)
        if i < 0:
            i += self._length
        if not 0 <= i < self._length:
            raise IndexError(f"there is no window {index}: there are {self._length}")
        # Sets without windows share their first with the next one: the last that starts here has it.
        number, first, _ = self._sets[bisect.bisect_right(self._firsts, i) - 1]
        return number, i - first, i

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self._gather(range(*index.indices(self._length)))
        if isinstance(index, (list, tuple, range)) or (isinstance(index, np.ndarray) and index.ndim):
            indices = np.asarray(index)
            if indices.ndim != 1 or (indices.size and indices.dtype.kind not in "iu"):
                raise IndexError("windows are gathered by a list or a one-dimensional array of integers")
            return self._gather(indices.tolist())
        number, place, i = self._place(index)
        return Window(self._native.window(self._held_out, number, place), i, self._dtype)

    def __iter__(self):
        return (self[i] for i in range(self._length))

    def _gather(self, indices):
        places = [self._place(i) for i in indices]
        numbers = list(dict.fromkeys(number for number, _, _ in places))
        shapes = self._native.sets(self._held_out)
        lengths = {shapes[number][4] for number in numbers}
        if len(lengths) > 1:
            raise ValueError(f"windows of different lengths ({sorted(lengths)}) do not fit one array")
        width = lengths.pop() if lengths else 0
        out = np.empty((len(places), width), self._dtype)
        for number in numbers:
            rows = [row for row, place in enumerate(places) if place[0] == number]
            memory = self._native.gather(self._held_out, number, [places[row][1] for row in rows])
            out[rows] = array(memory, self._dtype, (len(rows), width))
        return out


class Dataset(Windows):
    """An opened dataset: its windows in training order over all phases.

    Opening costs O(shards) and builds no index. It may be used from many threads, and across a fork.
    """

    def __init__(self, native, path):
        self._path = path
        self.manifest = json.loads(native.manifest())
        dtype = np.dtype({"u16": "<u2", "u32": "<u4"}[self.manifest["token_dtype"]])
        sets = [(number, *shape[1:3]) for number, shape in enumerate(native.sets(False))]
        super().__init__(native, dtype, False, sets)

    @property
    def path(self):
        """Its folder."""
        return self._path

    @property
    def digest(self):
        """Its digest, in hex."""
        return self.manifest["dataset_digest"]

    @property
    def sources(self):
        """Names of its sources; `source_ids` of batches count in them."""
        return [source["name"] for source in self.manifest["sources"]]

    @property
    def phases(self):
        """Its phases, in training order."""
        shares = [phase["sources"] for phase in self.manifest["phases"]]
        return [
            Phase(*shape, {source["name"]: source["windows"] for source in sources})
            for shape, sources in zip(self._native.sets(False), shares, strict=True)
        ]

    @functools.cached_property
    def validation(self):
        """Its held-out sets by name (`HOLDOUT/SOURCE`): each a `Windows`."""
        return {
            shape[0]: Windows(self._native, self._dtype, True, [(number, 0, shape[2])])
            for number, shape in enumerate(self._native.sets(True))
        }

    def loader(self, batch, **options):
        """Micro-batches of one rank. See `Loader` for the options."""
        return Loader(self, batch, **options)

    def verify(self):
        """Reads every byte and compares it with the manifest. Raises `CorruptError` naming the first file that differs."""
        self._native.verify()

    def __repr__(self):
        return f"<Dataset {self.manifest['name']}: {len(self)} windows in {len(self.manifest['phases'])} phases>"

    def _repr_html_(self):
        rows = []
        for phase in self.phases:
            shares = (f"{name} {windows / max(phase.windows, 1):.1%}" for name, windows in phase.sources.items())
            cells = (phase.name, f"{phase.windows:,}", f"{phase.sequence_length:,}", ", ".join(shares))
            rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
        head = "".join(f"<th>{title}</th>" for title in ("phase", "windows", "sequence length", "mix"))
        name = html.escape(self.manifest["name"])
        return f"<table><caption>{name}</caption><tr>{head}</tr>{''.join(rows)}</table>"


def open(path, *, verify=None, tokenizer=None, vocab_size=None, sequence_length=None, digest=None):
    """Opens the dataset in the folder `path`.

    `verify="first-touch"` hashes each shard when its first window is asked for. The rest is what the trainer relies on: BLAKE3 of
    its tokenizer file in hex, rows of its embedding table, S of all phases, the dataset's digest.

    Raises `FileNotFoundError` and other `OSError`s, `CorruptError` for a file that is not what the manifest says, `ContractError`
    where the dataset is not what was relied on.
    """
    if verify not in (None, "first-touch"):
        raise ValueError(f'verify is {verify!r}, not None or "first-touch"; Dataset.verify() reads everything')
    path = os.fspath(path)
    native = _native.Dataset.open(
        path,
        tokenizer_digest=tokenizer,
        vocab_size=vocab_size,
        sequence_length=sequence_length,
        dataset_digest=digest,
        first_touch=verify is not None,
    )
    return Dataset(native, path)
