"""The colour wheel on the canvas, judged by the pixels of screenshots."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QApplication

from napari_stemdisp.wheel import Wheel, WheelPicture
from napari_stemdisp.wheel_picture import WHEEL, Legend, written
from stemdisp.figures.wheel import direction_colours

DIRECTIONS = {"right": (1.0, 0.0), "up": (0.0, -1.0), "left": (-1.0, 0.0), "down left": (-0.7, 0.7)}


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(900, 700)
    image = np.random.default_rng(0).normal(size=(200, 200))
    viewer.add_image(image, scale=(0.02, 0.02), units=("nm", "nm"))
    viewer.canvas.overlays.scale_bar.visible = True
    QApplication.processEvents()
    return viewer


def _found(shot, colour) -> np.ndarray:
    """Pixels (row, column) of a colour."""
    return np.argwhere((np.abs(shot[..., :3].astype(int) - np.rint(np.array(colour[:3]) * 255)) <= 3).all(axis=2))


def _middle_of_wheel(viewer, shot) -> np.ndarray:
    """Place (x, y) of the wheel's middle in a screenshot, from where the layout puts it."""
    visual = viewer.window._qt_viewer.canvas._viewer_overlay_to_visual[viewer.canvas.overlays["stemdisp_wheel"]][0]
    ratio = shot.shape[1] / viewer.window._qt_viewer.canvas.size[1]
    corner = np.asarray(visual.node.transform.translate[:2])
    return (corner + np.array([visual.x_size / 2, WHEEL / 2])) * ratio


@pytest.mark.parametrize("corner", ["bottom_right", "top_left"])
def test_a_direction_has_its_colour_where_it_points(viewer, corner) -> None:
    wheel = Wheel(viewer)
    assert wheel.works and not wheel.visible
    wheel.show(20, "pm")
    wheel.position = corner
    shot = viewer.screenshot(canvas_only=True, flash=False)
    middle = _middle_of_wheel(viewer, shot)
    assert (middle[0] > shot.shape[1] / 2) == (corner == "bottom_right")
    for name, way in DIRECTIONS.items():
        uv = np.array(way) / np.hypot(*way) * 0.8
        x, y = np.rint(middle + uv * WHEEL / 2).astype(int)
        expected = direction_colours(uv[None], 1.0)[0, :3] * 255
        assert np.abs(shot[y, x, :3] - expected).max() < 12, name


def test_it_hides_no_scale_bar(viewer) -> None:
    before = viewer.screenshot(canvas_only=True, flash=False).astype(int)
    wheel = Wheel(viewer)
    wheel.show(20, "pm", arrow_px=1.5)
    shown = viewer.screenshot(canvas_only=True, flash=False).astype(int)
    canvas = viewer.window._qt_viewer.canvas
    overlays = viewer.canvas.overlays
    own, bar = (canvas._viewer_overlay_to_visual[overlays[name]][0] for name in ("stemdisp_wheel", "scale_bar"))
    boxes = [(*one.node.transform.translate[:2], one.x_size, one.y_size) for one in (own, bar)]
    (_, y0, _, h0), (_, y1, _, h1) = boxes
    assert y0 + h0 <= y1 or y1 + h1 <= y0, "one above the other"
    wheel.hide()
    assert np.abs(viewer.screenshot(canvas_only=True, flash=False).astype(int) - before).max() <= 2
    assert np.abs(shown - before).max() > 50


def test_it_stays_through_themes_and_without_layers(viewer) -> None:
    wheel = Wheel(viewer)
    wheel.show(40, "uC/cm2", arrow_px=1.0)
    colour = direction_colours(np.array([[0.9, 0.0]]), 1.0)[0]
    for theme in ("light", "dark"):
        viewer.theme = theme
        QApplication.processEvents()
        assert len(_found(viewer.screenshot(canvas_only=True, flash=False), colour)) > 3
    viewer.layers.clear()
    QApplication.processEvents()
    assert len(_found(viewer.screenshot(canvas_only=True, flash=False), colour)) > 3
    viewer.add_image(np.zeros((50, 50)))
    viewer.scene.camera.zoom *= 2
    QApplication.processEvents()
    assert len(_found(viewer.screenshot(canvas_only=True, flash=False), colour)) > 3


def test_exported_figures_have_it(viewer) -> None:
    Wheel(viewer).show(20, "pm", arrow_px=1.0)
    figure = viewer.export_figure(flash=False)
    assert len(_found(figure, direction_colours(np.array([[0.9, 0.0]]), 1.0)[0])) > 3


def test_a_second_wheel_is_the_same(viewer) -> None:
    first, second = Wheel(viewer), Wheel(viewer)
    first.show(20, "pm")
    assert second.visible
    second.hide()
    assert not first.visible


def test_the_arrow_is_as_long_as_the_map_draws_it(viewer) -> None:
    wheel = Wheel(viewer)
    wheel.show(20, "pm", arrow_px=2.0)
    canvas = viewer.window._qt_viewer.canvas
    visual = canvas._viewer_overlay_to_visual[viewer.canvas.overlays["stemdisp_wheel"]][0]
    labels = []
    for zoom in (100, 400, 1600):
        viewer.scene.camera.zoom = zoom
        length, label = visual._legend().arrow
        number, unit = label.split()
        assert length == pytest.approx(float(number) * 2.0 * 0.02 * zoom)
        assert unit == "pm" and 30 < length <= 90
        labels.append(label)
    assert labels == ["20 pm", "5 pm", "1 pm"]


def test_where_the_canvas_has_no_place_the_panel_is_told(viewer, monkeypatch) -> None:
    monkeypatch.setattr("napari_stemdisp.wheel.FOUND", False)
    wheel = Wheel(viewer)
    assert not wheel.works
    wheel.show(20, "pm")
    wheel.position = "top_left"
    wheel.hide()
    assert not wheel.visible


def test_a_picture_shows_the_same_in_the_dock(qtbot) -> None:
    picture = WheelPicture()
    qtbot.addWidget(picture)
    assert picture.sizeHint().height() == 0
    picture.show_wheel(40, "uC/cm2")
    picture.resize(380, picture.sizeHint().height())
    picture.show()
    image = picture.grab().toImage()
    uv = np.array([0.0, -0.8])
    seen = image.pixelColor(190, int(WHEEL / 2 + uv[1] * WHEEL / 2))
    expected = direction_colours(uv[None], 1.0)[0, :3] * 255
    assert np.abs(np.array([seen.red(), seen.green(), seen.blue()]) - expected).max() < 12
    assert "40 µC/cm²" in picture.toolTip()
    picture.clear()
    assert picture.sizeHint().height() == 0


def test_labels_are_of_the_field(qtbot) -> None:
    assert written(20.0, "pm") == "20 pm"
    assert written(12.5, "uC/cm2") == "12.5 µC/cm²"
    legend = Legend(20, "pm", 3.0, "(K against Ta)")
    length, label = legend.arrow
    assert (length, label) == (60.0, "20 pm (K against Ta)")
    assert legend.picture(QColor("white")).shape[2] == 4
