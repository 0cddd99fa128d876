"""Fashion-MNIST as it lies in its package: class names, IDX files, and PNG encoding with reproducible bytes."""

import gzip
import struct
import zlib
from dataclasses import dataclass

from packages import PackageError, read_members

# In label order; the folder names used everywhere in this project.
CLASSES = [
    "t-shirt-top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle-boot",
]
SIDE = 28


@dataclass(frozen=True)
class Examples:
    """One of the two original sets. `pixels[i]` is image i, row-major grey bytes; `labels[i]` its class index."""

    pixels: list[bytes]
    labels: bytes


def read_sets(package) -> dict[str, Examples]:
    """Reads `train` (60,000 images) and `test` (10,000) out of the Debian package file."""
    members = {n.rsplit("/", 1)[-1]: c for n, c in read_members(package, lambda n: n.endswith("ubyte.gz")).items()}
    return {
        split: Examples(
            _images(gzip.decompress(members[f"{prefix}-images-idx3-ubyte.gz"]), split),
            _labels(gzip.decompress(members[f"{prefix}-labels-idx1-ubyte.gz"]), split),
        )
        for split, prefix in (("train", "train"), ("test", "t10k"))
    }


def _images(idx: bytes, split: str) -> list[bytes]:
    magic, count, rows, columns = struct.unpack_from(">IIII", idx)
    size = SIDE * SIDE
    if (magic, rows, columns) != (2051, SIDE, SIDE) or len(idx) != 16 + count * size:
        raise PackageError(f"{split}: not an IDX file of {SIDE}x{SIDE} images")
    return [idx[at : at + size] for at in range(16, len(idx), size)]


def _labels(idx: bytes, split: str) -> bytes:
    magic, count = struct.unpack_from(">II", idx)
    if magic != 2049 or len(idx) != 8 + count or max(idx[8:]) >= len(CLASSES):
        raise PackageError(f"{split}: not an IDX file of labels")
    return idx[8:]


def grey_png(pixels: bytes, side: int = SIDE) -> bytes:
    """Encodes a square 8-bit grey image of at most 65,000 bytes.

    The pixels go into one stored (uncompressed) deflate block, so the bytes depend on no zlib version; version control
    and file systems compress or round up such small files anyway.
    """
    rows = b"".join(b"\0" + pixels[at : at + side] for at in range(0, side * side, side))
    stored = b"\x01" + struct.pack("<HH", len(rows), len(rows) ^ 0xFFFF) + rows
    stream = b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", stream) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
