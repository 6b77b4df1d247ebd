"""Columns fitted one by one on a plane: exact without noise, and as sure as their scatter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stemdisp.backend import CPU, Device
from stemdisp.fitting.local import LocalProblem, fit_windows
from stemdisp.fitting.profile import Shape, evaluate

SHAPE = Shape(np.log([2.5]), np.array([0.05, 0.02]), 0.1)
SIDE, PER_ROW = 24, 20
COLUMNS = PER_ROW**2


def drawn(
    amplitude: float, slope: tuple[float, float] = (0.0, 0.0), spread: float = 0.0, level: float = 20.0
) -> tuple[np.ndarray, np.ndarray]:
    """Columns far apart, each on a plane of its own, and where they are."""
    rng = np.random.default_rng(6)
    cells = np.stack(np.meshgrid(np.arange(PER_ROW), np.arange(PER_ROW)), axis=-1).reshape(-1, 2) * SIDE
    xy = cells + SIDE / 2 + rng.uniform(-0.5, 0.5, cells.shape)
    y, x = np.indices((SIDE * PER_ROW, SIDE * PER_ROW)).astype(float)
    image = level + slope[0] * (x % SIDE - SIDE / 2) + slope[1] * (y % SIDE - SIDE / 2)
    tilts = rng.normal(0, spread, xy.shape)
    for (px, py), (cx, cy), tilt in zip(xy, cells, tilts, strict=True):
        box = np.s_[cy : cy + SIDE, cx : cx + SIDE]
        image[box] += tilt[0] * (x[box] - px) + tilt[1] * (y[box] - py)
        image[box] += amplitude * evaluate(SHAPE, 2.5, x[box] - px, y[box] - py, np).value
    return image, xy


def problem_of(
    image: np.ndarray, start: np.ndarray, limit: float = 2.0, radius: float = 7.0, device: Device = CPU
) -> LocalProblem:
    n = len(start)
    return LocalProblem(
        image, np.ones_like(image), radius, SHAPE, np.full(n, 2.5), start, np.full(n, limit), device=device
    )


@pytest.mark.parametrize("amplitude", [40.0, -40.0])
def test_exact_on_a_plane(amplitude) -> None:
    image, xy = drawn(amplitude, spread=1.0)
    found = fit_windows(problem_of(image, np.rint(xy)), tolerance=1e-7, max_iterations=60)
    assert not found.moving.any()
    np.testing.assert_allclose(found.xy, xy, atol=5e-3)
    np.testing.assert_allclose(found.amplitude, amplitude, rtol=1e-2)


def test_errors_are_as_large_as_claimed() -> None:
    image, xy = drawn(60.0)
    noisy = image + np.random.default_rng(1).normal(0, 5.0, image.shape)
    found = fit_windows(problem_of(noisy, np.rint(xy)), tolerance=1e-5, max_iterations=60)
    error = np.column_stack([found.amplitude - 60, found.xy - xy])
    claimed = np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
    ratio = error.std(axis=0) / np.sqrt((claimed**2).mean(axis=0))
    np.testing.assert_allclose(ratio, 1, atol=0.2)
    assert np.abs(error.mean(axis=0) / error.std(axis=0) * COLUMNS**0.5).max() < 3.5
    assert found.chi2.mean() == pytest.approx(25, rel=0.05)


def noisy_fit(slope: tuple[float, float] = (0.0, 0.0), spread: float = 0.0):
    image, xy = drawn(60.0, slope, spread)
    noisy = image + np.random.default_rng(1).normal(0, 5.0, image.shape)
    return fit_windows(problem_of(noisy, np.rint(xy)), tolerance=1e-5, max_iterations=60), xy


def test_slopes_that_are_noise_are_shrunk() -> None:
    assert np.abs(noisy_fit()[0].slopes).max() < 0.3


def test_slopes_that_differ_are_allowed_for() -> None:
    level, xy = noisy_fit()
    uneven, _ = noisy_fit(spread=2.0)
    assert np.abs(uneven.slopes).std() > 1
    assert (uneven.xy - xy).std() < 2.5 * (level.xy - xy).std()


def test_a_slope_common_to_all_columns_does_not_move_them() -> None:
    uneven, xy = noisy_fit(slope=(2.0, 0.0))
    assert np.abs((uneven.xy - xy).mean(axis=0)).max() < 0.05


def test_nothing_leaves_its_limit() -> None:
    image, xy = drawn(40.0)
    start = xy + np.array([2.0, 0.0])
    found = fit_windows(problem_of(image, start, limit=1.0), tolerance=1e-6, max_iterations=40)
    assert (np.hypot(*(found.xy - start).T) <= 1 + 1e-9).all()


@pytest.mark.parametrize("device", [CPU, replace(CPU, compiled=False)])
def test_a_column_taken_off_is_put_back(device) -> None:
    image, xy = drawn(40.0)
    start = xy + 0.2
    y, x = np.indices(image.shape).astype(float)
    rest = image.copy()
    rest[:SIDE, :SIDE] -= (
        40 * evaluate(SHAPE, 2.5, x[:SIDE, :SIDE] - start[0, 0], y[:SIDE, :SIDE] - start[0, 1], np).value
    )
    whole = problem_of(image, start[:1], device=device)
    found = fit_windows(replace(whole, image=rest, own=np.array([40.0])), tolerance=1e-7, max_iterations=60)
    expected = fit_windows(whole, tolerance=1e-7, max_iterations=60)
    np.testing.assert_allclose(found.xy, expected.xy, atol=1e-9)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("spread", [0.0, 2.0])
def test_the_kernel_and_arrays_agree(spread) -> None:
    image, xy = drawn(60.0, spread=spread)
    noisy = image + np.random.default_rng(1).normal(0, 5.0, image.shape)
    found = [
        fit_windows(problem_of(noisy, np.rint(xy), device=device), tolerance=1e-5, max_iterations=60)
        for device in (CPU, replace(CPU, compiled=False))
    ]
    assert found[1].engine == "arrays, cpu"
    np.testing.assert_allclose(found[0].xy, found[1].xy, atol=1e-6)
    np.testing.assert_allclose(found[0].covariance, found[1].covariance, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("device", [CPU, replace(CPU, compiled=False)])
@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_brightness_is_only_a_unit(device, factor) -> None:
    image, xy = drawn(60.0, spread=0.3)
    noisy = image + np.random.default_rng(1).normal(0, 5.0, image.shape)
    one, other = (
        fit_windows(problem_of(values, np.rint(xy), device=device), tolerance=1e-6, max_iterations=60)
        for values in (noisy, factor * noisy)
    )
    np.testing.assert_allclose(other.xy, one.xy, atol=1e-5)
    np.testing.assert_allclose(other.slopes, factor * one.slopes, rtol=1e-4, atol=factor * 1e-6)


def test_a_column_without_pixels_keeps_its_start() -> None:
    image, xy = drawn(40.0)
    image[:SIDE, :SIDE] = np.nan
    problem = replace(problem_of(image, xy), own=np.full(len(xy), 3.0))
    found = fit_windows(problem, tolerance=1e-4, max_iterations=60)
    assert found.moving[0] and not found.moving[1:].any()
    assert (found.xy[0] == xy[0]).all() and found.amplitude[0] == 3 and np.isnan(found.covariance[0]).all()


def test_no_columns_is_no_error() -> None:
    found = fit_windows(problem_of(np.ones((20, 20)), np.zeros((0, 2))), tolerance=1e-3, max_iterations=5)
    assert found.xy.shape == (0, 2)
