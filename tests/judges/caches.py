"""Reads a feature cache with pyarrow, as any user would: `cache.json`, `plan.parquet`, `LAYER/NNNNN.{arrow,parquet}`."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = ["id", "uri", "label", "split", "view", "embedding"]


@dataclass
class Features:
    """The rows of one layer in plan order. `values` is [rows, *shape], in the type it is stored in."""

    ids: list[int]
    uris: list[str]
    labels: list[int]
    splits: list[str]
    views: list[int]
    values: np.ndarray

    def rows(self, split: str) -> np.ndarray:
        """Positions of the rows of a split."""
        return np.flatnonzero(np.array(self.splits) == split)


def manifest(cache: Path) -> dict:
    """The content of `cache.json`."""
    return json.loads((cache / "cache.json").read_text())


def plan(cache: Path) -> pa.Table:
    """The planned inputs: id, uri, label, split, group, bytes."""
    return pq.read_table(cache / "plan.parquet")


def part_files(cache: Path, layer: str) -> list[Path]:
    """The part files of a layer, in order."""
    files = sorted(p for p in (cache / layer).iterdir() if p.suffix in (".arrow", ".parquet"))
    if not files:
        raise SystemExit(f"{cache / layer}: no part files")
    return files


def read_table(file: Path) -> pa.Table:
    """One part file, whichever format it has."""
    if file.suffix == ".arrow":
        with pa.memory_map(str(file)) as source:
            return pa.ipc.open_file(source).read_all()
    return pq.ParquetFile(file).read()


def layer_table(cache: Path, layer: str) -> pa.Table:
    """All parts of a layer."""
    return pa.concat_tables([read_table(file) for file in part_files(cache, layer)])


def features(cache: Path, layer: str = "avgpool") -> Features:
    """A layer as numpy values; its embedding column must be a fixed-shape tensor."""
    table = layer_table(cache, layer)
    kind = table.schema.field("embedding").type
    if not isinstance(kind, pa.FixedShapeTensorType):
        raise SystemExit(f"{cache / layer}: embedding is {kind}, expected a fixed_shape_tensor")
    column = table["embedding"].combine_chunks()
    values = column.storage.flatten().to_numpy(zero_copy_only=False).reshape(len(table), *kind.shape)
    plain = {name: table[name].to_pylist() for name in COLUMNS[:-1]}
    return Features(plain["id"], plain["uri"], plain["label"], plain["split"], plain["view"], values)
