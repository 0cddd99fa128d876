"""Golden values for heads: PyTorch judges losses and training steps, scikit-learn metrics.

Needs torch, numpy and scikit-learn. Writes head_loss.json, head_steps.json, head_epoch.json,
head_tasks.json and head_metrics.json beside itself; the tests read those without Python.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import sklearn
import sklearn.metrics as judge
import torch
import torch.nn.functional as F
from torch import nn

HERE = Path(__file__).parent
VERSIONS = {"torch": torch.__version__, "scikit-learn": sklearn.__version__}


def numbers(tensor):
    """A tensor as a flat list; nine digits give every f32 back exactly."""
    return [float(f"{value:.9g}") for value in tensor.detach().flatten().tolist()]


def write(name, content):
    text = json.dumps({"made_by": "make_head_golden.py", "versions": VERSIONS, **content})
    (HERE / name).write_text(text + "\n")


def losses():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(6, 5, generator=generator) * 3
    labels = torch.tensor([0, 3, 1, 4, 3, 2])
    weights = [0.5, 2.0, 1.0, 0.25, 3.0]
    cases = []
    for smoothing in (0.0, 0.1):
        for class_weights in ([1.0] * 5, weights):
            leaf = logits.clone().requires_grad_()
            loss = F.cross_entropy(
                leaf, labels, weight=torch.tensor(class_weights), label_smoothing=smoothing
            )
            loss.backward()
            cases.append(
                {
                    "smoothing": smoothing,
                    "class_weights": class_weights,
                    "loss": loss.item(),
                    "gradient": numbers(leaf.grad),
                }
            )
    write("head_loss.json", {"logits": numbers(logits), "labels": labels.tolist(), "cases": cases})


def grouped(model, decay):
    """Weight decay on weights, none on biases."""
    named = list(model.named_parameters())
    return [
        {"params": [p for n, p in named if n.endswith("weight")], "weight_decay": decay},
        {"params": [p for n, p in named if n.endswith("bias")], "weight_decay": 0.0},
    ]


def steps():
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(40, 6, generator=generator)
    labels = torch.randint(0, 4, (40,), generator=generator)
    weights = [0.5, 2.0, 1.0, 1.5]
    optimizers = {
        "sgd": lambda m: torch.optim.SGD(grouped(m, 0.05), lr=0.1, momentum=0.9),
        "nesterov": lambda m: torch.optim.SGD(
            grouped(m, 0.05), lr=0.1, momentum=0.8, nesterov=True
        ),
        "adam": lambda m: torch.optim.Adam(grouped(m, 0.05), lr=0.01),
        "adamw": lambda m: torch.optim.AdamW(grouped(m, 0.05), lr=0.01),
    }
    cases = []
    for head in ("linear", "mlp"):
        for name, make in optimizers.items():
            torch.manual_seed(3)
            if head == "linear":
                model = nn.Linear(6, 4)
            else:
                model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
            initial = [numbers(p) for p in model.parameters()]
            optimizer = make(model)
            batch_losses = []
            for _ in range(2):
                for start in range(0, 40, 16):
                    batch = slice(start, start + 16)
                    loss = F.cross_entropy(
                        model(features[batch]),
                        labels[batch],
                        weight=torch.tensor(weights),
                        label_smoothing=0.1,
                    )
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    batch_losses.append(loss.item())
            cases.append(
                {
                    "head": head,
                    "optimizer": name,
                    "initial": initial,
                    "losses": batch_losses,
                    "final": [numbers(p) for p in model.parameters()],
                }
            )
    write(
        "head_steps.json",
        {
            "features": numbers(features),
            "labels": labels.tolist(),
            "class_weights": weights,
            "smoothing": 0.1,
            "batch": 16,
            "epochs": 2,
            "weight_decay": 0.05,
            "cases": cases,
        },
    )


def counted(count):
    """`count` reproducible f32 in [-1, 1): the high 24 bits of a 32-bit congruential generator."""
    state, values = 12345, np.empty(count, np.float32)
    for index in range(count):
        state = (1664525 * state + 1013904223) % 2**32
        values[index] = np.float32((state >> 8) - 2**23) / np.float32(2**23)
    return torch.from_numpy(values)


def counted_task(rows, layers):
    """Features [rows, width] and linear layers of the given sizes with ReLUs between them, all of
    `counted`; parameters are scaled to nn.Linear's size."""
    width = layers[0][0]
    values = counted(rows * width + sum(o * i + o for i, o in layers))
    features, rest = values[: rows * width].reshape(rows, width), values[rows * width :]
    modules = []
    for i, o in layers:
        scale = 1 / np.sqrt(np.float32(i))
        layer = nn.Linear(i, o)
        with torch.no_grad():
            layer.weight.copy_(rest[: i * o].reshape(o, i) * scale)
            layer.bias.copy_(rest[i * o : i * o + o] * scale)
        rest = rest[i * o + o :]
        modules += [layer, nn.ReLU()]
    return features, nn.Sequential(*modules[:-1])


