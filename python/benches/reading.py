"""Windows and batches side by side, on one core. `cargo xtask reading` makes what it reads, and runs it.

    python python/benches/reading.py DATASET EXPORT [--windows N] [--csv FILE]

DATASET is compiled with W = S + 1; EXPORT is its `syllabus export --for megatron-exact`. Needs torch, megatron-core,
mosaicml-streaming and litdata. The process is bound to one core, all files are in the page cache, and a time is that of the CPU,
in user and kernel, of all its threads: what else the machine does shows little. Five rounds, in each of them everyone once, after
one that is not counted; a figure is the median.

Single windows, in one random order, the same for all: `ds[i].tokens`; a slice of a NumPy memory map of the shards (the
map is opened and the window's place looked up beforehand, and nothing checks that the file is still whole); GPTDataset's
`__getitem__`, which gives tokens, labels, mask and positions; MosaicML Streaming and litdata, `dataset[i]`, over a copy of at most
2,000 windows in their own format.

Batches of 32 windows with ids, labels and positions of 64 bits, segment ids, mask, cu_seqlens and the rest, in order: 29 bytes a
token. Beside them NumPy writing arrays of the same sizes and dtypes, into two sets of arrays in turn, since a `for` loop holds
one batch while the next is filled:

- *fill*: `array.fill(7)`, which reads nothing: the most that NumPy can write;
- *copy*: `array[...] = other`, from arrays of the same dtype;
- *convert*: the ids from the memory-mapped tokens (`inputs[...] = tokens[:, :-1]`), the rest filled.
"""

import argparse
import csv
import importlib.util
import os
import pathlib
import statistics
import tempfile
import time

os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import syllabus

ROUNDS = 5
BATCH = 32


def gpt_dataset(ds, export, sequence_length, windows):
    import torch
    from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
    from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig

    torch.set_num_threads(1)
    about = ds.manifest["tokenizer"]

    class Tokenizer:
        vocab_size, eod, pad = about["vocab_size"], about["eos_id"], about["pad_id"]
        unique_identifiers = {"class": "bench"}

    spec = importlib.util.spec_from_file_location("replay", f"{export}/replay.py")
    replay = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(replay)
    prefix = next(str(path)[:-4] for path in sorted(pathlib.Path(export).glob("train*.bin")))
    config = GPTDatasetConfig(
        random_seed=1234, sequence_length=sequence_length, blend=([prefix], None), split="1,0,0", path_to_cache=tempfile.mkdtemp(),
        tokenizer=Tokenizer(), reset_position_ids=False, reset_attention_mask=False, eod_mask_loss=False,
        create_attention_mask=False,
    )
    replay.install(prefix, config, windows)
    return BlendedMegatronDatasetBuilder(GPTDataset, [windows, 0, 0], lambda: True, config).build()[0]


def streaming(tokens, folder):
    from streaming import MDSWriter, StreamingDataset

    with MDSWriter(out=folder, columns={"tokens": f"ndarray:{tokens.dtype.name}"}) as out:
        for row in tokens:
            out.write({"tokens": row})
    dataset = StreamingDataset(local=folder, batch_size=1, shuffle=False)
    return lambda i: dataset[i]["tokens"]


def _litdata_row(row):
    yield row


def litdata(tokens, folder):
    import torch
    from litdata import StreamingDataset, optimize
    from litdata.streaming.item_loader import TokensLoader

    rows = [torch.from_numpy(row.astype(np.int32)) for row in tokens]
    size = tokens.shape[1]
    optimize(_litdata_row, rows, output_dir=folder, chunk_size=size * 256, num_workers=1, item_loader=TokensLoader())
    dataset = StreamingDataset(folder, item_loader=TokensLoader(block_size=size), shuffle=False)
    return lambda i: dataset[i]


def each(get, order):
    """Asks for all of them, and keeps none."""
    for i in order:
        get(i)


def numpy_writers(ds, phase, batch, maps):
    """NumPy writing the arrays of a batch, in three ways; the bytes of a window."""
    arrays = {name: value for name, value in batch.items() if isinstance(value, np.ndarray)}
    sets = [{name: np.empty_like(array) for name, array in arrays.items()} for _ in range(2)]
    rows = len(arrays["input_ids"])
    pieces = [part[at : at + rows] for part in maps for at in range(0, len(part) - rows + 1, rows)]
    positions = np.arange(phase.sequence_length)

    def fill(count):
        for number in range(count):
            for target in sets[number % 2].values():
                target.fill(7)

    def copy(count):
        for number in range(count):
            for name, target in sets[number % 2].items():
                target[...] = arrays[name]

    def convert(count):
        for number in range(count):
            tokens, into = pieces[number % len(pieces)], sets[number % 2]
            into["input_ids"][...] = tokens[:, :-1]
            into["labels"][...] = tokens[:, 1:]
            into["position_ids"][...] = positions
            for name in into.keys() - {"input_ids", "labels", "position_ids"}:
                into[name].fill(1)

    return (fill, copy, convert), sum(array.nbytes for array in arrays.values()) / rows


