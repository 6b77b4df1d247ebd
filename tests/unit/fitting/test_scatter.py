"""Scatter between repeated measurements, beside what a map of each measurement takes from it."""

from __future__ import annotations

import numpy as np

from stemdisp.fitting.scatter import FEWEST, correlation, variance_of_mean, without_affine

XY = np.stack(np.meshgrid(np.arange(0.0, 200, 20), np.arange(0.0, 160, 20)), axis=-1).reshape(-1, 2)


def offsets(rng: np.random.Generator, frames: int, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Noise (F, N, 2) of ``sigma`` (N,) under a shift and an affine map of every frame; the maps."""
    maps = rng.normal(0, 0.01, (frames, 2, 2))
    shifts = rng.normal(0, 3, (frames, 1, 2))
    noise = rng.normal(0, 1, (frames, len(XY), 2)) * sigma[:, None]
    return noise + shifts + XY @ maps, maps


def test_maps_are_taken_out_and_what_they_take_is_given_back() -> None:
    rng = np.random.default_rng(5)
    sigma = np.where(np.arange(len(XY)) % 2, 0.5, 0.05)
    found = []
    for _ in range(200):
        off, maps = offsets(rng, 4, sigma)
        left, lost, linear = without_affine(off, XY, 1 / sigma**2)
        variance, count = variance_of_mean(left, lost)
        assert (count == 4).all()
        np.testing.assert_allclose(linear, maps, atol=0.002)
        found.append(variance / sigma[:, None] ** 2 * 4)
    mean = np.mean(found, axis=0)
    for kind in (0, 1):
        print(kind, mean[kind::2].mean())
        np.testing.assert_allclose(mean[kind::2].mean(), 1, atol=0.02)
    np.testing.assert_allclose(mean, 1, atol=0.35)


def test_without_noise_nothing_is_left() -> None:
    off, _ = offsets(np.random.default_rng(1), 3, np.zeros(len(XY)))
    left, _, _ = without_affine(off, XY, np.ones(len(XY)))
    np.testing.assert_allclose(left, 0, atol=1e-12)


def test_places_that_are_missing_count_less() -> None:
    off, _ = offsets(np.random.default_rng(2), 3, np.ones(len(XY)))
    off[0, 0], off[:2, 1], off[:, 2] = np.nan, np.nan, np.nan
    off[2, FEWEST - 1 :] = np.nan
    left, lost, maps = without_affine(off, XY, np.ones(len(XY)))
    assert np.isnan(left[2]).all() and np.isnan(maps[2]).all(), "too few places in that one"
    variance, count = variance_of_mean(left, lost)
    assert count[:4].tolist() == [1, 0, 0, 2]
    assert np.isnan(variance[:3]).all() and np.isfinite(variance[3:]).all()


def test_rows_that_move_together_are_seen() -> None:
    rng = np.random.default_rng(3)
    group = (XY[:, 1] / 20).astype(np.int64)
    alone = rng.normal(0, 1, (6, len(XY), 2))
    together = rng.normal(0, 1, (6, group.max() + 1, 2))[:, group]
    assert abs(correlation(alone, group)) < 0.1
    np.testing.assert_allclose(correlation(together, group), 1)
    np.testing.assert_allclose(correlation(alone + 2 * together, group), 0.8, atol=0.08)
    assert np.isnan(correlation(alone, np.arange(len(XY))))
