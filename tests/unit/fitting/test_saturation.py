"""A ceiling is told from the top of a picture."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.fitting.saturation import ceiling, unsaturated


def saturated(image: np.ndarray) -> np.ndarray:
    """Pixels that are lost to a ceiling."""
    return np.isnan(unsaturated(image, ceiling(image), single=False)) & ~np.isnan(image)


@pytest.fixture
def noisy() -> np.ndarray:
    y, x = np.mgrid[:80, :80]
    return np.random.default_rng(0).poisson(200 + 150 * np.cos(x / 2) * np.cos(y / 2))


def test_a_pile_at_the_ceiling_is_found(noisy) -> None:
    np.testing.assert_array_equal(saturated(np.minimum(noisy, 300)), noisy >= 300)
    holed = np.minimum(noisy, 300).astype(float)
    holed[3, 4] = np.nan
    assert saturated(holed).sum() == (noisy >= 300).sum() - (noisy[3, 4] >= 300)


@pytest.mark.parametrize("levels", [4, 16, 1e9])
def test_a_top_that_is_no_ceiling_stays(noisy, levels) -> None:
    """Few grey levels have many pixels at the highest, and as many one below."""
    coarse = np.floor(noisy / noisy.max() * levels) if levels < 1e9 else noisy
    assert not saturated(coarse).any()


def test_a_constant_image_is_not_saturated() -> None:
    assert not saturated(np.ones((9, 9))).any()
