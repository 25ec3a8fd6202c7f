"""Reading windows in random order, side by side, on one core.

    python python/benches/reading.py DATASET EXPORT [WINDOWS]

DATASET is compiled with W = S + 1; EXPORT is its `syllabus export --for megatron-exact`. Needs torch, megatron-core,
mosaicml-streaming and litdata. All read the same windows of the first phase; a figure is the median of five passes. The last two
are given a copy of at most 2,000 windows in their own format.
"""

import importlib.util
import json
import os
import pathlib
import resource
import statistics
import sys
import tempfile
import time

os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import syllabus

PASSES = 5


def timed(work, count):
    """Microseconds a window: the median pass, after one that is not counted."""
    work()
    seconds = []
    for _ in range(PASSES):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return 1e6 * statistics.median(seconds) / count


def gpt_dataset(export, sequence_length, windows):
    import torch
    from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
    from megatron.core.datasets.gpt_dataset import GPTDatasetConfig

    torch.set_num_threads(1)

    class Tokenizer:
        vocab_size, eod, pad = 32064, 2, 2
        unique_identifiers = {"class": "bench"}

    spec = importlib.util.spec_from_file_location("replay", f"{export}/replay.py")
    replay = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(replay)
    prefix = next(str(path)[:-4] for path in sorted(pathlib.Path(export).glob("train*.bin")))
    cache = tempfile.mkdtemp()
    config = GPTDatasetConfig(
        random_seed=1234, sequence_length=sequence_length, blend=([prefix], None), split="1,0,0", path_to_cache=cache,
        tokenizer=Tokenizer(), reset_position_ids=False, reset_attention_mask=False, eod_mask_loss=False,
        create_attention_mask=False,
    )
    replay.install(prefix, config, windows)
    return BlendedMegatronDatasetBuilder(__import__("megatron.core.datasets.gpt_dataset", fromlist=["x"]).GPTDataset,
                                         [windows, 0, 0], lambda: True, config).build()[0]


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
    optimize(_litdata_row, rows, output_dir=folder, chunk_size=tokens.shape[1] * 256, num_workers=1, item_loader=TokensLoader())
    dataset = StreamingDataset(folder, item_loader=TokensLoader(block_size=tokens.shape[1]), shuffle=False)
    return lambda i: dataset[i]


def main(path, export, windows):
    ds = syllabus.open(path)
    phase = ds.phases[0]
    windows = min(windows, phase.windows)
    order = np.random.default_rng(0).permutation(windows).tolist()
    results = {}

    def say(name, us):
        results[name] = us
        print(f"{name:40} {us:9.2f} us a window", flush=True)

    say("ds[i].tokens", timed(lambda: [ds[i].tokens for i in order], windows))
    shards = ds.manifest["phases"][0]["shards"]
    maps = [np.memmap(os.path.join(path, s["file"]), ds.dtype, "r").reshape(-1, phase.window_tokens) for s in shards]
    places, first = [], 0
    for number, shard in enumerate(shards):
        places += [(number, row) for row in range(shard["windows"])]
        first += shard["windows"]
    rows = [places[i] for i in order]
    flat = [m.reshape(-1) for m in maps]
    w = phase.window_tokens
    say("NumPy memmap slice", timed(lambda: [flat[n][r * w : (r + 1) * w] for n, r in rows], windows))
    gpt = gpt_dataset(export, phase.sequence_length, windows)
    say("GPTDataset.__getitem__", timed(lambda: [gpt[i] for i in order], windows))
    few = min(2000, windows)
    chosen = [i for i in order if i < few]
    tokens = ds[0:few]
    for name, make in (("MosaicML Streaming, dataset[i]", streaming), ("litdata, dataset[i]", litdata)):
        with tempfile.TemporaryDirectory() as folder:
            get = make(tokens, folder)
            assert np.array_equal(np.asarray(get(3)), tokens[3].astype(np.asarray(get(3)).dtype)), name
            say(name, timed(lambda: [get(i) for i in chosen], few))

    # Whole batches: ids, labels, positions, segment ids, cu_seqlens, masks, in order.
    batch, us = 32, []
    for threads in (0, 1):
        def run():
            for number, _ in enumerate(ds.loader(batch, phase=phase.name, threads=threads)):
                if (number + 1) * batch >= windows:
                    break
        us.append(timed(run, windows))
        say(f"loader, batches of {batch}, {threads} threads ahead", us[-1])
    one = next(ds.loader(batch))
    arrays = [value for value in one.values() if isinstance(value, np.ndarray)]
    size = sum(array.nbytes for array in arrays)
    targets = [np.empty_like(array) for array in arrays]

    def fill():
        for _ in range(windows // batch):
            for target, array in zip(targets, arrays, strict=True):
                target[...] = array

    numpy = timed(fill, windows // batch * batch)
    say("NumPy copying arrays of these sizes", numpy)
    print(f"loader: {size / batch / us[0] * 1e6 / 1e9:.2f} GB/s, NumPy {size / batch / numpy * 1e6 / 1e9:.2f} GB/s")
    print(f"loader : GPTDataset = {results['GPTDataset.__getitem__'] / us[0]:.1f} times the windows a second")
    print(f"loader : NumPy = {numpy / us[0]:.2f} of the bytes a second")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"us_a_window": results, "windows": windows, "tokens": sum(p.windows * p.window_tokens for p in ds.phases), "max_rss_kb": before}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 16_000)
