"""The tables of a result in the dock: sorted by a click, filtered by a line, copied to other programs."""

from __future__ import annotations

from qtpy.QtCore import QItemSelectionModel, QModelIndex, Signal
from qtpy.QtGui import QGuiApplication, QKeySequence
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QShortcut,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from stemdisp.io.tables import TABLES
from stemdisp.model.analysis import Analysis

from .editors import StillComboBox
from .table_model import TableModel

MEASURED_ROWS = 30
"""Rows that say how wide a column has to be."""

WIDEST = 180
"""Px of the screen that a column takes at most before the user widens it."""


class TableView(QWidget):
    """Columns, cells or layers of an analysis.

    ``row_chosen`` is sent with the row's number in the table when the user went to another row, ``table_chosen`` with
    the table's name when another table was chosen.
    """

    row_chosen = Signal(int)
    table_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._analysis: Analysis | None = None
        self._quiet = False
        self.model = TableModel()
        self._tables, self._filter, self._copy = StillComboBox(), QLineEdit(), QPushButton("Copy")
        self._count, self.view = QLabel(), QTableView()
        self._tables.addItems(list(TABLES))
        self._tables.activated.connect(self._on_table_chosen)
        self._filter.setPlaceholderText("filter: magnitude_pm > 10, site = K, EDGE")
        self._filter.setClearButtonEnabled(True)
        self._filter.textChanged.connect(self._on_filtered)
        self._copy.setToolTip("Copy the selected rows, or all that are shown, as tab-separated text")
        self._copy.clicked.connect(self.copy)
        self._count.setWordWrap(True)
        self._prepare_view()
        above = QHBoxLayout()
        for part, stretch in ((self._tables, 0), (self._filter, 1), (self._copy, 0)):
            above.addWidget(part, stretch)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(above)
        column.addWidget(self.view, 1)
        column.addWidget(self._count)
        self.show_analysis(None)

    def _prepare_view(self) -> None:
        view = self.view
        view.setModel(self.model)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        view.setMinimumHeight(160)
        view.verticalHeader().hide()
        view.verticalHeader().setDefaultSectionSize(view.fontMetrics().height() + 6)
        view.horizontalHeader().setResizeContentsPrecision(MEASURED_ROWS)
        view.horizontalHeader().setSortIndicator(-1, view.horizontalHeader().sortIndicatorOrder())
        view.horizontalHeader().setSortIndicatorClearable(True)
        view.horizontalHeader().sortIndicatorChanged.connect(self._on_sorted)
        view.horizontalHeader().setSectionsClickable(True)
        view.horizontalHeader().setSortIndicatorShown(True)
        view.selectionModel().currentRowChanged.connect(self._on_current_changed)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), view, activated=self.copy)

    @property
    def table(self) -> str:
        """Name of the table that is shown."""
        return self._tables.currentText()

    @property
    def row(self) -> int | None:
        """Number of the current row in the table."""
        index = self.view.currentIndex()
        return int(self.model.rows[index.row()]) if index.isValid() else None

    def show_analysis(self, analysis: Analysis | None) -> None:
        """Show the tables of an analysis; None = nothing is known."""
        self._analysis = analysis
        self._fill()

    def show_table(self, name: str) -> None:
        """Show another table."""
        if name != self.table:
            self._tables.setCurrentText(name)
            self._fill()

    def show_row(self, row: int | None) -> None:
        """Go to a row by its number in the table, None or one that is filtered out = to none; nothing is sent."""
        places = (self.model.rows == row).nonzero()[0] if row is not None else ()
        index = self.model.index(int(places[0]), 0) if len(places) else QModelIndex()
        flag = QItemSelectionModel.SelectionFlag
        self._quiet = True
        self.view.selectionModel().setCurrentIndex(index, flag.ClearAndSelect | flag.Rows)
        self._quiet = False
        if index.isValid():
            self.view.scrollTo(index, QAbstractItemView.ScrollHint.PositionAtCenter)

    def copy(self) -> None:
        """Copy the selected rows, all that are shown where none is, as tab-separated text."""
        chosen = sorted(index.row() for index in self.view.selectionModel().selectedRows())
        QGuiApplication.clipboard().setText(self.model.text(chosen or list(range(self.model.rowCount()))))

    def _fill(self) -> None:
        names = self.model.names
        self.model.set_table(TABLES[self.table](self._analysis) if self._analysis is not None else {})
        if self.model.names != names:
            header = self.view.horizontalHeader()
            header.blockSignals(True)
            header.setSortIndicator(-1, header.sortIndicatorOrder())
            header.blockSignals(False)
            self.view.resizeColumnsToContents()
            for column in range(self.model.columnCount()):
                self.view.setColumnWidth(column, min(self.view.columnWidth(column), WIDEST))
        self._on_filtered()

    def _on_filtered(self) -> None:
        """Filter by the line above; what cannot be read is said and leaves the rows as they are."""
        row = self.row
        try:
            self.model.keep(self._filter.text())
        except ValueError as error:
            self._count.setText(f"The filter cannot be read: {error}.")
            return
        total, shown = len(next(iter(self.model.values), ())), self.model.rowCount()
        if self._analysis is None:
            self._count.setText("No image has been analysed yet.")
        elif total == 0:
            self._count.setText(f"There are no {self.table} yet.")
        else:
            self._count.setText(f"{shown} of {total} {self.table}" if shown < total else f"{total} {self.table}")
        self.show_row(row)

    def _on_sorted(self, column: int, order: object) -> None:
        row = self.row
        self.model.sort(column, order)  # type: ignore[arg-type]
        self.show_row(row)

    def _on_table_chosen(self) -> None:
        self._fill()
        self.table_chosen.emit(self.table)

    def _on_current_changed(self, current: QModelIndex) -> None:
        if current.isValid() and not self._quiet:
            self.row_chosen.emit(int(self.model.rows[current.row()]))
