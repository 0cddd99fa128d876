#!/usr/bin/env python3
"""Writes real photos of many shapes and formats into a folder; `fetch photos` runs this where Pillow is at hand.

The pictures come out of the wheels of scikit-learn and scikit-image: some as they lie there, others re-encoded in the
layouts that cameras, scanners and web sites produce. Needs Pillow, pinned: pip install Pillow==13.0.0
"""

import argparse
import io
from pathlib import Path

from encoders import encode, orientation_exif, png16, ycck_jpeg
from packages import SCIKIT_IMAGE, SCIKIT_LEARN, obtain, read_members
from PIL import Image

AS_THEY_ARE = [
    "china.jpg",
    "flower.jpg",
    "rocket.jpg",
    "retina.jpg",
    "hubble_deep_field.jpg",
    "astronaut.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "color.png",
    "horse.png",
    "ihc.png",
    "logo.png",
    "motorcycle_left.png",
]


def originals() -> dict[str, bytes]:
    """File name → content of the pictures in the two wheels."""
    found = {}
    for package, folder in ((SCIKIT_LEARN, "sklearn/datasets/images/"), (SCIKIT_IMAGE, "skimage/data/")):
        members = read_members(obtain(package), lambda n: n.startswith(folder) and n.endswith((".jpg", ".png")))
        found.update({name.removeprefix(folder): content for name, content in members.items()})
    return found


def variants(sources: dict[str, bytes]) -> dict[str, bytes]:
    """File name → content of the re-encoded pictures."""

    def photo(name: str, mode: str = "RGB") -> Image.Image:
        return Image.open(io.BytesIO(sources[name])).convert(mode)

    chelsea, coffee, flower, rocket = (photo(n) for n in ("chelsea.png", "coffee.png", "flower.jpg", "rocket.jpg"))
    gradient = Image.linear_gradient("L")
    translucent = chelsea.copy()
    translucent.putalpha(gradient.resize(chelsea.size))
    moon = photo("moon.png", "L")
    hubble = photo("hubble_deep_field.jpg")
    frames = [chelsea.rotate(angle).quantize(128) for angle in (0, 90, 180)]
    return {
        "chelsea-progressive.jpg": encode(chelsea, "JPEG", quality=85, progressive=True),
        "chelsea-422.jpg": encode(chelsea, "JPEG", quality=95, subsampling="4:2:2"),
        "camera-grey.jpg": encode(photo("camera.png", "L"), "JPEG", quality=90),
        "coffee-cmyk.jpg": encode(coffee.convert("CMYK"), "JPEG", quality=90),
        "flower-ycck.jpg": ycck_jpeg(flower, quality=90),
        "rocket-exif-6.jpg": encode(rocket, "JPEG", quality=90, exif=orientation_exif(6)),
        "coffee-exif-3.jpg": encode(coffee, "JPEG", quality=90, exif=orientation_exif(3)),
        "hubble-panorama.jpg": encode(hubble.crop((0, 300, 1000, 420)), "JPEG", quality=90),
        "motorcycle-tall.jpg": encode(photo("motorcycle_right.png").crop((300, 0, 420, 500)), "JPEG", quality=90),
        "flower-thumbnail.jpg": encode(flower.resize((64, 43)), "JPEG", quality=90),
        "astronaut-16-bit.png": png16(photo("astronaut.png"), 3),
        "coffee-palette.png": encode(coffee.quantize(256), "PNG"),
        "chelsea-alpha.png": encode(translucent, "PNG"),
        "moon-grey-alpha.png": encode(Image.merge("LA", (moon, gradient.resize(moon.size))), "PNG"),
        "rocket-lossy.webp": encode(rocket, "WEBP", quality=85),
        "flower-lossless.webp": encode(flower, "WEBP", lossless=True, method=0),
        "chelsea-frames.gif": encode(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "coins.bmp": encode(photo("coins.png", "L"), "BMP"),
        "coffee.bmp": encode(coffee, "BMP"),
        "rocket-lzw.tiff": encode(rocket, "TIFF", compression="tiff_lzw"),
        "moon.tif": encode(moon, "TIFF"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write into: one folder for each format below it")
    out = parser.parse_args().out
    sources = originals()
    files = {name: sources[name] for name in AS_THEY_ARE} | variants(sources)
    for name, content in sorted(files.items()):
        extension = name.rsplit(".", 1)[1]
        folder = out / {"jpg": "jpeg", "tif": "tiff"}.get(extension, extension)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    print(f"{len(files)} photos")


if __name__ == "__main__":
    main()