def contestants(ds, export, windows, folder):
    """Name, what it does, and for how many windows; the bytes of a window in a batch."""
    phase = ds.phases[0]
    order = np.random.default_rng(0).permutation(windows).tolist()
    out = [("ds[i].tokens", lambda: each(lambda i: ds[i].tokens, order), windows)]
    shards = ds.manifest["phases"][0]["shards"]
    w = phase.window_tokens
    maps = [np.memmap(os.path.join(ds.path, s["file"]), ds.dtype, "r") for s in shards]
    places = [(number, row * w) for number, shard in enumerate(shards) for row in range(shard["windows"])]
    spans = [(maps[number], start, start + w) for number, start in (places[i] for i in order)]

    def slices():
        for tokens, start, end in spans:
            tokens[start:end]

    out.append(("NumPy memmap slice", slices, windows))
    gpt = gpt_dataset(ds, export, phase.sequence_length, windows)
    assert np.array_equal(np.asarray(gpt[3]["tokens"]), ds[3].tokens[:-1]), "GPTDataset gives other windows"
    out.append(("GPTDataset[i]", lambda: each(gpt.__getitem__, order), windows))
    few = min(2000, windows)
    chosen = [i for i in order if i < few]
    tokens = ds[0:few]
    for name, make in (("MosaicML Streaming, dataset[i]", streaming), ("litdata, dataset[i]", litdata)):
        get = make(tokens, tempfile.mkdtemp(dir=folder))
        assert np.array_equal(np.asarray(get(3)).astype(np.int64), tokens[3].astype(np.int64)), name
        out.append((name, lambda get=get: each(get, chosen), few))
    batches = windows // BATCH
    for threads in (0, 1):

        def run(threads=threads):
            for number, _ in enumerate(ds.loader(BATCH, phase=phase.name, threads=threads)):
                if number + 1 == batches:
                    break

        out.append((f"ds.loader({BATCH}, threads={threads})", run, batches * BATCH))
    batch = next(ds.loader(BATCH, threads=0))
    writers, size = numpy_writers(ds, phase, batch, [tokens.reshape(-1, w) for tokens in maps])
    out += [(f"NumPy, {work.__name__}", lambda work=work: work(batches), batches * BATCH) for work in writers]
    return out, size


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("export")
    parser.add_argument("--windows", type=int, default=16_000)
    parser.add_argument("--csv")
    arguments = parser.parse_args()
    ds = syllabus.open(arguments.dataset)
    windows = min(arguments.windows, ds.phases[0].windows)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        everyone, size = contestants(ds, arguments.export, windows, folder)
        for round in range(ROUNDS + 1):
            for name, work, count in everyone:
                start = time.process_time()
                work()
                if round:
                    rows.append((name, round, count, 1e6 * (time.process_time() - start) / count))
    if arguments.csv:
        with open(arguments.csv, "w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(("what", "round", "windows", "cpu_us_a_window"))
            out.writerows(rows)
    us = {name: statistics.median(row[3] for row in rows if row[0] == name) for name, _, _ in everyone}
    tokens = sum(phase.windows * phase.window_tokens for phase in ds.phases)
    print(f"{tokens:,} tokens, {windows:,} windows of {ds.phases[0].window_tokens:,}, medians of {ROUNDS} rounds")
    for name, time_ in us.items():
        batched = "loader" in name or name.startswith("NumPy, ")
        rate = f"{size / time_ / 1e3:6.1f} GB/s" if batched else ""
        print(f"{name:36} {time_:9.2f} us a window {rate}")
    ours = us[f"ds.loader({BATCH}, threads=0)"]
    print(f"loader: {us['GPTDataset[i]'] / ours:.1f} times the windows a second of GPTDataset")
    for name in ("fill", "copy", "convert"):
        print(f"loader: {us[f'NumPy, {name}'] / ours:.2f} of the bytes a second of NumPy, {name}")


if __name__ == "__main__":
    main()
