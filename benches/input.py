#!/usr/bin/env python3
"""Times the way from a JPEG's bytes to a normalised 224×224 tensor: ours, torchvision's and Pillow's, on one thread.

All do the same: short side 256 (bilinear, antialias), centre crop 224, ImageNet's mean and deviation. They take turns,
round after round; the table has the median processor time a picture.

    cargo build --release --workspace --examples
    pip install torch torchvision pillow numpy
    python benches/input.py FOLDER_OF_PHOTOS
"""

import argparse
import io
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import v2

from pictures import write_jpegs

ROOT = Path(__file__).resolve().parents[1]
SIZES = ((500, 375), (2000, 1500))
ROUNDS = 5
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def with_torchvision(files: list[bytes]) -> None:
    finish = v2.Compose([v2.CenterCrop(224), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    resize = v2.Resize(256, antialias=True)
    for file in files:
        data = torch.frombuffer(bytearray(file), dtype=torch.uint8)
        finish(resize(decode_jpeg(data, ImageReadMode.RGB)))


def with_pillow(files: list[bytes]) -> None:
    steps = [v2.Resize(256), v2.CenterCrop(224), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
    recipe = v2.Compose([*steps, v2.Normalize(MEAN, STD)])
    for file in files:
        recipe(Image.open(io.BytesIO(file)).convert("RGB"))


def milliseconds(work, files: list[bytes]) -> float:
    start = time.process_time()
    work(files)
    return (time.process_time() - start) * 1e3 / len(files)


def ours(example: Path, folder: Path, mode: str) -> float:
    done = subprocess.run([example, folder, mode], check=True, stdout=subprocess.PIPE, text=True)
    return float(re.search(r"whole ([\d.]+) ms", done.stdout)[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder with photos (`data/fetch photos` makes one)")
    parser.add_argument("--bin-dir", type=Path, default=ROOT / "target" / "release", help="default: %(default)s")
    arguments = parser.parse_args()
    example = arguments.bin_dir / "examples" / "input_speed"
    torch.set_num_threads(1)
    print("| JPEG | headstart | headstart, `--decode fast` | torchvision | Pillow + torchvision | ratios |")
    print("|---|---|---|---|---|---|")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            files = write_jpegs(arguments.photos, size, Path(folder))
            rounds = []
            for _ in range(ROUNDS):
                mine = [ours(example, Path(folder), mode) for mode in ("exact", "fast")]
                rounds.append([*mine, milliseconds(with_torchvision, files), milliseconds(with_pillow, files)])
        exact, fast, torchvision, pillow = map(statistics.median, zip(*rounds))
        cells = [f"{value:.2f} ms ({1e3 / value:.0f}/s)" for value in (exact, fast, torchvision, pillow)]
        ratios = f"{torchvision / exact:.1f} ×, {pillow / exact:.1f} ×"
        print(f"| {size[0]}×{size[1]} | {' | '.join(cells)} | {ratios} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
