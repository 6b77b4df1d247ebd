"""Rings around what would be found, while a slider moves."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QObject, QTimer

from stemdisp import Analysis, Columns, Micrograph, Preview, StemdispError

from .canvas import Canvas
from .drawing import draw_preview
from .session import Session

REST_MS = 120
"""The rings follow when a slider rests for this long."""

MOST_COLUMNS = 20000
"""In images with more peaks, only the part in view is looked at."""


class LivePreview(QObject):
    """Looks for peaks with the present values, soon after they change."""

    def __init__(self, session: Session, canvas: Canvas, parent: QObject) -> None:
        super().__init__(parent)
        self.session, self.canvas = session, canvas
        self.on = True
        self.count = 0
        self._of: Micrograph | None = None
        self._signal = ""
        self._preview: Preview | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REST_MS)
        self._timer.timeout.connect(self.look)

    def ask(self) -> None:
        """Values changed."""
        if self.on:
            self._timer.start()

    def stop(self) -> None:
        """Look no more."""
        self._timer.stop()

    def look(self) -> None:
        """Find peaks and ring them."""
        micrograph = self.session.micrograph
        if micrograph is None:
            return
        try:
            peaks = self.peaks(micrograph)
        except StemdispError as error:
            self.session.said.emit(str(error), "error")
            return
        self.count = len(peaks)
        draw_preview(self.canvas.keeper, micrograph, peaks)
        self.session.said.emit(f"{self.count} peaks with these values; run the step to keep them.", "info")

    def peaks(self, micrograph: Micrograph) -> Columns:
        """What is found; in large images in the part in view."""
        name = Analysis(micrograph, self.session.recipe).position_signal
        if self._preview is None or self._of is not micrograph or self._signal != name:
            self._of, self._signal, self._preview = micrograph, name, Preview(micrograph.signals[name])
        window = self._window(micrograph) if self.count > MOST_COLUMNS else None
        return self._preview.peaks(self.session.recipe.find, window=window)

    def _window(self, micrograph: Micrograph) -> tuple[int, int, int, int] | None:
        """(x0, y0, x1, y1) px of the image that is in view."""
        layer = next(iter(self.canvas.keeper.signals()), None)
        if layer is None:
            return None
        ny, nx = micrograph.shape
        (top, left), (bottom, right) = np.asarray(layer.corner_pixels)[:, -2:]
        x0, y0, x1, y1 = max(int(left), 0), max(int(top), 0), min(int(right) + 1, nx), min(int(bottom) + 1, ny)
        return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
