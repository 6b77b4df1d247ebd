"""The three tables of an analysis as named columns, and their files.

A number that does not exist is NaN, or masked where the column is of whole numbers; in a file it is empty.  The first
columns of each table and their order are a contract with other programs; more may follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import flags
from ..fitting.ellipses import axes
from ..model.analysis import Analysis
from ..model.cells import UnitCells
from ..model.columns import Columns
from ..model.fields import VectorField
from ..model.maps import NAMES as MAPS

Table = dict[str, NDArray[Any]]

COLUMNS = (
    *("column", "site", "h", "k", "signal", "x_px", "y_px", "x_std_px", "y_std_px", "x_nm", "y_nm"),
    *("amplitude", "sigma_x_px", "sigma_y_px", "angle_deg", "background", "residual", "flags"),
)
CELLS = (
    *("cell", "h", "k", "x_px", "y_px", "dx_pm", "dy_pm", "dx_std_pm", "dy_std_pm", "magnitude_pm", "angle_deg"),
    *("normal_pm", "parallel_pm", "px_uC_cm2", "py_uC_cm2", "layer", "distance_nm", "significant", "flags"),
)
LAYERS = (
    *("layer", "distance_nm", "n", "normal_pm", "normal_sem_pm", "parallel_pm", "parallel_sem_pm", "magnitude_pm"),
    *("polarization_uC_cm2", "coherence", "p_value", "o_contrast", "o_contrast_sem", "vacancy_rich"),
)
"""Contract: the first columns of columns.csv, cells.csv and layers.csv."""

PM_PER_NM = 1000.0

DIGITS = 12
"""Significant digits of a number in a CSV file: a relative error below 1e-11."""

POWERS = np.array([float(f"1e{n}") for n in range(23)])
"""Powers of ten that a double holds exactly."""

ROWS = 1 << 14
"""Rows of a table that are written at once."""

NO_ROWS = np.zeros(0, dtype=np.int64)

RISKY = ("=", "+", "-", "@", "\t", "\r")
"""Text that begins so is taken for a formula by spreadsheet programs."""


def _whole(values: NDArray[Any], missing: NDArray[np.bool_] | bool = False) -> NDArray[Any]:
    """Whole numbers with some masked."""
    return np.ma.array(values.astype(np.int64), mask=np.broadcast_to(missing, values.shape))


def _named(index: NDArray[np.int64], names: tuple[str, ...]) -> NDArray[Any]:
    """Text column: the name that each index stands for, empty for -1."""
    lookup = np.array([*names, ""], dtype=object)
    return np.asarray(lookup[np.where((index < 0) | (index >= len(names)), len(names), index)])


def _in_range(angle: NDArray[np.float64], period: float) -> NDArray[np.float64]:
    """Angles within [0, period)."""
    turned = np.mod(angle, period)
    return np.where(turned >= period, 0.0, turned)


def columns_table(analysis: Analysis) -> Table:
    """All columns (peaks, where nothing has been assigned yet), one row each.

    Returns
    -------
    Name -> (N,) array: the contract's columns, then ``island, amplitude_std, xy_cov_px2``, the axes of each column as
    an ellipse of its own, ``own_sigma_x_px, own_sigma_y_px, own_angle_deg`` and their standard deviations, and, for
    each signal, ``x_px_S, y_px_S, x_std_px_S, y_std_px_S, amplitude_S`` as fitted in that signal alone.
    """
    columns = analysis.columns if analysis.columns is not None else analysis.peaks
    if columns is None:
        columns = Columns.at(np.zeros((0, 2)))
    pixel_size = analysis.micrograph.pixel_size
    nm_per_px = np.full(2, np.nan) if pixel_size is None else pixel_size.xy_pm / PM_PER_NM
    unknown = columns.site < 0
    values = (
        np.arange(len(columns)),
        _named(columns.site, columns.sites),
        _whole(columns.hk[:, 0], unknown),
        _whole(columns.hk[:, 1], unknown),
        _named(columns.signal, columns.signals),
        *columns.xy.T,
        *columns.xy_std.T,
        *(columns.xy * nm_per_px).T,
        columns.amplitude,
        *columns.sigma.T,
        _in_range(columns.angle_deg, 180.0),
        columns.background,
        columns.residual,
        flags.each_named(columns.flags),
    )
    table = dict(zip(COLUMNS, values, strict=True))
    table |= {"island": _whole(columns.island, columns.island < 0), "amplitude_std": columns.amplitude_std}
    table["xy_cov_px2"] = columns.cov[:, 0, 1]
    table |= dict(zip(("x_sys_px", "y_sys_px"), columns.xy_sys.T, strict=True))
    sigma, angle, std = axes(columns.moments, columns.moments_cov)
    own = ("own_sigma_x_px", "own_sigma_y_px", "own_angle_deg")
    table |= dict(zip(own, (*sigma.T, angle), strict=True))
    own = ("own_sigma_x_std_px", "own_sigma_y_std_px", "own_angle_std_deg")
    table |= dict(zip(own, std.T, strict=True))
    for name, fitted in analysis.by_signal.items():
        table |= _of_signal(name, fitted)
    return table


def _of_signal(name: str, columns: Columns) -> Table:
    """Positions and contrasts of the same rows in one signal."""
    quantities = ("x_px", "y_px", "x_std_px", "y_std_px", "amplitude")
    values = (*columns.xy.T, *columns.xy_std.T, columns.amplitude)
    return {f"{quantity}_{name}": value for quantity, value in zip(quantities, values, strict=True)}


def _vectors(field: VectorField | None, n: int) -> VectorField:
    """The field, or one without any vector."""
    if field is not None:
        return field
    return VectorField("pm", np.full((n, 2), np.nan), np.full((n, 2), np.nan), np.full((n, 2, 2), np.nan))


def cells_table(analysis: Analysis) -> Table:
    """All unit cells, one row each: name -> (M,) array.

    Vectors stand in the image frame (x right, y down); ``angle_deg`` is as seen.  ``significant`` is 1, 0 or empty.
    """
    cells = analysis.cells
    if cells is None:
        cells = UnitCells("", "", NO_ROWS[:, None].repeat(2, 1), NO_ROWS, NO_ROWS[:, None], np.zeros((0, 2)), NO_ROWS)
    n = len(cells)
    moved, polar = _vectors(analysis.displacement, n), _vectors(analysis.polarization, n)
    tested = moved.valid & moved.judged
    significant = moved.significant if moved.judged else np.zeros(n, dtype=bool)
    side, layer, distance, normal, parallel = _from_interface(analysis, moved)
    values = (
        np.arange(n),
        *(_whole(index) for index in cells.hk.T),
        *cells.xy.T,
        *moved.uv.T,
        *moved.std.T,
        moved.magnitude,
        moved.angle_deg,
        normal,
        parallel,
        *polar.uv.T,
        _whole(layer, layer < 0),
        distance,
        _whole(significant, ~tested),
        flags.each_named(cells.flags),
    )
    table: Table = dict(zip(CELLS, values, strict=True))
    others = {"column": _whole(cells.moving), "px_std_uC_cm2": polar.std[:, 0], "py_std_uC_cm2": polar.std[:, 1]}
    atoms = analysis.dilution.undone(moved) if analysis.dilution is not None else _vectors(None, n)
    for i, axis in enumerate("xy"):
        others |= {f"atom_d{axis}_pm": atoms.uv[:, i], f"atom_d{axis}_std_pm": atoms.std[:, i]}
    others["p_normal_uC_cm2"], others["p_parallel_uC_cm2"] = _from_interface(analysis, polar)[3:]
    others |= analysis.maps.arrays() if analysis.maps is not None else dict.fromkeys(MAPS, np.full(n, np.nan))
    return table | others | {"side": _whole(side, side < 0)}


def _from_interface(analysis: Analysis, moved: VectorField) -> tuple[NDArray[Any], ...]:
    """Side of every cell (-1 = none), layer (-1 = none), distance, and the components of ``moved`` along the outward
    normal of its side and parallel to the interface."""
    side, layer = np.full(len(moved), -1), np.full(len(moved), -1)
    distance, normal, parallel = (np.full(len(moved), np.nan) for _ in range(3))
    for number, one in enumerate(analysis.sides):
        edge = one.interface
        # What lies beyond an edge that has one side only is counted from it too, negatively.
        own = edge.distance_nm > 0 if number else np.ones(len(moved), dtype=bool)
        side[own], layer[own], distance[own] = number, edge.layer[own], edge.distance_nm[own]
        normal[own], parallel[own] = moved.along(edge.normal)[own], moved.along(edge.parallel)[own]
    return side, layer, distance, normal, parallel


def layers_table(analysis: Analysis) -> Table:
    """All layers, one row each: name -> (L,) array; the contract's columns, then the others of the profile, then the
    side of the interface (0, and 1 for the crystal on its other side), then what was measured elsewhere, as far as it
    covers the layers of side 0."""
    profiles = [side.profile for side in analysis.sides if side.profile is not None]
    if not profiles:
        return dict.fromkeys((*LAYERS, "side"), np.zeros(0))
    arrays: Table = {
        name: np.concatenate([profile.arrays()[name] for profile in profiles]) for name in profiles[0].arrays()
    }
    first = {name: arrays.pop(name) for name in LAYERS}
    arrays["side"] = np.repeat(np.arange(len(profiles)), [len(profile) for profile in profiles])
    elsewhere = np.full(sum(map(len, profiles[1:])), np.nan)
    for number, one in enumerate(analysis.external, start=1):
        name = "external" if number == 1 else f"external_{number}"
        arrays[name] = np.append(one.at_layers, elsewhere)
        arrays[f"{name}_error"] = np.append(one.at_layers_error, elsewhere)
    return first | arrays


TABLES: dict[str, Callable[[Analysis], Table]] = {
    "columns": columns_table,
    "cells": cells_table,
    "layers": layers_table,
}
"""Name of a table's file, without suffix -> how it is made."""


