"""Curves through points, between points, and distances from chains."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import Polynomial

from stemdisp.fitting.curve import distance_from, dividing_curve, height_over, smooth_curve


def test_a_parabola_among_strays_is_found() -> None:
    along = np.linspace(-50, 50, 40)
    across = 3 + 0.1 * along + 0.01 * along**2
    across[::8] += 60
    curve, near = smooth_curve(along, across, 2.0)
    assert near.sum() == 35
    np.testing.assert_allclose(curve(along[near]), across[near], atol=0.1)


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_a_curve_is_put_half_way_between_rows(slope) -> None:
    """Rows of places one apart, of which those below a sloping line are inner ones."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(-40.0, 41.0), np.arange(-10.0, 11.0)))
    places, line = np.stack([x, y], axis=1), 0.4 + slope * x
    below = y < line
    start = Polynomial([1.5, 36 * slope], [-40, 40], [-1, 1])
    curve = dividing_curve(start, places[below], places[~below], 0.3)
    expected = line if slope else np.full(len(x), 0.5)
    assert np.abs(curve(x) - expected).max() < 0.15


def test_height_and_distance_of_a_chain() -> None:
    chain = np.array([[0.0, 0.0], [2.0, 2.0], [4.0, 0.0]])
    np.testing.assert_allclose(height_over(chain, np.array([-1.0, 1.0, 3.0, 5.0])), [-1, 1, 1, -1])
    places = np.array([[2.0, 3.0], [0.0, 2.0], [6.0, 0.0]])
    np.testing.assert_allclose(distance_from(chain, places), [1.0, 2**0.5, 2.0])
