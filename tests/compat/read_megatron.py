"""megatron-core's IndexedDataset reads `--for megatron`: every sequence, and no padding."""

import sys

import numpy as np
from megatron.core.datasets.indexed_dataset import IndexedDataset

import windows


def main(dump, export):
    dataset = windows.Dataset(dump)
    count = 0
    for part in dataset.phases + dataset.held_out:
        prefixes = [str(file.with_suffix("")) for file in windows.files(export, part)]
        found = []
        for prefix in prefixes:
            for mmap in (True, False):
                indexed = IndexedDataset(prefix, mmap=mmap)
                # Copies: the file is unmapped under its views once the dataset is gone.
                sequences = [indexed.get(i).copy() for i in range(len(indexed))]
                assert sequences[0].dtype == (np.uint16 if dataset.dtype.itemsize == 2 else np.int32)
                assert indexed.document_indices[-1] == len(indexed)
                if mmap:
                    found.extend(sequences)
                else:
                    windows.same(np.concatenate(sequences), np.concatenate(found[-len(sequences) :]), f"{prefix} unmapped")
        expected = []
        for row, lengths, padding in zip(part.tokens, part.lengths, part.padding):
            parts = np.split(row, np.cumsum(lengths)[:-1])
            expected.extend(parts[:-1] if padding else parts)
        assert len(found) == len(expected), f"{part.name}: {len(found)} sequences instead of {len(expected)}"
        windows.same([len(s) for s in found], [len(s) for s in expected], f"{part.name}: lengths")
        windows.same(np.concatenate(found), np.concatenate(expected), f"{part.name}: tokens")
        count += len(found)
    weights = (windows.pathlib.Path(export) / "data-path.txt").read_text().split()
    assert sum(map(int, weights[::2])) == sum(int(part.tokens.size - part.padding.sum()) for part in dataset.phases)
    for prefix in weights[1::2]:
        assert len(IndexedDataset(prefix)) > 0
    print(f"megatron IndexedDataset: {count} sequences equal; order is the trainer's own")


if __name__ == "__main__":
    for at in range(1, len(sys.argv), 2):
        main(*sys.argv[at : at + 2])
