"""A small GPT on a compiled dataset, through all of its phases: learning rate by the curriculum, loss by source, resuming.

    python examples/train_torch.py out/demo --steps 20 --save state.pt
    python examples/train_torch.py out/demo --steps 20 --resume state.pt
    torchrun --nproc-per-node 2 examples/train_torch.py out/demo

Needs torch and the package `syllabus`. On two ranks and more, gloo (or nccl with CUDA) sums the gradients; each window is trained on
by one rank, and a step is the same whatever the number of ranks: the summed loss is divided by the targets of the whole step.
"""

import argparse
import json
import math
import os
import time

import syllabus
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x, mask):
        rows, length, width = x.shape
        split = lambda t: t.view(rows, length, self.heads, width // self.heads).transpose(1, 2)
        q, k, v = (split(t) for t in self.qkv(self.before(x)).chunk(3, dim=-1))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.out(attended.transpose(1, 2).reshape(rows, length, width))
        return x + self.mlp(self.after(x))


class GPT(nn.Module):
    """Documents in one window do not see each other: attention stays within `segment_ids`, positions begin anew."""

    def __init__(self, vocabulary, length, width=128, depth=2, heads=4):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, batch):
        segments = batch["segment_ids"]
        causal = torch.ones(segments.shape[1], segments.shape[1], dtype=torch.bool, device=segments.device).tril()
        mask = (causal & (segments[:, :, None] == segments[:, None, :]))[:, None]
        x = self.tokens(batch["input_ids"]) + self.positions(batch["position_ids"])
        for block in self.blocks:
            x = block(x, mask)
        logits = self.head(self.norm(x))
        loss = F.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=-100, reduction="none")
        return loss.view(segments.shape)


def learning_rate(step, schedule, peak):
    """Warm-up over the first phase's first tenth; a cosine over the rest of the curriculum's tokens."""
    at, last = schedule.at(step), schedule.at(len(schedule) - 1)
    whole = max(last.tokens, 1)
    warm = min(1.0, (at.progress + 0.01) / 0.1) if at.phase_index == 0 else 1.0
    return peak * warm * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(at.tokens / whole, 1.0))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--batch", type=int, default=32, help="windows of a global batch")
    parser.add_argument("--micro", type=int, default=8, help="windows that a rank takes at once")
    parser.add_argument("--steps", type=int, default=0, help="steps of this run; 0: to the end of the curriculum")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--resume")
    parser.add_argument("--save")
    parser.add_argument("--trace", help="a file for one JSON object a micro-batch and rank: step, windows")
    args = parser.parse_args()

    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    cuda = torch.cuda.is_available()
    if world > 1:
        dist.init_process_group("nccl" if cuda else "gloo")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
    torch.manual_seed(0)

    ds = syllabus.open(args.dataset)
    loader = ds.loader(args.batch, rank=rank, world=world, micro=args.micro, format="torch")
    length = max(phase.sequence_length for phase in ds.phases)
    model = GPT(ds.manifest["tokenizer"]["vocab_size"], length).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.learning_rate)
    if args.resume:
        saved = torch.load(args.resume, map_location=device)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        loader.load_state_dict(saved["loader"])

    log = open(f"{args.trace}.{rank}", "a", encoding="utf-8") if args.trace else None
    first, started, waited = loader.next_step, time.perf_counter(), 0.0
    by_source = torch.zeros(2, len(ds.sources), dtype=torch.float64)
    while not args.steps or loader.next_step < first + args.steps:
        asked = time.perf_counter()
        batch = next(loader, None)
        waited += time.perf_counter() - asked
        if batch is None:
            break
        step, micro, micros = batch["step"], batch["micro"], batch["micros"]
        if log:
            print(json.dumps({"step": step, "windows": batch["window_ids"].tolist()}), file=log, flush=True)
        if len(batch["window_ids"]):
            inputs = {name: batch[name].to(device, non_blocking=True) for name in ("input_ids", "labels", "position_ids", "segment_ids")}
            losses = model(inputs)
            # A sum over targets, of all ranks and pieces in the end: no rank's short batch weighs more than another's.
            (losses.sum() / batch["num_targets_global"]).backward()
            sums, targets = losses.detach().sum(1).double().cpu(), batch["loss_mask"].sum(1).double()
            by_source[0].index_add_(0, batch["source_ids"].long(), sums)
            by_source[1].index_add_(0, batch["source_ids"].long(), targets)
        if micro + 1 < micros:
            continue
        for parameter in model.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if world > 1:
                dist.all_reduce(parameter.grad)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, loader.schedule, args.learning_rate)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if world > 1:
            summed = by_source.to(device)
            dist.all_reduce(summed)
            by_source.copy_(summed)
        if rank == 0:
            at = loader.schedule.at(step)
            loss = by_source[0].sum() / by_source[1].sum().clamp(min=1)
            sources = {name: round((by_source[0, i] / by_source[1, i]).item(), 3) for i, name in enumerate(ds.sources) if by_source[1, i]}
            print(f"step {step} {at.phase} {at.progress:.0%} tokens {at.tokens} loss {loss:.3f} lr {optimizer.param_groups[0]['lr']:.2e} {sources}")
        by_source.zero_()
    if rank == 0:
        seconds = time.perf_counter() - started
        print(f"{seconds:.1f} s, of which {waited:.3f} s waiting for batches")
        if args.save:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "loader": loader.state_dict()}, args.save)
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
