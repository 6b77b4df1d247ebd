"""What noise is like, from residuals: gain and offset of counts, and images that were filtered, shifted or averaged."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from stemdisp.fitting.noise import Noise, estimate_noise

SIDE = 256
USED = np.ones((SIDE, SIDE), dtype=bool)
Filter = Callable[[np.ndarray], np.ndarray]


def lattice(peak: float, background: float, *, side: int = SIDE, sigma: float = 3.0) -> np.ndarray:
    """Expected counts: Gaussian columns 17.3 px apart."""
    line = np.zeros(side, dtype=np.float32)
    for centre in np.arange(-17.3, side + 17.3, 17.3):
        line += np.exp(-((np.arange(side) - centre) ** 2) / (2 * sigma**2))
    return background + (peak - background) * line[:, None] * line[None, :]


def counted(expected: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).poisson(expected).astype(float)


EXPECTED = lattice(500, 100)


def filtered(way: Filter, seed: int) -> Noise:
    return estimate_noise(way(counted(EXPECTED, seed)) - way(EXPECTED), EXPECTED, USED)


def blurred(sigma: float) -> Filter:
    return lambda image: ndimage.gaussian_filter(image, sigma)


def shifted(by: float, order: int) -> Filter:
    return lambda image: ndimage.shift(image, (by, by), order=order, mode="wrap")


@pytest.mark.parametrize("factor", [1.0, 0.013, 37.0])
def test_gain_of_counts_from_five_to_five_thousand(factor) -> None:
    expected = factor * lattice(5000, 5)
    for seed in range(12):
        found = estimate_noise(factor * counted(lattice(5000, 5), seed) - expected, expected, USED)
        assert found.poisson
        assert found.gain == pytest.approx(factor, rel=0.05)
        assert found.counts(expected).max() == pytest.approx(5000, rel=0.06)


@pytest.mark.parametrize("peak", [2.0, 5.0, 50.0, 1000.0, 5000.0])
def test_gain_at_any_dose(peak) -> None:
    """On a background of a third, which leaves little to tell the slope from: 5 % rms, and no bias above 2 %."""
    expected = lattice(peak, 0.3 * peak)
    found = [estimate_noise(counted(expected, seed) - expected, expected, USED) for seed in range(20)]
    gain = np.array([noise.gain for noise in found])
    assert all(noise.poisson for noise in found)
    assert np.sqrt(((gain - 1) ** 2).mean()) < 0.05 and abs(gain.mean() - 1) < 0.02


def test_a_dark_level_and_read_out_noise_are_the_offset() -> None:
    gains, offsets = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        image = 2 * rng.poisson(EXPECTED) + 700 + rng.normal(0, 15, EXPECTED.shape)
        found = estimate_noise(image - 2 * EXPECTED - 700, 2 * EXPECTED + 700, USED)
        assert found.poisson
        gains.append(found.gain)
        offsets.append(found.offset)
    assert np.mean(gains) == pytest.approx(2, rel=0.03)
    # 2 (m - 700) + 15^2: a variance of 2 x 200 + 15^2 at the background.
    assert np.mean(np.array(offsets) + np.array(gains) * 900) == pytest.approx(625, rel=0.05)


def test_a_dark_level_is_taken_off_counts() -> None:
    found = estimate_noise(counted(EXPECTED, 0) - EXPECTED, EXPECTED + 3000, USED)
    assert found.poisson and found.dark == pytest.approx(3000, abs=60)
    assert found.counts(np.array([3500.0]))[0] == pytest.approx(500, rel=0.15)


def test_multiplied_electrons_have_twice_the_variance() -> None:
    """An electron multiplier makes an exponential number of each: variance 2 x gain x signal."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        image = 10 * rng.gamma(np.maximum(rng.poisson(EXPECTED), 1e-9))
        found = estimate_noise(image - 10 * EXPECTED, 10 * EXPECTED, USED)
        assert found.poisson and found.gain == pytest.approx(20, rel=0.08)


def test_averaged_frames_have_a_smaller_gain() -> None:
    for seed in range(6):
        image = np.random.default_rng(seed).poisson(EXPECTED, (8, SIDE, SIDE)).mean(axis=0)
        found = estimate_noise(image - EXPECTED, EXPECTED, USED)
        assert found.poisson and found.gain == pytest.approx(1 / 8, rel=0.08)


def test_independent_pixels_are_seldom_called_correlated() -> None:
    """Less than 1 % of 200, of 96 x 96 pixels each, at 2 to 1000 counts."""
    used, wrong = np.ones((96, 96), dtype=bool), 0
    for seed in range(200):
        expected = lattice((2, 20, 200, 1000)[seed % 4], 0.2, side=96)
        wrong += not estimate_noise(counted(expected, seed) - expected, expected, used).poisson
    assert wrong <= 1


