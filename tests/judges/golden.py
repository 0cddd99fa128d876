#!/usr/bin/env python3
"""Writes `data/golden/*.json`, numbers of torchvision, Pillow and PyTorch that tests compare with, without Python.

Weights, inputs and pictures are made by formula (`formula.py` says how, exactly); EfficientNet-Lite0 uses the weights in
`data/weights`. Nothing here depends on the binaries. Install `requirements.txt` first.

resize.json: noise pictures after torchvision's `Resize(short)` and `CenterCrop(crop)` on Pillow images.
    cases[]: width, height, short, crop, interpolation; resized [w, h] before the crop; offset [left, top] of the crop;
    channel_means [3]; samples [[y, x, channel, value], …] of the cropped picture.

backbone-NAME.json: activations in f64 for the f32 weights and input.
    weights: "formula", or the file under `data` they are read from; halved: see `formula.py`.
    probes[]: name, index, bits: the f32 bit pattern of an element of a few tensors, to check the formula itself.
    input_probe: the bit patterns of the first four elements of the input.
    cases[]: input [1, 3, H, W]; stages[]: name, shape (without the batch), l2, mean, and samples [[flat index, value], …],
    row-major, channels first. The small odd input shows padding and rounding; for the networks that are not in the first
    list below it is the only one.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

import efficientnet_lite0
import formula
import networks

FULL = ("resnet18", "resnet50", "mobilenet-v2", "efficientnet-lite0")
ODD_ONLY = ("resnet34", "resnet101", "resnet152")
ODD_INPUT = (97, 131)
SAMPLES = 64
# (width, height, short side, crop)
PICTURES = [
    (500, 375, 256, 224),
    (375, 500, 256, 224),
    (640, 427, 256, 224),
    (451, 300, 256, 224),
    (256, 256, 256, 224),
    (257, 255, 256, 224),
    (1000, 120, 256, 224),
    (120, 701, 256, 224),
    (45, 31, 256, 224),
    (28, 28, 256, 224),
    (1411, 1411, 256, 224),
    (224, 224, 224, 224),
    (333, 500, 232, 224),
    (500, 333, 235, 224),
]
PICTURE_SAMPLES = 40


def sample_positions(name: str, size: int, count: int) -> list[int]:
    """Distinct flat indices below `size`, ascending."""
    return sorted({int(number) for number in formula.splitmix64(name, count) % np.uint64(size)})


def resize_case(width: int, height: int, short: int, crop: int, interpolation: InterpolationMode) -> dict:
    picture = Image.fromarray(formula.picture(width, height))
    resized = Resize(short, interpolation)(picture)
    pixels = np.asarray(CenterCrop(crop)(resized))
    left, top = (int(round((side - crop) / 2.0)) for side in resized.size)
    assert np.array_equal(pixels, np.asarray(resized)[top : top + crop, left : left + crop])
    flat = [0, crop * crop * 3 - 1]
    flat += sample_positions(f"samples {width}x{height}", crop * crop * 3, PICTURE_SAMPLES)
    positions = [tuple(int(i) for i in np.unravel_index(i, pixels.shape)) for i in sorted(set(flat))]
    return {
        "width": width,
        "height": height,
        "short": short,
        "crop": crop,
        "interpolation": interpolation.value,
        "resized": list(resized.size),
        "offset": [left, top],
        "channel_means": [number(mean) for mean in pixels.mean(axis=(0, 1), dtype=np.float64)],
        "samples": [[*position, int(pixels[position])] for position in positions],
    }


def number(value) -> float:
    """Nine significant digits: more than any comparison with f32 results needs."""
    return float(f"{float(value):.9g}")


def stage_values(name: str, activation: torch.Tensor) -> dict:
    flat = activation.flatten().numpy()
    positions = sample_positions(f"samples {name}", flat.size, SAMPLES)
    return {
        "name": name,
        "shape": list(activation.shape[1:]),
        "l2": number(np.linalg.norm(flat)),
        "mean": number(flat.mean()),
        "samples": [[position, number(flat[position])] for position in positions],
    }


def bits(values: np.ndarray) -> list[int]:
    return [int(pattern) for pattern in values.astype(np.float32).view(np.uint32)]


def probes(values: dict[str, np.ndarray]) -> list[dict]:
    chosen = [*list(values)[:6], *list(values)[-4:]]
    return [
        {"name": name, "index": index, "bits": bits(values[name].ravel()[index : index + 1])[0]}
        for name in chosen
        for index in (0, values[name].size - 1)
    ]


def backbone_golden(name: str) -> dict:
    if name == "efficientnet-lite0":
        model = efficientnet_lite0.load(networks.EMBEDDED_WEIGHTS, torch.float64)
        document = {"backbone": name, "weights": "weights/efficientnet-lite0.safetensors", "halved": [], "probes": []}
    else:
        model = networks.build(name)
        values = networks.fill_by_formula(model)
        model = model.double()
        document = {"backbone": name, "weights": "formula", "halved": networks.halved_norms(model)}
        document["probes"] = probes(values)
    document["input_probe"] = bits(formula.network_input(1, 2).ravel()[:4])
    document["cases"] = []
    for height, width in ((224, 224), ODD_INPUT):
        is_odd = (height, width) == ODD_INPUT
        if name in ODD_ONLY and not is_odd:
            continue
        x = torch.from_numpy(formula.network_input(height, width)).double()
        kept = [
            stage_values(stage, activation)
            for stage, activation in networks.stages(name, model, x)
            if stage == "avgpool" or not is_odd
        ]
        document["cases"].append({"input": [1, 3, height, width], "stages": kept})
    return document


def write(path: Path, document: dict) -> None:
    """One line for each entry of the innermost lists of objects keeps differences readable."""
    lists = {key: value for key, value in document.items() if isinstance(value, list) and value}
    plain = {key: value for key, value in document.items() if key not in lists}
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in plain.items()]
    for key, entries in lists.items():
        lines.append(f"{json.dumps(key)}: [\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{path}: {path.stat().st_size} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=networks.DATA / "golden", help="folder to write into")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    interpolations = (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)
    cases = [resize_case(*picture, interpolation) for picture in PICTURES for interpolation in interpolations]
    made_by = {"made_by": "tests/judges/golden.py"}
    write(arguments.out / "resize.json", made_by | {"cases": cases})
    with torch.no_grad():
        for name in (*FULL, *ODD_ONLY):
            write(arguments.out / f"backbone-{name}.json", made_by | backbone_golden(name))


if __name__ == "__main__":
    main()
