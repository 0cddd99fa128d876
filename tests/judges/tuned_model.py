#!/usr/bin/env python3
"""Loads models that `train-head finetune` wrote into torchvision's networks and compares their logits with `train-head predict`.

Fine-tunes layer4 of a ResNet-18 (linear and MLP head, both kinds of batch normalisation) and the last features of a
MobileNetV2, both of random weights, on a part of `data/fashion-mnist-mini`. `load_state_dict(strict=True)` must take each
`model.safetensors`, frozen parameters must be those of the weight file, bit for bit, and every logit of every test image
must agree. Install `requirements.txt` first.
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

HIDDEN = 32
# Images of a class in train, val, test.
IMAGES = (12, 4, 5)
# Network, layer to cache, patterns, options, and the head in its place.
CASES = [
    ("resnet18", "layer3", "layer4", ["--freeze-epochs", "0"]),
    ("resnet18", "layer3", "layer4", ["--bn", "train", "--head", "mlp", "--hidden", str(HIDDEN)]),
    ("mobilenet-v2", "stage6", "features.17,features.18", ["--bn", "train"]),
]
TRAINING = ["--epochs", "3", "--lr", "3e-4"]
TOLERANCE = 1e-4


def with_head(name: str, options: list[str], classes: int) -> nn.Module:
    """torchvision's network with its classifier replaced as in the textbook recipe."""
    model = networks.build(name)
    features = 512 if name == "resnet18" else 1280
    head = nn.Linear(features, classes)
    if "mlp" in options:
        head = nn.Sequential(nn.Linear(features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))
    if name == "resnet18":
        model.fc = head
    else:
        model.classifier[1] = head
    return model.eval()


def frozen_alike(before: dict, after: dict, patterns: str) -> bool:
    trained = (*patterns.split(","), "fc", "classifier", "num_batches_tracked")
    frozen = [name for name in before if not any(pattern in name for pattern in trained)]
    return bool(frozen) and all(torch.equal(before[name], after[name]) for name in frozen)


def judged(model: nn.Module, name: str, images: list[Path]) -> torch.Tensor:
    pictures = [networks.preprocess(name, Image.open(path).convert("RGB")) for path in images]
    with torch.no_grad():
        return model(torch.stack(pictures))


def case(programs: binaries.Binaries, work: Path, source: Path, verdicts: Verdicts, described) -> None:
    name, layer, patterns, options = described
    place = work / "-".join([name, *options]).replace("--", "")
    place.mkdir()
    pictures = [Image.open(path).convert("RGB") for path in sorted(source.glob("train/*/*.png"))]
    before = networks.lived_in(name, pictures).state_dict()
    weights = place / "weights.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in before.items()}, weights)
    backbone = ["--backbone", name, "--weights", weights]
    cache = programs.extract(source, place / "cache", *backbone, "--layer", layer)
    tuning = ["--weights", weights, "--unfreeze", patterns, *options, *TRAINING]
    run = programs.train("finetune", cache, place / "run", *tuning)
    classes = binaries.run_classes(run)
    model = with_head(name, options, len(classes))
    after = load_file(run / "model.safetensors")
    model.load_state_dict(after, strict=True)
    title = " ".join([name, patterns, *options])
    verdicts.check(f"{title}: what is frozen is as in the weight file", frozen_alike(before, after, patterns))
    unfrozen = [key for key in before if any(pattern in key for pattern in patterns.split(","))]
    moved = [key for key in unfrozen if "num_batches" not in key and not torch.equal(before[key], after[key])]
    verdicts.check(f"{title}: {len(moved)} tensors have moved", bool(moved))
    images = sorted(source.glob("test/*/*.png"))
    theirs = judged(model, name, images)
    found = programs.logits(run, images)
    ours = torch.tensor([found[str(image)] for image in images])
    worst = (ours - theirs).abs().max().item()
    verdicts.check(f"{title}: logits of {len(images)} images differ by {worst:.1e} at most", worst <= TOLERANCE)
    verdicts.check(f"{title}: more than one class is predicted", len(set(theirs.argmax(1).tolist())) > 1)


def run(programs: binaries.Binaries, work: Path) -> int:
    verdicts = Verdicts()
    source = subsets.take(work / "source", *IMAGES)
    for described in CASES:
        case(programs, work, source, verdicts, described)
    return verdicts.exit_status()


def main() -> int:
    arguments = binaries.parser(__doc__).parse_args()
    with work_folder(arguments.work) as work:
        return run(binaries.Binaries(arguments.bin_dir), work)


if __name__ == "__main__":
    sys.exit(main())
