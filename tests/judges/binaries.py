"""Runs `extract` and `train-head` and understands their JSON; the only place that knows its keys."""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Longer command lines are cut where they are printed.
SHOWN_ARGUMENTS = 24


@dataclass
class Binaries:
    """The folder that the two programs were built into."""

    folder: Path

    def run(self, program: str, *arguments) -> str:
        """Runs a program to its end and returns its standard output; ends this script if it fails."""
        command = [str(self.folder / program), *map(str, arguments)]
        shown = command if len(command) <= SHOWN_ARGUMENTS else [*command[:SHOWN_ARGUMENTS], "…"]
        print("$", " ".join(shown), file=sys.stderr)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise SystemExit(f"`{program}` ended with status {done.returncode}")
        return done.stdout

    def extract(self, source: Path, cache: Path, *options) -> Path:
        """`extract run`; returns the cache."""
        self.run("extract", "run", source, "--out", cache, "--quiet", *options)
        return cache

    def train(self, kind: str, cache: Path, run: Path, *options) -> Path:
        """`train-head linear` or `mlp`; returns the run."""
        self.run("train-head", kind, cache, "--out", run, "--quiet", *options)
        return run

    def accuracy(self, run: Path, cache: Path, split: str) -> float:
        """Top-1 accuracy of `train-head eval`, 0 to 1."""
        document = json.loads(self.run("train-head", "eval", run, cache, "--split", split, "--json", "--quiet"))
        return document["metrics"]["top1"]

    def predictions(self, run: Path, images: list[Path], *options) -> dict[str, str]:
        """Image path → predicted class of `train-head predict`."""
        arguments = ["predict", run, *images, "--json", "--quiet", *options]
        entries = json.loads(self.run("train-head", *arguments))
        return {entry["image"]: entry["top"][0]["class"] for entry in entries}

    def logits(self, run: Path, images: list[Path], *options) -> dict[str, list[float]]:
        """Image path → logits of `train-head predict`, in the order of the run's classes."""
        classes = run_classes(run)
        arguments = ["predict", run, *images, "--json", "--quiet", "--top", len(classes), *options]
        entries = json.loads(self.run("train-head", *arguments))
        by_class = {entry["image"]: {guess["class"]: guess["logit"] for guess in entry["top"]} for entry in entries}
        return {image: [guesses[name] for name in classes] for image, guesses in by_class.items()}


def run_classes(run: Path) -> list[str]:
    """Class names of a trained head, by logit."""
    return json.loads((run / "run.json").read_text())["classes"]


def parser(description: str) -> argparse.ArgumentParser:
    """An argument parser with the options that all judges share."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "--bin-dir",
        type=Path,
        default=ROOT / "target" / "release",
        help="folder with the built `extract` and `train-head` (default: %(default)s)",
    )
    made.add_argument("--work", type=Path, help="keep caches and runs in this new folder (default: a temporary one)")
    return made
