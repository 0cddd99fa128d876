#!/usr/bin/env python3
"""Makes `data/fashion-mnist-mini`: 60 train, 20 val and 20 test images of each of the 10 classes.

Train and val come from the original training set, test from the original test set; a file is named by its index there.
Images of a class are ranked by SHA-256 of `SEED/split/index` and the first ones are taken; an image whose pixels were
already taken is passed over. No random number generator, no PNG library: the same bytes come out everywhere.
Standard library only, Python 3.11 or newer.
"""

import argparse
import hashlib
import shutil
from pathlib import Path

import fashion_mnist
from packages import FASHION_MNIST, obtain

SEED = "headstart-fashion-mnist-mini-1"
# (our split, the original set it is drawn from, images per class), drawn in this order.
SPLITS = [("train", "train", 60), ("val", "train", 20), ("test", "test", 20)]


def choose(examples: fashion_mnist.Examples, origin: str, label: int, count: int, taken: set[bytes]) -> list[int]:
    """Picks `count` indices of class `label`; `taken` collects the pixels that are in use."""
    ranked = sorted(
        (i for i, found in enumerate(examples.labels) if found == label),
        key=lambda i: hashlib.sha256(f"{SEED}/{origin}/{i:05}".encode()).digest(),
    )
    chosen = []
    for index in ranked:
        if len(chosen) == count:
            break
        if examples.pixels[index] not in taken:
            taken.add(examples.pixels[index])
            chosen.append(index)
    return sorted(chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parent / "fashion-mnist-mini"
    parser.add_argument("--out", type=Path, default=default, help="folder to (re)write")
    arguments = parser.parse_args()
    sets = fashion_mnist.read_sets(obtain(FASHION_MNIST))
    files: dict[str, bytes] = {}
    taken: set[bytes] = set()
    for split, origin, count in SPLITS:
        for label, name in enumerate(fashion_mnist.CLASSES):
            for index in choose(sets[origin], origin, label, count, taken):
                files[f"{split}/{name}/{index:05}.png"] = fashion_mnist.grey_png(sets[origin].pixels[index])
    for split in {split for split, _, _ in SPLITS}:
        shutil.rmtree(arguments.out / split, ignore_errors=True)
    for path, content in files.items():
        target = arguments.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    sums = "".join(f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files))
    (arguments.out / "SHA256SUMS").write_text(sums)
    print(f"{arguments.out}: {len(files)} images, {sum(map(len, files.values()))} bytes")


if __name__ == "__main__":
    main()
