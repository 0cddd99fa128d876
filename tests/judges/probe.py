#!/usr/bin/env python3
"""Puts `train-head probe` beside NumPy and scikit-learn on the same cache.

Neighbours vote as in DINOv2's evaluation: those of cosine s with the weight softmax(s / T) over the k nearest, in code of its own
below. The nearest centroid is scikit-learn's on rows of norm 1, by cosine. Both learn from the train split and are judged on the
validation split, which the cache must have. An accuracy may differ by --rows rows, where votes are equal up to rounding. Needs
requirements.txt.
"""

import json
import sys
from pathlib import Path

import numpy as np
from sklearn.neighbors import NearestCentroid

import binaries
import caches
from verdicts import Verdicts

NEIGHBOURS = (1, 10, 20, 100, 200)
TEMPERATURE = 0.07
BLOCK = 1024


def votes(train: np.ndarray, labels: np.ndarray, asked: np.ndarray, neighbours: int) -> np.ndarray:
    """The classes that DINOv2's `KnnModule` predicts for `asked`, rows of norm 1 as those of `train`."""
    predicted = []
    classes = labels.max() + 1
    for start in range(0, len(asked), BLOCK):
        cosines = asked[start : start + BLOCK] @ train.T
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :neighbours]
        powers = np.take_along_axis(cosines, nearest, axis=1) / TEMPERATURE
        weights = np.exp(powers - powers.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        one_hot = np.eye(classes)[labels[nearest]]
        predicted.append((one_hot * weights[:, :, None]).sum(axis=1).argmax(axis=1))
    return np.concatenate(predicted)


def main() -> int:
    parser = binaries.parser(__doc__)
    parser.add_argument("cache", type=Path, help="cache made by `extract run`, with a train and a validation split")
    parser.add_argument("--rows", type=int, default=1, help="rows that may be judged otherwise (default: %(default)s)")
    arguments = parser.parse_args()
    counts = ",".join(map(str, NEIGHBOURS))
    line = ["probe", arguments.cache, "--neighbours", counts, "--temperature", TEMPERATURE, "--json", "--quiet"]
    found = json.loads(binaries.Binaries(arguments.bin_dir).run("train-head", *line))
    ours = {answer["classifier"]: answer["top1"] for answer in found["answers"]}

    features = caches.features(arguments.cache)
    values = features.values.astype(np.float64).reshape(len(features.uris), -1)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    labels = np.array(features.labels)
    train, val = (rows[labels[rows] >= 0] for rows in (features.rows("train"), features.rows("val")))
    if not len(val):
        raise SystemExit("the cache has no validation split")
    theirs = {
        f"{count} nearest neighbours": votes(values[train], labels[train], values[val], min(count, len(train)))
        for count in NEIGHBOURS
    }
    centroids = NearestCentroid().fit(values[train], labels[train])
    directions = centroids.centroids_ / np.linalg.norm(centroids.centroids_, axis=1, keepdims=True)
    theirs["nearest centroid"] = centroids.classes_[(values[val] @ directions.T).argmax(axis=1)]
    verdicts = Verdicts()
    for classifier, predicted in theirs.items():
        right = (predicted == labels[val]).sum()
        claim = f"{classifier}: {100 * ours[classifier]:.3f}%, the judge {100 * right / len(val):.3f}%"
        verdicts.check(claim, abs(ours[classifier] * len(val) - right) <= arguments.rows + 1e-6)
    return verdicts.exit_status()


if __name__ == "__main__":
    sys.exit(main())
