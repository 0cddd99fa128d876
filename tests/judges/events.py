#!/usr/bin/env python3
"""TensorBoard as the judge of event files: what it reads of a run is what `metrics.jsonl` says.

Trains a linear head, an MLP, and a small sweep. Needs requirements-events.txt.
"""

import json
import struct
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import binaries
from verdicts import Verdicts, work_folder

TAGS = {
    "loss/train": "train_loss",
    "loss/validation": "val_loss",
    "accuracy/train": "train_accuracy",
    "accuracy/validation": "val_accuracy",
    "learning_rate": "learning_rate",
}
SPACE = "solver = 'adam'\nlearning_rate = { low = 1e-3, high = 1e-1, scale = 'log' }\n"


def single(value: float) -> float:
    """The value as the file holds it, an f32."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def holds(run: Path) -> bool:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    events = EventAccumulator(str(run))
    events.Reload()
    if sorted(events.Tags()["scalars"]) != sorted(TAGS):
        return False
    for tag, name in TAGS.items():
        found = [(event.step, event.value) for event in events.Scalars(tag)]
        if found != [(line["epoch"], single(line[name])) for line in lines]:
            return False
    return bool(lines)


def main() -> int:
    parser = binaries.parser(__doc__)
    parser.add_argument("cache", type=Path, help="any cache that `train-head linear` accepts")
    arguments = parser.parse_args()
    programs = binaries.Binaries(arguments.bin_dir)
    verdicts = Verdicts()
    with work_folder(arguments.work) as work:
        runs = {
            "linear": programs.train("linear", arguments.cache, work / "linear", "--epochs", 5),
            "mlp": programs.train("mlp", arguments.cache, work / "mlp", "--epochs", 5, "--hidden", 16),
        }
        (work / "space.toml").write_text(SPACE)
        options = ["--trials", 4, "--epochs", 5, "--space", work / "space.toml"]
        runs["the best of a sweep"] = programs.train("sweep", arguments.cache, work / "sweep", *options) / "best"
        for name, run in runs.items():
            verdicts.check(f"{name}: TensorBoard reads every scalar of every epoch", holds(run))
    return verdicts.exit_status()


if __name__ == "__main__":
    sys.exit(main())
