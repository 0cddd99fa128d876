#!/usr/bin/env python3
"""Reads caches written by `extract run` with pyarrow, polars and duckdb, and compares all that they see.

Extracts a part of `data/fashion-mnist-mini` into four caches, Arrow and Parquet with f16 and f32, then checks in each
reader: number of rows, ids, uris, labels, splits, the shape, and every value. Between caches: Arrow and Parquet hold the
same values, and f16 holds the rounded f32. Two more caches, one a format, have augmented views: every reader must see which row
is which view, and view 0 must be the row of the cache without views. Light: `requirements-interop.txt` is all it needs.

With `--caches` it reads six caches that are there already, `FOLDER/{arrow,parquet}-{f16,f32,views}`.
"""

import json
import sys
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

import binaries
import caches
import subsets
from verdicts import Verdicts, work_folder

FORMATS = ("arrow", "parquet")
DTYPES = {"f16": np.float16, "f32": np.float32}
LAYERS = ("avgpool", "stage7")
IMAGES_OF_A_CLASS = 3
# Several parts, the last one not full.
PART_ROWS = 40
# Beside the plain one of each training image.
AUGMENTED_VIEWS = 2


def make_caches(programs: binaries.Binaries, work: Path) -> Path:
    source = subsets.take(work / "source", *[IMAGES_OF_A_CLASS] * 3)
    for fmt in FORMATS:
        for dtype in DTYPES:
            options = ["--format", fmt, "--dtype", dtype, "--layer", ",".join(LAYERS), "--part-rows", PART_ROWS]
            programs.extract(source, work / f"{fmt}-{dtype}", *options)
        options = ["--format", fmt, "--part-rows", PART_ROWS, "--views", AUGMENTED_VIEWS, "--augment", "crop-flip"]
        programs.extract(source, work / f"{fmt}-views", *options)
    return work


def with_polars(cache: Path, layer: str) -> caches.Features:
    files = caches.part_files(cache, layer)
    read = pl.read_ipc if files[0].suffix == ".arrow" else pl.read_parquet
    frame = pl.concat([read(file) for file in files])
    embedding = frame["embedding"]
    if isinstance(embedding.dtype, pl.Extension):
        shape = json.loads(embedding.dtype.ext_metadata())["shape"]
        embedding = embedding.ext.storage()
    else:
        shape = [embedding.dtype.size]
    values = embedding.to_numpy().reshape(len(frame), *shape)
    frame = frame.with_columns(pl.col("split").cast(pl.String))
    plain = [frame[name].to_list() for name in caches.COLUMNS[:-1]]
    return caches.Features(*plain, values)


def with_duckdb(cache: Path, layer: str) -> caches.Features:
    """duckdb widens f16 to f32 in Parquet and refuses it in Arrow tables, where it is widened before."""
    files = caches.part_files(cache, layer)
    if files[0].suffix == ".parquet":
        relation = duckdb.read_parquet([str(file) for file in files])
    else:
        table = caches.layer_table(cache, layer)
        storage = table["embedding"].combine_chunks().storage
        if pa.types.is_float16(storage.type.value_type):
            widened = storage.flatten().to_numpy().astype(np.float32)
            storage = pa.FixedSizeListArray.from_arrays(pa.array(widened), storage.type.list_size)
            table = table.set_column(table.schema.get_field_index("embedding"), "embedding", storage)
        relation = duckdb.from_arrow(table)
    rows = relation.order("id, view").select(*caches.COLUMNS).fetchall()
    plain = [list(column) for column in zip(*(row[:-1] for row in rows), strict=True)]
    return caches.Features(*plain, np.array([row[-1] for row in rows], dtype=np.float32))


def same_rows(left: caches.Features, right: caches.Features) -> bool:
    names = ("ids", "uris", "labels", "splits", "views")
    return all(getattr(left, name) == getattr(right, name) for name in names)


def same_values(left: np.ndarray, right: np.ndarray) -> bool:
    left, right = (values.astype(np.float32).reshape(len(values), -1) for values in (left, right))
    return np.array_equal(left, right)


