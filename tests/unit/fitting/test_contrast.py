"""Heights of columns before any fit."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.fitting.contrast import amplitudes


@pytest.mark.parametrize("height", [50.0, -50.0])
def test_amplitudes_of_columns_on_a_slope(height) -> None:
    y, x = np.indices((60, 60)).astype(float)
    places, factors = np.array([[15.0, 20.0], [24.0, 20.0], [40.0, 41.0]]), np.array([1.0, 0.1, 0.5])
    image = (
        10
        + 0.2 * x
        + sum(
            height * f * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18)
            for (px, py), f in zip(places, factors, strict=True)
        )
    )
    np.testing.assert_allclose(amplitudes(image, places, 3.0), height * factors, atol=0.02 * abs(height))


def test_a_few_columns_are_judged_as_among_all() -> None:
    rng = np.random.default_rng(4)
    y, x = np.indices((220, 240)).astype(float)
    places = np.stack(np.meshgrid(np.arange(6.0, 240, 11), np.arange(8.0, 220, 12)), axis=-1).reshape(-1, 2)
    heights = rng.uniform(20, 200, len(places))
    image = 50 + 0.1 * y
    for (px, py), height in zip(places, heights, strict=True):
        image += height * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18)
    image = rng.poisson(image).astype(np.float32)
    image[100:103, 50:60] = np.nan
    wanted = np.hypot(*(places - [90, 100]).T) < 40
    few, every = amplitudes(image, places, 3.0, wanted), amplitudes(image, places, 3.0)
    assert (np.isfinite(few) == wanted).all()
    np.testing.assert_allclose(few[wanted], every[wanted], atol=5)
    np.testing.assert_allclose(every, heights, atol=25)
    assert np.isnan(amplitudes(image, places, 3.0, np.zeros(len(places), dtype=bool))).all()
