"""The table of layers of a result, read back: its numbers alone, and only if all of it makes sense."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from .text import one_line
from .within import MEGABYTE, read_within

MOST_BYTES = 8 * MEGABYTE
MOST_LAYERS = 2_000
"""More than any image has: a table beyond these is none of ours."""

LARGEST = 1e12
"""Beyond it nothing is a measurement, and sums of many might end in infinity."""

Numbers = dict[str, NDArray[np.float64]]


def _from_csv(content: bytes, names: Sequence[str]) -> Numbers:
    rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
    head = next(rows, [])
    body = list(rows)
    if len(body) > MOST_LAYERS:
        raise ValueError("too many rows")
    columns = dict(zip(head, zip(*body, strict=True) if body else [()] * len(head), strict=True))
    known = (name for name in names if name in columns)
    return {name: np.array([float(cell) if cell else np.nan for cell in columns[name]]) for name in known}


def _from_parquet(content: bytes, names: Sequence[str]) -> Numbers:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(pa.BufferReader(content))
        if file.metadata.num_rows > MOST_LAYERS:
            raise ValueError("too many rows")
        known = [name for name in names if name in file.schema_arrow.names]
        table = file.read(columns=known, use_threads=False)
        return {name: np.array([_cell(cell) for cell in table[name].to_pylist()], dtype=np.float64) for name in known}
    except (pa.ArrowException, OSError) as error:
        raise ValueError(str(error)) from error


def _cell(value: Any) -> float:
    if value is not None and not isinstance(value, int | float):
        raise ValueError("a cell is no number")
    return np.nan if value is None else float(value)


READERS = {"layers.csv": _from_csv, "layers.parquet": _from_parquet}
"""Name of the table -> how it is read."""


def _check(numbers: Numbers, required: Sequence[str]) -> None:
    for name in required:
        if name not in numbers:
            raise ValueError(f"it has no column {name}")
    for values in numbers.values():
        if (np.abs(values[~np.isnan(values)]) > LARGEST).any():
            raise ValueError("a number is too large")
    where = np.stack([numbers[name] for name in required])
    if not ((where >= 0) & (where <= MOST_LAYERS) & (where == np.rint(where))).all():
        raise ValueError("layers without whole numbers")
    if len(set(zip(*where.tolist(), strict=True))) != where.shape[1]:
        raise ValueError("a layer stands there twice")


def read_layer_table(folder: Path, names: Sequence[str]) -> Numbers:
    """Columns of layers.csv or layers.parquet in a result folder.

    Parameters
    ----------
    folder
        The result folder.
    names
        Columns that are wanted, besides ``layer`` and ``side``.

    Returns
    -------
    Name -> (L,) numbers, NaN where there is none; a column that the table does not have is all NaN.

    Raises
    ------
    ReadError
        Where there is no such table, or what is in it makes no sense.
    """
    name = next((name for name in READERS if (folder / name).is_file()), "layers.csv")
    content = read_within(folder, name, MOST_BYTES)
    required = ("layer", "side")
    try:
        numbers = READERS[name](content, (*required, *names))
        _check(numbers, required)
    except (ValueError, csv.Error, OverflowError) as error:
        raise ReadError(f"{name} is damaged ({one_line(error, 80)})") from error
    missing = np.full(len(numbers["layer"]), np.nan)
    return {name: numbers.get(name, missing) for name in (*required, *names)}