def check_against_source(verdicts: Verdicts, name: str, cache: Path, found: caches.Features) -> None:
    """What the rows say must be what the folders say."""
    classes = caches.manifest(cache)["classes"]
    plan = caches.plan(cache)
    planned = plan["id"].to_pylist()
    verdicts.check(f"{name}: one row for each planned input, in order", found.ids == planned == list(range(len(plan))))
    verdicts.check(f"{name}: uris are the plan's", found.uris == plan["uri"].to_pylist())
    pieces = [uri.split("/") for uri in found.uris]
    verdicts.check(f"{name}: splits are the folders'", found.splits == [split for split, _, _ in pieces])
    labels = [classes[label] for label in found.labels]
    verdicts.check(f"{name}: labels are the folders'", labels == [label for _, label, _ in pieces])
    values = found.values.astype(np.float32).reshape(len(found.ids), -1)
    verdicts.check(f"{name}: every value is finite", np.isfinite(values).all())
    verdicts.check(f"{name}: rows differ from each other", len(np.unique(values, axis=0)) == len(values))


def check_readers(verdicts: Verdicts, cache: Path, layer: str, reference: caches.Features) -> None:
    name = f"{cache.name} {layer}"
    for reader, read in (("polars", with_polars), ("duckdb", with_duckdb)):
        found = read(cache, layer)
        verdicts.check(f"{name}: {reader} sees the same rows", same_rows(reference, found))
        verdicts.check(f"{name}: {reader} sees the same values", same_values(reference.values, found.values))
        if reader == "polars":
            verdicts.check(f"{name}: polars sees the shape", found.values.shape == reference.values.shape)


def check_cache(verdicts: Verdicts, cache: Path, layer: str, dtype: str) -> caches.Features:
    name = f"{cache.name} {layer}"
    reference = caches.features(cache, layer)
    described = {entry["name"]: entry for entry in caches.manifest(cache)["layers"]}[layer]
    verdicts.check(f"{name}: shape {described['shape']}", list(reference.values.shape[1:]) == described["shape"])
    is_stored = reference.values.dtype == DTYPES[dtype] and described["dtype"] == dtype
    verdicts.check(f"{name}: stored as {dtype}", is_stored)
    check_against_source(verdicts, name, cache, reference)
    check_readers(verdicts, cache, layer, reference)
    return reference


def check_views(verdicts: Verdicts, cache: Path, plain: caches.Features) -> None:
    layer = LAYERS[0]
    found = caches.features(cache, layer)
    count = {"train": 1 + AUGMENTED_VIEWS}
    expected = [(row, view) for row, split in zip(plain.ids, plain.splits) for view in range(count.get(split, 1))]
    is_expected = list(zip(found.ids, found.views)) == expected
    verdicts.check(f"{cache.name}: {len(expected)} rows, by id and view, more than one of training images", is_expected)
    first = found.values[np.array(found.views) == 0]
    verdicts.check(f"{cache.name}: view 0 is the plain cache's row", np.array_equal(first, plain.values))
    verdicts.check(f"{cache.name}: rows differ from each other", len(np.unique(found.values, axis=0)) == len(expected))
    check_readers(verdicts, cache, layer, found)


def check_caches(verdicts: Verdicts, folder: Path) -> None:
    for layer in LAYERS:
        found = {
            (fmt, dtype): check_cache(verdicts, folder / f"{fmt}-{dtype}", layer, dtype)
            for fmt in FORMATS
            for dtype in DTYPES
        }
        for dtype in DTYPES:
            arrow, parquet = found["arrow", dtype], found["parquet", dtype]
            verdicts.check(f"{dtype} {layer}: Arrow and Parquet hold the same rows", same_rows(arrow, parquet))
            is_same = np.array_equal(arrow.values, parquet.values)
            verdicts.check(f"{dtype} {layer}: Arrow and Parquet hold the same values", is_same)
        wide = found["arrow", "f32"].values.astype(np.float16)
        verdicts.check(f"{layer}: f16 is the rounded f32", np.array_equal(wide, found["arrow", "f16"].values))
        if layer == LAYERS[0]:
            for fmt in FORMATS:
                check_views(verdicts, folder / f"{fmt}-views", found["arrow", "f32"])


def main() -> int:
    parser = binaries.parser(__doc__)
    parser.add_argument("--caches", type=Path, help="folder with the six caches; extracts nothing")
    arguments = parser.parse_args()
    verdicts = Verdicts()
    if arguments.caches:
        check_caches(verdicts, arguments.caches)
        return verdicts.exit_status()
    with work_folder(arguments.work) as work:
        check_caches(verdicts, make_caches(binaries.Binaries(arguments.bin_dir), work))
    return verdicts.exit_status()


if __name__ == "__main__":
    sys.exit(main())
