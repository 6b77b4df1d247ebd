"""The wheel has the true orientation: on the screen, in pixels."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from stemdisp.figures.wheel import direction_colours, draw_wheel

# direction on the screen -> vector in data (y down) and place on a rendered picture (rows count down)
DIRECTIONS = {"right": (1, 0), "up": (0, -1), "left": (-1, 0), "down": (0, 1)}


def render(figure: Figure) -> np.ndarray:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3] / 255


def wheel_picture() -> np.ndarray:
    figure = Figure(figsize=(3, 3), dpi=100)
    draw_wheel(figure.add_axes((0, 0, 1, 1)), 20.0, "pm")
    return render(figure)


@pytest.mark.parametrize("name", DIRECTIONS)
def test_the_wheel_shows_the_colour_of_an_arrow_where_the_arrow_points(name):
    x, y = DIRECTIONS[name]
    picture = wheel_picture()
    centre = picture.shape[0] / 2
    shown = picture[int(centre + 0.9 * centre * y), int(centre + 0.9 * centre * x)]
    arrow = direction_colours(np.array([[0.9 * 20.0 * x, 0.9 * 20.0 * y]], dtype=float), 20.0)[0, :3]
    assert np.abs(shown - arrow).max() < 0.04


def test_the_four_directions_are_told_apart():
    colours = direction_colours(np.array(list(DIRECTIONS.values()), dtype=float), 1.0)[:, :3]
    for i in range(4):
        for j in range(i):
            assert np.abs(colours[i] - colours[j]).max() > 0.15


def test_a_rendered_arrow_to_the_right_has_the_wheels_right_hand_colour(kto):
    from dataclasses import replace

    from stemdisp.figures.vectors import draw_vectors

    field = kto.displacement
    uv = np.tile([15.0, 0.0], (len(field), 1))
    right = replace(field, uv=uv, significant=np.ones(len(field), dtype=bool))
    figure = Figure(figsize=(7, 5), dpi=150, layout="constrained")
    ax = figure.subplots()
    drawn = draw_vectors(ax, kto.micrograph, right, interfaces=(kto.interface,))
    picture = render(figure)
    row = int(np.flatnonzero(field.valid & (field.xy[:, 0] > 100))[0])
    # the middle of the shaft: a third of the arrow from its tail
    tail = field.xy[row]
    x, y = ax.transData.transform((tail[0] + 0.3 * 15.0 * drawn.px_per_unit, tail[1]))
    shaft = picture[picture.shape[0] - 1 - int(y), int(x)]
    wheel = drawn.wheel[0].axes
    x, y = wheel.transData.transform((15.0 / drawn.full, 0.0))
    rim = picture[picture.shape[0] - 1 - int(y), int(x) - 2]
    assert np.abs(shaft - rim).max() < 0.06


def test_short_vectors_are_greyer_and_zero_is_drawn():
    colours = direction_colours(np.array([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0]]), 10.0)[:, :3]
    spread = colours.max(axis=1) - colours.min(axis=1)
    assert np.isfinite(colours).all() and spread[1] < spread[2]
