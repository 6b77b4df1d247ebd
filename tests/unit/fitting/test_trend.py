"""Planes through values at places, with the error that their scatter makes."""

from __future__ import annotations

import numpy as np

from stemdisp.fitting.trend import trend

DRAW = np.random.default_rng(8)
XY = DRAW.uniform(0, 100, (300, 2))


def test_a_plane_is_found_with_its_direction_and_an_honest_error():
    pulls = []
    for _ in range(200):
        found = trend(XY, 5 + 0.02 * XY[:, 0] - 0.03 * XY[:, 1] + DRAW.normal(0, 0.5, len(XY)))
        assert found is not None and abs(found.direction_deg - 56.3) < 8
        along = np.array([0.02, -0.03]) / np.hypot(0.02, 0.03)
        pulls.append((found.change - np.hypot(0.02, 0.03) * np.ptp(XY @ along)) / found.change_std)
    assert 0.7 < np.mean(np.square(pulls)) < 1.5


def test_single_wild_values_do_not_count():
    values = 5 + 0.02 * XY[:, 0] + DRAW.normal(0, 0.1, len(XY))
    values[:5] = 100.0
    found = trend(XY, values)
    assert found is not None and abs(found.change - 2.0) < 0.1


def test_few_places_or_a_line_have_no_trend():
    assert trend(XY[:5], XY[:5, 0]) is None
    assert trend(XY * [1, 0], XY[:, 0]) is None
    assert trend(XY, np.full(len(XY), np.nan)) is None
