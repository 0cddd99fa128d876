#!/usr/bin/env python3
"""Times Headstart and its peers in turns, round after round, and prints medians and ratios.

    benches/peers.sh --write-readme       # installs the peers, builds, measures, writes the README's table

Backbone: tensors in memory to features, `extract bench --stage backbone` beside PyTorch, ONNX Runtime and OpenVINO (int8 by
NNCF). Whole path: JPEG files to features on disk, `extract run` (the whole program, from its start to the committed cache;
int8 with a calibration made before) beside PyTorch's DataLoader and torchvision's `decode_jpeg` with OpenVINO, each as a whole
program (model converted and quantised before) and warm, its start not counted. Every warm peer lives in a process of its own
and sleeps while another is measured. A ratio is the median of the rounds'.
"""

import argparse
import contextlib
import json
import multiprocessing
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import backbones
import chains
from backbones import networks
from pictures import write_jpegs

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
MARKS = ("<!-- peers.py: begin -->\n", "<!-- peers.py: end -->\n")
BACKBONES = ("resnet18", "resnet50", "efficientnet-lite0")
PATH_BACKBONE = "resnet18"
SMALL, LARGE = (500, 375), (2000, 1500)
# One in so many of --images is made large: they take longer.
LARGE_SHARE = 4


def serve(connection, make: Callable, arguments: tuple) -> None:
    """The life of a peer's process: gets ready, then measures when asked to."""
    measure = make(*arguments)
    connection.send("ready")
    # The other end is closed when there is nothing left to measure.
    with contextlib.suppress(EOFError):
        while True:
            connection.send(measure(connection.recv()))


class Peer:
    """A measurement in a process of its own."""

    def __init__(self, peers: contextlib.ExitStack, make: Callable, *arguments):
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, make, arguments))
        process.start()
        theirs.close()
        peers.callback(process.join)
        peers.callback(self.connection.close)
        self.connection.recv()

    def __call__(self, argument) -> float:
        self.connection.send(argument)
        return self.connection.recv()


@dataclass
class Headstart:
    """Our own program. Images a second."""

    folder: Path
    threads: int

    def backbone(self, name: str, precision: str, seconds: float) -> float:
        command = [self.folder / "extract", "bench", "--backbone", name, "--stage", "backbone", "--precision", precision]
        command += ["--threads", self.threads, "--seconds", seconds, "--json"]
        done = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout)["images_per_second"]

    def whole(self, images: Path, cache: Path, *options) -> float:
        """One run from the program's start to the committed cache, which is removed."""
        command = [self.folder / "extract", "run", images, "--out", cache, "--threads", self.threads, "--quiet", "--json"]
        started = time.perf_counter()
        done = subprocess.run(list(map(str, [*command, *options])), check=True, stdout=subprocess.PIPE)
        seconds = time.perf_counter() - started
        shutil.rmtree(cache)
        return json.loads(done.stdout)["images"] / seconds


@dataclass
class Comparison:
    """Contestants that take turns at the same work; the first one is ours."""

    title: str
    contestants: dict[str, Callable[[], float]]

    def run(self, rounds: int) -> dict:
        measured = {name: [] for name in self.contestants}
        # One round more, which only warms up.
        for number in range(rounds + 1):
            for name, measure in self.contestants.items():
                rate = measure()
                if number:
                    measured[name].append(rate)
        ours = next(iter(measured.values()))
        found = {"title": self.title, "peers": {}}
        for name, rates in measured.items():
            ratio = statistics.median(our / their for our, their in zip(ours, rates))
            found["peers"][name] = {"images_per_second": statistics.median(rates), "ratio": ratio, "rounds": rates}
            print(f"{self.title:44} {name:36} {statistics.median(rates):8.1f} images/s   {ratio:5.2f} ×", flush=True)
        return found


def backbone_comparisons(ours: Headstart, options: argparse.Namespace):
    """Each backbone in f32 and int8, tensors to features."""
    seconds = options.seconds
    for name in options.backbones:
        for precision in ("f32", "int8"):
            with contextlib.ExitStack() as peers:
                contestants = {"Headstart": partial(ours.backbone, name, precision, seconds)}
                openvino = Peer(peers, backbones.openvino, name, ours.threads, precision)
                contestants[f"OpenVINO {precision}"] = partial(openvino, seconds)
                if precision == "f32":
                    contestants["ONNX Runtime"] = partial(Peer(peers, backbones.onnx_runtime, name, ours.threads), seconds)
                    contestants["PyTorch"] = partial(Peer(peers, backbones.pytorch, name, ours.threads), seconds)
                yield Comparison(f"{name} {precision}, backbone", contestants).run(options.rounds)


