"""The shift between a bright and a dark image of the same columns."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.model.micrograph import Signal
from stemdisp.scene import Dose, Edge, Scene, View
from stemdisp.stages.register import register
from stemdisp.synthetic import simulate


@pytest.fixture(scope="module")
def bright() -> np.ndarray:
    scene = Scene(view=View(shape=(192, 200)), edge=Edge(offset_A=4.0), dose=Dose(peak_counts=2000))
    return simulate(scene)[0].signals["HAADF"].image.astype(float)


def displaced(image: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    fy, fx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])
    return np.fft.ifft2(np.fft.fft2(image) * np.exp(-2j * np.pi * (fx * shift[0] + fy * shift[1]))).real


@pytest.mark.parametrize("shift", [(0.0, 0.0), (2.3, -1.6), (-4.0, 5.5)])
def test_a_known_shift_between_bright_and_dark(bright, shift) -> None:
    dark = 5000 - displaced(bright, shift)
    found = register(Signal("ABF", dark, -1), Signal("HAADF", bright), 14.0)
    np.testing.assert_allclose(found, shift, atol=0.1)


def test_a_shift_beyond_half_a_period_is_not_reported(bright) -> None:
    found = register(Signal("ABF", -displaced(bright, (9.0, 0.0)), -1), Signal("HAADF", bright), 5.0)
    np.testing.assert_array_equal(found, [0, 0])


def test_missing_pixels_do_no_harm(bright) -> None:
    holed = bright.copy()
    holed[np.random.default_rng(0).random(bright.shape) < 0.01] = np.nan
    found = register(Signal("ABF", -displaced(bright, (2.0, 1.0)), -1), Signal("HAADF", holed), 14.0)
    np.testing.assert_allclose(found, [2, 1], atol=0.1)
