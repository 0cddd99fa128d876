#!/usr/bin/env python3
"""Puts `train-head audit` beside cleanlab and NumPy on the same cache.

cleanlab judges the labels by the out-of-fold probabilities that the audit writes (`--probabilities`): the issues, their
order, and the joint must be the same. Duplicates, leaks and outliers are compared with all cosines computed by NumPy, so that the cache
should be of some thousand images. Needs requirements-audit.txt.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from cleanlab.count import compute_confident_joint
from cleanlab.filter import find_label_issues

import binaries
import caches
from verdicts import Verdicts, work_folder

NEAR = 0.99
NEIGHBOURS = 10
OUTLIERS = 50
# What rounding in f32 may move across the threshold.
ROUNDING = 1e-5
STAGES = {"train": 0, "": 0, "val": 1, "test": 2}


def labels(audit: Path, verdicts: Verdicts) -> None:
    table = pq.read_table(audit / "probabilities.parquet")
    probabilities = np.array(table["probabilities"].to_pylist())
    names = json.loads((audit / "audit.json").read_text())["labels"]["classes"]
    given = np.array([names.index(label) for label in table["label"].to_pylist()])
    uris = np.array(table["uri"].to_pylist())
    theirs = find_label_issues(given, probabilities, filter_by="confident_learning", return_indices_ranked_by="self_confidence")
    ours = pq.read_table(audit / "labels.parquet")
    verdicts.check(f"cleanlab finds the same {len(theirs)} label issues", set(uris[theirs]) == set(ours["uri"].to_pylist()))
    confidence = dict(zip(uris, probabilities[np.arange(len(given)), given]))
    order = [confidence[uri] for uri in ours["uri"].to_pylist()]
    verdicts.check("ordered by self-confidence as cleanlab's", np.allclose(order, sorted(confidence[uri] for uri in uris[theirs])))
    joint = compute_confident_joint(given, probabilities)
    found = np.zeros_like(joint, dtype=float)
    for label, truth, rows in zip(*(pq.read_table(audit / "joint.parquet")[name].to_pylist() for name in ("label", "true_class", "rows"))):
        found[names.index(label), names.index(truth)] = rows
    verdicts.check("the joint is cleanlab's but for its rounding", np.abs(found - joint).max() < 1)


def likenesses(cache: Path, audit: Path, verdicts: Verdicts) -> None:
    features = caches.features(cache)
    values = features.values.astype(np.float64).reshape(len(features.uris), -1)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    cosines = values @ values.T
    np.fill_diagonal(cosines, -np.inf)
    uris = np.array(features.uris)

    def same_but_for_rounding(ours: set, score: np.ndarray) -> bool:
        sure, possible = set(uris[score >= NEAR + ROUNDING]), set(uris[score >= NEAR - ROUNDING])
        return sure <= ours <= possible

    duplicates = set(pq.read_table(audit / "duplicates.parquet")["uri"].to_pylist())
    verdicts.check(f"{len(duplicates)} images have duplicates", same_but_for_rounding(duplicates, cosines.max(axis=1)))
    stages = np.array([STAGES[split] for split in features.splits])
    earlier = np.where(stages[None, :] < stages[:, None], cosines, -np.inf)
    leaks = set(pq.read_table(audit / "leaks.parquet")["uri"].to_pylist())
    verdicts.check(f"{len(leaks)} images leak", same_but_for_rounding(leaks, earlier.max(axis=1)))
    nearest = -np.sort(-cosines, axis=1)[:, :NEIGHBOURS]
    distance = (1 - nearest).mean(axis=1)
    table = pq.read_table(audit / "outliers.parquet")
    theirs = np.sort(distance)[::-1][:OUTLIERS]
    ours = np.array(table["distance"].to_pylist())
    verdicts.check(f"the {OUTLIERS} furthest images are as far", np.allclose(ours, theirs, atol=ROUNDING))
    known = dict(zip(uris, distance))
    named = [known[uri] for uri in table["uri"].to_pylist()]
    verdicts.check("and are the ones named", np.allclose(ours, named, atol=ROUNDING))


def main() -> int:
    parser = binaries.parser(__doc__)
    parser.add_argument("cache", type=Path, help="cache made by `extract run`, with labels and one view an image")
    arguments = parser.parse_args()
    programs = binaries.Binaries(arguments.bin_dir)
    verdicts = Verdicts()
    with work_folder(arguments.work) as work:
        audit = work / "audit"
        options = ["--near", NEAR, "--neighbours", NEIGHBOURS, "--outliers", OUTLIERS, "--probabilities", "--quiet"]
        programs.run("train-head", "audit", arguments.cache, "--out", audit, *options)
        labels(audit, verdicts)
        likenesses(arguments.cache, audit, verdicts)
    return verdicts.exit_status()


if __name__ == "__main__":
    sys.exit(main())
