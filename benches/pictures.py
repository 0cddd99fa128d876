"""The JPEG files that the input path and the whole path are timed on."""

import io
from pathlib import Path

from PIL import Image, ImageOps

QUALITY = 85
# Smaller pictures would only be blown up.
LEAST_SIDE = 200


def write_jpegs(photos: Path, size: tuple[int, int], folder: Path, count: int | None = None) -> list[bytes]:
    """The photos below a folder as JPEGs of a size (quality 85, 4:2:0), over again up to `count` files."""
    files = []
    for path in sorted(photos.rglob("*.*")):
        image = Image.open(path).convert("RGB")
        if min(image.size) < LEAST_SIDE:
            continue
        buffer = io.BytesIO()
        ImageOps.fit(image, size, Image.LANCZOS).save(buffer, "JPEG", quality=QUALITY, subsampling="4:2:0")
        files.append(buffer.getvalue())
    if not files:
        raise SystemExit(f"{photos}: no photo of {LEAST_SIDE} pixels or more")
    files = [files[index % len(files)] for index in range(count or len(files))]
    folder.mkdir(parents=True, exist_ok=True)
    for index, file in enumerate(files):
        (folder / f"{index:05}.jpg").write_bytes(file)
    return files
