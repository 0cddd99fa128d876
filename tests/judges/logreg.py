#!/usr/bin/env python3
"""Puts `train-head linear` beside scikit-learn's LogisticRegression on the same cache.

Both learn from the train split of the cache's `avgpool` features. scikit-learn's features are standardised with train
statistics and its `C` is chosen on the validation split: the cache's own, or every tenth train row of each class where it
has none, which is then not trained on. The test split is used once each. Fails if our accuracy is more than 0.3 points
below scikit-learn's. Install `requirements.txt` first.
"""

import shlex
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

import binaries
import caches
from verdicts import Verdicts, work_folder

STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 1.0)
ITERATIONS = 1000
LARGEST_DEFICIT = 0.003
# One row in so many of each class becomes the validation split where there is none.
HELD_OUT = 10


def split_rows(found: caches.Features, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row positions of train, val and test; rows without a label take no part."""
    train, val, test = (found.rows(split) for split in ("train", "val", "test"))
    train, val, test = (rows[labels[rows] >= 0] for rows in (train, val, test))
    if not len(train) or not len(test):
        raise SystemExit("the cache needs a train and a test split")
    if not len(val):
        val = np.concatenate([train[labels[train] == label][::HELD_OUT] for label in np.unique(labels[train])])
        train = np.setdiff1d(train, val)
    return train, val, test


def logistic_regression(found: caches.Features) -> float:
    """scikit-learn's test accuracy, 0 to 1."""
    labels = np.array(found.labels)
    train, val, test = split_rows(found, labels)
    values = found.values.astype(np.float32).reshape(len(labels), -1)
    mean, deviation = values[train].mean(axis=0), values[train].std(axis=0)
    values = (values - mean) / np.where(deviation > 0, deviation, 1)
    best, best_accuracy = None, -1.0
    for strength in STRENGTHS:
        started = time.monotonic()
        model = LogisticRegression(C=strength, max_iter=ITERATIONS).fit(values[train], labels[train])
        accuracy = model.score(values[val], labels[val])
        seconds = time.monotonic() - started
        cost = f"{seconds:.1f} s, {model.n_iter_.max()} iterations"
        print(f"scikit-learn C={strength}: validation accuracy {accuracy:.4f}, {cost}")
        if accuracy > best_accuracy:
            best, best_accuracy = model, accuracy
    if best.C in (STRENGTHS[0], STRENGTHS[-1]):
        print(f"note: the best C, {best.C}, is at the edge of what was tried")
    return best.score(values[test], labels[test])


def main() -> int:
    parser = binaries.parser(__doc__)
    parser.add_argument("cache", type=Path, help="cache made by `extract run`, with a train and a test split")
    parser.add_argument("--run", type=Path, help="a head trained on it already (default: trains one)")
    parser.add_argument(
        "--head-options",
        default="",
        help="options for `train-head linear`, one string (default: %(default)r)",
    )
    arguments = parser.parse_args()
    programs = binaries.Binaries(arguments.bin_dir)
    with work_folder(arguments.work) as work:
        run = arguments.run
        if run is None:
            started = time.monotonic()
            run = programs.train("linear", arguments.cache, work / "run", *shlex.split(arguments.head_options))
            print(f"train-head: {time.monotonic() - started:.1f} s")
        ours = programs.accuracy(run, arguments.cache, "test")
    theirs = logistic_regression(caches.features(arguments.cache))
    print(f"test accuracy: train-head {ours:.4f}, scikit-learn {theirs:.4f}")
    verdicts = Verdicts()
    points = f"{100 * (ours - theirs):+.2f} points"
    claim = f"{points}: train-head is at most {100 * LARGEST_DEFICIT:.1f} below scikit-learn"
    verdicts.check(claim, ours >= theirs - LARGEST_DEFICIT)
    return verdicts.exit_status()


if __name__ == "__main__":
    sys.exit(main())
