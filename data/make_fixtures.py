#!/usr/bin/env python3
"""Makes `data/fixtures`: small images of every format and pixel layout that is to be decoded, and broken ones.

Beside each good file `NAME.ext` lies `NAME.expected.png`, the pixels of Pillow's `Image.open(...).convert("RGB")`; beside
the JPEGs with an EXIF orientation also `NAME.upright.png`, the same after `ImageOps.exif_transpose`. `fixtures.json`
lists them: Pillow's mode, the size, and whether the format is lossless (then decoders must agree bit for bit). In one case
Pillow is not followed: it clips 16-bit grey to 255, which turns a photo white; there the high byte is expected, as Pillow
itself takes it from every other 16-bit PNG. The picture is a part of `chelsea.png` (CC0, Stefan van der Walt) from
scikit-image's wheel.

Needs Pillow, pinned, because other versions of its codecs give other bytes: pip install Pillow==13.0.0
"""

import argparse
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from encoders import encode, high_byte, orientation_exif, png16, ycck_jpeg
from packages import SCIKIT_IMAGE, obtain, read_members
from PIL import Image, ImageOps

# Odd on purpose: subsampled chroma and 8x8 blocks do not fit.
SIZE = (45, 31)


@dataclass
class Fixture:
    """One file to write: its content, and whether decoding it leaves no freedom."""

    name: str
    content: bytes
    lossless: bool


def photo(size: tuple[int, int]) -> Image.Image:
    (content,) = read_members(obtain(SCIKIT_IMAGE), lambda name: name == "skimage/data/chelsea.png").values()
    face = Image.open(io.BytesIO(content)).convert("RGB").crop((60, 20, 330, 206))
    return face.resize(size, Image.Resampling.BICUBIC)


def good_jpegs(base: Image.Image) -> list[Fixture]:
    grey = base.convert("L")
    cmyk = base.convert("CMYK")
    made = {
        "jpeg-420": encode(base, "JPEG", quality=90, subsampling="4:2:0"),
        "jpeg-422": encode(base, "JPEG", quality=90, subsampling="4:2:2"),
        "jpeg-444": encode(base, "JPEG", quality=90, subsampling="4:4:4"),
        "jpeg-restart": encode(base, "JPEG", quality=90, restart_marker_blocks=2),
        "jpeg-progressive": encode(base, "JPEG", quality=90, progressive=True),
        "jpeg-grey": encode(grey, "JPEG", quality=90),
        "jpeg-grey-progressive": encode(grey, "JPEG", quality=90, progressive=True),
        "jpeg-rgb": encode(base, "JPEG", quality=90, keep_rgb=True),
        "jpeg-cmyk": encode(cmyk, "JPEG", quality=90),
        "jpeg-ycck": ycck_jpeg(base, quality=90),
        "jpeg-ycck-progressive": ycck_jpeg(base, quality=90, progressive=True),
    }
    return [Fixture(f"{name}.jpg", content, False) for name, content in made.items()]


def oriented_jpegs() -> list[Fixture]:
    small = photo((24, 16))
    made = []
    for orientation in range(1, 9):
        options = {"subsampling": "4:4:4", "exif": orientation_exif(orientation)}
        content = encode(small, "JPEG", quality=90, **options)
        made.append(Fixture(f"exif-{orientation}.jpg", content, False))
    return made


def good_pngs(base: Image.Image) -> list[Fixture]:
    grey = base.convert("L")
    alpha = Image.linear_gradient("L").resize(base.size)
    rgba = base.copy()
    rgba.putalpha(alpha)
    few = base.quantize(16)
    made = {
        "png-rgb": encode(base, "PNG"),
        "png-rgb-colour-key": encode(base, "PNG", transparency=base.getpixel((3, 3))),
        "png-rgba": encode(rgba, "PNG"),
        "png-grey": encode(grey, "PNG"),
        "png-grey-alpha": encode(Image.merge("LA", (grey, alpha)), "PNG"),
        "png-bilevel": encode(grey.convert("1"), "PNG"),
        "png-palette": encode(base.quantize(200), "PNG"),
        "png-palette-transparent": encode(few, "PNG", transparency=bytes(range(0, 256, 16)), bits=4),
        "png-rgb16": png16(base, 3),
        "png-rgba16": png16(rgba, 4),
        "png-grey16": png16(base, 1),
        "png-grey-alpha16": png16(rgba, 2),
    }
    return [Fixture(f"{name}.png", content, True) for name, content in made.items()]


