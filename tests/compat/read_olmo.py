"""OLMo-core's NumpyFSLDataset gives the windows in order, with its documents."""

import gzip
import pathlib
import sys
import tempfile

import numpy as np
from olmo_core.data import NumpyFSLDataset
from olmo_core.data.utils import iter_document_indices

import windows


def main(dump, export):
    dataset = windows.Dataset(dump)
    dtype = np.uint16 if dataset.dtype.itemsize == 2 else np.uint32
    paths = (pathlib.Path(export) / "paths.txt").read_text().splitlines()
    count = 0
    for run in dataset.runs() + [[part] for part in dataset.held_out]:
        files = [str(file) for part in run for file in windows.files(export, part)]
        held_out = run[0].held_out
        assert held_out or [p for p in paths if p in {str(pathlib.Path(f).absolute()) for f in files}], files
        with tempfile.TemporaryDirectory() as work:
            data = NumpyFSLDataset(
                *files,
                sequence_length=run[0].sequence_length,
                pad_token_id=dataset.eos_id,
                eos_token_id=dataset.eos_id,
                vocab_size=dataset.vocab_size,
                dtype=dtype,
                generate_doc_lengths=True,
            )
            data.work_dir = pathlib.Path(work)
            data.prepare()
            tokens = np.concatenate([part.tokens for part in run])
            lengths = [length for part in run for length in part.lengths]
            padding = np.concatenate([part.padding for part in run])
            assert len(data) == len(tokens), f"{len(data)} instances instead of {len(tokens)}"
            for i in range(len(data)):
                item = data[i]
                windows.same(item["input_ids"], tokens[i], f"instance {i}")
                # Padding with the EOS is to OLMo-core a run of empty documents.
                if not padding[i]:
                    windows.same(item["doc_lens"], lengths[i], f"documents of instance {i}")
            count += len(data)
        for part in run:
            at = 0
            for file in windows.files(export, part):
                with gzip.open(file.with_suffix(".csv.gz"), "rt") as lines:
                    spans = [tuple(map(int, line.split(","))) for line in lines]
                in_file = file.stat().st_size // dataset.dtype.itemsize // part.window_tokens
                flat = []
                for window in range(at, at + in_file):
                    lengths = part.lengths[window]
                    flat.extend(lengths[:-1] if part.padding[window] else lengths)
                windows.same([end - start for start, end in spans], flat, f"{file}: spans")
                # Its own way to read them.
                read = list(iter_document_indices(str(file), eos_token_id=dataset.eos_id, dtype=dtype, use_array_if_local=False))
                assert [tuple(map(int, span)) for span in read] == spans, file
                at += in_file
    print(f"olmo-core NumpyFSLDataset: {count} instances equal, in order, with documents")


if __name__ == "__main__":
    for at in range(1, len(sys.argv), 2):
        main(*sys.argv[at : at + 2])