@pytest.mark.parametrize("sigma", [0.5, 0.7, 1.0, 2.0])
def test_filtered_images_are_recognised(sigma) -> None:
    for seed in range(20):
        found = filtered(blurred(sigma), seed)
        assert not found.poisson and found.correlated and min(found.correlation) > 0.2


@pytest.mark.parametrize(("by", "order"), [(0.25, 1), (0.5, 1), (0.5, 3)])
def test_interpolated_images_are_recognised(by, order) -> None:
    assert not any(filtered(shifted(by, order), seed).poisson for seed in range(10))


def test_correlation_is_that_of_the_pixels() -> None:
    """Halves of neighbours: 0.5 along x, and nothing along y."""
    found = filtered(lambda image: 0.5 * (image + np.roll(image, 1, axis=1)), 3)
    assert found.correlation[0] == pytest.approx(0.5, abs=0.02)
    assert found.correlation[1] == pytest.approx(0.0, abs=0.02)
    assert not found.poisson


def test_frames_averaged_after_a_shift_are_recognised() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        frames = []
        for number in range(8):
            by = tuple(rng.uniform(-0.5, 0.5, 2))
            frames.append(ndimage.shift(counted(EXPECTED, 100 * seed + number) - EXPECTED, by, order=1, mode="wrap"))
        assert not estimate_noise(np.mean(frames, axis=0), EXPECTED, USED).poisson


@pytest.mark.parametrize("misfit", [0.02 * (EXPECTED - 100), lattice(500, 100, sigma=3.05) - EXPECTED])
def test_what_the_model_misses_changes_little(misfit) -> None:
    for seed in range(5):
        found = estimate_noise(10 * misfit + counted(10 * EXPECTED, seed) - 10 * EXPECTED, 10 * EXPECTED, USED)
        assert found.poisson and found.gain == pytest.approx(1, rel=0.06)


def test_a_part_of_the_image_where_the_model_is_wrong_changes_little() -> None:
    rest = counted(EXPECTED, 0) - EXPECTED
    rest[180:220] *= 4
    found = estimate_noise(rest, EXPECTED, USED)
    assert found.gain == pytest.approx(1, rel=0.2)


def test_equal_noise_everywhere_is_not_poisson() -> None:
    for seed in range(20):
        found = estimate_noise(np.random.default_rng(seed).normal(0, 15, (SIDE, SIDE)), EXPECTED, USED)
        assert not found.poisson and not found.correlated
        assert found.offset + found.gain * EXPECTED.mean() == pytest.approx(225, rel=0.05)


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (np.zeros((SIDE, SIDE)), EXPECTED),
        (0.01 * (lattice(500, 100, sigma=3.2) - EXPECTED), EXPECTED),
        (counted(np.full((SIDE, SIDE), 50.0), 0) - 50, np.full((SIDE, SIDE), 50.0)),
        (np.full((SIDE, SIDE), np.nan), EXPECTED),
        (np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))),
    ],
    ids=["no noise", "only misfit", "constant", "nothing finite", "nothing at all"],
)
def test_nothing_to_tell_from(rest, expected) -> None:
    found = estimate_noise(rest, expected, USED)
    assert not found.poisson and np.isfinite([found.gain, found.offset, *found.correlation]).all()
    assert np.isnan(found.counts(expected)).all()


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (2, 300), (300, 2), (3, 3), (9, 400)])
def test_small_images(shape) -> None:
    expected = np.linspace(1, 9, shape[0] * shape[1]).reshape(shape)
    found = estimate_noise(counted(expected, 0) - expected, expected, np.ones(shape, dtype=bool))
    assert np.isfinite([found.gain, found.offset]).all()


def test_pixels_that_are_not_used_do_not_count() -> None:
    rng = np.random.default_rng(0)
    used = rng.random((SIDE, SIDE)) > 0.02
    rest = np.where(used, counted(EXPECTED, 1) - EXPECTED, 1e5)
    rest[5, 7] = np.nan
    found = estimate_noise(rest, EXPECTED, used)
    assert found.poisson and found.gain == pytest.approx(1, rel=0.1)


def test_brightness_is_a_unit() -> None:
    rest = counted(EXPECTED, 4) - EXPECTED
    one, other = estimate_noise(rest, EXPECTED, USED), estimate_noise(8 * rest, 8 * EXPECTED, USED)
    assert other.gain == pytest.approx(8 * one.gain, rel=1e-5)
    assert other.offset == pytest.approx(64 * one.offset, rel=1e-3, abs=1e-2)
    np.testing.assert_allclose(other.correlation, one.correlation, atol=1e-5)


def test_large_images_cost_little() -> None:
    expected = lattice(500, 100, side=2048).astype(np.float32)
    rest = np.random.default_rng(0).standard_normal(expected.shape, dtype=np.float32) * np.sqrt(expected)
    used = np.ones(expected.shape, dtype=bool)
    start = time.process_time()
    found = estimate_noise(rest, expected, used)
    assert time.process_time() - start < 0.5
    assert found.poisson and found.gain == pytest.approx(1, rel=0.03)
