#!/usr/bin/env python3
"""Compares every number of augmented views of real photos with torchvision's, given which part of a photo each one shows.

Both sides cut the part out of the photo, resize it to 224×224 (bilinear and bicubic, antialias), mirror it if need be and
normalise it: torchvision with `crop`, `resize`, `hflip`, `to_tensor` and `normalize` on Pillow images. No number may differ
when Pillow is told to resize columns first and then rows, which is what Pillow up to 12 and the project always do. Pillow 13
takes rows first for some shapes: how many views are equal to `resized_crop` all the same is printed, and with bilinear the
others may be one level off. Which parts are shown is random; the means are compared with those of
`RandomResizedCrop.get_params` on the same photos.

    cargo build --release --workspace --examples
    python tests/judges/views.py

Install `requirements.txt` first. Photos are fetched from public packages.
"""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms import functional

import binaries
import networks
from verdicts import Verdicts, work_folder

VIEWS = 20
LEAST_PHOTOS = 20
SCALE = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)
# One grey level of the channel with the smallest standard deviation; bicubic overshoots at hard edges and is clipped
# between the two passes, where their order matters more.
LEVEL = 1 / 255 / min(networks.IMAGENET_STD)
LARGEST_DIFFERENCE = {"bilinear": 1.001 * LEVEL, "bicubic": 20 * LEVEL}
# Standard errors between the means of two samples of parts.
LARGEST_DEVIATION = 4.0


def views(example: Path, images: Path, out: Path, interpolation: str) -> list[tuple[str, np.ndarray, list[int]]]:
    """What the Rust side makes of each image of a folder: name, tensor, and left, top, width, height, mirrored."""
    subprocess.run([example, images, out, str(VIEWS), interpolation], check=True)
    shape = (3, networks.CROP, networks.CROP)
    found = []
    for name, view, *part in csv.reader((out / "views.csv").open()):
        seen = np.fromfile(out / f"{name}.{view}.f32", np.float32).reshape(shape)
        found.append((name, seen, [int(number) for number in part]))
    return found


def expected(image: Image.Image, part: list[int], interpolation: str) -> tuple[np.ndarray, np.ndarray]:
    """What torchvision makes of that part: columns first, and in the order that Pillow chooses."""
    left, top, width, height, mirrored = part
    side, mode = networks.CROP, InterpolationMode(interpolation)
    cut = functional.crop(image, top, left, height, width)
    columns_first = functional.resize(functional.resize(cut, [height, side], mode), [side, side], mode)
    chosen = functional.resized_crop(image, top, left, height, width, [side, side], mode)
    return tensor(columns_first, mirrored), tensor(chosen, mirrored)


def tensor(shown: Image.Image, mirrored: int) -> np.ndarray:
    pixels = functional.to_tensor(functional.hflip(shown) if mirrored else shown)
    return functional.normalize(pixels, networks.IMAGENET_MEAN, networks.IMAGENET_STD).numpy()


def measures(size: tuple[int, int], left: int, top: int, width: int, height: int) -> list[float]:
    """Of a part: share of the area, logarithm of the ratio, and where its centre is."""
    area = width * height / (size[0] * size[1])
    return [area, np.log(width / height), (left + width / 2) / size[0], (top + height / 2) / size[1]]


def compare_parts(verdicts: Verdicts, ours: np.ndarray, sizes: list[tuple[int, int]]) -> None:
    torch.manual_seed(0)
    theirs = []
    for size in sizes:
        top, left, height, width = RandomResizedCrop.get_params(Image.new("RGB", size), SCALE, RATIO)
        theirs.append(measures(size, left, top, width, height))
    theirs = np.array(theirs)
    error = np.sqrt((ours.var(0) + theirs.var(0)) / len(ours))
    deviations = np.abs(ours.mean(0) - theirs.mean(0)) / error
    for name, mine, their, deviation in zip(
        ("area", "log ratio", "centre x", "centre y"), ours.mean(0), theirs.mean(0), deviations
    ):
        text = f"mean {name} {mine:.4f}, torchvision's {their:.4f}: {deviation:.1f} standard errors"
        verdicts.check(text, deviation <= LARGEST_DEVIATION)


def compare(photos: Path, example: Path, work: Path) -> int:
    verdicts = Verdicts()
    folder = work / "decoded"
    folder.mkdir()
    images = {}
    for path in sorted(photos.rglob("*.*")):
        image = Image.open(path).convert("RGB")
        image.save(folder / f"{path.name}.png")
        images[f"{path.name}.png"] = image
    verdicts.check(f"{len(images)} photos", len(images) >= LEAST_PHOTOS)
    for interpolation in ("bilinear", "bicubic"):
        found = views(example, folder, work / interpolation, interpolation)
        differences = np.array(
            [
                [np.abs(seen - judge).max() for judge in expected(images[name], part, interpolation)]
                for name, seen, part in found
            ]
        )
        equal, chosen_equal = (differences == 0).sum(axis=0)
        largest = differences.max(axis=0)
        text = f"{interpolation}: {equal} of {len(found)} views are equal, largest difference {largest[0]:.4f}"
        verdicts.check(text, equal == len(found))
        text = f"{interpolation}, in Pillow's order: {chosen_equal} are equal, largest difference {largest[1]:.4f}"
        verdicts.check(text, largest[1] <= LARGEST_DIFFERENCE[interpolation])
    parts = np.array([measures(images[name].size, *part[:4]) for name, _, part in found])
    compare_parts(verdicts, parts, [images[name].size for name, _, _ in found])
    return verdicts.exit_status()


def main() -> int:
    parser = binaries.parser(__doc__)
    parser.add_argument("--photos", type=Path, help="folder with photos (default: fetched)")
    arguments = parser.parse_args()
    with work_folder(arguments.work) as work:
        photos = arguments.photos or work / "photos"
        if arguments.photos is None:
            subprocess.run([networks.DATA / "fetch", "photos", photos], check=True)
        return compare(photos, arguments.bin_dir / "examples" / "views", work)


if __name__ == "__main__":
    sys.exit(main())
