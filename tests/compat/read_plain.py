"""nanoGPT's, llm.c's and NeMo Automodel's reading, written from their formats: headerless u16 sampled at random places, and a
header of 256 numbers of 32 bits before the tokens."""

import pathlib
import sys

import numpy as np

import windows


def unpadded(parts):
    """All tokens of parts; of held-out sets without the padding at their end."""
    out = []
    for part in parts:
        tokens = part.tokens.reshape(-1)
        out.append(tokens[: tokens.size - part.padding[-1]] if part.held_out and part.padding[-1] else tokens)
    return np.concatenate(out)


def nanogpt(dataset, export):
    train = np.memmap(f"{export}/train.bin", np.uint16, "r")
    windows.same(train, unpadded(dataset.phases), "train.bin")
    windows.same(np.memmap(f"{export}/val.bin", np.uint16, "r"), unpadded(dataset.held_out), "val.bin")
    block = dataset.phases[0].sequence_length
    for i in np.random.default_rng(1).integers(0, len(train) - block - 1, 64):
        x, y = train[i : i + block].astype(np.int64), train[i + 1 : i + 1 + block].astype(np.int64)
        assert (x[1:] == y[:-1]).all()
    return len(train)


def headed(dataset, export, marks, parts, kind):
    found = []
    files = sorted(pathlib.Path(export).glob(f"{kind}_*.bin"))
    for file in files:
        head = np.fromfile(file, "<i4", 256)
        assert head[0] == marks[0] and head[1] == marks[1], head[:4]
        assert head[3] in (0, dataset.dtype.itemsize) and not head[4:].any()
        # llm.c compares the file's size with the header's count of tokens.
        assert file.stat().st_size == 1024 + int(head[2]) * dataset.dtype.itemsize < 1 << 31
        found.append(np.fromfile(file, dataset.dtype, offset=1024))
    windows.same(np.concatenate(found), unpadded(parts), f"{export}: {kind}")
    return sum(map(len, found))


def main(dump, kind, export):
    dataset = windows.Dataset(dump)
    if kind == "nanogpt":
        count = nanogpt(dataset, export)
    else:
        wide = dataset.dtype.itemsize == 4
        marks = (278895051, 1) if kind == "automodel" else ((20240801, 7) if wide else (20240520, 1))
        count = headed(dataset, export, marks, dataset.phases, "train")
        count += headed(dataset, export, marks, dataset.held_out, "val")
        if kind == "automodel":
            automodel(dataset, export)
    print(f"{kind}: {count} tokens equal")


def automodel(dataset, export):
    """Samples of S + 1 tokens, one after the other, file by file: where W is S + 1 these are the windows."""
    rows = [row for phase in dataset.phases for row in phase.tokens]
    if len({len(row) for row in rows}) > 1 or dataset.phases[0].window_tokens == dataset.phases[0].sequence_length:
        return
    step, found = len(rows[0]), []
    for file in sorted(pathlib.Path(export).glob("train_*.bin")):
        tokens = np.memmap(file, dataset.dtype, "r", 1024)
        found.extend(tokens[at : at + step] for at in range(0, len(tokens) - step + 1, step))
    windows.same(found, rows, "samples")


if __name__ == "__main__":
    for at in range(2, len(sys.argv), 2):
        main(sys.argv[at], sys.argv[1], sys.argv[at + 1])
