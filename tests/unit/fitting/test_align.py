"""Shifts between frames, and the mean of shifted frames, on images made by formula."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.fitting.align import drift
from stemdisp.fitting.restack import aligned_mean

NY, NX = 150, 170
PERIOD = np.array([[18.0, 2.0], [-2.0, 15.0]])
"""Vectors of the lattice (x, y) px."""


def lattice(shift: tuple[float, float], missing: float = 0.0, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Columns on a lattice; a part of them (always the same ones) is missing."""
    y, x = np.mgrid[:NY, :NX].astype(float)
    rng = np.random.default_rng(9)
    image = np.zeros((NY, NX))
    for h in range(-14, 15):
        for k in range(-14, 15):
            present = rng.random() >= missing
            cx, cy = np.array([NX / 2, NY / 2]) + [h, k] @ PERIOD + shift
            if present and -20 < cx < NX + 20 and -20 < cy < NY + 20:
                image += np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 3.0**2))
    return image + np.random.default_rng(seed).normal(0, noise, image.shape) if noise else image


WALK = np.array([[0, 0], [1.3, -0.4], [2.1, 0.7], [4.6, 1.9], [5.2, 3.35], [7.75, 3.1]])


def stack(walk: np.ndarray, **given: float) -> np.ndarray:
    return np.array([lattice((x, y), seed=i, **given) for i, (x, y) in enumerate(walk)])


def test_fractions_of_a_pixel() -> None:
    found = drift(stack(WALK))
    np.testing.assert_allclose(found.shifts, WALK, atol=0.03)
    assert found.jumps == 0 and not found.stray.any()


@pytest.mark.parametrize("jump", [1, 3, 5])
def test_a_step_of_a_period_is_seen_by_what_is_missing(jump: int) -> None:
    walk = WALK.copy()
    walk[jump:] += PERIOD[0]
    found = drift(stack(walk, missing=0.05, noise=0.3))
    np.testing.assert_allclose(found.shifts, walk, atol=0.3)


def test_one_frame_a_period_off_is_seen_by_what_is_missing() -> None:
    walk = WALK.copy()
    walk[2] += PERIOD[1]
    found = drift(stack(walk, missing=0.05, noise=0.3))
    np.testing.assert_allclose(found.shifts, walk, atol=0.3)


def test_without_anything_that_tells_the_smallest_steps_are_taken() -> None:
    walk = WALK.copy()
    walk[3:] += PERIOD[0]
    found = drift(stack(walk, noise=0.3))
    np.testing.assert_allclose(found.shifts, WALK, atol=0.3)


def test_a_frame_of_something_else_is_told() -> None:
    frames = stack(WALK, noise=0.1)
    frames[3] = np.random.default_rng(1).normal(0, 1, (NY, NX))
    found = drift(frames)
    np.testing.assert_array_equal(np.flatnonzero(found.stray), [3])
    assert np.isnan(found.shifts[3]).all()
    kept = [0, 1, 2, 4, 5]
    np.testing.assert_allclose(found.shifts[kept], WALK[kept], atol=0.1)


def test_missing_pixels_and_two_frames() -> None:
    frames = stack(WALK[:2])
    frames[0][40:50, 60:90] = np.nan
    np.testing.assert_allclose(drift(frames).shifts, WALK[:2], atol=0.1)


def test_brightness_does_not_matter() -> None:
    frames = stack(WALK, noise=0.1)
    gain = np.array([1, 3, 0.5, 2, 1, 4])[:, None, None]
    np.testing.assert_allclose(drift(1000 + 50 * gain * frames).shifts, drift(frames).shifts, atol=0.03)


def test_mean_is_what_was_seen() -> None:
    mean = aligned_mean(stack(WALK), WALK, 0.5)
    truth = lattice((0, 0))
    inner = np.s_[12:-12, 12:-12]
    np.testing.assert_allclose(mean[inner], truth[inner], atol=2e-3)


def test_mean_keeps_the_noise_white() -> None:
    """As much noise as the mean of n frames must have, alike in no two neighbours."""
    rng = np.random.default_rng(0)
    walk = np.array([[0.5, 0.5], [0.3, -0.4], [-0.5, 0.25], [0.1, 0.45]])
    mean = aligned_mean(rng.normal(0, 1, (4, 200, 200)), walk, 1.0)[20:-20, 20:-20]
    assert mean.std() == pytest.approx(0.5, rel=0.03)
    assert abs(np.corrcoef(mean[:, 1:].ravel(), mean[:, :-1].ravel())[0, 1]) < 0.03


def test_borders_and_missing_pixels() -> None:
    frames = np.ones((2, 40, 50))
    frames[0, 20, 20] = np.nan
    walk = np.array([[0.0, 0.0], [5.0, -3.0]])
    everywhere, half = aligned_mean(frames, walk, 1.0), aligned_mean(frames, walk, 0.5)
    assert np.isnan(everywhere[:3]).all() and np.isnan(everywhere[:, -5:]).all()
    assert np.isfinite(everywhere[3:, :-5]).sum() == 37 * 45 - 1
    assert np.isfinite(half).all()
