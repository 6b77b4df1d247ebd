"""Read a profile that was measured elsewhere (EELS) from a CSV file into an entry of the recipe."""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import RecipeError
from ..model.micrograph import Micrograph
from ..profile_entry import MOST_ROWS, ProfileEntry
from ..recipe import parse
from .provenance import fingerprint
from .text import decoded, one_line

LARGEST_BYTES = 2**20
"""Larger files are no profile: a row takes some 30 bytes."""

NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?")

IN_BRACKETS = re.compile(r"^(?P<name>.*?)\s*[(\[](?P<unit>[^()\[\]]*)[)\]]\s*$", re.DOTALL)
"""A label with its unit: Ta/O (counts), Ta/O [counts]."""

OTHER_UNIT = re.compile(r"_(?P<unit>px|pm|um|A|angstrom)$")
"""A unit other than nm at the end of a name."""

NAMES = ("distance", "value", "error")

LONGEST_NAME, LONGEST_UNIT = 100, 40


@dataclass(frozen=True)
class _Row:
    """The cells of a line, empty ones at its end left out, and its number in the file."""

    line: int
    cells: list[str]


def read_profile(path: str | os.PathLike[str], image: Micrograph | str | os.PathLike[str]) -> ProfileEntry:
    """The profile in a CSV file, as an entry of the recipe that acts on one image.

    Parameters
    ----------
    path
        Text with a header that names the columns, separated by comma, semicolon or tab (with the latter two a decimal
        comma is read too). The first column is the distance from the interface in nm, rising, 0 at the interface and
        positive into the crystal, the second the value, the third, if it is there, its standard error; others are not
        read. Lines that begin with # are comments. The value's header is its label, with its unit in brackets:
        ``Ti3+ share, EELS (%)``.
    image
        The image that the profile belongs to: as it was read, or its file.

    Returns
    -------
    ProfileEntry
        For :meth:`stemdisp.Recipe.with_profile`; it holds the numbers, and the file is needed no more.

    Raises
    ------
    RecipeError
        With one sentence on the first thing that is wrong.
    """
    path = Path(path)
    shown = one_line(path.name)
    header, rows, decimal_comma = _table(_text(path, shown), shown)
    columns = _numbers(header, rows, shown, decimal_comma=decimal_comma)
    name, unit = _label(header.cells[1])
    entry = {
        "sha256": _sha256(image),
        "name": one_line(name, LONGEST_NAME) or one_line(path.stem, LONGEST_NAME),
        "unit": one_line(unit, LONGEST_UNIT),
        "distance_nm": columns[0],
        "value": columns[1],
        "error": columns[2],
    }
    try:
        return parse({"profiles": [entry]}, shown).profiles[0]
    except RecipeError as error:
        raise RecipeError(str(error).replace(": [profiles] 0", "", 1)) from None


def _sha256(image: Micrograph | str | os.PathLike[str]) -> str:
    """Of the file that the profile's image comes from, of several the first."""
    if isinstance(image, Micrograph):
        if not image.inputs:
            raise RecipeError(
                f"{one_line(image.name)} comes from no file, and a profile belongs to the SHA-256 of one; save it first"
            )
        return image.inputs[0].sha256
    try:
        return fingerprint(Path(image))[1]
    except OSError as error:
        raise RecipeError(f"{one_line(image)} cannot be read: {error.strerror}") from error


