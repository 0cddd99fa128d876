#!/usr/bin/env python3
"""Parity and throughput of the CUDA build, wherever a GPU is at hand.

    cargo build --release --package extract --features cudnn
    python benches/gpu.py IMAGES --bin target/release/extract [--backbone resnet18 --weights FILE]

Runs `extract run` on the CPU in f32 and on the GPU in f32, f16 and bf16, and prints for each the images a second and the
cosine of its features with the CPU's (median and worst image). Needs numpy and pyarrow (tests/judges/requirements-interop.txt).
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow.ipc as ipc

WORST_COSINE = {"f32": 0.99999, "f16": 0.999, "bf16": 0.99}


def extract(options, out, device, precision):
    """Runs the program; returns its summary and the features by uri."""
    command = [options.bin, "run", options.images, "--out", out, "--backbone", options.backbone]
    command += ["--device", device, "--precision", precision, "--json", "--quiet"]
    if options.weights:
        command += ["--weights", options.weights]
    summary = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    features = {}
    for part in sorted(pathlib.Path(out, "avgpool").glob("*.arrow")):
        table = ipc.open_file(part).read_all()
        storage = table["embedding"].combine_chunks()
        storage = getattr(storage, "storage", storage)
        rows = np.asarray(storage.flatten(), dtype=np.float32).reshape(len(table), -1)
        features.update(zip(table["uri"].to_pylist(), rows))
    return summary, features


def cosines(left, right):
    """Cosine of each image's features in the two runs."""
    pairs = ((left[uri], right[uri]) for uri in sorted(left))
    return np.array([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("images", help="a source for `extract run`")
    parser.add_argument("--bin", default="target/release/extract", help="the CUDA build of extract")
    parser.add_argument("--backbone", default="efficientnet-lite0")
    parser.add_argument("--weights")
    parser.add_argument("--device", default="cuda:0")
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        summary, reference = extract(options, f"{folder}/cpu", "cpu", "f32")
        print(f"{'device':<8} {'precision':<9} {'images/s':>9} {'median cosine':>14} {'worst':>9}")
        print(f"{'cpu':<8} {'f32':<9} {summary['images_per_second']:>9.1f}")
        for precision, least in WORST_COSINE.items():
            summary, features = extract(options, f"{folder}/{precision}", options.device, precision)
            found = cosines(reference, features)
            print(
                f"{options.device:<8} {precision:<9} {summary['images_per_second']:>9.1f}"
                f" {np.median(found):>14.6f} {found.min():>9.6f}"
            )
            failed |= found.min() < least
    sys.exit("a cosine is below its threshold" if failed else 0)


if __name__ == "__main__":
    main()
