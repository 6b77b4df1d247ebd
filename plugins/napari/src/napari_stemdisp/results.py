"""Beside the canvas: the profile of the layers, directions, the chosen cell, and the tables; a click in one shows in
all."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtWidgets import QTabWidget, QWidget

from .canvas import Canvas
from .cell_view import CellView
from .directions_view import DirectionsView
from .profile_view import ProfileView
from .session import Session
from .table_view import TableView


class Results(QTabWidget):
    """Tabs that follow the session."""

    def __init__(self, session: Session, canvas: Canvas, parent: QWidget) -> None:
        super().__init__(parent)
        self.session, self.canvas = session, canvas
        self.profile, self.directions = ProfileView(self), DirectionsView(self)
        self.cell, self.tables = CellView(self), TableView(self)
        for name, widget in (
            ("Profile", self.profile),
            ("Directions", self.directions),
            ("Cell", self.cell),
            ("Tables", self.tables),
        ):
            self.addTab(widget, name)
        self.profile.layer_clicked.connect(self.show_layer)
        self.tables.row_chosen.connect(self._row)
        canvas.picked.connect(self.show_cell)
        canvas.picked_column.connect(self.show_column)
        self._due: set[QWidget] = set()
        self.currentChanged.connect(lambda: self._bring_up(self.currentWidget()))

    def show_analysis(self) -> None:
        """Show what is known now, in other tabs when they are looked at."""
        analysis = self.session.analysis
        self._due = {self.profile, self.directions, self.tables}
        self._bring_up(self.currentWidget())
        if analysis is None or analysis.cells is None:
            self.cell.clear()

    def _bring_up(self, widget: Any) -> None:
        """Have a tab show what is known now, if it does not yet."""
        if widget in self._due:
            self._due.discard(widget)
            widget.show_analysis(self.session.analysis)

    def _bring(self, widget: QWidget) -> None:
        """Show a tab, unless the user walks through a table."""
        if self.currentWidget() is not self.tables:
            self.setCurrentWidget(widget)

    def show_layer(self, layer: int) -> None:
        """Ring the cells of a layer, and show their directions."""
        analysis = self.session.analysis
        if analysis is None or analysis.interface is None:
            return
        for widget in (self.profile, self.directions):
            self._bring_up(widget)
        self.profile.mark(layer)
        self.directions.show_layer(layer)
        self.canvas.mark(analysis.interface.layer == layer)

    def show_cell(self, cell: int) -> None:
        """Show the numbers and the fit of a cell, and its layer in the profile."""
        analysis = self.session.analysis
        if analysis is None or analysis.cells is None or analysis.displacement is None:
            return
        self.cell.show_cell(analysis, cell)
        self._bring(self.cell)
        if analysis.interface is not None and analysis.interface.layer[cell] >= 0:
            self._bring_up(self.profile)
            self.profile.mark(int(analysis.interface.layer[cell]))
        self.canvas.mark(np.arange(len(analysis.cells)) == cell)

    def show_column(self, row: int) -> None:
        """Show the numbers and the fit of a column."""
        if self.session.analysis is not None:
            self.cell.show_column(self.session.analysis, row)
            self._bring(self.cell)

    def _row(self, row: int) -> None:
        """A row of a table was chosen."""
        analysis = self.session.analysis
        if analysis is None:
            return
        if self.tables.table == "cells":
            self.show_cell(row)
        elif self.tables.table == "columns":
            self.show_column(row)
        elif analysis.profile is not None and row < len(analysis.profile):
            self.show_layer(int(analysis.profile.layer[row]))
