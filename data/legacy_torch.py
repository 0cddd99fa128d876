"""Reads torch's old (non-zip) checkpoint format, without torch and without running code from the file.

Such a file is a sequence of pickles (magic number, protocol version, system information, the state dict, the storage
keys) followed by the raw storages in key order, each an int64 element count and its little-endian elements. The state
dict names its storages by persistent ids. Only the five names that a plain state dict of tensors needs are resolved;
anything else is refused. Standard library only.
"""

import io
import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
# Storage class → struct code of one element.
ELEMENTS = {"FloatStorage": "f", "LongStorage": "q"}


@dataclass
class Tensor:
    """A dense tensor: row-major `values` of struct code `element` (`f` for f32, `q` for i64)."""

    element: str
    shape: tuple[int, ...]
    values: tuple


@dataclass
class _Reference:
    key: str
    element: str
    offset: int = 0
    shape: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        if module in ("torch", "torch.storage") and name in ELEMENTS:
            return name
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor"): _rebuild,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a state dict")
        return known[module, name]

    def persistent_load(self, pid):
        _, storage, key, *_ = pid
        return _Reference(key, ELEMENTS[storage])


def _rebuild(storage: _Reference, offset: int, shape: tuple, stride: tuple, *_) -> _Reference:
    return _Reference(storage.key, storage.element, offset, tuple(shape), tuple(stride))


def _row_major(values: tuple, reference: _Reference) -> tuple:
    """Gathers a tensor out of its storage: weights that came from TensorFlow lie there transposed."""
    positions = [reference.offset]
    for size, step in zip(reference.shape, reference.stride, strict=True):
        positions = [start + index * step for start in positions for index in range(size)]
    return tuple(values[position] for position in positions)


def read_state_dict(content: bytes) -> dict[str, Tensor]:
    """Returns tensor name → `Tensor` of a legacy checkpoint file's bytes."""
    stream = io.BytesIO(content)
    if _Unpickler(stream).load() != MAGIC or _Unpickler(stream).load() != PROTOCOL:
        raise pickle.UnpicklingError("not a legacy torch file")
    _Unpickler(stream).load()
    references = _Unpickler(stream).load()
    elements = {reference.key: reference.element for reference in references.values()}
    storages = {}
    for key in _Unpickler(stream).load():
        (count,) = struct.unpack("<q", stream.read(8))
        element = elements[key]
        storages[key] = struct.unpack(f"<{count}{element}", stream.read(count * struct.calcsize(element)))
    return {
        name: Tensor(reference.element, reference.shape, _row_major(storages[reference.key], reference))
        for name, reference in references.items()
    }