def epoch():
    """A textbook epoch: Adam 1e-3, batches of 256 in row order, parameters of nn.Linear's size."""
    rows, width, hidden, classes = 2048, 32, 24, 10
    sizes = {"linear": [(width, classes)], "mlp": [(width, hidden), (hidden, classes)]}
    cases = []
    for head, layers in sizes.items():
        features, model = counted_task(rows, layers)
        labels = features[:, :classes].argmax(dim=1)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        batch_losses = []
        for start in range(0, rows, 256):
            batch = slice(start, start + 256)
            loss = F.cross_entropy(model(features[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            batch_losses.append(loss.item())
        final = [numbers(p) for p in model.parameters()]
        cases.append({"head": head, "losses": batch_losses, "final": final})
    write(
        "head_epoch.json",
        {"rows": rows, "width": width, "hidden": hidden, "classes": classes, "cases": cases},
    )


def element_losses():
    """Losses that are a mean over rows and outputs, and their gradients."""
    generator = torch.Generator().manual_seed(6)
    outputs = torch.randn(7, 3, generator=generator) * 3
    flags = torch.randint(0, 2, (7, 3), generator=generator).float()
    numbers_ = torch.randn(7, 3, generator=generator)
    plain = torch.ones(3)
    weights = torch.tensor([0.5, 4.0, 1.5])
    smoothed = flags * 0.8 + 0.1
    functions = [
        ("binary-cross-entropy", 0.0, plain, flags, lambda z: F.binary_cross_entropy_with_logits(z, flags)),
        (
            "binary-cross-entropy",
            0.0,
            weights,
            flags,
            lambda z: F.binary_cross_entropy_with_logits(z, flags, pos_weight=weights),
        ),
        (
            "binary-cross-entropy",
            0.2,
            weights,
            flags,
            lambda z: F.binary_cross_entropy_with_logits(z, smoothed, pos_weight=weights),
        ),
        ("mse", 0.0, plain, numbers_, lambda z: F.mse_loss(z, numbers_)),
        ("huber", 0.0, plain, numbers_, lambda z: F.huber_loss(z, numbers_)),
    ]
    cases = []
    for loss, smoothing, class_weights, targets, function in functions:
        leaf = outputs.clone().requires_grad_()
        value = function(leaf)
        value.backward()
        cases.append(
            {
                "loss": loss,
                "smoothing": smoothing,
                "class_weights": numbers(class_weights),
                "targets": numbers(targets),
                "value": value.item(),
                "gradient": numbers(leaf.grad),
            }
        )
    return {"outputs": numbers(outputs), "cases": cases}


def task_epochs():
    """As `epoch`, with other losses. Targets are features: flags whether they are positive, or they
    themselves."""
    rows, width, hidden, outputs = 2048, 32, 24, 5
    sizes = {"linear": [(width, outputs)], "mlp": [(width, hidden), (hidden, outputs)]}
    losses = {
        "binary-cross-entropy": nn.BCEWithLogitsLoss(),
        "mse": nn.MSELoss(),
        "huber": nn.HuberLoss(),
    }
    cases = []
    for head, layers in sizes.items():
        for name, criterion in losses.items():
            features, model = counted_task(rows, layers)
            targets = features[:, :outputs]
            targets = (targets > 0).float() if name == "binary-cross-entropy" else targets * 4
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
            batch_losses = []
            for start in range(0, rows, 256):
                loss = criterion(model(features[start : start + 256]), targets[start : start + 256])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                batch_losses.append(loss.item())
            final = [numbers(p) for p in model.parameters()]
            cases.append({"head": head, "loss": name, "losses": batch_losses, "final": final})
    return {"rows": rows, "width": width, "hidden": hidden, "outputs": outputs, "cases": cases}


def tasks():
    write("head_tasks.json", {"elements": element_losses(), "epoch": task_epochs()})


def metrics():
    random = np.random.default_rng(4)
    classes = 8
    # Class 7 occurs nowhere, class 6 only among the predictions, class 5 only among the labels.
    labels = random.integers(0, 6, 40)
    logits = random.normal(size=(40, classes))
    logits[np.arange(40), labels] += 1.5
    logits[:, 7] = -9
    logits[:, 5] = -8
    logits[:3, 6] = 9
    logits = logits.astype(np.float32)
    predicted = logits.argmax(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = {
            "loss": F.cross_entropy(torch.tensor(logits).double(), torch.tensor(labels)).item(),
            "top1": judge.accuracy_score(labels, predicted),
            "top5": judge.top_k_accuracy_score(labels, logits, k=5, labels=range(classes)),
            "balanced_accuracy": judge.balanced_accuracy_score(labels, predicted),
            "macro_f1": judge.f1_score(labels, predicted, average="macro", zero_division=0),
            "confusion": judge.confusion_matrix(labels, predicted, labels=range(classes)).tolist(),
        }
    assert set(range(8)) - set(labels) - set(predicted) == {7}
    write(
        "head_metrics.json",
        {
            "classes": classes,
            "logits": numbers(torch.tensor(logits)),
            "labels": labels.tolist(),
            "expected": values,
        },
    )


if __name__ == "__main__":
    losses()
    steps()
    epoch()
    tasks()
    metrics()
