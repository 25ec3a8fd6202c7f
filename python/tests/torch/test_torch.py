"""The curriculum's order under the loaders and trainers that people use with PyTorch."""

import os
import sys

import numpy as np
import pytest
import torch
from syllabus.torch import Batches, Examples
from torch.utils.data import DataLoader, DistributedSampler


def windows(batches):
    return [window for batch in batches for window in batch["window_ids"].tolist()]


class Model(torch.nn.Module):
    """The smallest thing that trains: it notes what it was given."""

    def __init__(self, vocabulary=4096):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary, 8)
        self.out = torch.nn.Linear(8, vocabulary)
        self.seen = []

    def forward(self, input_ids, labels, window_ids=None, **_):
        if window_ids is not None:
            self.seen += window_ids.tolist()
        logits = self.out(self.embedding(input_ids))
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
        return {"loss": loss, "logits": logits}


def test_tensors(ds):
    batch = next(ds.loader(4, format="torch"))
    assert batch["input_ids"].dtype == torch.int64 and batch["loss_mask"].dtype == torch.bool
    assert torch.equal(batch["input_ids"][0], torch.from_numpy(ds[0].tokens[:256].astype(np.int64)))
    assert torch.equal(torch.from_dlpack(ds[0].__dlpack__()).to(torch.int64), torch.from_numpy(ds[0].tokens.astype(np.int64)))


def test_data_loader(ds):
    batches = Batches(ds, 16)
    assert windows(DataLoader(batches, batch_size=None)) == list(range(len(ds)))
    assert windows(DataLoader(batches, batch_size=None, num_workers=1)) == list(range(len(ds)))
    with pytest.raises(RuntimeError, match="num_workers=2"):
        windows(DataLoader(Batches(ds, 16), batch_size=None, num_workers=2))
    with pytest.raises(ValueError, match="shuffle"):
        DataLoader(batches, batch_size=None, shuffle=True)


@pytest.mark.parametrize("workers", [0, 1])
def test_stateful_data_loader(ds, workers):
    from torchdata.stateful_dataloader import StatefulDataLoader

    make = lambda: StatefulDataLoader(Batches(ds, 16), batch_size=None, num_workers=workers, snapshot_every_n_steps=1)
    loader = make()
    seen = []
    for number, batch in enumerate(loader):
        seen += batch["window_ids"].tolist()
        if number == 6:
            state = loader.state_dict()
            break
    again = make()
    again.load_state_dict(state)
    assert seen + windows(again) == list(range(len(ds)))


def test_examples(ds):
    examples = Examples(ds)
    one = examples[3]
    assert one["input_ids"].tolist() == ds[3].tokens[:256].tolist() and one["labels"].shape == (256,)
    assert one["labels"][:200].tolist() == ds[3].tokens[1:201].tolist()
    loaded = torch.cat([batch["input_ids"] for batch in DataLoader(examples, batch_size=7, num_workers=2)])
    assert loaded.shape == (len(ds), 256) and torch.equal(loaded[5], examples[5]["input_ids"])
    for rank in range(2):
        sampler = DistributedSampler(examples, num_replicas=2, rank=rank, shuffle=False, drop_last=True)
        assert list(sampler) == list(range(rank, len(ds) - len(ds) % 2, 2))


def test_grain(ds):
    grain = pytest.importorskip("grain")
    source = grain.MapDataset.source(Examples(ds, format="numpy")).batch(4)
    assert np.array_equal(source[1]["input_ids"][2], ds[6].tokens[:256])


def test_lightning(ds, tmp_path):
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = Model()

        def training_step(self, batch, _):
            return self.model(**batch)["loss"]

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

        def train_dataloader(self):
            return DataLoader(Batches(ds, 16), batch_size=None)

    module = Module()
    lightning.Trainer(
        max_epochs=1, accelerator="cpu", devices=1, use_distributed_sampler=False, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
    ).fit(module)
    assert module.model.seen == list(range(len(ds)))


def test_hugging_face_trainer(ds, tmp_path):
    from transformers import Trainer, TrainingArguments

    class Ordered(Trainer):
        def get_train_dataloader(self):
            return DataLoader(self.train_dataset, batch_size=None)

    model = Model()
    steps = len(Batches(ds, 16))
    arguments = TrainingArguments(
        output_dir=str(tmp_path), max_steps=steps, use_cpu=True, report_to=[], save_strategy="no", logging_strategy="no",
        remove_unused_columns=False, disable_tqdm=True,
    )
    Ordered(model=model, args=arguments, train_dataset=Batches(ds, 16)).train()
    assert model.seen == list(range(len(ds)))


def test_deepspeed(ds, monkeypatch):
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29571"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    # It builds an operator with the `ninja` that stands beside the interpreter.
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])
    deepspeed = pytest.importorskip("deepspeed")
    model = Model()
    config = {"train_micro_batch_size_per_gpu": 16, "gradient_accumulation_steps": 1}
    engine, *_ = deepspeed.initialize(
        model=model, config=config,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1), dist_init_required=True,
    )
    for batch in DataLoader(Batches(ds, 16), batch_size=None):
        engine.backward(engine(**batch)["loss"])
        engine.step()
    assert model.seen == list(range(len(ds)))
