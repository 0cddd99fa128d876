"""Golden values for audits: cleanlab finds label issues, NumPy and scikit-learn nearest neighbours and centroids.

Needs numpy, scikit-learn and cleanlab 2.9. Writes audit_labels.json and probe.json beside itself; the tests read them without Python.
"""

import json
from pathlib import Path

import cleanlab
import numpy as np
import sklearn
from cleanlab import count, filter, rank
from sklearn.neighbors import NearestCentroid, NearestNeighbors

HERE = Path(__file__).parent


def rounded(values):
    """Nine digits give every f32 back exactly."""
    return [float(f"{value:.9g}") for value in np.ravel(values)]


def labels():
    """Four classes of unequal size and sureness; an eighth of the labels is wrong."""
    random = np.random.default_rng(5)
    classes, rows = 4, 300
    truth = random.choice(classes, rows, p=(0.5, 0.25, 0.15, 0.1))
    logits = random.normal(size=(rows, classes)) * 1.2
    logits[np.arange(rows), truth] += np.array((1.5, 2.5, 2.0, 4.0))[truth]
    given = np.where(random.random(rows) < 1 / 8, random.integers(0, classes, rows), truth)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities = np.array(rounded(probabilities)).reshape(rows, classes)
    issues = filter.find_label_issues(given, probabilities, filter_by="confident_learning")
    return {
        "made_with": {"cleanlab": cleanlab.__version__, "numpy": np.__version__},
        "classes": classes,
        "labels": given.tolist(),
        "probabilities": probabilities.ravel().tolist(),
        "thresholds": count.get_confident_thresholds(given, probabilities).tolist(),
        "joint": count.compute_confident_joint(given, probabilities, calibrate=False).tolist(),
        "calibrated": count.compute_confident_joint(given, probabilities).tolist(),
        "issues": np.flatnonzero(issues).tolist(),
        "self_confidence": rank.get_self_confidence_for_each_label(given, probabilities).tolist(),
        "normalized_margin": rank.get_normalized_margin_for_each_label(given, probabilities).tolist(),
    }


def probe():
    """Votes of neighbours as DINOv2's evaluation counts them, and centroids of directions."""
    random = np.random.default_rng(6)
    classes, features, rows, queries = 5, 8, 120, 40
    centres = random.normal(size=(classes, features))

    def draw(count):
        labels = random.integers(0, classes, count)
        values = (centres[labels] + 1.3 * random.normal(size=(count, features))).astype(np.float32)
        return np.array(rounded(values)).reshape(values.shape), labels

    (train, train_labels), (asked, asked_labels) = draw(rows), draw(queries)
    unit = [values / np.linalg.norm(values, axis=1, keepdims=True) for values in (train, asked)]
    votes = []
    for neighbours in (1, 5, 20):
        for temperature in (0.07, 1.0):
            distances, found = NearestNeighbors(n_neighbors=neighbours, metric="cosine").fit(unit[0]).kneighbors(unit[1])
            weights = np.exp((1 - distances) / temperature)
            weights /= weights.sum(axis=1, keepdims=True)
            scores = np.zeros((queries, classes))
            np.add.at(scores, (np.arange(queries)[:, None], train_labels[found]), weights)
            right = scores.argmax(axis=1) == asked_labels
            votes.append({"neighbours": neighbours, "temperature": temperature, "scores": rounded(scores), "top1": right.mean()})
    centroid = NearestCentroid().fit(unit[0], train_labels)
    directions = centroid.centroids_ / np.linalg.norm(centroid.centroids_, axis=1, keepdims=True)
    cosines = unit[1] @ directions.T
    return {
        "made_with": {"sklearn": sklearn.__version__, "numpy": np.__version__},
        "classes": classes,
        "features": features,
        "train": rounded(train),
        "train_labels": train_labels.tolist(),
        "asked": rounded(asked),
        "asked_labels": asked_labels.tolist(),
        "votes": votes,
        "centroid_scores": rounded(cosines),
        "centroid_top1": (cosines.argmax(axis=1) == asked_labels).mean(),
    }


for name, made in (("audit_labels", labels()), ("probe", probe())):
    (HERE / f"{name}.json").write_text(json.dumps(made) + "\n")
