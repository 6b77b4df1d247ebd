"""Read positions that another program measured: a CSV table, or arrays by name."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import flags
from ..errors import ReadError
from ..model.columns import Columns
from ..model.micrograph import InputFile, PixelSize
from ..model.positions import Positions
from .detectors import CONTRAST
from .provenance import fingerprint
from .text import decoded, one_line

Floats = NDArray[np.float64]
Unit = Literal["px", "nm", "A", "pm"]

PM_PER: dict[str, float] = {"nm": 1000.0, "A": 100.0, "pm": 1.0}
"""Unit of length -> pm."""

GRID_PM = 10.0
"""Pixels (pm) that positions in a unit of length are put on where nothing says how large those of the image were."""

LARGEST_BYTES = 2**28
"""Larger files are no table of columns: a row takes some 400 bytes."""

LARGEST_SIDE = 2**15
"""Coordinates (px) beyond this are those of no image."""

SPELLINGS = {
    "x": ("x", "x0", "xc", "x_pos", "x_position", "pos_x", "position_x", "x_centre", "x_center", "x_coordinate"),
    "y": ("y", "y0", "yc", "y_pos", "y_position", "pos_y", "position_y", "y_centre", "y_center", "y_coordinate"),
    "x_std": ("x_std", "std_x", "x_error", "x_err", "error_x"),
    "y_std": ("y_std", "std_y", "y_error", "y_err", "error_y"),
    "std": ("std", "xy_std", "std_xy", "error", "position_error"),
    "site": ("site", "label", "sublattice", "species", "element", "type", "atom"),
    "amplitude": ("amplitude", "intensity", "height"),
}
"""Quantity -> how its column may be headed: in small letters, words joined by underscores, without the unit."""

STEMFIT = {"y0", "x0", "a", "length", "width", "angle"}
"""Heads of the tables that STEMfit saves (px or nm; A is an intensity, length and width are those of a spot); it is
written in Julia and counts pixels from 1."""

UNITS = {"px": "px", "pixel": "px", "pixels": "px", "nm": "nm", "pm": "pm", "a": "A", "å": "A", "angstrom": "A"}

IN_UNIT = re.compile(r"^(?P<name>.*?)[\s_]*[(\[](?P<unit>[^()\[\]]*)[)\]]$|^(?P<other>.+)_(?P<end>px|nm|pm|A)$")
"""x (nm), x [px], x_nm."""

UNREADABLE = {
    ".mat": "StatSTEM writes objects into it that only MATLAB can open; write them as text there: "
    "writetable(array2table(output.coordinates, 'VariableNames', {'x_A', 'y_A', 'type'}), 'positions.csv')",
    ".hdf5": "read a lattice of Atomap with stemdisp.from_atomap and pass what that gives",
}
"""Kinds of files that are no tables -> what to do."""


@dataclass(frozen=True)
class _Table:
    """Columns of a table by their heads, as they are spelled there; ``lines`` are the numbers of its rows."""

    where: str
    values: Mapping[str, Any]
    lines: Sequence[int]
    row: str = "row"

    @cached_property
    def heads(self) -> dict[tuple[str, str | None], str]:
        """Quantity, or plain name of what is none, and unit -> the head as it is spelled; the first of its kind."""
        found: dict[tuple[str, str | None], str] = {}
        for spelled in self.values:
            match = IN_UNIT.match(spelled.strip())
            name, unit = spelled.strip(), None
            if match is not None and (match["unit"] or match["end"] or "").strip().lower() in UNITS:
                name = match["name"] if match["unit"] else match["other"]
                unit = UNITS[(match["unit"] or match["end"]).strip().lower()]
            plain = re.sub(r"[\s_]+", "_", name.strip().lower())
            quantity = next((key for key, known in SPELLINGS.items() if plain in known), plain)
            found.setdefault((quantity, unit), spelled)
        return found

    @property
    def from_stemfit(self) -> bool:
        """Whether STEMfit wrote it."""
        plain = {IN_UNIT.sub(lambda match: match["name"] or match["other"], head).lower() for head in self.values}
        return plain >= STEMFIT

    @property
    def ours(self) -> bool:
        """Whether it has the columns of columns.csv."""
        return {"column", "x_px", "y_px", "flags", "signal"} <= set(self.values)

    def head(self, name: str, unit: str | None) -> str | None:
        """The head of a quantity, or of the same without any unit."""
        return self.heads.get((name, unit), self.heads.get((name, None)))

    def numbers(self, spelled: str) -> Floats:
        """(N,) numbers of a column, NaN where there is none; raises ReadError for what is no number."""
        cells = self.values[spelled]
        try:
            found: Floats = np.ma.filled(np.ma.asarray(_nan_for_empty(cells), dtype=float), np.nan)
        except (TypeError, ValueError):
            row = next(i for i, cell in enumerate(cells) if not _is_number(cell))
            raise ReadError(
                f"{self.where}: {self.row} {self.lines[row]}: {spelled} {one_line(cells[row], 40)!r} is no number"
            ) from None
        if found.shape != (len(self.lines),):
            raise ReadError(f"{self.where}: {spelled} has {found.size} values and x {len(self.lines)}; give one a row")
        return np.asarray(found)

    def own(self, *heads: str) -> Floats:
        """(N, n) numbers of columns of columns.csv, NaN where the table does not have them."""
        nothing = np.full(len(self.lines), np.nan)
        return np.stack([self.numbers(head) if head in self.values else nothing for head in heads], axis=1)

    def text(self, spelled: str) -> NDArray[np.object_]:
        """(N,) labels of a column, empty where there is none."""
        cells: NDArray[np.object_] = np.ma.filled(np.ma.asarray(self.values[spelled], dtype=object), "")
        return np.array(
            [
                "" if cell is None or (isinstance(cell, float) and np.isnan(cell)) else str(cell).strip()
                for cell in cells
            ],
            dtype=object,
        )


def _nan_for_empty(cells: Any) -> Any:
    return [cell or "nan" for cell in cells] if len(cells) and isinstance(cells[0], str) else cells


def _is_number(cell: Any) -> bool:
    try:
        float(cell or "nan")
    except (TypeError, ValueError):
        return False
    return True


def read_positions(
    source: str | os.PathLike[str] | Mapping[str, Any],
    *,
    unit: Unit | None = None,
    origin: Literal[0, 1] | None = None,
    pixel_size: PixelSize | None = None,
    signal: str | None = None,
) -> Positions:
    """Positions of columns from a table.

    Parameters
    ----------
    source
        A CSV file (comma, semicolon or tab; with the latter two a decimal comma is read too; lines that begin with #
        are comments), or arrays by name: a dictionary, or anything else with ``keys()``.
    unit
        Of x, y and their standard deviations, where the heads do not say it or say more than one.
    origin
        The number of the first pixel. None = as the producer is known to count, or else 0.
    pixel_size
        Of the image; positions in a unit of length are put on such pixels.
    signal
        Of which detector the image was, where the table does not say it; None = HAADF.

    Raises
    ------
    ReadError
        With one sentence on the first thing that is wrong.
    """
    if isinstance(source, (str, os.PathLike)):
        table, inputs = _file(Path(source))
        name = one_line(Path(source).stem)
    else:
        table, inputs, name = _arrays(source), (), "positions"
    said, notes = _unit(table, unit)
    places = np.stack([table.numbers(_required(table, axis, said)) for axis in "xy"], axis=1)
    _check_rows(places, table)
    size, per_px = pixel_size or _own_pixel_size(table), np.ones(2)
    if said != "px":
        if size is None:
            size = PixelSize(GRID_PM, GRID_PM, "user")
            notes.append(f"{table.where}: positions in {said} were put on pixels of {GRID_PM:g} pm, their own unknown")
        per_px = PM_PER[said] / size.xy_pm
    sized = said == "px" or pixel_size is not None
    xy, remarks = _counted_from_0(places * per_px, table, origin, in_px=said == "px", sized=sized)
    notes += remarks
    std = np.stack([_std(table, axis, said) for axis in "xy"], axis=1) * per_px
    label = table.head("site", None)
    labels = table.text(label) if label is not None else np.full(len(xy), "", dtype=object)
    names = tuple(sorted(set(labels) - {""}))
    columns = Columns.at(
        xy,
        names,
        site=np.array([names.index(one) if one else -1 for one in labels], dtype=np.int64),
        **_signals(table, signal or "HAADF"),
        **_measured(table, std),
    )
    return Positions(name, columns, size, None, inputs, tuple(notes))


def _file(path: Path) -> tuple[_Table, tuple[InputFile, ...]]:
    """The table in a file, and the file."""
    shown = one_line(path.name)
    if path.suffix.lower() in UNREADABLE:
        raise ReadError(f"{shown} is no table; {UNREADABLE[path.suffix.lower()]}")
    try:
        size, digest = fingerprint(path)
        if size > LARGEST_BYTES:
            raise ReadError(f"{shown} is larger than {LARGEST_BYTES >> 20} MiB; a table of columns is smaller")
        text = decoded(path.read_bytes())
    except OSError as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(f"positions {one_line(path)} cannot be read: {error.strerror}") from error
    if text is None:
        raise ReadError(f"{shown} is no text; save positions as CSV with a header: x,y,site")
    return _parsed(text, shown), (InputFile(path.name, size, digest, "positions"),)


def _parsed(text: str, shown: str) -> _Table:
    numbered = ((n, line) for n, line in enumerate(text.splitlines(), start=1) if line.strip())
    lines = [(n, line) for n, line in numbered if not line.lstrip().startswith("#")]
    if len(lines) < 2:
        raise ReadError(f"{shown} holds no table; positions have a header, x,y,site, and a row a column")
    mark = next((mark for mark in ";\t" if mark in lines[0][1]), ",")
    try:
        header, *rows = csv.reader((line for _, line in lines), delimiter=mark, skipinitialspace=True)
    except (csv.Error, ValueError) as error:
        raise ReadError(f"{shown} is no table ({one_line(error)})") from error
    if all(_is_number(cell) for cell in header):
        raise ReadError(
            f"{shown} has no header: line {lines[0][0]} holds numbers; name the columns above them, e.g. x_px,y_px,site"
        )
    if len(rows) != len(lines) - 1:
        raise ReadError(f"{shown} is no table: one of its cells goes over several lines")
    for (n, _), row in zip(lines[1:], rows, strict=True):
        if len(row) != len(header):
            hint = "; with decimal commas, separate the columns by semicolons" if mark == "," else ""
            raise ReadError(f"{shown}: line {n} has {len(row)} columns and the header {len(header)}{hint}")
    cells = [tuple(cell.strip() for cell in column) for column in zip(*rows, strict=True)]
    if mark != ",":
        cells = [tuple(cell.replace(",", ".") for cell in column) for column in cells]
    return _Table(shown, dict(zip(header, cells, strict=True)), [n for n, _ in lines[1:]], "line")


def _arrays(source: Mapping[str, Any]) -> _Table:
    """Arrays by name."""
    if not hasattr(source, "keys"):
        raise ReadError(
            f"positions are a CSV file or arrays by name, not a {type(source).__name__}; pass {{'x': x, 'y': y}}"
        )
    values = {str(name): np.ma.asarray(source[name]) for name in source.keys()}  # noqa: SIM118 - a DataFrame has keys
    rows = max((value.size for value in values.values()), default=0)
    return _Table("the positions", values, range(rows))


def _unit(table: _Table, asked: Unit | None) -> tuple[str, list[str]]:
    """The unit of the positions, and what had to be decided."""
    there = [unit for name, unit in table.heads if name == "x" and ("y", unit) in table.heads]
    if asked is not None:
        if there and asked not in there and None not in there:
            raise ReadError(f"{table.where}: x and y are in {there[0]} by their heads, not in {asked}")
        return asked, []
    named = next((unit for unit in ("px", "nm", "A", "pm") if unit in there), None)
    if named is None and there:
        return "px", [f"{table.where}: no unit is named; x and y were taken for px"]
    return named or "px", []


def _required(table: _Table, axis: str, unit: str) -> str:
    found = table.head(axis, unit)
    if found is None:
        raise ReadError(
            f"{table.where} has no column {axis}; there is {one_line(', '.join(table.values)) or 'nothing'}; positions "
            "need x and y, and a site"
        )
    return found


def _check_rows(xy: Floats, table: _Table) -> None:
    missing = np.flatnonzero(~np.isfinite(xy).all(axis=1))
    if len(missing):
        raise ReadError(
            f"{table.where}: {table.row} {table.lines[missing[0]]} has no position, nor have {len(missing) - 1} "
            "others; leave such rows out"
        )


def _own_pixel_size(table: _Table) -> PixelSize | None:
    """Of a table that gives positions in px and in nm."""
    both = [[table.heads.get((axis, unit)) for unit in ("px", "nm")] for axis in "xy"]
    sizes = []
    for px, nm in both:
        if px is None or nm is None:
            return None
        px_values, nm_values = table.numbers(px), table.numbers(nm)
        far = int(np.abs(px_values).argmax()) if len(px_values) else 0
        if not len(px_values) or not np.isfinite(nm_values[far]) or px_values[far] == 0:
            return None
        sizes.append(float(1000 * nm_values[far] / px_values[far]))
    return PixelSize(sizes[0], sizes[1], "file")


def _counted_from_0(
    xy: Floats, table: _Table, origin: Literal[0, 1] | None, *, in_px: bool, sized: bool
) -> tuple[Floats, list[str]]:
    """Positions in px with (0, 0) at the centre of the first pixel, and what had to be decided."""
    notes, where = [], table.where
    if origin is None and table.from_stemfit:
        origin = 1
        off = "1 was taken off" if sized else "their size is not known, so positions are off by one (displacements not)"
        notes.append(f"{where} was written by STEMfit, which counts pixels from 1: {off}")
    elif origin is None and in_px and not table.ours and len(xy) and xy.min() >= 0.5:
        notes.append(
            f"{where}: no coordinate is below 0.5, so that pixels may be counted from 1, as MATLAB does; they were "
            "taken to be counted from 0: pass origin=0 or origin=1 (displacements do not depend on it)"
        )
    xy = xy - (origin or 0) * sized
    if len(xy) and xy.min() < -0.5:
        if in_px:
            axis = "xy"[int(xy.min(axis=0).argmin())]
            raise ReadError(f"{where}: {axis} = {xy.min():g} px lies outside of any image; count pixels from 0 or 1")
        moved = np.floor(np.minimum(xy.min(axis=0), 0))
        notes.append(
            f"{where}: positions were moved by ({abs(moved[0]):g}, {abs(moved[1]):g}) px, so that none is negative"
        )
        xy = xy - moved
    if len(xy) and xy.max() > LARGEST_SIDE:
        raise ReadError(f"{where}: a coordinate of {xy.max():.6g} px is that of no image; name the unit (pm?)")
    return xy, notes


def _std(table: _Table, axis: str, unit: str) -> Floats:
    """(N,) standard deviations in the unit of the positions; NaN where there are none."""
    head = table.head(f"{axis}_std", unit) or table.head("std", unit)
    found = table.numbers(head) if head is not None else np.full(len(table.lines), np.nan)
    if (found < 0).any():
        raise ReadError(f"{table.where}: {head} is negative in {table.row} {table.lines[int(found.argmin())]}")
    return np.where(found > 0, found, np.nan)


def _signals(table: _Table, signal: str) -> dict[str, Any]:
    """Which image every position is from; that of cations first."""
    found = table.text("signal") if table.ours else np.full(len(table.lines), signal, dtype=object)
    unknown = sorted(set(found) - set(CONTRAST))
    if unknown:
        raise ReadError(f"{table.where}: {one_line(unknown[0], 40)!r} is no signal; there is {', '.join(CONTRAST)}")
    names = tuple(sorted(set(found), key=lambda name: (name != "HAADF", name))) or (signal,)
    return {"signals": names, "signal": np.array([names.index(one) for one in found], dtype=np.int64)}


def _measured(table: _Table, std: Floats) -> dict[str, Any]:
    """What else is known of the columns: the rest of columns.csv as far as it is there."""
    cov = np.full((len(std), 2, 2), np.nan)
    cov[:, 0, 0], cov[:, 1, 1] = std.T**2
    mixed = np.nan_to_num(table.own("xy_cov_px2")[:, 0])
    cov[:, 0, 1] = cov[:, 1, 0] = np.where(np.isfinite(std).all(axis=1), mixed, np.nan)
    amplitude = table.head("amplitude", None) or (table.head("a", None) if table.from_stemfit else None)
    found: dict[str, Any] = {
        "cov": cov,
        "amplitude": np.full(len(std), np.nan) if amplitude is None else table.numbers(amplitude),
        "sigma": table.own("sigma_x_px", "sigma_y_px"),
        "xy_sys": table.own("x_sys_px", "y_sys_px"),
    }
    found |= {name: table.own(name)[:, 0] for name in ("amplitude_std", "angle_deg", "background", "residual")}
    if table.ours:
        found["flags"] = np.array([_bits(text, table) for text in table.text("flags")], dtype=np.int64)
    return found


def _bits(text: str, table: _Table) -> int:
    try:
        return flags.parse(text)
    except KeyError:
        raise ReadError(f"{table.where}: {one_line(text, 40)!r} is no flag of stemdisp") from None