def other_formats(base: Image.Image) -> list[Fixture]:
    rgba = base.copy()
    rgba.putalpha(Image.linear_gradient("L").resize(base.size))
    grey = base.convert("L")
    frames = [base.quantize(64), base.transpose(Image.Transpose.ROTATE_180).quantize(64)]
    animated = encode(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    return [
        Fixture("webp-lossy.webp", encode(base, "WEBP", quality=85), False),
        Fixture("webp-lossless.webp", encode(base, "WEBP", lossless=True), True),
        Fixture("webp-lossless-alpha.webp", encode(rgba, "WEBP", lossless=True, exact=True), True),
        Fixture("gif-two-frames.gif", animated, True),
        Fixture("gif-transparent.gif", encode(base.quantize(32), "GIF", transparency=5), True),
        Fixture("bmp-rgb.bmp", encode(base, "BMP"), True),
        Fixture("bmp-palette.bmp", encode(base.quantize(64), "BMP"), True),
        Fixture("bmp-grey.bmp", encode(grey, "BMP"), True),
        Fixture("tiff-raw.tiff", encode(base, "TIFF"), True),
        Fixture("tiff-lzw.tiff", encode(base, "TIFF", compression="tiff_lzw"), True),
        Fixture("tiff-deflate-grey.tif", encode(grey, "TIFF", compression="tiff_adobe_deflate"), True),
    ]


def broken(base: Image.Image) -> dict[str, bytes]:
    whole = encode(base, "JPEG", quality=90)
    png = encode(base, "PNG")
    return {
        "broken-truncated.jpg": whole[: len(whole) * 3 // 5],
        "broken-header-only.jpg": whole[:20],
        "broken-truncated.png": png[: len(png) // 2],
        "broken-text.jpg": b"This is a text file that somebody called .jpg.\n",
        "broken-empty.jpg": b"",
    }


def write(fixture: Fixture, folder: Path) -> dict:
    (folder / fixture.name).write_bytes(fixture.content)
    stem = fixture.name.rsplit(".", 1)[0]
    with Image.open(io.BytesIO(fixture.content)) as image:
        mode = image.mode
        pixels = (high_byte(image) if mode == "I;16" else image).convert("RGB")
    pixels.info.clear()
    pixels.save(folder / f"{stem}.expected.png", optimize=True)
    entry = {
        "file": fixture.name,
        "expected": f"{stem}.expected.png",
        "pillow_mode": mode,
        "lossless": fixture.lossless,
    }
    entry["width"], entry["height"] = pixels.size
    if mode == "I;16":
        entry["departs_from_pillow"] = "high byte, not clipped to 255"
    if stem.startswith("exif-"):
        with Image.open(io.BytesIO(fixture.content)) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
        upright.info.clear()
        upright.save(folder / f"{stem}.upright.png", optimize=True)
        entry["upright"] = f"{stem}.upright.png"
    return entry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parent / "fixtures"
    parser.add_argument("--out", type=Path, default=default, help="folder to (re)write")
    folder = parser.parse_args().out
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    base = photo(SIZE)
    good = good_jpegs(base) + oriented_jpegs() + good_pngs(base) + other_formats(base)
    entries = [write(fixture, folder) for fixture in good]
    bad = broken(base)
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    listing = {"made_by": "make_fixtures.py", "good": entries, "broken": sorted(bad)}
    (folder / "fixtures.json").write_text(json.dumps(listing, indent=1) + "\n")
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{folder}: {len(good)} good and {len(bad)} broken files, {size} bytes with what is expected of them")


if __name__ == "__main__":
    main()
