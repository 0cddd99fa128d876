#!/usr/bin/env python3
"""Training heads on 50,000 x 512 features in memory: ours and PyTorch's, in turn.

    cargo build --release --workspace --example head_speed
    python benches/heads.py --bin target/release/examples/head_speed [--threads 2] [--rounds 3] [--case linear-10 ...]

Batch 256, Adam 1e-3 (PyTorch's fused one), shuffled anew every epoch. Both run on the same cores, one after the other, and
the best of the rounds counts, as wall-clock and as CPU time (on a machine that others use too, the latter is the fairer). A PyTorch loop over
many heads is one head times their number. Figures are scaled to 10 epochs. Needs torch 2.15.
"""

import argparse
import os
import resource
import subprocess
import time

import torch
import torch.nn.functional as F
from torch import nn

ROWS, FEATURES, BATCH = 50_000, 512, 256

# name: hidden units, classes, heads, epochs measured, how many times faster we want to be
CASES = {
    "linear-10": (0, 10, 1, 10, 2.0),
    "linear-1000": (0, 1000, 1, 2, 1.2),
    "mlp-512-10": (512, 10, 1, 2, 1.3),
    "sweep-64-linear-10": (0, 10, 64, 2, 10.0),
    "sweep-32-mlp-512-10": (512, 10, 32, 1, 1.3),
}


def cpu_seconds(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def ours(binary, case, threads):
    """Wall-clock of the training as the program says; CPU time less that of a run without epochs."""
    hidden, classes, heads, epochs, _ = case
    seconds = []
    for count in (0, epochs):
        command = [binary, "--hidden", hidden, "--classes", classes, "--heads", heads, "--epochs", count]
        environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
        before = cpu_seconds(resource.RUSAGE_CHILDREN)
        output = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, env=environment)
        seconds.append((float(output.stdout), cpu_seconds(resource.RUSAGE_CHILDREN) - before))
    return seconds[1][0] * 10 / epochs, (seconds[1][1] - seconds[0][1]) * 10 / epochs


def pytorch(features, case):
    hidden, classes, heads, epochs, _ = case
    labels = torch.randint(0, classes, (ROWS,))
    if hidden:
        model = nn.Sequential(nn.Linear(FEATURES, hidden), nn.ReLU(), nn.Linear(hidden, classes))
    else:
        model = nn.Linear(FEATURES, classes)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    wall, cpu = time.perf_counter(), cpu_seconds(resource.RUSAGE_SELF)
    for _ in range(epochs):
        for rows in torch.randperm(ROWS).split(BATCH):
            loss = F.cross_entropy(model(features[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    scale = heads * 10 / epochs
    wall, cpu = time.perf_counter() - wall, cpu_seconds(resource.RUSAGE_SELF) - cpu
    return wall * scale, cpu * scale


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", action="append", choices=CASES)
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    features = torch.rand(ROWS, FEATURES) * 2 - 1
    print(f"torch {torch.__version__}, {options.threads} threads; seconds for 10 epochs, wall-clock (CPU)")
    for name in options.case or CASES:
        best = {}
        for _ in range(options.rounds):
            for who, seconds in (("ours", ours(options.bin, CASES[name], options.threads)), ("torch", pytorch(features, CASES[name]))):
                best[who] = [min(pair) for pair in zip(seconds, best.get(who, seconds))]
        (wall, cpu), (torch_wall, torch_cpu) = best["ours"], best["torch"]
        print(
            f"{name:20} ours {wall:8.2f} ({cpu:8.2f})   torch {torch_wall:8.2f} ({torch_cpu:8.2f})"
            f"   ratio {torch_wall / wall:6.2f} ({torch_cpu / cpu:6.2f}), wanted {CASES[name][-1]}",
            flush=True,
        )


if __name__ == "__main__":
    main()
