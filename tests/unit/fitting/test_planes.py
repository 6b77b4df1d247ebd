"""Jumps from plane to plane."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.fitting.planes import jumps_between_planes

HK = np.array([(h, k) for h in range(30) for k in range(30)])
LEAST = np.array([0.2])


def stacked(*ends: int) -> np.ndarray:
    """(n, 1) values that change by 0.8 after these planes of k."""
    layer = np.searchsorted(ends, HK[:, 1])
    return 0.8 * (layer % 2)[:, None] + np.random.default_rng(3).normal(0, 0.1, (len(HK), 1))


@pytest.mark.parametrize("ends", [(), (12,), (8, 16), (5, 13, 21), (6, 12, 18, 24)])
def test_every_jump_has_its_place(ends) -> None:
    found = jumps_between_planes(HK[:, 1], stacked(*ends), LEAST)
    np.testing.assert_allclose(found, np.array(ends) + 0.5, atol=0.6)


def test_planes_across_the_layers_have_none() -> None:
    values = stacked(8, 16, 24)
    for rows in ((1, 0), (1, 1), (1, -1)):
        assert len(jumps_between_planes(HK @ np.array(rows), values, LEAST)) == 0


def test_a_slope_and_a_single_plane_are_no_jump() -> None:
    assert len(jumps_between_planes(HK[:, 1], 0.03 * HK[:, 1:], LEAST)) == 0
    assert len(jumps_between_planes(HK[:, 1], (HK[:, 1:] == 14) * 1.0, LEAST)) == 0
    assert len(jumps_between_planes(HK[:60, 1], np.zeros((60, 1)), LEAST)) == 0
