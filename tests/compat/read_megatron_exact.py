"""megatron-core's own builder and GPTDataset replay the curriculum's order from `--for megatron-exact`."""

import importlib.util
import pathlib
import sys
import tempfile

import numpy as np
import torch
from megatron.core.datasets.blended_megatron_dataset_builder import BlendedMegatronDatasetBuilder
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig

import windows


class Tokenizer:
    """What Megatron asks of a tokenizer."""

    def __init__(self, vocab_size, eod):
        self.vocab_size = vocab_size
        self.eod = eod
        self.pad = eod
        self.unique_identifiers = {"class": "compat", "vocab_size": vocab_size}


def replay(replay_module, prefix, tokens, lengths, dataset):
    """All samples of a prefix, through Megatron's builder."""
    count, window_tokens = tokens.shape
    with tempfile.TemporaryDirectory() as cache:
        config = GPTDatasetConfig(
            random_seed=1234,
            sequence_length=window_tokens - 1,
            blend=([prefix], None),
            split="1,0,0",
            path_to_cache=cache,
            tokenizer=Tokenizer(dataset.vocab_size, dataset.eos_id),
            reset_position_ids=False,
            reset_attention_mask=False,
            eod_mask_loss=False,
            create_attention_mask=False,
        )
        assert replay_module.install(prefix, config, count) == count
        built = sorted(path.name for path in pathlib.Path(cache).iterdir())
        train, _, _ = BlendedMegatronDatasetBuilder(GPTDataset, [count, 0, 0], lambda: True, config).build()
        # It found the arrays under the name that it computed, and made none of its own.
        assert built == sorted(path.name for path in pathlib.Path(cache).iterdir()), "Megatron built its own index"
        assert type(train) is GPTDataset and len(train) >= count
        for i in range(count):
            sample = train[i]
            windows.same(sample["tokens"], tokens[i, :-1], f"{prefix}: tokens of sample {i}")
            windows.same(sample["labels"], tokens[i, 1:], f"{prefix}: labels of sample {i}")
            # Documents in the inputs: the fragments, the last of them one token shorter.
            inputs = [*lengths[i][:-1], lengths[i][-1] - 1]
            borders = np.concatenate([[0], np.cumsum([n for n in inputs if n > 0])])
            windows.same(replay_module.cu_seqlens(train, i), borders, f"{prefix}: cu_seqlens of sample {i}")
            positions = np.concatenate([np.arange(n) for n in inputs])
            windows.same(replay_module.position_ids(train, i), positions, f"{prefix}: position_ids of sample {i}")
        # Another seed would look for other names: what is there is never taken for it.
        try:
            replay_module.install(prefix, config, count + 1)
        except ValueError as error:
            assert str(count) in str(error)
        else:
            raise AssertionError("more samples than windows were installed")
    return count


def main(dump, export):
    dataset = windows.Dataset(dump)
    # As a user would import it, but anew for each export.
    spec = importlib.util.spec_from_file_location("replay", f"{export}/replay.py")
    replay_module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(replay_module)

    count = 0
    for run in dataset.runs() + [[part] for part in dataset.held_out]:
        (file,) = {str(file) for part in run for file in windows.files(export, part)}
        tokens = np.concatenate([part.tokens for part in run])
        lengths = [length for part in run for length in part.lengths]
        count += replay(replay_module, file.removesuffix(".bin"), tokens, lengths, dataset)
    print(f"megatron GPTDataset: {count} samples equal, in order, with cu_seqlens and position_ids")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for at in range(1, len(sys.argv), 2):
        main(*sys.argv[at : at + 2])
