#!/usr/bin/env python3
"""Peak memory of `extract run` on JPEG files, for a set and one of four times the size. Fails above --most megabytes.

    cargo build --release --workspace --bins
    python benches/memory.py PHOTOS [--backbone resnet18 --weights FILE] [--threads 2]

Without --weights, a ResNet gets random ones. Needs benches/requirements-peers.txt.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import backbones
from pictures import write_jpegs

ROOT = Path(__file__).resolve().parents[1]
SIZE = (500, 375)
IMAGES = 500
GROWTH = 4
POLL_SECONDS = 0.05


def peak_megabytes(command: list) -> float:
    """Largest resident set of a program that is run to its end, in MB.

    Read from /proc while it runs: what `wait4` reports includes this script's own memory, inherited at the start.
    """
    process = subprocess.Popen(list(map(str, command)))
    status = Path(f"/proc/{process.pid}/status")
    peak = 0
    while process.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        peak = int(found[1]) if found else peak
        time.sleep(POLL_SECONDS)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed")
    return peak * 1024 / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder with photos (`data/fetch photos` makes one)")
    parser.add_argument("--bin-dir", type=Path, default=ROOT / "target" / "release", help="default: %(default)s")
    parser.add_argument("--backbone", default="resnet18", help="default: %(default)s")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--precision", default="f32", help="default: %(default)s")
    parser.add_argument("--most", type=float, default=500, help="megabytes allowed (default: %(default)s)")
    options = parser.parse_args()
    largest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        weights = options.weights or work / "weights.safetensors"
        if options.weights is None:
            backbones.write_weights(options.backbone, weights)
        for count in (IMAGES, GROWTH * IMAGES):
            write_jpegs(options.photos, SIZE, work / str(count) / "class", count)
            command = [options.bin_dir / "extract", "run", work / str(count), "--out", work / f"cache-{count}", "--quiet"]
            command += ["--backbone", options.backbone, "--weights", weights, "--threads", options.threads]
            peak = peak_megabytes([*command, "--precision", options.precision, "--min-cosine", 0])
            largest = max(largest, peak)
            print(f"{options.backbone} {options.precision}, {options.threads} threads, {count} images: {peak:.0f} MB", flush=True)
    return 0 if largest <= options.most else 1


if __name__ == "__main__":
    sys.exit(main())
