"""Columns that are maxima of their own, and those that are shoulders of a brighter neighbour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemdisp.fitting.profile import Shape
from stemdisp.fitting.resolve import resolved

CELL = np.array([[60.0, 0.0], [0.0, 70.0]])
ROUND = Shape(np.zeros(1), np.zeros(2))


def pair(apart: float, heights: tuple[float, float], sigma: float = 5.0, angle: float = 0.0) -> np.ndarray:
    places = np.array([[3.0, 4.0], [3.0 + apart * np.cos(angle), 4.0 + apart * np.sin(angle)]])
    return resolved(places, CELL, np.array(heights), np.full(2, sigma), ROUND)


def test_columns_far_apart_are_resolved_however_faint() -> None:
    np.testing.assert_array_equal(pair(30.0, (1.0, 0.02)), [True, True])


@pytest.mark.parametrize("angle", [0.0, 0.6, np.pi / 2])
@pytest.mark.parametrize(("apart", "seen"), [(2.5, True), (1.5, False)])
def test_two_equal_columns_are_resolved_beyond_two_widths(apart, seen, angle) -> None:
    """The sum of two equal Gaussians has one maximum up to a distance of two standard deviations."""
    found = pair(apart * 5.0, (1.0, 1.0), angle=angle)
    assert found.all() if seen else not found.all()


@pytest.mark.parametrize("faint", [0.1, 0.02])
def test_a_faint_column_near_a_bright_one_is_a_shoulder(faint) -> None:
    np.testing.assert_array_equal(pair(12.0, (1.0, faint)), [True, False])


@settings(max_examples=25, deadline=None)
@given(st.floats(0.3, 30), st.floats(-50, 50), st.floats(0.05, 0.9), st.floats(9, 22))
def test_size_place_and_brightness_are_only_units(scale, shift, faint, apart) -> None:
    places, heights, sigma = np.array([[0.0, 0.0], [apart, 0.0]]), np.array([1.0, faint]), np.full(2, 5.0)
    found = resolved(places, CELL, heights, sigma, ROUND)
    again = resolved(places + shift, CELL, 7 * heights, sigma, ROUND)
    np.testing.assert_array_equal(again, found)
    np.testing.assert_array_equal(resolved(places * scale, CELL * scale, heights, sigma * scale, ROUND), found)


def test_a_column_without_height_is_not_resolved() -> None:
    np.testing.assert_array_equal(pair(20.0, (1.0, 0.0)), [True, False])


def test_one_column_to_the_cell_is_resolved() -> None:
    assert resolved(np.zeros((1, 2)), CELL, np.ones(1), np.full(1, 6.0), ROUND).all()
