"""The loader: order, ranks, resumes, and what is in a batch."""

import json
import random

import numpy as np
import pytest
import syllabus


def ids(loader):
    return [window for batch in loader for window in batch["window_ids"].tolist()]


def steps(ds, world, **options):
    """The windows of each step, over all ranks."""
    found = {}
    for rank in range(world):
        for batch in ds.loader(rank=rank, world=world, **options):
            found.setdefault(batch["step"], []).extend(batch["window_ids"].tolist())
    return {step: sorted(windows) for step, windows in found.items()}


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_ranks_share_one_order(ds, world):
    options = {"batch": {0: 16, "200k": 24}, "skip": [(40, 50)]}
    assert steps(ds, world, **options) == steps(ds, 1, **options)
    assert ids(ds.loader(16)) == list(range(len(ds)))


def test_batches_never_span_phases(ds):
    borders = [phase.first_window for phase in ds.phases]
    for windows in steps(ds, 1, batch=50).values():
        assert len({sum(border <= window for border in borders) for window in windows}) == 1
    dropped = steps(ds, 1, batch=50, phase_end="drop")
    assert all(len(windows) == 50 for windows in dropped.values())
    assert sum(map(len, dropped.values())) == sum(phase.windows // 50 * 50 for phase in ds.phases)


def test_what_is_in_a_batch(ds):
    for batch in ds.loader(32, micro=8, max_docs=64):
        assert batch["input_ids"].dtype == batch["labels"].dtype == np.int64
        assert batch["input_ids"].shape == batch["labels"].shape == batch["loss_mask"].shape
        for row, number in enumerate(batch["window_ids"].tolist()):
            window = ds[number]
            tokens = window.tokens.astype(np.int64)
            s = batch["input_ids"].shape[1]
            assert np.array_equal(batch["input_ids"][row], tokens[:s])
            mask = batch["loss_mask"][row]
            assert np.array_equal(batch["labels"][row][mask], tokens[1:][mask])
            assert (batch["labels"][row][~mask] == -100).all()
            assert np.array_equal(batch["position_ids"][row], window.position_ids())
            assert np.array_equal(batch["segment_ids"][row], window.segment_ids())
            assert ds.sources[batch["source_ids"][row]] == window.source
        borders = batch["cu_seqlens"]
        assert borders.dtype == np.int32 and len(borders) == 65 and (np.diff(borders) >= 0).all()
        assert borders[-1] == batch["input_ids"].size and batch["max_seqlen"] == np.diff(borders).max()


def test_targets_are_known_without_communication(ds):
    counted = {}
    for rank in range(3):
        for batch in ds.loader(24, rank=rank, world=3):
            counted.setdefault(batch["step"], []).append((int(batch["loss_mask"].sum()), batch["num_targets_global"]))
    for pieces in counted.values():
        assert {whole for _, whole in pieces} == {sum(own for own, _ in pieces)}


def test_resuming_elsewhere_gives_what_is_left(ds):
    dice = random.Random(7)
    for _ in range(30):
        world, batch = dice.choice([1, 2, 3, 8]), dice.choice([8, 24, 48])
        skip = sorted(dice.sample(range(len(ds)), 2)) if dice.random() < 0.5 else None
        options = {"skip": [tuple(skip)]} if skip else {}
        loaders = [ds.loader(batch, rank=rank, world=world, **options) for rank in range(world)]
        seen = []
        for _ in range(dice.randrange(1, len(loaders[0]))):
            for loader in loaders:
                seen += next(loader)["window_ids"].tolist()
        states = [loader.state_dict() for loader in loaders]
        assert all(state == states[0] for state in states) and json.loads(json.dumps(states[0])) == states[0]
        world, batch = dice.choice([1, 2, 3, 8]), dice.choice([8, 24, 48])
        rest = []
        for rank in range(world):
            loader = ds.loader(batch, rank=rank, world=world)
            loader.load_state_dict(states[0])
            rest += ids(loader)
        wanted = [window for window in range(len(ds)) if not skip or not skip[0] <= window < skip[1]]
        assert sorted(seen + rest) == wanted


def test_a_foreign_state_is_refused(ds):
    loader = ds.loader(8)
    state = loader.state_dict()
    with pytest.raises(syllabus.ContractError):
        loader.load_state_dict({**state, "digests": ["0" * 64] * max(1, len(state["digests"]))})
    with pytest.raises((ValueError, syllabus.ContractError)):
        loader.load_state_dict({"nothing": 1})
    assert next(loader)["window_ids"][0] == 0


def test_context_parallel_ranks_have_their_parts(ds):
    whole = next(ds.loader(4))
    parts = [next(ds.loader(4, cp=(rank, 2, "contiguous"))) for rank in range(2)]
    for name in ("input_ids", "labels", "position_ids", "loss_mask"):
        assert np.array_equal(np.concatenate([part[name] for part in parts], axis=1), whole[name])
    zigzag = [next(ds.loader(4, cp=(rank, 2, "zigzag")))["input_ids"] for rank in range(2)]
    quarters = np.split(whole["input_ids"], 4, axis=1)
    assert np.array_equal(zigzag[0], np.concatenate([quarters[0], quarters[3]], axis=1))
    assert np.array_equal(zigzag[1], np.concatenate([quarters[1], quarters[2]], axis=1))


def test_schedules(ds):
    schedule = ds.loader({0: 16, "200k": 24}).schedule
    first = schedule.at(0)
    assert (first.phase, first.start, first.end, first.tokens, first.progress) == ("foundation", 0, 16, 0, 0.0)
    last = None
    for window in range(0, len(ds), 13):
        step = schedule.at(schedule.step_of(window))
        assert step.start <= window < step.end and 0 <= step.progress < 1
        assert last is None or step.tokens >= last.tokens
        last = step
    with pytest.raises(IndexError):
        schedule.at(10**9)


def test_arrays_stay_as_they_are(ds):
    """A batch that is kept is not written over by later ones."""
    loader = ds.loader(8, prefetch_bytes=1)
    kept = [next(loader) for _ in range(10)]
    for number, batch in enumerate(kept):
        assert batch["window_ids"].tolist() == list(range(8 * number, 8 * number + 8))
        assert np.array_equal(batch["input_ids"][0], ds[8 * number].tokens[:256])


def test_wrong_options_are_errors(ds):
    for wrong in (
        {"batch": 0}, {"batch": 8, "rank": 2, "world": 2}, {"batch": 8, "micro": 0}, {"batch": "3 apples"},
        {"batch": 8, "phase_end": "fill"}, {"batch": 8, "cp": (0, 2, "spiral")}, {"batch": 8, "outputs": ("pixels",)},
        {"batch": 8, "format": "jax"}, {"batch": 8, "phase": "nowhere"},
    ):
        with pytest.raises(ValueError):
            ds.loader(**wrong)
