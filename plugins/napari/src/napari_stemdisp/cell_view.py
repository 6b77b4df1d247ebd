"""All that is known of one cell or one column in the dock: numbers with errors, flags in sentences, and the image
beside its fit."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from stemdisp import Patch, flags, model_patch
from stemdisp.errors import StageError
from stemdisp.io.tables import TABLES, Table
from stemdisp.model.analysis import Analysis

from .table_model import written
from .wheel_picture import UNITS

SIDE = 108
"""Side of each of the three pictures in px of the screen: three stand beside each other in a dock."""

REACH = 0.75
"""Half the side of the window around a column, and how far it goes beyond the neighbours of a cell, in shortest lattice
vectors."""

CELL_NUMBERS = (
    ("displacement right", "dx_pm", "dx_std_pm", "pm"),
    ("displacement down", "dy_pm", "dy_std_pm", "pm"),
    ("length", "magnitude_pm", "", "pm"),
    ("direction", "angle_deg", "", "°"),
    ("parallel to the interface", "parallel_pm", "", "pm"),
    ("normal to it, outwards", "normal_pm", "", "pm"),
    ("polarization right", "px_uC_cm2", "px_std_uC_cm2", "uC/cm2"),
    ("polarization down", "py_uC_cm2", "py_std_uC_cm2", "uC/cm2"),
    ("layer", "layer", "", ""),
    ("distance to the edge", "distance_nm", "", "nm"),
    ("c / a", "c_over_a", "", ""),
)
"""What is told of a cell: words, column of the table, column of its error, unit."""

COLUMN_NUMBERS = (
    ("x", "x_px", "x_std_px", "px"),
    ("y", "y_px", "y_std_px", "px"),
    ("another model: x", "x_sys_px", "", "px"),
    ("another model: y", "y_sys_px", "", "px"),
    ("amplitude", "amplitude", "amplitude_std", ""),
    ("width, long axis", "sigma_x_px", "", "px"),
    ("width, short axis", "sigma_y_px", "", "px"),
    ("background", "background", "", ""),
    ("misfit / amplitude", "residual", "", ""),
)


def with_error(value: float, error: float | None, unit: str) -> str:
    """A number as far as its error lets it be known.

    >>> with_error(12.3456, 0.789, "pm")
    '12.35 ± 0.79 pm'
    """
    unit = UNITS.get(unit, unit)
    after = unit if unit in ("", "°") else f" {unit}"
    if error is None or not np.isfinite(error) or error <= 0:
        return f"{value:.4g}{after}"
    decimals = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}{after}"


def sentences(bits: int) -> list[str]:
    """What flags say."""
    return [sentence for flag, sentence in flags.SENTENCES.items() if bits & flag]


class Picture(QWidget):
    """A small picture with a caption under it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.image, self.caption = name, QLabel(), QLabel(name)
        self.image.setFixedSize(SIDE, SIDE)
        self.image.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.caption.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        column.addWidget(self.image)
        column.addWidget(self.caption)

    def draw(
        self, values: NDArray[np.float64], span: tuple[float, float], colours: str, mark: tuple[float, float]
    ) -> None:
        """Show values (ny, nx) between two limits, with a cross at (x, y) px of the array."""
        low, high = span
        part = (values - low) / (high - low if high > low else 1.0)
        rgba = np.ascontiguousarray((colormaps[colours](np.ma.masked_invalid(part)) * 255).astype(np.uint8))
        ny, nx = values.shape
        image = QImage(rgba.tobytes(), nx, ny, 4 * nx, QImage.Format.Format_RGBA8888)
        pixmap = QPixmap.fromImage(image).scaled(SIDE, SIDE, Qt.AspectRatioMode.KeepAspectRatio)
        per_px = pixmap.width() / nx
        x, y = ((place + 0.5) * per_px for place in mark)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor("#00a0ff"), 1.4))
        arm = 5.0
        for dx, dy in ((arm, 0.0), (0.0, arm)):
            painter.drawLine(round(x - dx), round(y - dy), round(x + dx), round(y + dy))
        painter.end()
        self.image.setPixmap(pixmap)


