"""Datasets and windows."""

import gc
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import syllabus


def shards(ds):
    """All windows of all phases, read from the `.bin` files without the package."""
    for phase in ds.manifest["phases"]:
        for shard in phase["shards"]:
            tokens = np.fromfile(os.path.join(ds.path, shard["file"]), ds.dtype)
            yield from tokens.reshape(-1, phase["window_tokens"])


def test_windows_are_those_of_the_shards(ds):
    raw = list(shards(ds))
    assert len(ds) == len(raw) == sum(phase.windows for phase in ds.phases)
    for number, tokens in enumerate(raw):
        window = ds[number]
        assert np.array_equal(window.tokens, tokens) and window.index == number
    assert np.array_equal(ds[-1].tokens, raw[-1])
    assert [phase.name for phase in ds.phases] == ["foundation", "enterprise", "late"]
    for number in (len(ds), -len(ds) - 1):
        with pytest.raises(IndexError, match=str(len(ds))):
            ds[number]


def test_tokens_are_views(ds):
    tokens = ds[3].tokens
    assert tokens.dtype == ds.dtype == np.uint16 and tokens.shape == (257,)
    assert not tokens.flags.owndata and not tokens.flags.writeable
    with pytest.raises(ValueError):
        tokens[0] = 1
    again = np.asarray(ds[3])
    assert again.__array_interface__["data"][0] == tokens.__array_interface__["data"][0]
    assert bytes(memoryview(ds[3])) == tokens.tobytes()
    assert np.array_equal(np.from_dlpack(ds[3]), tokens)


def test_views_outlive_the_dataset(compiled):
    ds = syllabus.open(compiled[0].path)
    tokens, copy = ds[5].tokens, ds[5].tokens.copy()
    del ds
    gc.collect()
    assert np.array_equal(tokens, copy)


def test_gathering(ds):
    first = ds[0:3]
    assert first.shape == (3, 257) and first.dtype == ds.dtype
    assert np.array_equal(first, np.stack([ds[i].tokens for i in range(3)]))
    chosen = ds[np.array([7, 2, 2])]
    assert np.array_equal(chosen, np.stack([ds[i].tokens for i in (7, 2, 2)]))
    assert np.array_equal(ds[[-1]][0], ds[len(ds) - 1].tokens)
    assert ds[5:5].shape[0] == 0
    for wrong in ([0.5], [[1, 2]], [len(ds)]):
        with pytest.raises(IndexError):
            ds[wrong]


def test_what_a_window_is_made_of(ds):
    for number in range(0, len(ds), 97):
        window = ds[number]
        assert window.source in ds.sources and window.phase in {phase.name for phase in ds.phases}
        covered = 0
        positions, segments = [], []
        for at, fragment in enumerate(window.fragments):
            assert fragment.start == covered and len(fragment.document) == 32
            covered += fragment.length
            positions += range(fragment.length)
            segments += [at] * fragment.length
        assert covered + window.padding == len(window.tokens)
        assert window.position_ids().dtype == np.int32
        # S trained positions: the last token is a label only.
        assert window.position_ids().tolist() == positions[:256]
        segments = segments[:256]
        assert len({(a, b) for a, b in zip(segments, window.segment_ids().tolist(), strict=True)}) == len(set(segments))
        borders = [fragment.start for fragment in window.fragments if fragment.start < 256] + [256]
        assert window.cu_seqlens().tolist() == borders


def test_held_out_sets(ds):
    assert ds.validation and all(name.startswith("validation/") for name in ds.validation)
    for held_out in ds.validation.values():
        assert len(held_out[0].tokens) == 257
    keys = lambda windows: {fragment.document for window in windows for fragment in window.fragments}
    trained = keys(ds)
    assert not any(trained & keys(held_out) for held_out in ds.validation.values())


def test_what_the_trainer_relies_on(ds, tmp_path):
    contract = ds.manifest["tokenizer"]
    syllabus.open(ds.path, tokenizer=contract["digest"], vocab_size=contract["vocab_size"], sequence_length=256)
    syllabus.open(ds.path, digest=ds.digest)
    for wrong in ({"tokenizer": "0" * 64}, {"vocab_size": 10}, {"sequence_length": 512}, {"digest": "0" * 64}):
        with pytest.raises(syllabus.ContractError):
            syllabus.open(ds.path, **wrong)
    with pytest.raises(FileNotFoundError):
        syllabus.open(tmp_path / "nothing")


