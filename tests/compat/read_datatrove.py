"""datatrove's file and folder datasets (what nanotron reads) give the windows in order, with positions."""

import sys

import numpy as np
from datatrove.utils.dataset import DatatroveFileDataset, DatatroveFolderDataset

import windows


def positions(lengths):
    return np.concatenate([np.arange(n) for n in lengths])


def main(dump, export):
    dataset = windows.Dataset(dump)
    size = dataset.dtype.itemsize
    count = 0
    for part in dataset.phases + dataset.held_out:
        at = 0
        for file in windows.files(export, part):
            data = DatatroveFileDataset(str(file), part.sequence_length, token_size=size, return_positions=True)
            for i in range(len(data)):
                item = data[i]
                windows.same(item["input_ids"], part.tokens[at], f"{file}: window {i}")
                windows.same(item["positions"], positions(part.lengths[at]), f"{file}: positions of window {i}")
                at += 1
            text = (file.parent / f"{file.name}.metadata").read_text().splitlines()
            assert len(text) == 3 and text[0].endswith(f"|{size}"), text
            assert int(text[1]) == len(data) * part.window_tokens, text
        assert at == len(part.tokens), f"{part.name}: {at} windows instead of {len(part.tokens)}"
        count += at
    # All phases of one S at once: files sorted by their paths are in training order.
    for run in dataset.runs() if len(dataset.runs()) == 1 else []:
        folder = DatatroveFolderDataset(f"{export}/train", run[0].sequence_length, filename_pattern="**/*.ds", token_size=size)
        expected = np.concatenate([part.tokens for part in run])
        assert len(folder) == len(expected)
        windows.same(np.stack([folder[i]["input_ids"] for i in range(len(folder))]), expected, "the folder")
    print(f"datatrove: {count} windows equal, in order, with positions")


if __name__ == "__main__":
    for at in range(1, len(sys.argv), 2):
        main(*sys.argv[at : at + 2])
