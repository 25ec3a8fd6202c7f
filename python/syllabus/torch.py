"""PyTorch: datasets for `DataLoader` and its relatives.

The loader of the package needs no `DataLoader`: `ds.loader(batch, format="torch")` gives tensors, filled ahead by native threads.
Where a framework asks for a dataset or a `DataLoader`, `Batches` is an iterable one that gives whole micro-batches (so
`batch_size=None`), and `Examples` a map-style one that gives single windows. Both keep the curriculum's order as long as nobody
shuffles or samples: each class says which settings of the frameworks do.
"""

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

__all__ = ["Batches", "Examples"]


class Batches(IterableDataset):
    """Micro-batches of one rank, in the curriculum's order, as dictionaries of tensors.

    batch and options are those of `Dataset.loader`. Iterating goes on where it stands; once it has ended, it begins anew.

    - `DataLoader(batches, batch_size=None)` and `StatefulDataLoader(batches, batch_size=None)`: with `num_workers=0`, since native
      threads already fill ahead. With workers each would give every batch, so more than one is refused; `shuffle` does not exist
      for iterable datasets.
    - Lightning: `Trainer(use_distributed_sampler=False)`, and rank and world given here.
    - Hugging Face's `Trainer`: return the `DataLoader` from an overridden `get_train_dataloader`. Its own would batch batches, and
      `accelerate` would deal them out to the ranks a second time.
    - DeepSpeed: iterate over the `DataLoader` and call the engine; `training_data=` of `deepspeed.initialize` samples at random.
    """

    def __init__(self, dataset, batch, **options):
        super().__init__()
        self._dataset, self._batch, self._options = dataset, batch, {"format": "torch", **options}
        self._loader = None
        self._ended = False

    @property
    def loader(self):
        """The `Loader` that it iterates over."""
        if self._loader is None:
            self._loader = self._dataset.loader(self._batch, **self._options)
        return self._loader

    def __iter__(self):
        workers = get_worker_info()
        if workers is not None and workers.num_workers > 1:
            raise RuntimeError(
                f"num_workers={workers.num_workers}: each worker would give every batch; use num_workers=0, native threads fill ahead"
            )
        if self._ended:
            self._loader, self._ended = None, False
        yield from self.loader
        self._ended = True

    def __len__(self):
        """Micro-batches that are left."""
        return len(self.loader)

    def state_dict(self):
        """`Loader.state_dict`."""
        return self.loader.state_dict()

    def load_state_dict(self, state):
        """`Loader.load_state_dict`."""
        self.loader.load_state_dict(state)
        self._ended = False

    def __getstate__(self):
        # A worker opens its own; what it is to go on from is handed over.
        state = self._loader.state_dict() if self._loader is not None else None
        return self._dataset, self._batch, self._options, state, self._ended

    def __setstate__(self, state):
        self._dataset, self._batch, self._options, position, self._ended = state
        self._loader = None
        if position is not None:
            self.loader.load_state_dict(position)


class Examples(Dataset):
    """Single windows by their global number, for whatever asks for a map-style dataset: torchtitan, grain, a `DataLoader`.

    `examples[i]` is a dictionary of `input_ids`, `labels` and `position_ids`: tensors of shape (S,), int64; labels of padding are
    `ignore_index`. With `format="numpy"` they are arrays, for grain. S is that of the window's phase.

    `DataLoader(examples, batch_size, shuffle=False)` keeps the order on one rank; on more, `DistributedSampler(..., shuffle=False)`
    deals windows out as `Dataset.loader` does, but fills the last batch with repeats unless `drop_last=True`. Batches span phases:
    where S changes between them, use `Batches`. grain: `grain.MapDataset.source(examples)` without `.shuffle()`.
    """

    def __init__(self, dataset, *, ignore_index=-100, format="torch"):
        if format not in ("numpy", "torch"):
            raise ValueError(f'format is {format!r}, not one of "numpy", "torch"')
        self._dataset, self._ignore, self._format = dataset, ignore_index, format

    def __len__(self):
        return len(self._dataset)

    def __getitem__(self, index):
        window = self._dataset[int(index)]
        tokens = window.tokens.astype(np.int64)
        positions = window.position_ids().astype(np.int64)
        s = len(positions)
        # Where W = S the last token has no label.
        labels = np.full(s, self._ignore, np.int64)
        real = len(tokens) - window.padding
        labels[: max(real - 1, 0)] = tokens[1:real]
        example = {"input_ids": tokens[:s], "labels": labels, "position_ids": positions}
        if self._format == "torch":
            return {name: torch.from_numpy(values) for name, values in example.items()}
        return example