class CellView(QWidget):
    """One cell or one column; empty until one is shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._known: tuple[Analysis, dict[str, Table]] | None = None
        self._title, self._told, self._unseen = QLabel(), QLabel(), QLabel()
        self._title.setStyleSheet("font-weight: bold")
        for label in (self._title, self._told, self._unseen):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(1, 1)
        self.pictures = tuple(Picture(name) for name in ("image", "fit", "rest"))
        self._row = QWidget()
        beside = QHBoxLayout(self._row)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(6)
        for picture in self.pictures:
            beside.addWidget(picture)
        beside.addStretch()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._title)
        column.addWidget(self._row)
        column.addWidget(self._unseen)
        column.addLayout(self._grid)
        column.addWidget(self._told)
        column.addStretch()
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.clear()

    @property
    def title(self) -> str:
        """What is shown."""
        return self._title.text()

    @property
    def told(self) -> str:
        """What the flags say."""
        return self._told.text()

    @property
    def numbers(self) -> dict[str, str]:
        """Words -> number with its error and unit, as shown."""
        texts = (
            tuple(self._grid.itemAtPosition(row, column).widget().text() for column in (0, 1))
            for row in range(self._grid.rowCount())
            if self._grid.itemAtPosition(row, 0)
        )
        return dict(texts)

    def clear(self, sentence: str = "Click a cell or a column to see its numbers and its fit.") -> None:
        """Show a sentence alone."""
        self._title.setText("")
        self._title.hide()
        self._row.hide()
        self._unseen.hide()
        self._list({})
        self._told.setText(sentence)

    def show_cell(self, analysis: Analysis, cell: int) -> None:
        """Show a unit cell by its row in the table of cells."""
        cells, columns = analysis.cells, analysis.columns
        if cells is None or columns is None or not 0 <= cell < len(cells):
            self.clear("There is no such cell.")
            return
        table, moving = self._table(analysis, "cells"), int(cells.moving[cell])
        reference = [int(row) for row in cells.reference[cell] if row >= 0]
        h, k = cells.hk[cell]
        self._show_title(f"Cell {cell}: {cells.moving_site} at ({h}, {k}) against {cells.reference_site}")
        self._list(self._numbers(table, cell, CELL_NUMBERS) | _verdict(table, cell))
        said = sentences(int(cells.flags[cell]))
        said += [f"{cells.moving_site}: {one}" for one in sentences(int(columns.flags[moving] & ~cells.flags[cell]))]
        around = dict.fromkeys(one for row in reference for one in sentences(int(columns.flags[row])))
        self._tell([*said, *(f"{cells.reference_site}: {one}" for one in around)])
        away = np.linalg.norm(columns.xy[reference] - columns.xy[moving], axis=1)
        self._picture(analysis, moving, float(np.nanmax(away, initial=0.0)))

    def show_column(self, analysis: Analysis, row: int) -> None:
        """Show a column by its row in the table of columns."""
        columns = analysis.columns
        if columns is None or not 0 <= row < len(columns):
            self.clear("There is no such column.")
            return
        table = self._table(analysis, "columns")
        h, k, site, signal = (written(table[name], row) for name in ("h", "k", "site", "signal"))
        self._show_title(f"Column {row}: {site or 'not assigned'}" + (f" at ({h}, {k}) in {signal}" if site else ""))
        self._list(self._numbers(table, row, COLUMN_NUMBERS))
        self._tell(sentences(int(columns.flags[row])))
        self._picture(analysis, row, 0.0)

    def _table(self, analysis: Analysis, name: str) -> Table:
        """A table of the analysis, made once."""
        if self._known is None or self._known[0] is not analysis:
            self._known = (analysis, {})
        tables = self._known[1]
        if name not in tables:
            tables[name] = TABLES[name](analysis)
        return tables[name]

    def _numbers(self, table: Table, row: int, asked: Iterable[tuple[str, str, str, str]]) -> dict[str, str]:
        """What the table has of a row; what was not measured is left out."""
        found: dict[str, str] = {}
        for name, value, error, unit in asked:
            if value in table and written(table[value], row):
                std = float(table[error][row]) if error in table else None
                found[name] = with_error(float(table[value][row]), std, unit)
        return found

    def _show_title(self, text: str) -> None:
        self._title.setText(text)
        self._title.show()

    def _list(self, numbers: dict[str, str]) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            item.widget().deleteLater()
        for row, (name, number) in enumerate(numbers.items()):
            self._grid.addWidget(QLabel(name), row, 0)
            label = QLabel(number)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._grid.addWidget(label, row, 1)

    def _tell(self, said: list[str]) -> None:
        self._told.setText("\n".join(f"• {one}" for one in said) if said else "No flags: nothing speaks against it.")

    def _picture(self, analysis: Analysis, row: int, away_px: float) -> None:
        """Image, fit and what is left of one column's surroundings; a sentence where there is no fit."""
        lattice = analysis.lattice
        spacing = 0.0 if lattice is None else float(np.linalg.norm(lattice.cell, axis=1).min())
        try:
            patch = model_patch(analysis, row, away_px + REACH * spacing)
        except StageError as error:
            self._row.hide()
            self._unseen.setText(f"{str(error)[0].upper()}{str(error)[1:]}.")
            self._unseen.show()
            return
        self._unseen.hide()
        self._row.show()
        self._draw(patch, analysis.by_signal[patch.signal].xy[row] - patch.corner)

    def _draw(self, patch: Patch, middle: NDArray[np.float64]) -> None:
        mark = (float(middle[0]), float(middle[1]))
        both = np.concatenate([patch.image.ravel(), patch.model.ravel()])
        span = float(np.nanmin(both)), float(np.nanmax(both))
        most = float(np.nanmax(np.abs(patch.residual))) if np.isfinite(patch.residual).any() else 0.0
        image, fit, rest = self.pictures
        image.draw(patch.image, span, "gray", mark)
        fit.draw(patch.model, span, "gray", mark)
        rest.draw(patch.residual, (-most, most), "RdBu_r", mark)
        image.caption.setText(patch.signal)
        share = 100 * most / (span[1] - span[0]) if span[1] > span[0] else 0.0
        rest.caption.setText(f"rest ±{share:.2g} %")
        rest.setToolTip("Image minus fit; the strongest red and blue are this share of the range of the image beside.")


def _verdict(table: Table, cell: int) -> dict[str, str]:
    """Whether the displacement stands above its error, where that was tested."""
    told = {"1": "yes, at 5 %", "0": "no, at 5 %"}.get(written(table["significant"], cell))
    return {"above its error": told} if told else {}
