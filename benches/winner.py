#!/usr/bin/env python3
"""What heads reach on a test split: the default linear head, the winner of the default sweep, and the default linear head on
int8 features. Prints a table for the README.

    cargo build --release --workspace --bins
    data/fetch elpv ELPV && python benches/winner.py elpv ELPV [--splits 3]
    data/fetch fashion-mnist FASHION && python benches/winner.py fashion-mnist FASHION

elpv has no splits: a fifth of every class is drawn for test and another for validation, once for each seed.
Caches and runs stay in --work; what is there is not made again.
"""

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HELD_OUT = 0.2
PRECISIONS = ("f32", "int8")


def split_table(folder: Path, seed: int, table: Path) -> None:
    """Writes table.csv of `folder` with a column `split`, drawn class by class."""
    classes = defaultdict(list)
    for row in csv.DictReader((folder / "table.csv").open()):
        classes[row["label"]].append(str(folder.resolve() / row["path"]))
    stream = random.Random(seed)
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for label, paths in sorted(classes.items()):
            stream.shuffle(paths)
            held = round(HELD_OUT * len(paths))
            for index, path in enumerate(paths):
                split = "test" if index < held else "val" if index < 2 * held else "train"
                writer.writerow([path, label, split])


class Programs:
    def __init__(self, folder: Path):
        self.folder = folder

    def run(self, program: str, *arguments) -> dict:
        command = [self.folder / program, *arguments, "--quiet", "--json"]
        done = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    def cache(self, source: Path, precision: str, cache: Path) -> Path:
        self.run("extract", "run", source, "--out", cache, "--precision", precision)
        return cache

    def accuracy(self, run: Path, cache: Path) -> tuple[float, list[float]]:
        found = self.run("train-head", "eval", run, cache, "--split", "test")
        interval = found["intervals"]["top1"]
        return found["metrics"]["top1"], [interval["low"], interval["high"]]

    def heads(self, source: Path, work: Path) -> dict[str, tuple[float, list[float]]]:
        """Test accuracy and its interval of every head."""
        caches = {precision: self.cache(source, precision, work / precision) for precision in PRECISIONS}
        found = {}
        for precision, cache in caches.items():
            self.run("train-head", "linear", cache, "--out", work / f"linear-{precision}", "--overwrite")
            name = "linear, defaults" if precision == "f32" else f"linear, defaults, {precision} features"
            found[name] = self.accuracy(work / f"linear-{precision}", cache)
        self.run("train-head", "sweep", caches["f32"], "--out", work / "sweep")
        found["winner of `train-head sweep`, defaults"] = self.accuracy(work / "sweep" / "best", caches["f32"])
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=("elpv", "fashion-mnist"))
    parser.add_argument("folder", type=Path, help="as `data/fetch` has made it")
    parser.add_argument("--splits", type=int, default=3, help="of elpv (default: %(default)s)")
    parser.add_argument("--bin-dir", type=Path, default=ROOT / "target" / "release", help="default: %(default)s")
    parser.add_argument("--work", type=Path, help="default: a temporary folder")
    options = parser.parse_args()
    programs = Programs(options.bin_dir)
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        results = []
        for seed in range(options.splits if options.data == "elpv" else 1):
            source, place = options.folder, work
            if options.data == "elpv":
                place = work / f"split-{seed}"
                place.mkdir(parents=True, exist_ok=True)
                source = place / "table.csv"
                split_table(options.folder, seed, source)
            results.append(programs.heads(source, place))
    print(f"| {options.data}: head | test (95% bootstrap interval) |" + (" mean |" if len(results) > 1 else ""))
    print("|---|---|" + ("---|" if len(results) > 1 else ""))
    for name in results[0]:
        cells = [f"{top1:.2%} ({low:.2%}–{high:.2%})" for top1, (low, high) in (result[name] for result in results)]
        mean = sum(result[name][0] for result in results) / len(results)
        print(f"| {name} | {', '.join(cells)} |" + (f" {mean:.2%} |" if len(results) > 1 else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
