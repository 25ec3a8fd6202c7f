"""examples/train_torch.py on the CPU: all phases, resuming, and two ranks."""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
EXAMPLE = str(ROOT / "examples/train_torch.py")


def run(arguments, ranks=1):
    command = [sys.executable]
    if ranks > 1:
        command += ["-m", "torch.distributed.run", "--nproc-per-node", str(ranks), "--master-port", "29583"]
    done = subprocess.run(command + [EXAMPLE, *map(str, arguments)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return [line for line in done.stdout.splitlines() if line.startswith("step ")]


def windows(log, ranks):
    """Windows of each step, over all ranks."""
    steps = {}
    for rank in range(ranks):
        for line in pathlib.Path(f"{log}.{rank}").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            steps.setdefault(row["step"], []).extend(row["windows"])
    return {step: sorted(seen) for step, seen in sorted(steps.items())}


def test_two_ranks_see_each_window_once_in_order(ds, tmp_path):
    lines = run([ds.path, "--batch", 32, "--trace", tmp_path / "two"], ranks=2)
    steps = windows(tmp_path / "two", 2)
    assert [window for seen in steps.values() for window in seen] == list(range(len(ds)))
    assert len(lines) == len(steps)
    for phase in ds.phases:
        assert any(f" {phase.name} " in line for line in lines)
    loss = lambda line: float(line.split(" loss ")[1].split()[0])
    assert loss(lines[-1]) < loss(lines[0]) - 0.5, "it learns"


def test_resuming_from_the_middle_is_the_same_run(ds, tmp_path):
    whole = run([ds.path, "--steps", 8, "--trace", tmp_path / "whole"])
    first = run([ds.path, "--steps", 3, "--save", tmp_path / "state.pt", "--trace", tmp_path / "parts"])
    rest = run([ds.path, "--steps", 5, "--resume", tmp_path / "state.pt", "--trace", tmp_path / "parts"])
    assert windows(tmp_path / "parts", 1) == windows(tmp_path / "whole", 1)
    assert first + rest == whole
