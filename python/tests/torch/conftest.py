"""The compiled demo, for tests that need PyTorch."""

import pathlib

import pytest
import syllabus

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def ds(tmp_path_factory):
    return syllabus.compile(ROOT / "curricula/demo.yaml", tmp_path_factory.mktemp("demo") / "out", memory="1GiB")
