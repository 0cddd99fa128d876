#!/usr/bin/env python3
"""Compares steps of fine-tuning with PyTorch's, from equal weights and batches (`tail_steps`, an example of `common`).

The last blocks of ResNet-18 (torchvision's `layer4`, random weights with batch norm statistics of pictures) and of
EfficientNet-Lite0 (its real ImageNet weights; the last two stages and the final convolution) and a new head train for 20 steps of
16 rows on the activations of 80 pictures of `data/fashion-mnist-mini` at the cut, with smoothed and mixed targets; batch norms
frozen or by batch, AdamW and SGD with momentum, weight decay on weights only. The head is linear on ResNet-18 and has a hidden
layer on EfficientNet-Lite0. For each case:

* the loss of every step is within 1e-4 of PyTorch's, relatively;
* every tensor after the last step, running statistics included, is within 1e-3 of PyTorch's: the norm of the difference relative
  to the norm of the tensor;
* all trained tensors together are within 1% of the way that they have come: the norm of the difference relative to the norm of the
  change.

PyTorch computes in f64; how far its own f32 is from that is printed beside. Where rounding moves an activation across a bend, steps
part for good, the faster the larger they are, in PyTorch's f32 too: the learning rates are such that they hardly do.

Install `requirements.txt` and run `cargo build --release --workspace --example tail_steps` first.
"""

import itertools
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from torchvision.transforms import CenterCrop

import binaries
import networks
import subsets
from verdicts import Verdicts, work_folder

CLASSES = 10
STEPS = 20
BATCH = 16
# Of a picture; activations at the cut are 9x9, and 5x5 behind it.
SIDE = 144
# Of each class.
PICTURES = 8
HIDDEN = 64
SMOOTHING = 0.1
MIXED = 0.2
WEIGHT_DECAY = 0.01
MOMENTUM = 0.9
OPTIMIZERS = ("adamw", "sgd")
LARGEST_LOSS_ERROR = 1e-4
LARGEST_WEIGHT_ERROR = 1e-3
LARGEST_DETOUR = 1e-2


@dataclass
class Subject:
    """A network, and where it is cut."""

    name: str
    layer: str
    unfreeze: str
    # Beginnings of the names of what trains, the head's last.
    trained: tuple[str, ...]
    hidden: int
    rates: dict[str, float]


SUBJECTS = [
    Subject("resnet18", "layer3", "layer4", ("layer4.", "fc."), 0, {"adamw": 3e-5, "sgd": 1e-3}),
    Subject(
        "efficientnet-lite0",
        "stage5",
        "stage6,stage7,head",
        (*(f"_blocks.{block}." for block in range(11, 16)), "_conv_head.", "_bn1.", "_fc."),
        HIDDEN,
        {"adamw": 1e-5, "sgd": 5e-4},
    ),
]


def build(subject: Subject, pictures: list[Image.Image]) -> nn.Module:
    """The network with a new head."""
    if subject.name == "resnet18":
        model = networks.lived_in("resnet18", pictures)
        model.fc = nn.Linear(model.fc.in_features, CLASSES)
    else:
        import efficientnet_lite0

        model = efficientnet_lite0.load(networks.EMBEDDED_WEIGHTS)
        features = model._fc.in_features
        model._fc = nn.Sequential(nn.Linear(features, subject.hidden), nn.ReLU(), nn.Linear(subject.hidden, CLASSES))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return model.eval()


def behind_cut(subject: Subject, model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Logits of activations at the cut."""
    if subject.name == "resnet18":
        return model.fc(model.layer4(x).mean((2, 3)))
    for block in model._blocks[11:]:
        x = block(x)
    x = functional.relu6(model._bn1(model._conv_head(x)))
    return model._fc(x.mean((2, 3)))


def rows(subject: Subject, model: nn.Module, pictures: list[Image.Image]) -> dict[str, torch.Tensor]:
    """Activations at the cut and soft targets, shuffled; picture number n is of class n // PICTURES."""
    crop = CenterCrop(SIDE)
    inputs = torch.stack([crop(networks.preprocess(subject.name, picture)) for picture in pictures])
    with torch.no_grad():
        found = torch.cat([dict(networks.stages(subject.name, model, part))[subject.layer] for part in inputs.split(BATCH)])
    labels = functional.one_hot(torch.arange(len(pictures)) // PICTURES, CLASSES).float()
    smoothed = labels * (1 - SMOOTHING) + SMOOTHING / CLASSES
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(networks.SEED))
    smoothed = smoothed[order]
    targets = (1 - MIXED) * smoothed + MIXED * smoothed.roll(1, dims=0)
    return {"inputs": found[order].contiguous(), "targets": targets.contiguous()}


def optimizer_of(name: str, rate: float, parameters: dict[str, nn.Parameter]) -> torch.optim.Optimizer:
    """Biases and norms do not decay."""
    groups = [
        {"params": [p for p in parameters.values() if p.dim() > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters.values() if p.dim() == 1], "weight_decay": 0.0},
    ]
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=rate)
    return torch.optim.SGD(groups, lr=rate, momentum=MOMENTUM)


