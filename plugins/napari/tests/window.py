"""A viewer with the panel in it, and hands: what the tests in a real window share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari.layers import Image
from napari.viewer import Viewer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QPushButton, QWidget

from napari_stemdisp.panel import Panel
from napari_stemdisp.reader import layers_of
from stemdisp import Micrograph

LONG_MS = 60_000
"""Longer than any run of the small image takes on a busy machine."""


@dataclass
class Window:
    """A viewer with the panel in it, and hands."""

    viewer: Viewer
    panel: Panel
    qtbot: Any

    def open(self, micrograph: Micrograph) -> None:
        for data, meta, _ in layers_of(micrograph):
            self.viewer.add_layer(Image(data, **meta))
        self.rest()

    def click(self, name: str, of: type[QWidget] = QPushButton) -> None:
        button = self.panel.findChild(of, name)
        assert button is not None, name
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def wait(self) -> None:
        """Until nothing runs and nothing is due."""
        self.rest()
        self.qtbot.waitUntil(lambda: not self.panel.runner.busy and not self.panel._rest.isActive(), timeout=LONG_MS)
        self.rest()

    def rest(self) -> None:
        for _ in range(5):
            QApplication.processEvents()

    def run(self) -> None:
        """Run all steps by the button."""
        self.panel.run_all.setVisible(True)
        self.click("run_all")
        self.wait()

    @property
    def said(self) -> str:
        return self.panel.status.text()

    def layer(self, role: str) -> Any:
        return self.panel.canvas.keeper.find(role)
