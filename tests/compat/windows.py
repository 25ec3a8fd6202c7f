"""The windows of a dataset as Syllabus's reader gives them, from the files that `cargo xtask compat` wrote."""

import json
import pathlib

import numpy as np


class Part:
    """A phase or a held-out set: `tokens` [windows, W], and for each window the lengths of its sequences."""

    def __init__(self, folder, entry):
        self.name = entry["name"]
        self.held_out = entry["held_out"]
        self.sequence_length = entry["sequence_length"]
        self.window_tokens = entry["window_tokens"]
        self.tokens = np.fromfile(folder / entry["tokens"], "<u4").astype(np.int64)
        self.tokens = self.tokens.reshape(entry["windows"], self.window_tokens)
        rows = np.fromfile(folder / entry["sequences"], "<u4").reshape(-1, 3)
        self.lengths = [[] for _ in range(entry["windows"])]
        self.padding = np.zeros(entry["windows"], np.int64)
        for window, length, padding in rows.tolist():
            self.lengths[window].append(length)
            if padding:
                self.padding[window] = length


class Dataset:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        about = json.loads((folder / "parts.json").read_text())
        self.eos_id = about["eos_id"]
        self.vocab_size = about["vocab_size"]
        self.dtype = {"u16": np.dtype("<u2"), "u32": np.dtype("<u4")}[about["token_dtype"]]
        parts = [Part(folder, entry) for entry in about["parts"]]
        self.phases = [part for part in parts if not part.held_out]
        self.held_out = [part for part in parts if part.held_out]
        assert self.phases and all(len(part.tokens) for part in parts)

    def runs(self):
        """Consecutive phases of one S."""
        runs = []
        for phase in self.phases:
            if not runs or runs[-1][-1].sequence_length != phase.sequence_length:
                runs.append([])
            runs[-1].append(phase)
        return runs


def export_note(export):
    return json.loads((pathlib.Path(export) / "export.json").read_text())


def files(export, part):
    """The files that hold a part's tokens, in order."""
    note = export_note(export)
    of = [entry for entry in note["parts"] if entry["name"] == part.name]
    assert len(of) == 1 and of[0]["files"], part.name
    return [pathlib.Path(export) / file for file in of[0]["files"]]


def same(found, expected, what):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{what}: {found.shape} instead of {expected.shape}"
    if not (found == expected).all():
        first = np.argwhere(found != expected)[0]
        raise AssertionError(f"{what}: differs first at {first.tolist()}")