def copied(ds, tmp_path):
    path = tmp_path / "copy"
    shutil.copytree(ds.path, path, ignore=shutil.ignore_patterns(".work"))
    return path


def test_damaged_shards_are_named(ds, tmp_path):
    path = copied(ds, tmp_path)
    shard = path / "enterprise/00000.bin"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    with pytest.raises(syllabus.CorruptError, match="enterprise/00000.bin"):
        syllabus.open(path)
    # The same length, other bytes: found at the first touch, or by reading everything.
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    lazy = syllabus.open(path, verify="first-touch")
    lazy[0].tokens
    first = lazy.phases[1].first_window
    with pytest.raises(syllabus.CorruptError, match="enterprise/00000.bin"):
        lazy[first]
    with pytest.raises(syllabus.CorruptError, match="enterprise/00000.bin"):
        syllabus.open(path).verify()
    shard.unlink()
    with pytest.raises((syllabus.CorruptError, OSError), match="enterprise/00000.bin"):
        syllabus.open(path)


def test_a_shard_cut_under_its_map_is_an_error(ds, tmp_path):
    path = copied(ds, tmp_path)
    opened = syllabus.open(path)
    os.truncate(path / "late/00000.bin", 0)
    with pytest.raises((syllabus.CorruptError, OSError), match="late/00000.bin"):
        for window in range(opened.phases[2].first_window, len(opened)):
            opened[window]


def test_threads_and_processes(ds):
    expected = [ds[i].tokens.sum() for i in range(0, len(ds), 11)]
    found = []
    work = lambda: found.append([ds[i].tokens.sum() for i in range(0, len(ds), 11)] == expected)
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8
    there = pickle.loads(pickle.dumps(ds))
    assert there.digest == ds.digest and np.array_equal(there[1].tokens, ds[1].tokens)


def test_it_survives_a_fork(ds):
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    loader = ds.loader(8, threads=2)
    before = next(loader)["window_ids"].tolist()
    child = os.fork()
    if child == 0:
        try:
            # The child goes on with what it inherited, and with a loader of its own.
            fine = next(loader)["window_ids"].tolist() == list(range(8, 16)) and next(ds.loader(4))["window_ids"][0] == 0
            os._exit(0 if fine and len(ds[0].tokens) == 257 else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert before == list(range(8)) and next(loader)["window_ids"].tolist() == list(range(8, 16))


def test_it_shows_itself(ds):
    assert repr(ds) == f"<Dataset demo: {len(ds)} windows in 3 phases>"
    html = ds._repr_html_()
    assert "<table>" in html and "enterprise" in html and "web 75" in html


def test_stubs_name_what_is_there():
    """Every public name has a type, and no other has."""
    import ast

    package = pathlib.Path(syllabus.__file__).parent
    stub = ast.parse((package / "__init__.pyi").read_text(encoding="utf-8"))
    typed = {node.name: node for node in stub.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    typed_names = set(typed) | {node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)}
    typed_names = {name for name in typed_names if not name.startswith("_") or name == "__version__"}
    assert typed_names == set(syllabus.__all__)
    for name, node in typed.items():
        if not isinstance(node, ast.ClassDef):
            continue
        described = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
        described |= {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}
        real = {key for key in dir(getattr(syllabus, name)) if not key.startswith("_")}
        if issubclass(getattr(syllabus, name), (BaseException, tuple, dict)):
            base = {key for kind in (Exception, tuple, dict) for key in dir(kind)}
            real -= base
            described -= base
        public = {key for key in described if not key.startswith("_")}
        missing = real - public
        assert not missing, f"{name}: {missing} have no type"
        # `summary`, `plan` and `report` are set on exceptions as they are raised.
        extra = public - real - {"summary", "plan", "report", "note", "schedule", "manifest"}
        assert not extra, f"{name}: {extra} are not there"
    assert (package / "py.typed").exists()


def test_every_public_thing_is_documented():
    for name in syllabus.__all__:
        if name != "__version__":
            assert (getattr(syllabus, name).__doc__ or "").strip(), name


def test_the_command_reads_what_the_package_wrote(ds):
    manifest = json.loads((pathlib.Path(ds.path) / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["dataset_digest"] == ds.digest
    script = "import sys, syllabus; print(len(syllabus.open(sys.argv[1])))"
    out = subprocess.run([sys.executable, "-c", script, ds.path], capture_output=True, text=True, check=True)
    assert int(out.stdout) == len(ds)
