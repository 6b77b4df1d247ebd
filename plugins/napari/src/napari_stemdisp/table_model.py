"""A table of the core as rows and columns that Qt shows, sorted and filtered without a copy: numbers become text only
where they are seen."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from stemdisp import flags

COMPARED = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
"""Signs of a condition, longer ones first, and what they ask."""

CONDITION = re.compile(r"^(\w+)\s*(<=|>=|!=|<|>|=)\s*(.+)$")

DIGITS = 6
"""Significant digits that are shown; what is copied has all."""


def _is_text(values: NDArray[Any]) -> bool:
    return values.dtype.kind not in "fiub"


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Rows without a value."""
    masked = np.ma.getmaskarray(values)
    return masked | np.isnan(np.ma.getdata(values)) if values.dtype.kind == "f" else masked


def written(values: NDArray[Any], row: int, digits: int | None = DIGITS) -> str:
    """One value as text, with all its digits where ``digits`` is None; empty where it is missing."""
    if np.ma.getmaskarray(values)[row] if np.ma.isMaskedArray(values) else False:
        return ""
    value = np.ma.getdata(values)[row]
    if _is_text(values):
        return str(value)
    if values.dtype.kind != "f":
        return str(int(value))
    if np.isnan(value):
        return ""
    return repr(float(value)) if digits is None else f"{value:.{digits}g}"


def matching(table: Mapping[str, NDArray[Any]], text: str) -> NDArray[np.bool_]:
    """Rows that fulfil every part of a filter, parts being parted by commas.

    A part is a condition (``magnitude_pm > 10``, ``site = K``) or a word that one of the columns of text holds. Raises
    ValueError with a sentence for a condition that cannot be read.
    """
    n = len(next(iter(table.values()))) if table else 0
    kept = np.ones(n, dtype=bool)
    for part in filter(None, (one.strip() for one in text.split(","))):
        condition = CONDITION.match(part)
        kept &= _fulfilled(table, *condition.groups()) if condition else _holding(table, part.casefold(), n)
    return kept


def _fulfilled(table: Mapping[str, NDArray[Any]], name: str, sign: str, wanted: str) -> NDArray[np.bool_]:
    if name not in table:
        raise ValueError(f"there is no column {name}")
    values, compared = table[name], COMPARED[sign]
    if _is_text(values):
        if sign not in ("=", "!="):
            raise ValueError(f"{name} holds text: ask with = or !=")
        return np.asarray(compared(np.ma.getdata(values).astype(str), wanted.strip()))
    try:
        number = float(wanted)
    except ValueError:
        raise ValueError(f"{name} holds numbers, and {wanted.strip()!r} is none") from None
    with np.errstate(invalid="ignore"):
        return np.asarray(compared(np.ma.getdata(values), number)) & ~_missing(values)


def _holding(table: Mapping[str, NDArray[Any]], word: str, n: int) -> NDArray[np.bool_]:
    """Rows with a word in one of the columns of text."""
    found = np.zeros(n, dtype=bool)
    for values in filter(_is_text, table.values()):
        known, inverse = np.unique(np.ma.getdata(values).astype(str), return_inverse=True)
        found |= np.array([word in one.casefold() for one in known], dtype=bool)[inverse]
    return found


class TableModel(QAbstractTableModel):
    """Rows of a table in the order they are shown; ``rows`` (n,) are their numbers in the table."""

    def __init__(self, table: Mapping[str, NDArray[Any]] | None = None) -> None:
        super().__init__()
        self._sorted_by, self._descending, self._filter = -1, False, ""
        self.set_table(table or {})

    def set_table(self, table: Mapping[str, NDArray[Any]]) -> None:
        """Show another table, sorted and filtered as the last one where it has the same columns."""
        self.beginResetModel()
        if list(table) != getattr(self, "names", None):
            self._sorted_by, self._filter = -1, ""
        self._table = dict(table)
        self.names, self.values = list(table), list(table.values())
        self._arrange()
        self.endResetModel()

    def keep(self, text: str) -> None:
        """Show only the rows that a filter keeps; raises ValueError as :func:`matching` does."""
        matching(self._table, text)
        self.beginResetModel()
        self._filter = text
        self._arrange()
        self.endResetModel()

    def _arrange(self) -> None:
        """Rows that are kept, in order; those without a value last, whichever way is up."""
        rows = np.flatnonzero(matching(self._table, self._filter))
        if self._sorted_by >= 0:
            values = self.values[self._sorted_by][rows]
            missing = _missing(values)
            plain = np.ma.getdata(values)
            plain = plain.astype(str) if _is_text(values) else plain
            known = rows[~missing][np.argsort(plain[~missing], kind="stable")]
            rows = np.concatenate([known[::-1] if self._descending else known, rows[missing]])
        self.rows = rows

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; -1 = as in the table."""
        self.beginResetModel()
        self._sorted_by, self._descending = column, order == Qt.SortOrder.DescendingOrder
        self._arrange()
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        """Rows that are kept."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        """Columns of the table."""
        return 0 if parent is not None and parent.isValid() else len(self.names)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Names of columns."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self.names[section]
        return None

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text of a cell, and the sentences behind flags as its tool tip."""
        values = self.values[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return written(values, int(self.rows[index.row()]))
        if role == Qt.ItemDataRole.TextAlignmentRole and not _is_text(values):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ToolTipRole and self.names[index.column()] == "flags":
            bits = flags.parse(written(values, int(self.rows[index.row()])))
            return "\n".join(sentence for flag, sentence in flags.SENTENCES.items() if bits & flag)
        return None

    def text(self, shown: list[int]) -> str:
        """Rows, by their place on the screen, as tab-separated text with a line of names and all digits."""
        lines = ["\t".join(self.names)]
        for place in shown:
            row = int(self.rows[place])
            lines.append("\t".join(written(values, row, None) for values in self.values))
        return "\n".join(lines) + "\n"