def _safe(text: str) -> str:
    """Text as a CSV cell: never a formula, quoted where it has to be."""
    text = f"'{text}" if text.startswith(RISKY) else text
    return '"' + text.replace('"', '""') + '"' if any(letter in text for letter in ',"\n\r') else text


def _rounded(values: NDArray[Any]) -> NDArray[np.float64]:
    """Numbers with as many significant digits as a file gets: the doubles nearest to these decimals."""
    plain = values.astype(np.float64)
    size = np.abs(plain)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = DIGITS - 1 - np.floor(np.log10(size))
    usual = np.isfinite(shift) & (np.abs(shift) < len(POWERS))
    power = POWERS[np.where(usual, np.abs(shift), 0).astype(int)]
    left = np.rint(np.where(shift < 0, plain / power, plain * power))
    found = np.where(shift < 0, left * power, left / power)
    for row in np.flatnonzero(~usual & np.isfinite(plain) & (size > 0)):
        found[row] = float(f"{plain[row]:.{DIGITS}g}")
    return np.asarray(found + 0.0)  # has no minus zero


def _cells_of(values: NDArray[Any]) -> Any:
    """A column as an Arrow array of CSV cells."""
    import pyarrow as pa
    from pyarrow import compute

    missing, plain = np.ma.getmaskarray(values), np.ma.getdata(values)
    if plain.dtype.kind not in "fiub":
        found = pa.array([str(value) for value in plain], pa.string(), mask=missing).dictionary_encode()
        safe = pa.array([_safe(text) for text in found.dictionary.to_pylist()], pa.string())
        return compute.fill_null(safe.take(found.indices), "")
    if plain.dtype.kind == "f":
        numbers, missing = _rounded(plain), missing | ~np.isfinite(plain)
    else:
        numbers = plain.astype(np.int64 if plain.dtype.kind == "b" else plain.dtype)
    return compute.fill_null(compute.cast(pa.array(numbers, mask=missing), pa.string()), "")


