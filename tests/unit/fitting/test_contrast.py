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