def calibration(ours: Headstart, images: Path, cache: Path, model: list) -> list:
    """Options that make a run an int8 one with the scales of these images."""
    command = [ours.folder / "extract", "run", images, "--out", cache, *model, "--precision", "int8"]
    subprocess.run(list(map(str, [*command, "--quiet", "--min-cosine", 0])), check=True)
    return [*model, "--precision", "int8", "--calibration-from", cache, "--min-cosine", 0]


def program(chain: str, model: str, threads: int, images: Path) -> float:
    """Images a second of a peer as a program, from its start to its end."""
    count = sum(1 for _ in images.rglob("*.jpg"))
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, chains.__file__, chain, model, threads, images, Path(out) / "features.npy"]
        started = time.perf_counter()
        subprocess.run(list(map(str, command)), check=True)
        return count / (time.perf_counter() - started)


def path_comparisons(ours: Headstart, options: argparse.Namespace, work: Path):
    """ResNet-18 from JPEG files to features on disk."""
    weights = work / "weights.safetensors"
    backbones.write_weights(PATH_BACKBONE, weights)
    photos = options.photos or work / "photos"
    if options.photos is None:
        subprocess.run([networks.DATA / "fetch", "photos", photos], check=True)
    alone = Headstart(ours.folder, threads=1)
    cache = work / "cache"
    models = {precision: work / f"{precision}.xml" for precision in ("f32", "int8")}
    for precision, model in models.items():
        backbones.write_openvino(PATH_BACKBONE, precision, model)
    chained = {
        f"decode_jpeg + OpenVINO {precision}": ("decode_and_openvino", str(model), ours.threads)
        for precision, model in models.items()
    }
    chained["DataLoader + PyTorch f32"] = ("data_loader", PATH_BACKBONE, ours.threads)
    with contextlib.ExitStack() as peers:
        warm = {name: Peer(peers, chains.warm, *chain) for name, chain in chained.items()}
        for size, count, decode in ((SMALL, options.images, "exact"), (LARGE, options.images // LARGE_SHARE, "fast")):
            images = work / decode
            write_jpegs(photos, size, images / "class", count)
            model = ["--backbone", PATH_BACKBONE, "--weights", weights, "--decode", decode]
            scaled = calibration(ours, images, work / f"scales-{decode}", model)
            for precision, run in (("f32", model), ("int8", scaled)):
                contestants = {f"Headstart, --decode {decode}": partial(ours.whole, images, cache, *run)}
                for name in (f"decode_jpeg + OpenVINO {precision}", "DataLoader + PyTorch f32"):
                    contestants[name] = partial(program, *chained[name], images)
                    contestants[f"{name}, warm"] = partial(warm[name], images)
                contestants["Headstart on one thread"] = partial(alone.whole, images, cache, *run)
                title = f"{PATH_BACKBONE} {precision}, {count} files of {size[0]}×{size[1]}"
                yield Comparison(title, contestants).run(options.rounds)


def markdown(found: list[dict]) -> str:
    lines = ["| work | images/s | beside (images/s) |", "|---|---|---|"]
    for comparison in found:
        (_, ours), *others = comparison["peers"].items()
        beside = (f"{name} {peer['images_per_second']:.0f}: **{peer['ratio']:.2f} ×**" for name, peer in others)
        lines.append(f"| {comparison['title']} | {ours['images_per_second']:.0f} | {', '.join(beside)} |")
    return "\n".join(lines) + "\n"


def write_readme(table: str) -> None:
    text = README.read_text()
    before, rest = text.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    README.write_text(before + MARKS[0] + table + MARKS[1] + after)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin-dir", type=Path, default=ROOT / "target" / "release", help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="of every contestant (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--seconds", type=int, default=4, help="of a backbone's turn (default: %(default)s)")
    parser.add_argument("--images", type=int, default=512, help="JPEG files of the whole path (default: %(default)s)")
    parser.add_argument("--backbones", nargs="*", default=BACKBONES, help="default: all three; empty for none")
    parser.add_argument("--skip-path", action="store_true", help="backbones only")
    parser.add_argument("--photos", type=Path, help="folder with photos (default: fetched)")
    parser.add_argument("--write-readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    ours = Headstart(options.bin_dir, options.threads)
    found = list(backbone_comparisons(ours, options))
    if not options.skip_path:
        with tempfile.TemporaryDirectory() as work:
            found += path_comparisons(ours, options, Path(work))
    print(json.dumps(found))
    print(markdown(found))
    if options.write_readme:
        write_readme(markdown(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