def _once(known: dict[bytes, Any], values: NDArray[Any]) -> Any:
    """The CSV cells of a column, those that are ``known`` by the bytes of their numbers and new ones."""
    if np.ma.isMaskedArray(values) or values.dtype != np.float64:
        return _cells_of(values)
    key = values.tobytes()
    if key not in known:
        known[key] = _cells_of(values)
    return known[key]


def write_csv(table: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write a table as CSV (UTF-8, comma, point, line feed): missing numbers are empty cells."""
    from pyarrow import compute

    n = len(next(iter(table.values())))
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(",".join(_safe(name) for name in table) + "\n")
        for first in range(0, n, ROWS):
            known: dict[bytes, Any] = {}  # of one signal its positions are those of all: the same numbers twice
            cells = [_once(known, values[first : first + ROWS]) for values in table.values()]
            file.write("\n".join([*compute.binary_join_element_wise(*cells, ",").to_pylist(), ""]))


def write_parquet(table: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write a table as Parquet (zstd), bit for bit: missing numbers are nulls."""
    import pyarrow as pa
    from pyarrow import parquet

    def column(values: NDArray[Any]) -> Any:
        kind = pa.string() if values.dtype.kind == "O" else None
        plain = np.ma.getdata(values)
        missing = np.ma.getmaskarray(values) | (np.isnan(plain) if plain.dtype.kind == "f" else False)
        return pa.array(plain, type=kind, mask=missing)

    arrays = {name: column(values) for name, values in table.items()}
    parquet.write_table(pa.table(arrays), path, compression="zstd")


WRITERS: dict[str, Callable[[Mapping[str, NDArray[Any]], Path], None]] = {"csv": write_csv, "parquet": write_parquet}
"""Kind (and suffix) of a table's file -> how it is written."""


def write_columns_csv(analysis: Analysis, path: Path) -> None:
    """Write columns.csv."""
    write_csv(columns_table(analysis), path)


def write_cells_csv(analysis: Analysis, path: Path) -> None:
    """Write cells.csv."""
    write_csv(cells_table(analysis), path)


def write_layers_csv(analysis: Analysis, path: Path) -> None:
    """Write layers.csv."""
    write_csv(layers_table(analysis), path)
