"""A drawing of the core in a dock: in the colours of the theme, as wide as the dock, with a sentence where there is
nothing to draw."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtGui import QColor, QPalette, QWheelEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from stemdisp.figures.style import STYLE
from stemdisp.model.analysis import Analysis

from .editors import StillComboBox

Colour = tuple[float, float, float, float]

SIDES = ("this side of the interface", "beyond the interface")

LEGEND_COLUMNS, LEGEND_LINE = 2, 28
"""Columns of a legend under a figure, and letters of a line in them."""


def toned(colour: Any, ink: float, paper: float) -> Colour:
    """A colour meant for black ink on white paper on a theme whose text and background have these lightnesses: hue and
    saturation stay.

    >>> toned("black", 0.9, 0.1)[:3], toned("white", 0.9, 0.1)[:3]
    ((0.9, 0.9, 0.9), (0.1, 0.1, 0.1))
    """
    *rgb, alpha = to_rgba(colour)
    hue, lightness, saturation = colorsys.rgb_to_hls(*rgb)
    r, g, b = (round(part, 9) for part in colorsys.hls_to_rgb(hue, ink + (paper - ink) * lightness, saturation))
    return r, g, b, alpha


def _tone(artist: Artist, ink: float, paper: float) -> None:
    """Give one artist the theme's colours."""

    def of(colour: Any) -> Any:
        return colour if isinstance(colour, str) and colour == "none" else toned(colour, ink, paper)

    if isinstance(artist, Line2D):
        face, edge = artist.get_markerfacecolor(), artist.get_markeredgecolor()
        artist.set_color(of(artist.get_color()))
        artist.set_markerfacecolor(of(face))
        artist.set_markeredgecolor(of(edge))
    elif isinstance(artist, Patch):
        face, edge = artist.get_facecolor(), artist.get_edgecolor()
        artist.set_facecolor(of(face))
        artist.set_edgecolor(of(edge))
    elif isinstance(artist, Collection):
        faces, edges = np.asarray(artist.get_facecolor()), np.asarray(artist.get_edgecolor())
        artist.set_facecolor([of(one) for one in faces])
        artist.set_edgecolor([of(one) for one in edges])
    elif isinstance(artist, Text):
        artist.set_color(of(artist.get_color()))


def follow_theme(figure: Figure, text: QColor, window: QColor, *, keep: Iterable[Artist] = ()) -> None:
    """Draw a figure in the colours of a theme; artists to ``keep`` have colours that mean something."""
    ink, paper, kept = text.lightnessF(), window.lightnessF(), {id(one) for one in keep}
    for artist in figure.findobj():
        if id(artist) not in kept:
            _tone(artist, ink, paper)
    figure.set_facecolor(window.getRgbF())
    for ax in figure.axes:
        ax.set_facecolor(window.getRgbF())
        for one in (ax, *ax.child_axes):
            one.tick_params(colors=text.getRgbF())


def legend_below(figure: Figure) -> None:
    """Put the legends of all axes under the figure: beside it a dock has no room."""
    handles: dict[str, Artist] = {}
    for ax in figure.axes:
        legend = ax.get_legend()
        if legend is not None:
            told = (" ".join(text.get_text().split()).replace(" %", "\u00a0%") for text in legend.get_texts())
            handles |= {label: one for label, one in zip(told, legend.legend_handles, strict=True) if one}
            legend.remove()
    if handles:
        columns = {"ncols": LEGEND_COLUMNS, "columnspacing": 1.0, "handlelength": 1.6}
        labels = ["\n".join(wrap(label, LEGEND_LINE)) for label in handles]
        legend = figure.legend(handles.values(), labels, loc="outside lower left", **columns)
        for text in legend.get_texts():
            text.set_parse_math(False)


class Canvas(FigureCanvasQTAgg):
    """A canvas that leaves the mouse wheel to the scroll area around it."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the scroll area."""
        event.ignore()


class Plot(QWidget):
    """A canvas, above it the side of the interface where there are two; or a sentence in its place.

    ``side_chosen`` is sent when the user chose another side.
    """

    HEIGHT = 300
    """Height of the drawing in px of the screen."""

    side_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._analysis: Analysis | None = None
        self.figure = Figure(layout="constrained")
        self.canvas = Canvas(self.figure)
        self.canvas.setMinimumSize(200, self.HEIGHT)
        self.canvas.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._told = QLabel()
        self._told.setWordWrap(True)
        self._told.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._sides = StillComboBox()
        self._sides.addItems(list(SIDES))
        self._sides.activated.connect(self._on_side_chosen)
        self._choices = QHBoxLayout()
        self._choices.addWidget(self._sides, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self._choices)
        column.addWidget(self._told)
        column.addWidget(self.canvas, 1)
        self.show_analysis(None)

    @property
    def sentence(self) -> str:
        """What stands in place of the drawing; empty where there is one."""
        return self._told.text()

    @property
    def side(self) -> int:
        """The side of the interface that is shown."""
        return self._sides.currentIndex()

    @property
    def shown(self) -> Analysis | None:
        """The analysis as the side that is shown has it."""
        analysis = self._analysis
        return analysis.of_side(self.side) if analysis is not None and len(analysis.sides) > 1 else analysis

    def show_analysis(self, analysis: Analysis | None) -> None:
        """Draw an analysis, as far as it came; None = nothing is known."""
        self._analysis = analysis
        two = analysis is not None and len(analysis.sides) > 1
        if not two:
            self._sides.setCurrentIndex(0)
        self._sides.setVisible(two)
        self.redraw()

    def redraw(self) -> None:
        """Draw again, as after a change of the theme."""
        self.figure.clear()
        kept, sentence = [], self._missing()
        if not sentence:
            with rc_context(STYLE):
                kept = self._draw()
        self._told.setText(sentence)
        self._told.setVisible(bool(sentence))
        self.canvas.setVisible(not sentence)
        palette = self.palette()
        text, window = palette.color(QPalette.ColorRole.WindowText), palette.color(QPalette.ColorRole.Window)
        follow_theme(self.figure, text, window, keep=kept)
        self._themed = text, window
        self.canvas.draw_idle()

    def _missing(self) -> str:
        """Why there is nothing to draw; empty where there is."""
        raise NotImplementedError

    def _draw(self) -> list[Artist]:
        """Draw ``shown`` into the empty figure; artists that keep their colours."""
        raise NotImplementedError

    def _on_side_chosen(self, side: int) -> None:
        self.redraw()
        self.side_chosen.emit(side)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange) and hasattr(self, "_themed"):
            palette = self.palette()
            if self._themed != (palette.color(QPalette.ColorRole.WindowText), palette.color(QPalette.ColorRole.Window)):
                self.redraw()
