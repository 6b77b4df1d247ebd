"""The profile of the layers in the dock: a click on a layer says which."""

from __future__ import annotations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backend_bases import MouseEvent
from qtpy.QtCore import Signal
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QWidget

from stemdisp.figures.composites import draw_layers
from stemdisp.model.analysis import Analysis

from .plot import Plot, legend_below

NEAR = 0.5
"""A click is one on a layer within this distance of it, in layers."""


def as_sentences(parts: tuple[str, ...]) -> str:
    """What an analysis says without capitals and stops, as running text."""
    return " ".join(f"{part[0].upper()}{part[1:]}{'' if part.endswith('.') else '.'}" for part in parts if part)


def why_no_layers(analysis: Analysis | None) -> str:
    """Why an analysis has no profile; empty where it has one."""
    if analysis is None:
        return "No image has been analysed yet."
    if analysis.displacement is None:
        return "Displacements have not been measured yet."
    profile = analysis.profile
    if profile is not None and np.isfinite(profile.parallel_pm).any():
        return ""
    if profile is None and analysis.sides:
        return "The layers have not been averaged yet."
    return as_sentences(analysis.left_out) or "No layer has a displacement."


class ProfileView(Plot):
    """Displacement per layer; ``layer_clicked`` gives the number of a layer that the user clicked."""

    layer_clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        self._marked: int | None = None
        self._marks: list[Artist] = []
        super().__init__(parent)
        self.canvas.mpl_connect("button_press_event", self._on_pressed)

    @property
    def marked(self) -> int | None:
        """The layer that is marked."""
        return self._marked

    def mark(self, layer: int | None) -> None:
        """Mark a layer; None = none."""
        self._marked = layer
        self._draw_mark()
        self.canvas.draw_idle()

    def show_analysis(self, analysis: Analysis | None) -> None:
        """Draw the layers of an analysis, or say why there are none."""
        rows = 1 if analysis is None else 1 + len(analysis.external[:2])
        self.canvas.setMinimumHeight(self.HEIGHT + 90 * rows)
        super().show_analysis(analysis)

    def _missing(self) -> str:
        return why_no_layers(self.shown)

    def _draw(self) -> list[Artist]:
        assert self.shown is not None
        draw_layers(self.figure, self.shown)
        legend_below(self.figure)
        self._marks = []
        return []

    def redraw(self) -> None:
        """Draw again, with the mark."""
        super().redraw()
        self._draw_mark()

    def _draw_mark(self) -> None:
        for mark in self._marks:
            if mark.figure is not None:
                mark.remove()
        self._marks = []
        analysis = self.shown
        if self._marked is None or self.sentence or analysis is None or analysis.profile is None:
            return
        if self._marked not in analysis.profile.layer:
            return
        colour = self.palette().color(QPalette.ColorRole.Highlight).getRgbF()
        for ax in self.figure.axes:
            span = {"facecolor": (*colour[:3], 0.35), "edgecolor": colour, "lw": 0.8, "zorder": 0.5}
            self._marks.append(ax.axvspan(self._marked - 0.5, self._marked + 0.5, **span))

    def _on_pressed(self, event: MouseEvent) -> None:
        analysis = self.shown
        if event.xdata is None or event.button != 1 or analysis is None or analysis.profile is None:
            return
        layers = analysis.profile.layer
        nearest = int(layers[np.abs(layers - event.xdata).argmin()])
        if abs(nearest - event.xdata) <= NEAR:
            self.layer_clicked.emit(nearest)
