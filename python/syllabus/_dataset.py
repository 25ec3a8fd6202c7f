"""Datasets and sets of windows."""

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


class Phase(NamedTuple):
    """A phase of the curriculum.

    `first_window` is global; `windows` their number; `sequence_length` (S) counts trained positions, `window_tokens` (W) stored
    tokens of a window; `sources` maps names to windows.
    """

    name: str
    first_window: int
    windows: int
    sequence_length: int
    window_tokens: int
    sources: dict


class Windows(_native.Windows):
    """A sequence of windows.

    `windows[i]` is a `Window` (from the end for negative `i`); a slice, or a list or one-dimensional integer array of indices, gives
    their tokens in one new array of shape (n, W). Raises IndexError past the end, ValueError for windows of different lengths,
    CorruptError or OSError naming the file for a shard that is not what the manifest says.
    """

    def __new__(cls, native, dtype, held_out):
        return super().__new__(cls, native, held_out)

    def __init__(self, native, dtype, held_out):
        self._native, self._dtype, self._held_out = native, dtype, held_out

    def _select(self, index):
        """What is no plain integer: slices, arrays, NumPy's integers."""
        if isinstance(index, slice):
            return self._gather(list(range(*index.indices(len(self)))))
        if isinstance(index, (list, tuple, range)) or (isinstance(index, np.ndarray) and index.ndim):
            indices = np.asarray(index)
            if indices.ndim != 1 or (indices.size and indices.dtype.kind not in "iu"):
                raise IndexError("windows are gathered by a list or a one-dimensional array of integers")
            return self._gather(indices.tolist())
        return self._at(operator.index(index))

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def _gather(self, indices):
        memory, width = self._native.gather(self._held_out, indices)
        return array(memory, self._dtype, (len(indices), width))


class Dataset(Windows):
    """An opened dataset: its windows in training order over all phases.

    Opening costs O(shards) and builds no index. It may be used from many threads, and across a fork.
    """

    def __new__(cls, native, path, options):
        return _native.Windows.__new__(cls, native, None)

    def __init__(self, native, path, options):
        self._path, self._options = path, options
        self.manifest = json.loads(native.manifest())
        dtype = np.dtype({"u16": "<u2", "u32": "<u4"}[self.manifest["token_dtype"]])
        super().__init__(native, dtype, None)

    @property
    def path(self):
        """Its folder."""
        return self._path

    @property
    def digest(self):
        """Its digest, in hex."""
        return self.manifest["dataset_digest"]

    @property
    def dtype(self):
        """NumPy's type of a token: uint16 or uint32, little-endian."""
        return self._dtype

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
            shape[0]: Windows(self._native, self._dtype, number)
            for number, shape in enumerate(self._native.sets(True))
        }

    def loader(self, batch, **options):
        """Micro-batches of one rank. See `Loader` for the options."""
        return Loader(self, batch, **options)

    def verify(self):
        """Reads every byte and compares it with the manifest. Raises `CorruptError` naming the first file that differs."""
        self._native.verify()

    def __reduce__(self):
        # Sent to another process, it is opened there, and must be the same.
        return _reopen, (os.path.abspath(self._path), {**self._options, "digest": self.digest})

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


def _reopen(path, options):
    return open(path, **options)


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
    options = {"verify": verify, "tokenizer": tokenizer, "vocab_size": vocab_size, "sequence_length": sequence_length}
    return Dataset(native, path, options)
