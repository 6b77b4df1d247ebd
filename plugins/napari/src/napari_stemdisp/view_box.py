"""What the canvas shows of a map: which vectors, how long, with what beside them."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QGroupBox, QHBoxLayout, QSlider, QWidget

from .canvas import Canvas
from .side_by_side import SideBySide

LONGEST = 5.0
"""Arrows can be drawn this many times longer or shorter than usual."""


class ViewBox(QGroupBox):
    """Choices that change no number."""

    def __init__(self, canvas: Canvas, parent: QWidget) -> None:
        super().__init__("View", parent)
        self.canvas = canvas
        self.side_by_side = SideBySide(canvas)
        self.what = QComboBox(self)
        self.what.setObjectName("view_what")
        self.what.addItems(["displacement", "polarization"])
        self.what.currentTextChanged.connect(self._draw)
        self.length = QSlider(Qt.Orientation.Horizontal, self)
        self.length.setObjectName("view_length")
        self.length.setRange(-100, 100)
        self.length.setToolTip("Length of the arrows; the wheel's reference arrow follows.")
        self.length.valueChanged.connect(self._draw)
        self.errors = self._box("errors", "Ellipses of one standard deviation at the tips.")
        self.magnitude = self._box("magnitude", "Length of the vectors as a picture.")
        self.columns = self._box("columns", "Columns, coloured by site.", checked=True)
        self.bands = self._box("layers", "Cells tinted by layer; layers poor in oxygen pink.")
        self.beside = self._box("side by side", "HAADF and ABF next to each other, both with the map.")
        self.light = self._box("light image", "Images as a light background to the arrows.", checked=True)
        self.light.toggled.connect(self._draw)
        self.errors.toggled.connect(self._draw)
        self.magnitude.toggled.connect(self._draw)
        self.columns.toggled.connect(lambda on: self._show("columns", on))
        self.bands.toggled.connect(lambda on: self._show("layer bands", on))
        self.beside.toggled.connect(self.side_by_side.show)
        layout = QFormLayout(self)
        layout.addRow("Arrows", self.what)
        layout.addRow("Length", self.length)
        for some in ((self.columns, self.errors, self.magnitude), (self.bands, self.light, self.beside)):
            row = QHBoxLayout()
            for one in some:
                row.addWidget(one)
            row.addStretch(1)
            layout.addRow(row)

    def _box(self, name: str, meaning: str, *, checked: bool = False) -> QCheckBox:
        box = QCheckBox(name, self)
        box.setObjectName(f"view_{name.replace(' ', '_')}")
        box.setToolTip(meaning)
        box.setChecked(checked)
        return box

    def _draw(self, *_: object) -> None:
        view = self.canvas.view
        view.what = self.what.currentText()
        view.length = float(LONGEST ** (self.length.value() / 100))
        view.light = self.light.isChecked()
        view.errors, view.magnitude = self.errors.isChecked(), self.magnitude.isChecked()
        self.canvas.draw_map()

    def _show(self, role: str, on: bool) -> None:
        layer = self.canvas.keeper.find(role)
        if layer is not None:
            layer.visible = on
