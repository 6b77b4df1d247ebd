"""A real mouse on the canvas: columns added and chosen, the interface dragged; and what its pixels show."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from window import LONG_MS, Window

from stemdisp import Micrograph
from stemdisp.figures.wheel import direction_colours


def on_canvas(window: Window, layer: Any, xy: np.ndarray) -> QPoint:
    """Where a point (x, y) px of the image is on the canvas."""
    world = np.asarray(layer.data_to_world(xy[::-1]))[-2:]
    camera, canvas = window.viewer.scene.camera, window.viewer.window._qt_viewer.canvas.native
    y, x = (world - np.asarray(camera.center)[-2:]) * camera.zoom
    return QPoint(round(canvas.width() / 2 + x), round(canvas.height() / 2 + y))


def drag(canvas: Any, place: QPoint) -> None:
    """Move the mouse with its left button held down, which QTest.mouseMove lets go."""
    moved, left = QEvent.Type.MouseMove, Qt.MouseButton.LeftButton
    where, on_screen = QPointF(place), QPointF(canvas.mapToGlobal(place))
    event = QMouseEvent(moved, where, on_screen, Qt.MouseButton.NoButton, left, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(canvas, event)


def test_a_click_in_add_mode_adds_a_column(window: Window, small: Micrograph) -> None:
    """Where one was taken out by hand and is wanted back, the entry is one of the recipe."""
    window.open(small)
    window.run()
    analysis = window.panel.session.analysis
    assert analysis and analysis.columns
    layer = window.layer("columns")
    window.viewer.layers.selection.active = layer
    layer.mode = "add"
    window.rest()
    # Beyond the last plane of the crystal there is a place of the lattice that no column was listed at.
    lattice = analysis.lattice
    ta = analysis.columns.of_site("Ta")
    top = analysis.columns.hk[ta][analysis.columns.xy[ta][:, 1].argmin()]
    normal = analysis.interface.normal
    step = max(((1, 0), (-1, 0), (0, 1), (0, -1)), key=lambda hk: float(np.array(hk) @ lattice.cell @ normal))
    place = lattice.position(np.array([top + step]), np.array([lattice.motif.site("Ta")]))[0]
    before = len(analysis.columns)
    canvas = window.viewer.window._qt_viewer.canvas.native
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, on_canvas(window, layer, place))
    window.wait()
    assert [entry.action for entry in window.panel.session.recipe.edits] == ["add"], window.said
    assert len(window.panel.session.analysis.columns) == before + 1 == len(layer.data)


def test_a_click_on_a_cell_shows_its_numbers(window: Window, small: Micrograph) -> None:
    window.open(small)
    window.run()
    analysis = window.panel.session.analysis
    assert analysis and analysis.cells
    cell = int(np.flatnonzero(analysis.displacement.valid)[5])
    layer = window.panel.canvas.keeper.signals()[0]
    window.viewer.layers.selection.active = layer
    chosen: list[int] = []
    window.panel.canvas.picked.connect(chosen.append)
    canvas = window.viewer.window._qt_viewer.canvas.native
    place = on_canvas(window, layer, analysis.cells.xy[cell])
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
    window.rest()
    assert chosen == [cell] and window.layer("marks").visible


def test_the_interface_is_dragged(window: Window, small: Micrograph) -> None:
    window.open(small)
    window.run()
    before = window.panel.session.analysis
    layer = window.layer("interface")
    window.viewer.layers.selection.active = layer
    layer.mode = "select"
    window.rest()
    line = np.array(layer.data[0])[:, ::-1]
    start = line[0] + 0.3 * (line[1] - line[0])  # handles stand at the ends and half-way
    canvas = window.viewer.window._qt_viewer.canvas.native
    places = [on_canvas(window, layer, start + [0.0, down]) for down in (0, 5, 15, 30)]
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QTest.mouseClick(canvas, left, none, places[0])
    window.rest()
    QTest.mousePress(canvas, left, none, places[0])
    for place in places[1:]:
        drag(canvas, place)
        window.rest()
    QTest.mouseRelease(canvas, left, none, places[-1])
    window.qtbot.waitUntil(lambda: bool(window.panel.session.recipe.interfaces), timeout=LONG_MS)
    window.wait()
    now = window.panel.session.analysis
    assert now and before and now.interface.layer.max() < before.interface.layer.max()


def test_colours_of_arrows_are_those_of_the_wheel(window: Window, small: Micrograph) -> None:
    """The mean arrow of the outermost layer points to the right, and has the colour of the wheel's right."""
    window.open(small)
    window.run()
    for name in ("view_columns", "view_layers"):
        box = window.panel.view_box.findChild(type(window.panel.view_box.columns), name)
        box.setChecked(False)
    arrows = window.layer("displacement")
    outermost = np.asarray(arrows.features["layer"]) == 0
    colours = np.asarray(arrows.edge_color)[outermost]
    right = direction_colours(np.array([[1.0, 0.0]]), 1.0)[0]
    assert np.abs(colours[:, :3].mean(axis=0) - right[:3]).max() < 0.12
    shot = window.viewer.screenshot(canvas_only=True, flash=False)
    away = np.abs(shot[..., :3] / 255 - colours[:, :3].mean(axis=0)).max(axis=-1)
    # Drawn as arrows, and once more in the wheel.
    assert (away < 0.06).sum() > 200
    assert shot[..., :3].std() > 10


def test_light_and_dark(window: Window, small: Micrograph) -> None:
    window.open(small)
    window.run()
    for theme in ("light", "dark"):
        window.viewer.theme = theme
        window.rest()
        shot = window.viewer.screenshot(canvas_only=False, flash=False)
        grey = shot[100:600, -200:, :3].mean()
        assert (grey > 128) == (theme == "light")
