"""The stubs: they say of every name what it is at run time, and code that a user would write passes the strictest checks."""

import ast
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CONFIG = ["--mypy-config-file", str(HERE.parent / "pyproject.toml")]

# What the stubs leave out on purpose, as patterns.
LEFT_OUT = r"""
syllabus\._.*
syllabus\.torch.*
# Made by the package alone.
syllabus\.(Dataset|Windows|Schedule|Plan)\.__(init|new)__
# Set when one is made.
syllabus\.Dataset\.manifest
# The interpreter shows it from 3.12 on.
syllabus\.Window\.__buffer__
"""

USE = """
import numpy as np
import syllabus
from numpy.typing import NDArray

ds = syllabus.open("out/demo", verify="first-touch")
window = ds[0]
ids: NDArray[np.uint16] | NDArray[np.uint32] = window.tokens
places: list[int] = [fragment.offset for fragment in window.fragments]
block: NDArray[np.uint16] = ds[10:20]
names: list[str] = [phase.name for phase in ds.phases]
loader = ds.loader({0: 8, "2.8T": 16}, world=2, rank=1, cp=(0, 2, "zigzag"), outputs=("labels", "cu_seqlens"))
step: syllabus.Step = loader.schedule.at(loader.next_step)
for batch in loader:
    print(batch["input_ids"].shape)
loader.load_state_dict(loader.state_dict())
plan = syllabus.plan("mine.yaml", scale="1/100")
text: str | None = plan.note
"""

WRONG = [
    ("ds[0].tokens = 3", "read-only"),
    ("ds.loader(8, phase_end='repeat')", "phase_end"),
    ("syllabus.open(7)", "incompatible type"),
]


def mypy(*arguments):
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_stubs_say_what_is_there(tmp_path):
    allowed = tmp_path / "left-out.txt"
    allowed.write_text(LEFT_OUT)
    found = mypy("mypy.stubtest", "syllabus", "--concise", *CONFIG, "--allowlist", str(allowed), "--ignore-unused-allowlist")
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_loader_has_one_list_of_options():
    """`Dataset.loader` hands its options to `Loader`, so that stubtest sees only those of `Loader`."""
    tree = ast.parse((HERE.parent / "syllabus" / "__init__.pyi").read_text())
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}

    def options(of, name):
        (found,) = [node for node in classes[of].body if isinstance(node, ast.FunctionDef) and node.name == name]
        return [ast.dump(part) for part in [found.args.args[-1], *found.args.kwonlyargs, *found.args.kw_defaults]]

    assert options("Dataset", "loader") == options("Loader", "__init__")


def test_a_users_code_is_typed(tmp_path):
    file = tmp_path / "use.py"
    file.write_text(USE)
    check = ["mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(file)]
    found = mypy(*check)
    assert found.returncode == 0, found.stdout + found.stderr
    for line, why in WRONG:
        file.write_text(USE + line + "\n")
        found = mypy(*check)
        assert found.returncode == 1 and why in found.stdout, (line, found.stdout)
