"""Drawings of the core in a dock: profile and directions, in both themes."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backend_bases import MouseEvent
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QApplication, QComboBox

from napari_stemdisp.directions_view import DirectionsView
from napari_stemdisp.plot import toned
from napari_stemdisp.profile_view import ProfileView
from stemdisp.figures.style import PARALLEL_COLOUR
from stemdisp.figures.wheel import direction_colours


@pytest.fixture
def view_of(qtbot):
    def make(kind):
        view = kind()
        qtbot.addWidget(view)
        view.resize(380, 480)
        view.show()
        return view

    return make


def press(view, layer, ax=0) -> None:
    """A click of the left button at a layer."""
    axes = view.figure.axes[ax]
    x, y = axes.transData.transform((layer, np.mean(axes.get_ylim())))
    view.canvas.callbacks.process("button_press_event", MouseEvent("button_press_event", view.canvas, x, y, 1))


def has_line(view, values) -> bool:
    """Whether the upper drawing has a line through these values."""
    drawn = (np.asarray(line.get_ydata(), dtype=float) for line in view.figure.axes[0].get_lines())
    return any(np.array_equal(y, values, equal_nan=True) for y in drawn)


def choose(box: QComboBox, index: int) -> None:
    """A user's choice."""
    box.setCurrentIndex(index)
    box.activated.emit(index)


def test_the_profile_is_that_of_the_analysis(view_of, one_side) -> None:
    view = view_of(ProfileView)
    view.show_analysis(one_side)
    assert view.sentence == ""
    assert has_line(view, one_side.profile.parallel_pm)
    assert view.figure.legends and all(ax.get_legend() is None for ax in view.figure.axes)
    view.canvas.draw()
    box = view.figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= view.figure.bbox.width


def test_a_click_tells_the_layer(view_of, one_side) -> None:
    view, heard = view_of(ProfileView), []
    view.show_analysis(one_side)
    view.canvas.draw()
    view.layer_clicked.connect(heard.append)
    press(view, 3.2)
    press(view, 0, ax=1)
    assert heard == [3, 0]


def test_a_layer_is_marked_and_stays_so(view_of, one_side) -> None:
    view = view_of(ProfileView)
    view.show_analysis(one_side)
    before = len(view.figure.axes[0].patches)
    view.mark(2)
    mark = view.figure.axes[0].patches[-1]
    assert len(view.figure.axes[0].patches) == before + 1
    assert (mark.get_x(), mark.get_width()) == (1.5, 1.0)
    view.show_analysis(one_side)
    assert len(view.figure.axes[0].patches) == before + 1
    view.mark(1000)
    view.mark(None)
    assert len(view.figure.axes[0].patches) == before


def test_the_side_is_chosen_where_there_are_two(view_of, one_side, two_sides) -> None:
    view, heard = view_of(ProfileView), []
    view.side_chosen.connect(heard.append)
    box = view.findChild(QComboBox)
    view.show_analysis(one_side)
    assert not box.isVisible()
    view.show_analysis(two_sides)
    assert box.isVisible() and view.side == 0 and heard == []
    choose(box, 1)
    assert heard == [1]
    assert has_line(view, two_sides.sides[1].profile.normal_pm)
    view.show_analysis(one_side)
    assert view.side == 0


def test_what_is_missing_is_said(view_of, one_side) -> None:
    view = view_of(ProfileView)
    assert view.sentence == "No image has been analysed yet."
    view.show_analysis(one_side.having(displacement=None))
    assert view.sentence == "Displacements have not been measured yet."
    view.show_analysis(one_side.having(sides=()))
    assert view.sentence.startswith("Layers are left out: there is no interface")
    assert not view.canvas.isVisible()
    view.mark(2)
    view.show_analysis(one_side)
    assert view.canvas.isVisible()
    rose = view_of(DirectionsView)
    assert rose.sentence == "No image has been analysed yet."
    rose.show_analysis(one_side.having(displacement=None))
    assert rose.sentence == "Displacements have not been measured yet."


def test_directions_of_all_cells_and_of_a_layer(view_of, one_side) -> None:
    view, heard = view_of(DirectionsView), []
    view.show_analysis(one_side)
    view.layer_chosen.connect(heard.append)
    field, layer = one_side.displacement, one_side.interface.layer
    assert f"n = {field.valid.sum()}" in view.figure.axes[0].get_title()
    view.show_layer(1)
    assert heard == [] and view.layer == 1
    assert f"layer 1, n = {(field.valid & (layer == 1)).sum()}" in view.figure.axes[0].get_title()
    choose(view._layers, 0)
    assert heard == [None]
    view.show_layer(2)
    view.show_analysis(one_side)
    assert view.layer == 2, "stays chosen when results are renewed"
    view.show_layer(12345)
    assert view.layer is None


def test_directions_of_the_other_side(view_of, two_sides) -> None:
    view = view_of(DirectionsView)
    view.show_analysis(two_sides)
    choose(view._sides, 1)
    view.show_layer(0)
    cells = two_sides.displacement.valid & (two_sides.sides[1].interface.layer == 0)
    assert f"n = {cells.sum()}" in view.figure.axes[0].get_title()


def _palette(text: str, window: str) -> QPalette:
    palette = QPalette()
    palette.setColor(QPalette.ColorRole.WindowText, QColor(text))
    palette.setColor(QPalette.ColorRole.Window, QColor(window))
    return palette


@pytest.mark.parametrize(("text", "window"), [("#f0f1f2", "#23242b"), ("#1e1e21", "#ebe7e6")])
def test_drawings_follow_the_theme(view_of, one_side, text, window) -> None:
    view, rose = view_of(ProfileView), view_of(DirectionsView)
    for one in (view, rose):
        one.show_analysis(one_side)
        one.setPalette(_palette(text, window))
        QApplication.processEvents()
        assert one.figure.get_facecolor() == pytest.approx(to_rgba(window))
    line = view.figure.axes[0].get_lines()[0]
    assert line.get_color() == toned(to_rgba("black"), QColor(text).lightnessF(), QColor(window).lightnessF())
    petals = [one for one in rose.figure.axes[0].patches if isinstance(one, Rectangle)]
    expected = direction_colours(np.array([[1.0, 0.0]]), 1.0)[0]
    assert petals[0].get_facecolor() == pytest.approx(tuple(expected)), "petals are those of the wheel"


def test_hues_stay_when_colours_are_toned() -> None:
    *rgb, _ = toned(PARALLEL_COLOUR, 0.95, 0.15)
    assert rgb[2] > rgb[1] > rgb[0]
    assert sum(rgb) > sum(to_rgba(PARALLEL_COLOUR)[:3])
    assert toned("white", 0.95, 0.15)[:3] == (0.15, 0.15, 0.15)
