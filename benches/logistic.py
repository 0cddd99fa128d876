#!/usr/bin/env python3
"""Logistic regression over 45 values of C beside scikit-learn's loop with warm start, on the training rows of a cache.

    cargo build --release --workspace --example logistic_path
    python benches/logistic.py CACHE [--tolerance 1e-4] [--values 45] [--cores 2]

Both get the same standardised f32 features, the same values of C (10^-6 to 10^5, ascending) and the same tolerance for the
largest component of the gradient, and run one after the other on the same cores. Reading and standardising is not timed.
Prints seconds of wall clock and of CPU, and fails below --least times the speed. With `--agree` both are instead run to a
small gradient (scikit-learn in f64, by newton-cg) at C = 0.001 and 0.01, and the objective and weights must agree to 1e-4. Needs
tests/judges/requirements.txt.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np

AGREED = (0.001, 0.01)
LARGEST_DISAGREEMENT = 1e-4


def load(cache):
    """The training rows of the layer `avgpool`, standardised, and their labels."""
    import pyarrow.ipc as ipc

    features, labels = [], []
    for part in sorted(pathlib.Path(cache, "avgpool").glob("*.arrow")):
        table = ipc.open_file(part).read_all()
        storage = table["embedding"].combine_chunks()
        storage = getattr(storage, "storage", storage)
        rows = np.asarray(storage.flatten(), dtype=np.float32).reshape(len(table), -1)
        label = np.array(table["label"].to_pylist())
        kept = (np.array(table["split"].to_pylist()) == "train") & (label >= 0)
        features.append(rows[kept])
        labels.append(label[kept])
    features, labels = np.concatenate(features), np.concatenate(labels)
    mean = features.mean(axis=0, dtype=np.float64)
    deviation = features.std(axis=0, dtype=np.float64)
    deviation[deviation == 0] = 1
    return ((features - mean) / deviation).astype(np.float32), labels


def ours(options, *arguments):
    """Runs the example; returns its lines and CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [options.bin, options.cache, *map(str, arguments)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [json.loads(line) for line in output.splitlines()], cpu


def speed(options, features, labels):
    from sklearn.linear_model import LogisticRegression

    values = np.logspace(-6, 5, options.values)
    listed = ",".join(repr(float(value)) for value in values)
    lines, cpu = ours(options, "--tolerance", options.tolerance, "--c", listed)
    seconds, passes = lines[-1]["total_seconds"], lines[-1]["total_passes"]
    print(f"ours: {seconds:.1f} s, {cpu:.1f} s of CPU with loading, {passes} passes", flush=True)
    model = LogisticRegression(tol=options.tolerance, max_iter=options.max_iter, warm_start=True)
    steps, start, start_cpu = 0, time.monotonic(), time.process_time()
    for value in values:
        model.C = value
        model.fit(features, labels)
        steps += int(model.n_iter_[0])
        elapsed = time.monotonic() - start
        print(f"  scikit-learn C={value:.3g}: {model.n_iter_[0]} iterations, {elapsed:.1f} s", flush=True)
    elapsed, their_cpu = time.monotonic() - start, time.process_time() - start_cpu
    print(f"scikit-learn: {elapsed:.1f} s, {their_cpu:.1f} s of CPU, {steps} iterations")
    print(f"ratio: {elapsed / seconds:.1f} by the clock, {their_cpu / cpu:.1f} by CPU time")
    return elapsed / seconds >= options.least


def objective(features, labels, weight, bias, strength):
    """C times the summed loss and half the squared weights, in f64."""
    logits = features @ weight.T + bias
    top = logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0] - logits[np.arange(len(labels)), labels]
    return strength * losses.sum() + 0.5 * (weight**2).sum()


def agreement(options, features, labels):
    from safetensors.numpy import load_file
    from sklearn.linear_model import LogisticRegression

    features = features.astype(np.float64)
    holds = True
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "heads.safetensors")
        ours(options, "--tolerance", 1e-7, "--c", ",".join(map(str, AGREED)), "--weights", file)
        heads = load_file(file)
    model = LogisticRegression(solver="newton-cg", tol=1e-7, max_iter=options.max_iter, warm_start=True)
    for index, value in enumerate(AGREED):
        model.C = value
        model.fit(features, labels)
        weight, bias = (heads[f"{index}.{name}"].astype(np.float64) for name in ("weight", "bias"))
        mine = objective(features, labels, weight, bias, value)
        theirs = objective(features, labels, model.coef_, model.intercept_, value)
        apart = np.linalg.norm(weight - model.coef_) / np.linalg.norm(model.coef_)
        gap = abs(mine - theirs) / theirs
        print(f"C={value}: objective {mine:.6f} and {theirs:.6f}, {gap:.1e} apart; weights {apart:.1e} apart", flush=True)
        holds &= gap < LARGEST_DISAGREEMENT and apart < LARGEST_DISAGREEMENT
    return holds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cache")
    parser.add_argument("--bin", default="target/release/examples/logistic_path")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--values", type=int, default=45)
    parser.add_argument("--max-iter", type=int, default=20000)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--least", type=float, default=5.0)
    parser.add_argument("--agree", action="store_true")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(options.cores))
    warnings.simplefilter("ignore")
    features, labels = load(options.cache)
    test = agreement if options.agree else speed
    sys.exit(0 if test(options, features, labels) else "the claim does not hold")


if __name__ == "__main__":
    main()
