"""One compiled dataset for all tests: the demo, by the package itself."""

import pathlib

import pytest
import syllabus

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    events = []
    dataset = syllabus.compile(ROOT / "curricula/demo.yaml", out, threads=2, memory="1GiB", progress=events.append)
    return dataset, events


@pytest.fixture
def ds(compiled):
    return syllabus.open(compiled[0].path)
