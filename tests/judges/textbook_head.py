#!/usr/bin/env python3
"""Loads heads that `train-head` wrote into torchvision's `resnet18`, its `fc` replaced as in the textbook recipe.

Trains a linear head (on raw and on standardised features) and an MLP head on a part of `data/fashion-mnist-mini`, with a
ResNet-18 of random weights. Each `head.safetensors` must fill the replaced `fc` exactly, and the whole torchvision model
must predict the same class as `train-head predict` for every test image. Install `requirements.txt` first.
"""

import sys
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

import binaries
import networks
import subsets
from verdicts import Verdicts, work_folder

FEATURES = 512
HIDDEN = 512
# kind of head, options of its training
HEADS = [
    ("linear", []),
    ("linear", ["--normalise", "standardise"]),
    ("mlp", ["--normalise", "standardise"]),
]
# Images of a class in train, val, test.
IMAGES = (20, 5, 10)
BATCH = 50


def textbook(kind: str, backbone: dict, head: dict, classes: int) -> nn.Module:
    """torchvision's resnet18 with `fc` replaced; both files must fit without a tensor missing or left over."""
    model = networks.build("resnet18")
    model.load_state_dict(backbone)
    if kind == "linear":
        model.fc = nn.Linear(FEATURES, classes)
    else:
        model.fc = nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))
    # The prefix is all that is taken off: what is left must be exactly the module's own names.
    foreign = [name for name in head if not name.startswith("fc.")]
    if foreign:
        raise SystemExit(f"head.safetensors: unexpected tensors: {', '.join(foreign)}")
    model.fc.load_state_dict({name.removeprefix("fc."): tensor for name, tensor in head.items()}, strict=True)
    return model.eval()


def judged(model: nn.Module, images: list[Path], classes: list[str]) -> dict[str, str]:
    """Image path → class that the torchvision model predicts."""
    found = {}
    with torch.no_grad():
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            pictures = [networks.preprocess("resnet18", Image.open(path).convert("RGB")) for path in batch]
            best = model(torch.stack(pictures)).argmax(1).tolist()
            found.update({str(path): classes[index] for path, index in zip(batch, best, strict=True)})
    return found


def run(programs: binaries.Binaries, work: Path) -> int:
    verdicts = Verdicts()
    source = subsets.take(work / "source", *IMAGES)
    pictures = [Image.open(path).convert("RGB") for path in sorted(source.glob("train/*/*.png"))]
    backbone = networks.lived_in("resnet18", pictures).state_dict()
    weights = work / "resnet18.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in backbone.items()}, weights)
    options = ["--backbone", "resnet18", "--weights", weights, "--layer", "avgpool", "--dtype", "f32"]
    cache = programs.extract(source, work / "cache", *options)
    images = sorted(source.glob("test/*/*.png"))
    for number, (kind, training) in enumerate(HEADS):
        folder = programs.train(kind, cache, work / f"run-{number}", *training)
        classes = binaries.run_classes(folder)
        model = textbook(kind, backbone, load_file(folder / "head.safetensors"), len(classes))
        theirs = judged(model, images, classes)
        ours = programs.predictions(folder, images, "--weights", weights)
        name = " ".join([kind, *training])
        verdicts.check(f"{name}: a prediction for each of {len(images)} images", ours.keys() == theirs.keys())
        same = sum(ours.get(image) == label for image, label in theirs.items())
        verdicts.check(f"{name}: {same} of {len(images)} predicted classes are the same", same == len(images))
        verdicts.check(f"{name}: more than one class is predicted", len(set(theirs.values())) > 1)
    return verdicts.exit_status()


def main() -> int:
    arguments = binaries.parser(__doc__).parse_args()
    with work_folder(arguments.work) as work:
        return run(binaries.Binaries(arguments.bin_dir), work)


if __name__ == "__main__":
    sys.exit(main())
