#!/usr/bin/env python3
"""Training steps of the last layers of a ResNet: ours, PyTorch's on cached activations, and PyTorch's textbook, in turn.

    cargo build --release --workspace --example tail_speed
    python benches/finetune.py [--backbone resnet18] [--unfreeze layer4] [--norm frozen] [--batch 32] [--threads 2] [--rounds 5]

A step is forward, backward and AdamW of the unfrozen layer and `fc`. `cached` reads activations of the layer before it, channels last (the
faster layout), with the fused optimizer; `textbook` runs the whole network on images and trains the same parameters. Every run
is a process of its own; the median over the rounds' medians counts, and the largest resident set. Fails if ours is less than
--least times as fast as `cached`, less than --least-textbook times as fast as `textbook`, or takes more memory than `cached`.
On a GPU (--device cuda, a build with --features train-head/cudnn) inputs come from the host in every step, and PyTorch computes
16-bit floats by autocast.
Needs benches/requirements-peers.txt.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ["layer1", "layer2", "layer3", "layer4"]
SIDE, CLASSES, WARM_UP = 224, 10, 2


def peak_megabytes() -> float:
    """Largest resident set of this process so far."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / 1e6


def pytorch(options: argparse.Namespace) -> dict:
    import torch
    import torchvision
    from torch import nn

    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    sixteen = {"f16": torch.float16, "bf16": torch.bfloat16}.get(options.precision)
    torch.manual_seed(1)
    network = torchvision.models.get_model(options.backbone)
    network.fc = nn.Linear(network.fc.in_features, CLASSES)
    first = LAYERS.index(options.unfreeze)
    before = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool, *(getattr(network, name) for name in LAYERS[:first]))
    tail = nn.Sequential(*(getattr(network, name) for name in LAYERS[first:]), network.avgpool, nn.Flatten(1), network.fc)
    images = torch.rand(options.batch, 3, SIDE, SIDE)
    if options.child == "cached":
        with torch.inference_mode():
            before.eval()
            shape = before(images[:1]).shape[1:]
        del network, before, images
        model, inputs = tail.to(memory_format=torch.channels_last), torch.rand(options.batch, *shape)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    else:
        before.requires_grad_(False)
        model = nn.Sequential(before, tail).to(memory_format=torch.channels_last)
        inputs = images.contiguous(memory_format=torch.channels_last)
    model.to(device).train()
    if options.norm == "frozen":
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    labels = (torch.arange(options.batch) % CLASSES).to(device)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, weight_decay=1e-2, fused=True)
    seconds = []
    for _ in range(WARM_UP + options.steps):
        started = time.perf_counter()
        with torch.autocast(device.type, dtype=sixteen, enabled=sixteen is not None):
            loss = nn.functional.cross_entropy(model(inputs.to(device)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    measured = seconds[WARM_UP:]
    return {"median": statistics.median(measured), "best": min(measured), "peak_mb": peak_megabytes()}


def command(who: str, options: argparse.Namespace) -> list[str]:
    common = ["--backbone", options.backbone, "--norm", options.norm, "--batch", str(options.batch), "--steps", str(options.steps)]
    common += ["--device", options.device, "--precision", options.precision]
    if who == "ours":
        return [str(options.bin), *common, "--unfreeze", ",".join(LAYERS[LAYERS.index(options.unfreeze) :])]
    own = ["--child", who, "--threads", str(options.threads), "--unfreeze", options.unfreeze]
    return [sys.executable, __file__, *common, *own]


def run(who: str, options: argparse.Namespace) -> dict:
    environment = {**os.environ, "RAYON_NUM_THREADS": str(options.threads)}
    finished = subprocess.run(command(who, options), check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(finished.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=ROOT / "target" / "release" / "examples" / "tail_speed", help="default: %(default)s")
    parser.add_argument("--backbone", default="resnet18", help="default: %(default)s")
    parser.add_argument("--unfreeze", default="layer4", choices=LAYERS, help="and all behind it (default: %(default)s)")
    parser.add_argument("--norm", default="frozen", choices=["frozen", "train"], help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=10, help="of a round (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="default: %(default)s")
    parser.add_argument("--precision", default="f32", choices=["f32", "f16", "bf16"], help="16 bits on a GPU only (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--least", type=float, default=1.2, help="default: %(default)s")
    parser.add_argument("--least-textbook", type=float, default=3.0, help="default: %(default)s")
    parser.add_argument("--child", choices=["cached", "textbook"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(pytorch(options)))
        return 0
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    found: dict[str, list[dict]] = {"ours": [], "cached": [], "textbook": []}
    for _ in range(options.rounds):
        for who, rounds in found.items():
            rounds.append(run(who, options))
    where = f"{options.device} {options.precision}, {options.threads} threads"
    print(f"{options.backbone} from {options.unfreeze} on, norms {options.norm}, batch {options.batch}, {where}")
    medians = {who: statistics.median(one["median"] for one in rounds) for who, rounds in found.items()}
    peaks = {who: max(one["peak_mb"] for one in rounds) for who, rounds in found.items()}
    for who, rounds in found.items():
        best = min(one["best"] for one in rounds)
        print(
            f"{who:9} {options.batch / medians[who]:7.1f} images/s (best step {options.batch / best:7.1f})"
            f"   peak {peaks[who]:6.0f} MB   ours is {medians[who] / medians['ours']:5.2f} times as fast"
        )
    fast = medians["cached"] / medians["ours"] >= options.least
    textbook = medians["textbook"] / medians["ours"] >= options.least_textbook
    return 0 if fast and textbook and peaks["ours"] < peaks["cached"] else 1


if __name__ == "__main__":
    sys.exit(main())
