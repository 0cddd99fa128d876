"""Encodes pictures in layouts that Pillow reads but does not write. Needs Pillow."""

import io
import struct
import zlib

from PIL import Image, ImageOps

EXIF_ORIENTATION = 0x0112
# PNG colour type of a channel count.
PNG_COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}


def encode(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png16(image: Image.Image, channels: int) -> bytes:
    """A 16-bit PNG whose low bytes vary, to tell "take the high byte" from "round": Pillow itself writes none."""
    width, height = image.size
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    rows = bytearray()
    samples = image.convert(mode).tobytes()
    for row in range(height):
        rows.append(0)
        for at in range(row * width * channels, (row + 1) * width * channels):
            rows += bytes((samples[at], at * 37 % 256))
    header = struct.pack(">IIBBBBB", width, height, 16, PNG_COLOUR[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows), 9)), (b"IEND", b""))
    body = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def high_byte(image: Image.Image) -> Image.Image:
    """The upper bytes of a little-endian 16-bit grey image."""
    return Image.frombytes("L", image.size, image.tobytes()[1::2])


def ycck_jpeg(image: Image.Image, **options) -> bytes:
    """A JPEG of CMYK pixels stored as YCCK, which Pillow reads but does not write.

    The four planes are transformed here, written as if they were CMYK, and the transform byte of the Adobe marker is then
    set to 2. Adobe stores inverted inks; Pillow inverts again when it writes, so it is handed the complement.
    """
    cyan, magenta, yellow, black = image.convert("CMYK").split()
    luma_chroma = Image.merge("RGB", (cyan, magenta, yellow)).convert("YCbCr").split()
    inverted_black = ImageOps.invert(black)
    planes = [ImageOps.invert(plane) for plane in (*luma_chroma, inverted_black)]
    content = bytearray(encode(Image.merge("CMYK", planes), "JPEG", **options))
    marker = content.index(b"Adobe")
    content[marker + 11] = 2
    return bytes(content)


def orientation_exif(orientation: int) -> Image.Exif:
    """EXIF data that holds nothing but an orientation, 1 to 8."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    return exif
