"""The picture that explains the arrows: a wheel of direction colours with the length of its rim, and an arrow of known
length."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QFontMetricsF, QGuiApplication, QImage, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from stemdisp.figures.scalebar import round_length
from stemdisp.figures.wheel import direction_colours

WHEEL = 92
"""Diameter of the wheel in px of the screen."""

GAP, HEAD = 4, 7
"""Space between parts, and length of the arrow's head, in px of the screen."""

LONGEST_ARROW = 90.0
"""The reference arrow is the longest of a round length that does not exceed this, in px of the screen."""

FINE = 2
"""Pixels of the picture per px of the screen: sharp on fine screens too."""

UNITS = {"uC/cm2": "µC/cm²"}
"""Units as a reader writes them, where a table spells them in ASCII."""


def written(length: float, unit: str) -> str:
    """A length with its unit.

    >>> written(40.0, "uC/cm2")
    '40 µC/cm²'
    """
    return f"{length:.3g} {UNITS.get(unit, unit)}"


@cache
def _disc(side: int) -> NDArray[np.uint8]:
    """(side, side, 4) RGBA: in every pixel the colour of a vector from the middle to there; clear outside."""
    axis = (np.arange(side) + 0.5) / (side / 2) - 1
    right, down = np.meshgrid(axis, axis)
    colours = direction_colours(np.stack([right.ravel(), down.ravel()], axis=1), 1.0).reshape(side, side, 4)
    colours[..., 3] = np.clip((1 - np.hypot(right, down)) * side / 2 + 0.5, 0, 1)
    return np.ascontiguousarray(np.rint(colours * 255).astype(np.uint8))


class Legend:
    """What the picture shows, and how large that is.

    Parameters
    ----------
    full, unit
        Length at the rim.
    arrow_px
        Px of the screen that an arrow of one ``unit`` takes, None = no reference arrow.
    arrow_label
        Words after the arrow's length.
    """

    def __init__(self, full: float, unit: str, arrow_px: float | None = None, arrow_label: str = "") -> None:
        self.full, self.unit, self.arrow_label = full, unit, arrow_label
        self.arrow_px = arrow_px if arrow_px and np.isfinite(arrow_px) and arrow_px > 0 else None
        font = QGuiApplication.font()
        font.setPixelSize(12)
        self.font = font

    @property
    def rim(self) -> str:
        """The label of the rim."""
        return f"rim {written(self.full, self.unit)}"

    @property
    def arrow(self) -> tuple[float, str] | None:
        """Length of the reference arrow in px of the screen, and its label."""
        if self.arrow_px is None:
            return None
        length = round_length(LONGEST_ARROW / self.arrow_px)
        return length * self.arrow_px, f"{written(length, self.unit)} {self.arrow_label}".rstrip()

    def _lines(self) -> list[str]:
        return [self.rim, *([self.arrow[1]] if self.arrow else [])]

    def size(self) -> QSize:
        """Width and height in px of the screen."""
        metrics = QFontMetricsF(self.font)
        width = max(WHEEL, *(metrics.horizontalAdvance(line) for line in self._lines()))
        height = WHEEL + GAP + metrics.height()
        if self.arrow:
            height += 2 * GAP + HEAD + metrics.height()
        return QSize(int(np.ceil(width)) + 2, int(np.ceil(height)))

    def paint(self, painter: QPainter, ink: QColor) -> None:
        """Draw it at the painter's origin; writing and arrow in ``ink``."""
        painter.setRenderHints(
            QPainter.RenderHint.Antialiasing
            | QPainter.RenderHint.SmoothPixmapTransform
            | QPainter.RenderHint.TextAntialiasing
        )
        width, metrics = self.size().width(), QFontMetricsF(self.font)
        side = WHEEL * FINE
        disc = QImage(_disc(side).tobytes(), side, side, 4 * side, QImage.Format.Format_RGBA8888)
        painter.drawImage(QRectF((width - WHEEL) / 2, 0, WHEEL, WHEEL), disc)
        painter.setFont(self.font)
        painter.setPen(QPen(ink, 1.0))
        middle, across = Qt.AlignmentFlag.AlignCenter, WHEEL / 2
        # The radius that the label measures, from the middle to the rim below.
        painter.drawLine(QPointF(width / 2, across), QPointF(width / 2, WHEEL))
        painter.drawEllipse(QPointF(width / 2, across), across - 0.5, across - 0.5)
        top = WHEEL + GAP
        painter.drawText(QRectF(0, top, width, metrics.height()), middle, self.rim)
        if self.arrow:
            length, label = self.arrow
            top += metrics.height() + GAP
            self._paint_arrow(painter, ink, QPointF((width - length) / 2, top + HEAD / 2), length)
            painter.drawText(QRectF(0, top + HEAD + GAP, width, metrics.height()), middle, label)

    def _paint_arrow(self, painter: QPainter, ink: QColor, start: QPointF, length: float) -> None:
        tip = QPointF(start.x() + length, start.y())
        head = min(HEAD, length)
        painter.setPen(QPen(ink, 1.6))
        painter.drawLine(start, QPointF(tip.x() - head / 2, tip.y()))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ink)
        half = head / 2
        corners = [tip, QPointF(tip.x() - head, tip.y() - half), QPointF(tip.x() - head, tip.y() + half)]
        painter.drawPolygon(QPolygonF(corners))
        painter.setPen(QPen(ink, 1.0))
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def picture(self, ink: QColor) -> NDArray[np.uint8]:
        """(ny, nx, 4) RGBA, clear where nothing is drawn, ``FINE`` pixels per px of the screen."""
        size = self.size() * FINE
        image = QImage(size, QImage.Format.Format_RGBA8888_Premultiplied)
        image.fill(Qt.GlobalColor.transparent)
        painter = QPainter(image)
        painter.scale(FINE, FINE)
        self.paint(painter, ink)
        painter.end()
        image = image.convertToFormat(QImage.Format.Format_RGBA8888)
        bits = image.constBits()
        if hasattr(bits, "setsize"):  # PyQt; PySide knows the size
            bits.setsize(image.sizeInBytes())
        rows = np.frombuffer(bits, dtype=np.uint8).reshape(size.height(), image.bytesPerLine())
        return rows[:, : 4 * size.width()].reshape(size.height(), size.width(), 4).copy()


class WheelPicture(QWidget):
    """The same picture in a dock, where the canvas cannot show it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._legend: Legend | None = None
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def show_wheel(self, full: float, unit: str) -> None:
        """Show the wheel of a map whose purest colours are vectors of length ``full``."""
        self._legend = Legend(full, unit)
        self.setToolTip(f"Colour is direction, the purer the longer: full colour from {written(full, unit)} on.")
        self.updateGeometry()
        self.update()

    def clear(self) -> None:
        """Show nothing."""
        self._legend = None
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """As large as the wheel and its label."""
        return self._legend.size() if self._legend else QSize(0, 0)

    def minimumSizeHint(self) -> QSize:
        """The same: it is not drawn smaller."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the wheel in the middle, in the theme's colour of text."""
        if self._legend is None:
            return
        painter = QPainter(self)
        painter.translate((self.width() - self._legend.size().width()) / 2, 0)
        self._legend.paint(painter, self.palette().color(QPalette.ColorRole.WindowText))
        painter.end()
