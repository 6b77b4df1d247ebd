"""The shift between a bright and a dark image of the same columns."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.model.columns import Columns
from stemdisp.model.micrograph import Signal
from stemdisp.scene import Dose, Edge, Scene, Truth, View
from stemdisp.stages.register import register
from stemdisp.synthetic import simulate

SCENE = Scene(
    signals=("HAADF", "ABF"), view=View(shape=(192, 200)), edge=Edge(offset_A=4.0), dose=Dose(peak_counts=2000)
)


def listed(truth: Truth) -> Columns:
    """The columns as a fit in HAADF would list them."""
    there = truth.present
    site = np.array([truth.motif.site(name) for name in truth.site[there]])
    return Columns.at(truth.xy[there], truth.motif.sites, ("HAADF",), site=site, hk=truth.hk[there])


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, Truth]:
    image, truth = simulate(SCENE)
    return image.signals["ABF"].image.astype(float), truth


def displaced(image: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    fy, fx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])
    return np.fft.ifft2(np.fft.fft2(image) * np.exp(-2j * np.pi * (fx * shift[0] + fy * shift[1]))).real


@pytest.mark.parametrize("shift", [(0.0, 0.0), (2.3, -1.6), (-4.0, 5.5)])
def test_a_known_shift_between_bright_and_dark(pair, shift) -> None:
    dark, truth = pair
    found = register(Signal("ABF", displaced(dark, shift), -1), listed(truth), truth.lattice)
    np.testing.assert_allclose(found, shift, atol=0.3)


def test_a_shift_beyond_half_a_period_is_not_reported(pair) -> None:
    dark, truth = pair
    found = register(Signal("ABF", displaced(dark, (18.0, 0.0)), -1), listed(truth), truth.lattice)
    assert np.hypot(*found) <= 0.5 * np.linalg.norm(truth.lattice.cell, axis=1).min()


def test_missing_pixels_do_no_harm(pair) -> None:
    dark, truth = pair
    holed = displaced(dark, (2.0, 1.0))
    holed[np.random.default_rng(0).random(holed.shape) < 0.01] = np.nan
    found = register(Signal("ABF", holed, -1), listed(truth), truth.lattice)
    np.testing.assert_allclose(found, [2, 1], atol=0.3)


def test_a_weak_column_that_shows_in_one_signal_only_shifts_nothing() -> None:
    """Along [11-2] K is a shoulder of Ta in HAADF and nearly as dark as Ta in ABF: against the picture of the other
    signal the shift would be two pixels."""
    image, truth = simulate(Scene(zone=(1, 1, -2), signals=("HAADF", "ABF"), view=View(shape=(200, 200))))
    found = register(image.signals["ABF"], listed(truth), truth.lattice)
    assert np.hypot(*found) < 0.3


def test_a_constant_image_is_shifted_by_nothing(pair) -> None:
    _, truth = pair
    constant = Signal("ABF", np.full((200, 200), 7.0), -1)
    np.testing.assert_array_equal(register(constant, listed(truth), truth.lattice), 0)