def train(
    subject: Subject, model: nn.Module, start: dict[str, torch.Tensor], data: dict[str, torch.Tensor], case: tuple[str, str]
) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses and final tensors of the steps from `start` on, in the precision of `data`; `case`: norms and optimizer."""
    norms, optimizer = case
    model.to(data["inputs"].dtype).load_state_dict(start)
    parameters = {name: p for name, p in model.named_parameters() if name.startswith(subject.trained)}
    model.eval()
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d) and f"{name}.".startswith(subject.trained):
            module.train(norms == "train")
    stepper = optimizer_of(optimizer, subject.rates[optimizer], parameters)
    losses = []
    count = len(data["inputs"])
    for step in range(STEPS):
        first = step * BATCH % count
        logits = behind_cut(subject, model, data["inputs"][first : first + BATCH])
        loss = functional.cross_entropy(logits, data["targets"][first : first + BATCH])
        model.zero_grad()
        loss.backward()
        stepper.step()
        losses.append(loss.item())
    return losses, {name: tensor.double() for name, tensor in model.state_dict().items()}


def ours(
    programs: binaries.Binaries, subject: Subject, case: tuple[str, str], executor: tuple[str, str], work: Path
) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Losses and final tensors of `tail_steps`; `executor`: its name and device."""
    norms, optimizer = case
    losses, after = work / "losses.json", work / "after.safetensors"
    options = {
        "backbone": subject.name,
        "layer": subject.layer,
        "unfreeze": subject.unfreeze,
        "weights": work / "weights.safetensors",
        "data": work / "data.safetensors",
        "hidden": subject.hidden,
        "bn": norms,
        "optimizer": optimizer,
        "lr": subject.rates[optimizer],
        "weight-decay": WEIGHT_DECAY,
        "side": SIDE,
        "batch": BATCH,
        "steps": STEPS,
        "executor": executor[0],
        "device": executor[1],
        "losses": losses,
        "out": after,
    }
    programs.run("examples/tail_steps", *(word for name, value in options.items() for word in (f"--{name}", value)))
    return json.loads(losses.read_text())["losses"], load_file(after)


def loss_error(found: list[float], theirs: list[float]) -> float:
    return max(abs(a / b - 1) for a, b in zip(found, theirs, strict=True))


def compare(verdicts: Verdicts, case: str, trained: tuple[str, ...], before, theirs, found) -> None:
    """`before`: tensors; `theirs` and `found`: losses and final tensors."""
    error = loss_error(found[0], theirs[0])
    claim = f"{case}: relative error of {STEPS} losses {error:.1e} ≤ {LARGEST_LOSS_ERROR}"
    verdicts.check(claim, error <= LARGEST_LOSS_ERROR)
    differences = {name: (tensor - theirs[1][name]).norm().item() for name, tensor in found[1].items()}
    worst, name = max((difference / theirs[1][name].norm().item(), name) for name, difference in differences.items())
    claim = f"{case}: relative error of {len(differences)} tensors {worst:.1e} ({name}) ≤ {LARGEST_WEIGHT_ERROR}"
    verdicts.check(claim, worst <= LARGEST_WEIGHT_ERROR)
    weights = [name for name in differences if name.startswith(trained) and "running" not in name]
    way = math.hypot(*((theirs[1][name] - before[name]).norm().item() for name in weights))
    detour = math.hypot(*(differences[name] for name in weights)) / way
    claim = f"{case}: error of {len(weights)} trained tensors {detour:.1e} ≤ {LARGEST_DETOUR} of their way"
    verdicts.check(claim, detour <= LARGEST_DETOUR)


def run(arguments, work: Path) -> int:
    verdicts = Verdicts()
    programs = binaries.Binaries(arguments.bin_dir)
    source = subsets.take(work / "source", PICTURES, 0, 0)
    pictures = [Image.open(path).convert("RGB") for path in sorted(source.glob("train/*/*.png"))]
    for subject in (subject for subject in SUBJECTS if subject.name in arguments.backbones):
        torch.manual_seed(networks.SEED)
        model = build(subject, pictures)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        data = rows(subject, model, pictures)
        save_file(data, work / "data.safetensors")
        kept = {name: tensor for name, tensor in before.items() if not name.endswith("num_batches_tracked")}
        save_file(kept, work / "weights.safetensors")
        exact = {name: tensor.double() for name, tensor in data.items()}
        for case in itertools.product(("frozen", "train"), OPTIMIZERS):
            theirs = train(subject, model, before, exact, case)
            rounded, _ = train(subject, model, before, data, case)
            name = f"{subject.name}, --bn {case[0]}, {case[1]}"
            own = loss_error(rounded, theirs[0])
            print(f"\n{name}: loss {theirs[0][0]:.4f} → {theirs[0][-1]:.4f}; error of PyTorch's own f32 {own:.1e}")
            for executor in arguments.executors:
                device = arguments.device if executor == "reference" else "cpu"
                found = ours(programs, subject, case, (executor, device), work)
                compare(verdicts, f"{name}, {executor}", subject.trained, before, theirs, found)
    return verdicts.exit_status()


def main() -> int:
    parser = binaries.parser(__doc__)
    executors = ("cpu", "reference")
    parser.add_argument("--executors", nargs="+", choices=executors, default=executors, help="default: both")
    parser.add_argument("--device", default="cpu", help="of the reference executor, such as cuda:0 (default: %(default)s)")
    names = [subject.name for subject in SUBJECTS]
    parser.add_argument("--backbones", nargs="+", choices=names, default=names, help="default: both")
    arguments = parser.parse_args()
    with work_folder(arguments.work) as work:
        return run(arguments, work)


if __name__ == "__main__":
    sys.exit(main())
