"""Golden values for the statistics of heads: scikit-learn, SciPy and PyTorch judge.

Needs torch, numpy, scipy and scikit-learn. Writes head_statistics.json beside itself; the tests read it without Python.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import scipy
import sklearn
import sklearn.metrics as judge
import torch
import torch.nn.functional as F
from scipy import optimize, stats

HERE = Path(__file__).parent
BINS = 15


def rounded(values):
    """Nine digits give every f32 back exactly."""
    return [float(f"{value:.9g}") for value in np.ravel(values)]


def expected_calibration_error(probabilities, labels):
    """As in Guo et al.'s code: equal bins, open below, closed above."""
    confidence, predicted = torch.tensor(probabilities).max(1)
    right = predicted.eq(torch.tensor(labels)).double()
    edges = torch.linspace(0, 1, BINS + 1, dtype=torch.double)
    error = 0.0
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        inside = confidence.gt(low) & confidence.le(high)
        if inside.any():
            gap = (right[inside].mean() - confidence[inside].mean()).abs()
            error += (gap * inside.double().mean()).item()
    return error


def calibration(random):
    classes, rows = 6, 200
    labels = random.integers(0, classes, rows)
    logits = random.normal(size=(rows, classes)) * 3
    logits[np.arange(rows), labels] += 3
    logits = logits.astype(np.float32)

    def nll(temperature):
        return F.cross_entropy(torch.tensor(logits).double() / temperature, torch.tensor(labels)).item()

    temperature = optimize.minimize_scalar(nll, bounds=(0.1, 20), method="bounded", options={"xatol": 1e-10}).x
    figures = []
    for divisor in (1.0, 2.5):
        probabilities = torch.softmax(torch.tensor(logits).double() / divisor, 1).numpy()
        figures.append(
            {
                "temperature": divisor,
                "nll": judge.log_loss(labels, probabilities),
                "brier": judge.brier_score_loss(labels, probabilities, labels=range(classes), scale_by_half=False),
                "ece": expected_calibration_error(probabilities, labels),
            }
        )
    return {
        "classes": classes,
        "logits": rounded(logits),
        "labels": labels.tolist(),
        "fitted_temperature": temperature,
        "figures": figures,
    }


def per_class(random):
    labels = random.integers(0, 5, 60)
    predicted = np.where(random.random(60) < 0.5, labels, random.integers(0, 6, 60))
    # Class 4 is never predicted, class 5 never true, class 6 neither.
    predicted[predicted == 4] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, f1, rows = judge.precision_recall_fscore_support(
            labels, predicted, labels=range(7), zero_division=0
        )
    return {
        "confusion": judge.confusion_matrix(labels, predicted, labels=range(7)).tolist(),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "rows": rows.tolist(),
    }


def ranking(random):
    rows, classes = 50, 4
    # Few distinct values, so that scores tie.
    scores = random.integers(0, 12, (rows, classes)) / 8
    positive = random.random((rows, classes)) < 0.3
    return {
        "classes": classes,
        "scores": rounded(scores),
        "positive": positive.ravel().tolist(),
        "average_precision": judge.average_precision_score(positive, scores, average=None).tolist(),
        "mean": judge.average_precision_score(positive, scores, average="macro"),
    }


def regression(random):
    targets = random.normal(size=40).astype(np.float32)
    predictions = (targets + random.normal(size=40) * 0.3).astype(np.float32)
    return {
        "targets": rounded(targets),
        "predictions": rounded(predictions),
        "r2": judge.r2_score(targets.astype(float), predictions.astype(float)),
        "mae": judge.mean_absolute_error(targets.astype(float), predictions.astype(float)),
        "rmse": judge.root_mean_squared_error(targets.astype(float), predictions.astype(float)),
    }


def regressions(random):
    """Several targets of unlike units."""
    targets = (random.normal(size=(50, 3)) * [1, 100, 0.01] + [0, 500, 3]).astype(np.float32)
    predictions = (targets + random.normal(size=(50, 3)) * [0.5, 20, 0.02]).astype(np.float32)
    truly, predicted = targets.astype(float), predictions.astype(float)
    return {
        "targets": rounded(targets),
        "predictions": rounded(predictions),
        "r2": judge.r2_score(truly, predicted),
        "mae": judge.mean_absolute_error(truly, predicted),
        "rmse": judge.root_mean_squared_error(truly, predicted),
        "r2_of_each": judge.r2_score(truly, predicted, multioutput="raw_values").tolist(),
    }


def multi_label(random):
    rows, classes = 80, 5
    positive = random.random((rows, classes)) < [0.5, 0.3, 0.1, 0.05, 0.3]
    logits = (random.normal(size=(rows, classes)) * 2 + np.where(positive, 1.5, -1.5)).astype(np.float32)
    probabilities = 1 / (1 + np.exp(-logits.astype(float)))
    # Class 4 is never predicted at its threshold.
    thresholds = [0.5, 0.4, 0.3, 0.2, 1.0]
    predicted = probabilities >= thresholds
    best = []
    for name in range(classes):
        precision, recall, _ = judge.precision_recall_curve(positive[:, name], probabilities[:, name])
        both = precision + recall
        best.append((2 * precision * recall / np.where(both > 0, both, 1)).max())
    return {
        "classes": classes,
        "logits": rounded(logits),
        "positive": positive.ravel().tolist(),
        "thresholds": thresholds,
        "loss": F.binary_cross_entropy_with_logits(
            torch.tensor(logits).double(), torch.tensor(positive).double()
        ).item(),
        "mean_average_precision": judge.average_precision_score(positive, logits, average="macro"),
        "micro_f1": judge.f1_score(positive, predicted, average="micro"),
        "macro_f1": judge.f1_score(positive, predicted, average="macro", zero_division=0),
        "f1": judge.f1_score(positive, predicted, average=None, zero_division=0).tolist(),
        "exact_match": judge.accuracy_score(positive, predicted),
        "best_f1": best,
    }


def mcnemar():
    cases = []
    for first, second in ((3, 11), (40, 22), (400, 480), (499, 500), (510, 500), (510, 600), (400, 900), (500, 520)):
        if first + second < 1000:
            p = stats.binomtest(first, first + second, 0.5).pvalue
        else:
            p = stats.chi2.sf((abs(first - second) - 1) ** 2 / (first + second), 1)
        cases.append({"first": first, "second": second, "p": p})
    return cases


def main():
    random = np.random.default_rng(5)
    versions = {module.__name__: module.__version__ for module in (np, scipy, sklearn, torch)}
    content = {
        "made_by": Path(__file__).name,
        "versions": versions,
        "calibration": calibration(random),
        "per_class": per_class(random),
        "ranking": ranking(random),
        "regression": regression(random),
        "mcnemar": mcnemar(),
        "regressions": regressions(random),
        "multi_label": multi_label(random),
    }
    (HERE / "head_statistics.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
