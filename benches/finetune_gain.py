#!/usr/bin/env python3
"""What fine-tuning the last blocks gains over the best cached head, on the test split, with the embedded backbone's
ImageNet weights. Prints a table for the README.

    cargo build --release --workspace --bins
    data/fetch elpv ELPV && python benches/finetune_gain.py elpv ELPV
    data/fetch fashion-mnist FASHION && python benches/finetune_gain.py fashion-mnist FASHION

For each seed: elpv is divided anew (a fifth of every class for test, another for validation); of Fashion-MNIST's training
images 1,600 are drawn for training and 400 for validation, all 10,000 test images judge. The best cached head is the
winner of the default `train-head sweep`; the fine-tuned model is that of the epoch with the smallest validation loss. Caches and
runs stay in --work; what is there is not made again.
"""

import argparse
import csv
import random
import statistics
import sys
import tempfile
from pathlib import Path

from winner import ROOT, Programs, split_table

TRAINING, VALIDATION = 1600, 400
LAYERS = "stage5,avgpool"
TUNING = "--unfreeze stage6,stage7,head --bn train --lr 1e-3 --label-smoothing 0.1 --epochs 15 --patience 0".split()


def subset_table(folder: Path, seed: int, table: Path) -> None:
    """Writes a table of some training images and all test images of Fashion-MNIST."""
    images = {split: sorted((folder / split).glob("*/*.png")) for split in ("train", "test")}
    drawn = random.Random(seed).sample(images["train"], TRAINING + VALIDATION)
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for index, path in enumerate(drawn):
            writer.writerow([path.resolve(), path.parent.name, "val" if index < VALIDATION else "train"])
        for path in images["test"]:
            writer.writerow([path.resolve(), path.parent.name, "test"])


class Gain:
    def __init__(self, programs: Programs, place: Path):
        self.programs, self.place = programs, place

    def cache(self) -> Path:
        cache = self.place / "cache"
        source = self.place / "table.csv"
        self.programs.run("extract", "run", source, "--out", cache, "--layer", LAYERS, "--dtype", "f16")
        return cache

    def run_once(self, name: str, *command) -> Path:
        run = self.place / name
        if not (run / "run.json").exists() and not (run / "best" / "run.json").exists():
            self.programs.run("train-head", *command, "--out", run)
        return run

    def measure(self) -> dict:
        cache = self.cache()
        head = self.run_once("sweep", "sweep", cache, "--layer", "avgpool") / "best"
        run = self.run_once("tuned", "finetune", cache, *TUNING)
        return self.programs.run("train-head", "compare", head, run, cache, "--split", "test")


def cell(top1: float) -> str:
    return f"{top1:.2%}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=("elpv", "fashion-mnist"))
    parser.add_argument("folder", type=Path, help="as `data/fetch` has made it")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--bin-dir", type=Path, default=ROOT / "target" / "release", help="default: %(default)s")
    parser.add_argument("--work", type=Path, help="default: a temporary folder")
    options = parser.parse_args()
    programs = Programs(options.bin_dir)
    print(f"| {options.data}, seed | best cached head | fine-tuned | difference in points (95% interval) | McNemar p |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        pairs = []
        for seed in range(options.seeds):
            place = (options.work or Path(temporary)) / f"{options.data}-{seed}"
            place.mkdir(parents=True, exist_ok=True)
            table = split_table if options.data == "elpv" else subset_table
            table(options.folder, seed, place / "table.csv")
            found = Gain(programs, place).measure()
            head, tuned = found["top1"]
            pairs.append((head, tuned))
            low, high = (100 * found["top1_difference"][end] for end in ("low", "high"))
            difference = f"{100 * (tuned - head):+.2f} ({low:+.2f} to {high:+.2f})"
            print(f"| {seed} | {cell(head)} | {cell(tuned)} | {difference} | {found['mcnemar']['p']:.1e} |", flush=True)
        head, tuned = (statistics.mean(column) for column in zip(*pairs, strict=True))
        print(f"| mean | {cell(head)} | {cell(tuned)} | {100 * (tuned - head):+.2f} | |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
