"""Petals stand where vectors point, as seen."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from stemdisp.figures.rose import PETALS, draw_rose


def drawn(uv):
    ax = Figure().add_subplot(projection="polar")
    artists = draw_rose(ax, np.array(uv, dtype=float), title="cells")
    return ax, artists[:PETALS], artists[PETALS:]


@pytest.mark.parametrize(("vector", "degrees"), [((1, 0), 0), ((0, -1), 90), ((-1, 0), 180), ((0, 1), 270)])
def test_up_is_up(vector, degrees) -> None:
    _, petals, (line,) = drawn([vector] * 3)
    heights = np.array([petal.get_height() for petal in petals])
    assert np.flatnonzero(heights).tolist() == [degrees // (360 // PETALS)]
    assert np.degrees(line.get_xdata()[1]) % 360 == pytest.approx(degrees)
    assert line.get_ydata()[1] == pytest.approx(1)


def test_areas_count_cells() -> None:
    _, petals, _ = drawn([(1, 0)] * 4 + [(0, 1)])
    heights = sorted(petal.get_height() for petal in petals)
    assert heights[-2:] == pytest.approx([0.5, 1.0])


def test_no_length_no_direction() -> None:
    ax, _, line = drawn(np.zeros((3, 2)))
    assert line == [] and "coherence" not in ax.get_title(loc="center")
