"""Writes the small torch files that the tests of weight reading use.

Usage: python data/make_torch_fixtures.py    (torch 2.15; writes data/fixtures/torch/)

The tests expect the numbers below. `calls-system` asks whoever unpickles it
to run a command that would create a file; a reader must refuse it.
"""

import argparse
import collections
import os
import pathlib

import torch

FOLDER = pathlib.Path(__file__).parent / "fixtures" / "torch"


class CallsSystem:
    def __reduce__(self):
        return os.system, ("touch unpickled-by-mistake",)


def state_dict():
    return collections.OrderedDict(
        [
            ("fc.weight", torch.arange(6, dtype=torch.float32).reshape(2, 3) / 4),
            ("fc.bias", torch.tensor([0.5, -1.0])),
            ("bn.num_batches_tracked", torch.tensor(7)),
        ]
    )


def views():
    whole = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    return {
        "whole": whole,
        "transposed": whole.t(),
        "column": whole[:, 1],
        "block": whole[1:, 2:],
        "every_other": whole[:, ::2],
        "one_row": whole[2:3].t(),
    }


def dtypes():
    values = [1.5, -2.0, 0.25]
    return {
        "half": torch.tensor(values, dtype=torch.float16),
        "bfloat": torch.tensor(values, dtype=torch.bfloat16),
        "double": torch.tensor(values, dtype=torch.float64),
        "long": torch.tensor([1, -2, 3]),
        "int": torch.tensor([1, 2], dtype=torch.int32),
        "parameter": torch.nn.Parameter(torch.tensor(values)),
        "frozen": torch.nn.Parameter(torch.tensor(values), requires_grad=False),
        "not_a_number": torch.tensor([0.0, float("nan")]),
        "too_large": torch.tensor([1e300], dtype=torch.float64),
        "empty": torch.zeros(0, 3),
    }


def checkpoint():
    return {
        "epoch": 3,
        "loss": torch.tensor(0.1),
        "args": argparse.Namespace(lr=0.1, arch="resnet18"),
        "state_dict": state_dict(),
        "optimizer": {"momentum": torch.ones(4, dtype=torch.float64)},
    }


FILES = {
    "plain": state_dict,
    "views": views,
    "dtypes": dtypes,
    "checkpoint": checkpoint,
    "model-key": lambda: {"model": dict(state_dict())},
    "calls-system": lambda: {"fc.weight": torch.zeros(2), "fc.bias": CallsSystem()},
}


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in FILES.items():
        for container, zipped in (("zip", True), ("legacy", False)):
            path = FOLDER / f"{name}-{container}.pth"
            torch.save(make(), path, _use_new_zipfile_serialization=zipped)
            print(path.stat().st_size, path.name)
    torch.save(state_dict(), FOLDER / "plain-protocol4.pth", pickle_protocol=4)
    # Not in the legacy container, which would copy the class's source text.
    torch.save(torch.nn.Linear(1, 1), FOLDER / "whole-model-zip.pth")


if __name__ == "__main__":
    main()
