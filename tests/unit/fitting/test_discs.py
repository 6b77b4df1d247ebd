"""Sums over discs, by the kernel and by arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stemdisp.backend import CPU
from stemdisp.fitting.discs import disc_sums


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("compiled", [True, False])
def test_sums_over_pixels_within_the_radius(dtype, compiled) -> None:
    image = np.random.default_rng(0).random((40, 50)).astype(dtype)
    xy = np.array([[20.3, 10.7], [0.0, 0.0], [49.4, 39.2], [-30.0, 5.0], [25.0, 60.0]])
    y, x = np.indices(image.shape)
    expected = [image[(x - u) ** 2 + (y - v) ** 2 <= 4.2**2].sum(dtype=np.float64) for u, v in xy]
    np.testing.assert_allclose(disc_sums(image, xy, 4.2, replace(CPU, compiled=compiled)), expected, rtol=1e-6)
