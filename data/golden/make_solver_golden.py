"""Golden values for the convex solvers: scikit-learn on its own digits.

Needs numpy and scikit-learn. Writes head_solvers.json beside itself; the tests read it without Python. scikit-learn
is run in f64 to a gradient of 1e-10. The columns of digits that are constant are left out.
"""

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, RidgeClassifier

HERE = Path(__file__).parent
ROWS = 400
STRENGTHS = (0.001, 0.01, 0.1, 1.0)
PENALTIES = (0.01, 1.0, 100.0)


def rounded(values):
    return [float(f"{value:.9g}") for value in np.ravel(values)]


def problems():
    """Ten classes, and the first two alone."""
    features, labels = load_digits(return_X_y=True)
    features, labels = features[:ROWS], labels[:ROWS]
    features = features[:, features.std(axis=0) > 0]
    pair = labels < 2
    return (features, labels), (features[pair], labels[pair])


def logistic(features, labels, strength, class_weight):
    model = LogisticRegression(C=strength, tol=1e-10, max_iter=100000, solver="newton-cg", class_weight=class_weight)
    model.fit(features, labels)
    logits = model.decision_function(features)
    if logits.ndim == 1:
        logits = np.stack([-logits / 2, logits / 2], axis=1)
    counts = np.bincount(labels)
    weights = (len(labels) / (len(counts) * counts))[labels] if class_weight else np.ones(len(labels))
    top = logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0] - logits[np.arange(len(labels)), labels]
    return {
        "c": strength,
        "balanced": class_weight is not None,
        "objective": strength * (weights * losses).sum() + 0.5 * (model.coef_**2).sum(),
        "coefficients": rounded(model.coef_),
        "intercepts": rounded(model.intercept_),
    }


def ridge(features, labels, penalty):
    model = RidgeClassifier(alpha=penalty, solver="svd").fit(features, labels)
    return {
        "lambda": penalty,
        "coefficients": rounded(model.coef_),
        "intercepts": rounded(model.intercept_),
    }


def main():
    cases = []
    for features, labels in problems():
        cases.append(
            {
                "width": features.shape[1],
                "features": features.astype(int).ravel().tolist(),
                "labels": labels.tolist(),
                "logistic": [logistic(features, labels, c, None) for c in STRENGTHS]
                + [logistic(features, labels, STRENGTHS[1], "balanced")],
                "ridge": [ridge(features, labels, penalty) for penalty in PENALTIES],
            }
        )
    versions = {"numpy": np.__version__, "scikit-learn": sklearn.__version__}
    content = {"made_by": Path(__file__).name, "versions": versions, "cases": cases}
    (HERE / "head_solvers.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