def _text(path: Path, shown: str) -> str:
    """What stands in the file."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"profile {one_line(path)} cannot be read: {error.strerror}") from error
    if len(content) > LARGEST_BYTES:
        largest = LARGEST_BYTES // 2**20
        raise RecipeError(f"{shown} is larger than {largest} MiB; a profile is text of at most {MOST_ROWS} rows")
    text = decoded(content)
    if text is not None:
        return text
    raise RecipeError(f"{shown} is no text; save the profile as CSV: a header, then distance in nm, value, error")


def _table(text: str, shown: str) -> tuple[_Row, list[_Row], bool]:
    """Header, rows, and whether numbers may have decimal commas."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    used = [(number, line) for number, line in lines if not line.lstrip().startswith("#")]
    if not used:
        raise RecipeError(f"{shown} is empty; a profile has a header, then rows of distance in nm, value, error")
    mark = next((mark for mark in ";\t" if mark in used[0][1]), ",")
    first = _cells(*used[0], mark, shown)
    if NUMBER.fullmatch(_plain(first.cells[0])):
        # The header may be a comment: the last before the numbers.
        remarks = [(n, line.lstrip().lstrip("#").strip()) for n, line in lines if n < first.line]
        header = _cells(*remarks[-1], mark, shown) if remarks else first
        if header is first or len(header.cells) < 2:
            raise RecipeError(
                f"{shown} has no header: line {first.line} holds numbers; name the columns above them, e.g. "
                "distance_nm,O K edge (counts),error"
            )
        body = used
    else:
        header, body = first, used[1:]
    if len(header.cells) < 2:
        raise RecipeError(
            f"{shown} has one column only ({header.cells[0]!r}); separate distance in nm, value and error by commas, "
            "semicolons or tabs"
        )
    rows = [_cells(number, line, mark, shown) for number, line in body]
    return header, [row for row in rows if any(row.cells)], mark != ","


def _cells(number: int, line: str, mark: str, shown: str) -> _Row:
    try:
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=mark, skipinitialspace=True))]
    except (csv.Error, StopIteration) as error:
        raise RecipeError(f"{shown}: line {number} is no line of a table") from error
    while len(cells) > 1 and not cells[-1]:
        cells.pop()
    return _Row(number, [one_line(cell) for cell in cells])


def _plain(cell: str) -> str:
    """A cell with the minus of a keyboard."""
    return cell.replace("\u2212", "-")


def _numbers(header: _Row, rows: list[_Row], shown: str, *, decimal_comma: bool) -> list[list[float]]:
    """Distances, values and errors, the last empty where the file has none."""
    _check_unit(header.cells[0], shown)
    for row in rows:
        if len(row.cells) > len(header.cells):
            hint = "" if decimal_comma else "; with decimal commas, separate the columns by semicolons"
            raise RecipeError(
                f"{shown}: line {row.line} has {len(row.cells)} columns and the header {len(header.cells)}{hint}"
            )
    if not 2 <= len(rows) <= MOST_ROWS:
        raise RecipeError(f"{shown} has {len(rows)} rows of numbers; a profile has between 2 and {MOST_ROWS}")
    columns: list[list[float]] = []
    for i, name in enumerate(NAMES):
        cells = [row.cells[i] if i < len(row.cells) else "" for row in rows]
        columns.append(
            [
                _number(cell, f"{shown}: line {row.line}: {name}", decimal_comma=decimal_comma)
                for row, cell in zip(rows, cells, strict=True)
                if cell
            ]
        )
        if len(columns[i]) < len(rows) and (columns[i] or name != "error"):
            raise RecipeError(
                f"{shown}: columns of unequal length: {len(columns[i])} numbers of {name} in {len(rows)} rows; line "
                f"{rows[cells.index('')].line} has none"
            )
    return columns


def _check_unit(label: str, shown: str) -> None:
    """Raise RecipeError for a distance that says it is in another unit than nm."""
    found = IN_BRACKETS.match(label) or OTHER_UNIT.search(label)
    if found and found["unit"].strip().lower() not in ("", "nm", "nanometer", "nanometre", "nanometers", "nanometres"):
        raise RecipeError(f"{shown}: its first column is {label!r}; give the distance from the interface in nm")


def _number(cell: str, where: str, *, decimal_comma: bool) -> float:
    plain = _plain(cell)
    if NUMBER.fullmatch(plain) and (decimal_comma or "," not in plain):
        return float(plain.replace(",", "."))
    raise RecipeError(f"{where} {one_line(cell, 40)!r} is not a number")


def _label(text: str) -> tuple[str, str]:
    """Name and unit of a column.

    >>> _label("Ti3+ share, EELS (%)"), _label("O K edge")
    (('Ti3+ share, EELS', '%'), ('O K edge', ''))
    """
    found = IN_BRACKETS.match(text)
    return (found["name"], found["unit"].strip()) if found else (text, "")
