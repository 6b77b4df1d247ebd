"""The panel is closed by its cross, and opened again from the menu: nothing is lost."""

from __future__ import annotations

from typing import Any

from napari.layers import Image
from qtpy.QtWidgets import QApplication
from window import Window

from napari_stemdisp.panel import Panel
from napari_stemdisp.reader import layers_of

MENU = "napari-stemdisp"


def opened(viewer: Any, qtbot: Any) -> tuple[Any, Window]:
    """The dock and the panel that the menu opens."""
    dock, panel = viewer.window.add_plugin_dock_widget(MENU)
    assert isinstance(panel, Panel)
    found = Window(viewer, panel, qtbot)
    found.wait()
    return dock, found


def closed(dock: Any) -> None:
    """Press the cross."""
    dock.title.close_button.click()
    QApplication.processEvents()


def test_the_next_panel_goes_on_where_the_last_was_closed(make_napari_viewer, qtbot, analysis) -> None:
    viewer = make_napari_viewer(show=True)
    dock, window = opened(viewer, qtbot)
    window.open(analysis.micrograph)
    window.run()
    session = window.panel.session
    session.set_value("layers", "minimum_cells", 4)
    window.wait()
    layers, found = [layer.name for layer in viewer.layers], session.analysis
    assert session.unsaved
    closed(dock)
    assert window.panel.parent() is None
    _, again = opened(viewer, qtbot)
    assert again.panel is not window.panel
    assert again.panel.session.analysis is found
    assert again.panel.session.unsaved
    assert [layer.name for layer in viewer.layers] == layers
    assert "then run the steps" not in again.said
    again.panel.undo()
    again.wait()
    assert again.panel.session.recipe.layers.minimum_cells == 3
    assert again.panel.session.analysis is not found
    assert session.analysis is found, "the closed panel listens no longer"
    assert not any("draft" in (layer.metadata.get("stemdisp") or {}) for layer in viewer.layers)


def test_a_panel_closed_while_it_runs_leaves_the_image(make_napari_viewer, qtbot, analysis) -> None:
    viewer = make_napari_viewer(show=True)
    dock, window = opened(viewer, qtbot)
    window.open(analysis.micrograph)
    window.panel.run("polarization")
    closed(dock)
    qtbot.waitUntil(lambda: not window.panel.runner.busy, timeout=10_000)
    _, again = opened(viewer, qtbot)
    again.run()
    assert again.panel.session.analysis is not None
    assert again.panel.session.analysis.profile is not None


def test_without_an_image_it_just_goes(make_napari_viewer, qtbot, analysis) -> None:
    viewer = make_napari_viewer(show=True)
    dock, _ = opened(viewer, qtbot)
    closed(dock)
    for data, meta, _ in layers_of(analysis.micrograph):
        viewer.add_layer(Image(data, **meta))
    _, again = opened(viewer, qtbot)
    assert again.panel.session.shown is analysis.micrograph
