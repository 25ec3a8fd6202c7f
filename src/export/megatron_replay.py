"""Makes Megatron's own GPTDataset read the windows of a Syllabus dataset in the curriculum's order.

GPTDataset looks for three arrays in its cache, under a name that is a hash of its configuration. `install` puts the
arrays that lie beside this file there, under the name that Megatron itself computes. Call it on every node, before the
datasets are built, with the very configuration and number of samples that they are built with:

    import replay
    replay.install("EXPORT/train", config, num_samples=train_iters * global_batch_size)

`config.path_to_cache` must be set, and hold nothing of another dataset: Megatron's key holds no hash of the content.
"""

import os
import pathlib
import shutil

import numpy

ARRAYS = ("document_index", "sample_index", "shuffle_index")


def install(prefix, config, num_samples, split=None, dataset_class=None):
    """Puts the arrays of `prefix` into `config.path_to_cache`; returns how many windows there are.

    prefix: of the `.bin` and `.idx`, exactly as Megatron is given it.
    num_samples: of this split, as the builder passes it on; at most the number of windows.
    split: a `megatron.core.datasets.utils.Split`; `Split.train` unless said.
    """
    from megatron.core.datasets.gpt_dataset import GPTDataset
    from megatron.core.datasets.megatron_dataset import MegatronDataset
    from megatron.core.datasets.utils import Split

    split = Split.train if split is None else split
    dataset_class = GPTDataset if dataset_class is None else dataset_class
    windows = len(numpy.load(f"{prefix}-shuffle_index.npy", mmap_mode="r"))
    if num_samples is not None and num_samples > windows:
        raise ValueError(f"{num_samples} samples are asked of {prefix}, which has {windows} windows")
    if config.path_to_cache is None:
        raise ValueError("set path_to_cache (--data-cache-path)")
    # Not a dataset: only what Megatron computes of the configuration before it looks into the cache.
    probe = dataset_class.__new__(dataset_class)
    MegatronDataset.__init__(probe, None, str(prefix), numpy.arange(0), num_samples, split, config)
    cache = pathlib.Path(config.path_to_cache)
    cache.mkdir(parents=True, exist_ok=True)
    base = f"{probe.unique_description_hash}-{dataset_class.__name__}-{split.name}"
    for name in ARRAYS:
        _place(pathlib.Path(f"{prefix}-{name}.npy"), cache / f"{base}-{name}.npy")
    description = cache / f"{base}-description.txt"
    partial = description.with_name(f"{description.name}.{os.getpid()}")
    partial.write_text(probe.unique_description)
    partial.replace(description)
    return windows


def cu_seqlens(dataset, i):
    """Where the documents of sample `i` begin, and the sample's length at the end, from the cache's arrays. With these an
    attention kernel of variable lengths keeps documents apart; positions count from each of them."""
    row = int(dataset.shuffle_index[i])
    (first, start), (last, end) = dataset.sample_index[row], dataset.sample_index[row + 1]
    lengths = dataset.dataset.sequence_lengths[dataset.document_index[first : last + 1]].astype(numpy.int64)
    lengths[0] -= start
    lengths[-1] = end + 1 - (start if first == last else 0)
    # The sample's last token is a label and no input.
    lengths[-1] -= 1
    borders = numpy.concatenate([[0], numpy.cumsum(lengths)])
    return numpy.unique(borders).astype(numpy.int32)


def position_ids(dataset, i):
    """Positions of sample `i`, from 0 in each of its documents."""
    borders = cu_seqlens(dataset, i)
    return numpy.arange(borders[-1]) - numpy.repeat(borders[:-1], numpy.diff(borders))


def _place(source, target):
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        os.link(source, partial)
    except OSError:
        shutil.copyfile(source, partial)
    os.replace(partial, target)
