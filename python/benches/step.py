"""How much longer a training step takes than one with random tokens that lie on the device already.

    python python/benches/step.py DATASET [--device cuda] [--rows 4] [--steps 100] [--width 1024] [--depth 12]

Needs torch and, for a figure that means something, a GPU; on the CPU the loader's threads and the model share the cores. The model
is that of examples/train_torch.py. Three kinds of steps, by turns, in rounds of `--steps`: random tokens on the device; the
loader's batches, copied from pinned memory as they come (`non_blocking`); and the loader alone, its batches copied and nothing
computed. Each round ends with the device idle; a figure is the median of five rounds after one that is not counted.
"""

import argparse
import pathlib
import statistics
import sys
import time

import syllabus
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples"))
from train_torch import GPT

NAMES = ("input_ids", "labels", "position_ids", "segment_ids")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for name, value in (("rows", 4), ("steps", 100), ("width", 1024), ("depth", 12), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    device = torch.device(args.device)
    ds = syllabus.open(args.dataset)
    phase = ds.phases[0]
    torch.manual_seed(0)
    model = GPT(ds.manifest["tokenizer"]["vocab_size"], phase.sequence_length, args.width, args.depth, args.width // 64).to(device)
    optimizer = torch.optim.AdamW(model.parameters())
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None

    def batches():
        while True:
            yield from ds.loader(args.rows, phase=phase.name, phase_end="drop", format="torch")

    loaded = batches()
    shape = (args.rows, phase.sequence_length)
    random = {name: torch.randint(0, 1000, shape, device=device) for name in NAMES}
    random["position_ids"] = torch.arange(shape[1], device=device).expand(shape)
    random["segment_ids"] = torch.ones(shape, dtype=torch.int32, device=device)

    def copied():
        batch = next(loaded)
        return {name: batch[name].to(device, non_blocking=True) for name in NAMES}

    def train(inputs):
        with torch.autocast(device.type, torch.bfloat16):
            losses = model(inputs)
        losses.mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    kinds = {
        "random tokens on the device": lambda: train(random),
        "the loader's batches": lambda: train(copied()),
        "the loader alone": copied,
    }
    times = {name: [] for name in kinds}
    for round in range(args.rounds + 1):
        for name, step in kinds.items():
            wait()
            start = time.perf_counter()
            for _ in range(args.steps):
                step()
            wait()
            if round:
                times[name].append(1e3 * (time.perf_counter() - start) / args.steps)
    medians = {name: statistics.median(values) for name, values in times.items()}
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"
    print(f"{args.rows} windows of {phase.sequence_length} a step, width {args.width}, depth {args.depth}, on {where}")
    for name, value in medians.items():
        print(f"{name:28} {value:9.3f} ms a step")
    least, ours = medians["random tokens on the device"], medians["the loader's batches"]
    print(f"longer by {ours - least:.3f} ms, {(ours / least - 1):.2%}")


if __name__ == "__main__":
    main()
