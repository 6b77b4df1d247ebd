"""The directions of displacements in the dock: a polar histogram of all cells or of one layer."""

from __future__ import annotations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QWidget

from stemdisp.figures.rose import draw_rose
from stemdisp.model.analysis import Analysis

from .editors import StillComboBox
from .plot import Plot

ALL = "all cells"


class DirectionsView(Plot):
    """Directions as petals; ``layer_chosen`` is sent when the user chose a layer (None = all cells)."""

    layer_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        self._layers = StillComboBox()
        super().__init__(parent)
        self._choices.addWidget(self._layers, 1)
        self._layers.activated.connect(self._on_layer_chosen)

    @property
    def layer(self) -> int | None:
        """The layer that is shown, None = all cells."""
        chosen = self._layers.currentData()
        return None if chosen is None else int(chosen)

    def show_layer(self, layer: int | None) -> None:
        """Show one layer, None or one without cells = all cells."""
        with QSignalBlocker(self._layers):
            self._layers.setCurrentIndex(max(0, self._layers.findData(layer)))
        self.redraw()

    def show_analysis(self, analysis: Analysis | None) -> None:
        """Draw the directions of an analysis, of the layer chosen before where it still exists."""
        before = self.layer
        super().show_analysis(analysis)
        self._list_layers()
        self.show_layer(before)

    def _list_layers(self) -> None:
        """Offer the layers of the side that is shown, outermost first."""
        analysis = self.shown
        with QSignalBlocker(self._layers):
            self._layers.clear()
            self._layers.addItem(ALL, None)
            if analysis is not None and analysis.interface is not None and analysis.displacement is not None:
                for layer in analysis.interface.layers_of(analysis.displacement.valid):
                    self._layers.addItem(f"layer {layer}", int(layer))
        self._layers.setVisible(self._layers.count() > 1)

    def _cells(self) -> NDArray[np.bool_]:
        """Cells of the chosen layer that have a displacement."""
        analysis = self.shown
        assert analysis is not None and analysis.displacement is not None
        valid = analysis.displacement.valid
        if self.layer is None or analysis.interface is None:
            return valid
        return valid & (analysis.interface.layer == self.layer)

    def _missing(self) -> str:
        analysis = self.shown
        if analysis is None:
            return "No image has been analysed yet."
        if analysis.displacement is None:
            return "Displacements have not been measured yet."
        if not analysis.displacement.valid.any():
            return "No cell has a displacement: every one misses a column of its own or of its reference."
        return ""

    def _draw(self) -> list[Artist]:
        assert self.shown is not None and self.shown.displacement is not None
        ax = self.figure.add_subplot(projection="polar")
        name = ALL if self.layer is None else f"layer {self.layer}"
        drawn = draw_rose(ax, self.shown.displacement.uv[self._cells()], title=name)
        # The petals have the colours of the wheel in every theme.
        return [one for one in drawn if isinstance(one, Rectangle)]

    def _on_side_chosen(self, side: int) -> None:
        self._list_layers()
        super()._on_side_chosen(side)

    def _on_layer_chosen(self) -> None:
        self.redraw()
        self.layer_chosen.emit(self.layer)
