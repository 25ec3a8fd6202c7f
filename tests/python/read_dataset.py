"""Reads a compiled dataset with numpy, pyarrow and the standard library alone, and checks that its files agree.

Nothing of Syllabus is used: this is what a trainer in Python would see. Prints a summary as JSON.
"""

import json
import pathlib
import struct
import sys

import numpy as np
import pyarrow.ipc
import pyarrow.parquet


def read_idx(path):
    """Megatron's index: dtype code, sequence lengths in tokens, byte offsets, document bounds."""
    data = path.read_bytes()
    assert data[:9] == b"MMIDIDX\x00\x00", path
    version, code, sequences, bounds = struct.unpack_from("<QBQQ", data, 9)
    assert version == 1, path
    lengths = np.frombuffer(data, "<i4", sequences, 34)
    offsets = np.frombuffer(data, "<i8", sequences, 34 + 4 * sequences)
    documents = np.frombuffer(data, "<i8", bounds, 34 + 12 * sequences)
    assert len(data) == 34 + 12 * sequences + 8 * bounds, path
    return code, lengths, offsets, documents


def read_shard(root, shard, window_tokens, dtype, sources):
    path = root / shard["file"]
    tokens = np.fromfile(path, {"u16": "<u2", "u32": "<u4"}[dtype])
    assert path.stat().st_size == shard["bytes"], path
    windows = tokens.reshape(shard["windows"], window_tokens)

    code, lengths, offsets, documents = read_idx(path.with_suffix(".idx"))
    assert code == {"u16": 8, "u32": 4}[dtype], path
    assert documents[0] == 0 and documents[-1] == len(lengths), path
    assert lengths.sum() == tokens.size, path
    starts = np.concatenate([[0], np.cumsum(lengths.astype("i8"))[:-1]]) * tokens.itemsize
    assert (offsets == starts).all(), path

    table = pyarrow.ipc.open_file(pyarrow.memory_map(str(path.with_suffix(".arrow")))).read_all()
    assert table.num_rows == shard["windows"], path
    expected = []
    fragments = 0
    for row in table.to_pylist():
        at = 0
        for fragment in row["fragments"]:
            assert fragment["start"] == at, (path, row)
            assert len(fragment["document"]) == 16
            expected.append(fragment["length"])
            at += fragment["length"]
            fragments += 1
        if row["padding"]:
            expected.append(row["padding"])
        assert at + row["padding"] == window_tokens, (path, row)
        sources[row["source"]] = sources.get(row["source"], 0) + 1
    assert expected == lengths.tolist(), f"{path}: .idx and .arrow do not agree"
    return windows, fragments


def main(root):
    root = pathlib.Path(root)
    manifest = json.loads((root / "manifest.json").read_text())
    largest = 0
    fragments = 0
    for phase in manifest["phases"]:
        sources = {}
        count = 0
        for shard in phase["shards"]:
            windows, found = read_shard(root, shard, phase["window_tokens"], manifest["token_dtype"], sources)
            largest = max(largest, int(windows.max()))
            fragments += found
            count += len(windows)
        assert count == phase["windows"], phase["name"]
        assert sources == {source["name"]: source["windows"] for source in phase["sources"]}, phase["name"]
    assert largest <= manifest["max_token_id"] < manifest["tokenizer"]["vocab_size"]
    ledger = pyarrow.parquet.read_table(root / "ledger.parquet")
    assert {"source", "phase", "epoch", "outcome", "documents", "tokens", "bytes"} <= set(ledger.column_names)
    removed = pyarrow.parquet.read_table(root / "removed.parquet")
    assert {"document", "source", "reason", "kept", "similarity", "detail"} <= set(removed.column_names)
    print(json.dumps({"fragments": fragments, "max_token_id": largest, "removed": removed.num_rows}))


if __name__ == "__main__":
    main(sys.argv[1])
