#!/usr/bin/env python3
"""Compares every resized pixel of real photos with Pillow's under torchvision's recipe.

Both sides start from the same decoded pixels (lossless PNGs), bring the short side to 256 (bilinear, antialias) and take
the centre crop of 224. No value may differ. The photos are also decoded by both sides first, with the same result.

    cargo build --release --workspace --examples
    python tests/judges/resize.py

Install `requirements.txt` first. Photos are fetched from public packages.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.transforms import CenterCrop, Resize

import binaries
import networks
from verdicts import Verdicts, work_folder

LARGEST_DIFFERENCE = 0
LEAST_PHOTOS = 20


def seen(example: Path, images: Path, out: Path) -> dict[str, np.ndarray]:
    """What the Rust side makes of each image of a folder, by name: [224, 224, 3] bytes."""
    subprocess.run([example, images, out], check=True)
    shape = (networks.CROP, networks.CROP, 3)
    return {path.stem: np.fromfile(path, np.uint8).reshape(shape) for path in out.glob("*.rgb")}


def expected(image: Image.Image) -> np.ndarray:
    """What torchvision makes of a decoded photo."""
    return np.asarray(CenterCrop(networks.CROP)(Resize(networks.SHORT_SIDE)(image)))


def compare(photos: Path, example: Path, work: Path) -> int:
    verdicts = Verdicts()
    decoded = work / "decoded"
    files = work / "files"
    decoded.mkdir()
    files.mkdir()
    judged = {}
    for path in sorted(photos.rglob("*.*")):
        image = Image.open(path).convert("RGB")
        image.save(decoded / f"{path.name}.png")
        (files / path.name).write_bytes(path.read_bytes())
        judged[path.name] = (image.size, expected(image))
    from_pixels = seen(example, decoded, work / "from-pixels")
    from_files = seen(example, files, work / "from-files")
    verdicts.check(f"{len(judged)} photos", len(judged) >= LEAST_PHOTOS)
    for name, (size, judge) in judged.items():
        difference = np.abs(judge.astype(int) - from_pixels[f"{name}.png"])
        largest = difference.max()
        text = f"{name} {size[0]}x{size[1]}: largest difference {largest}, {100 * (difference > 0).mean():.2f} % differ"
        verdicts.check(text, largest <= LARGEST_DIFFERENCE)
        same = np.array_equal(from_files[name], from_pixels[f"{name}.png"])
        verdicts.check(f"{name}: decoded as Pillow decodes it", same)
    return verdicts.exit_status()


def main() -> int:
    parser = binaries.parser(__doc__)
    parser.add_argument("--photos", type=Path, help="folder with photos (default: fetched)")
    arguments = parser.parse_args()
    with work_folder(arguments.work) as work:
        photos = arguments.photos or work / "photos"
        if arguments.photos is None:
            subprocess.run([networks.DATA / "fetch", "photos", photos], check=True)
        return compare(photos, arguments.bin_dir / "examples" / "resize", work)


if __name__ == "__main__":
    sys.exit(main())
