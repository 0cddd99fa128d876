"""Small class folders cut out of the data set in the repository."""

import shutil
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "data" / "fashion-mnist-mini"


def take(folder: Path, train: int, val: int, test: int) -> Path:
    """Copies so many images of each class of each split to `folder`; returns it."""
    for split, count in (("train", train), ("val", val), ("test", test)):
        for source in sorted(path for path in (SOURCE / split).iterdir() if path.is_dir()):
            target = folder / split / source.name
            target.mkdir(parents=True)
            for image in sorted(source.glob("*.png"))[:count]:
                shutil.copy(image, target)
    return folder
