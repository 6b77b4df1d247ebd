"""Stretch and bend of known points, with errors that are those of repeated draws."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.fitting.affine import bend, stretch

GRID = np.stack(np.meshgrid(np.arange(12.0), np.arange(10.0)), axis=-1).reshape(-1, 2) * 400
TURN = np.array([[np.cos(0.4), np.sin(0.4)], [-np.sin(0.4), np.cos(0.4)]])
PULLED = np.array([[1.02, -0.004], [-0.004, 0.985]])


def test_a_stretch_is_found_whatever_way_the_points_lie() -> None:
    found = stretch(GRID, GRID @ TURN @ PULLED + [50, -20])
    assert found is not None
    np.testing.assert_allclose(found.matrix, PULLED, atol=1e-12)
    np.testing.assert_allclose(found.std, 0, atol=1e-9)


def test_a_mirrored_frame_is_no_stretch() -> None:
    found = stretch(GRID, GRID @ TURN * [1, -1])
    assert found is not None
    np.testing.assert_allclose(found.matrix, np.eye(2), atol=1e-12)


def test_errors_of_a_stretch_are_those_of_repeated_draws() -> None:
    draw = np.random.default_rng(1)
    found = [stretch(GRID, GRID @ TURN @ PULLED + draw.normal(0, (3, 6), GRID.shape)) for _ in range(200)]
    spread = np.std([one.matrix for one in found if one], axis=0)
    np.testing.assert_allclose(np.mean([one.std for one in found if one], axis=0), spread, rtol=0.15)


def test_few_points_and_points_on_a_line_tell_nothing() -> None:
    assert stretch(GRID[:5], GRID[:5]) is None
    assert stretch(GRID[:12], GRID[:12]) is None


def _bent(amount: float, seed: int):
    draw = np.random.default_rng(seed)
    place = 2 * GRID / GRID.max(axis=0) - 1
    off = draw.normal(0, 2.0, GRID.shape)
    off[:, 0] += amount * (1.5 * place[:, 1] ** 2 - 0.5)
    return bend(place, off, 1, np.rint(GRID[:, 1] / 400).astype(np.int64))


def test_a_bend_is_found_with_its_error_and_none_where_there_is_none() -> None:
    there, nothing = [_bent(6.0, seed) for seed in range(60)], [_bent(0.0, 100 + seed) for seed in range(200)]
    rms = np.array([one.rms for one in there if one])
    assert rms.mean() == pytest.approx(6 / np.sqrt(5), rel=0.05)
    assert rms.std() == pytest.approx(np.mean([one.std for one in there if one]), rel=0.4)
    assert np.mean([one.level < 0.01 for one in nothing if one]) < 0.03
    assert np.mean([one.level < 0.01 for one in there if one]) > 0.9


def test_a_bend_needs_rows() -> None:
    place = 2 * GRID / GRID.max(axis=0) - 1
    assert bend(place, np.zeros_like(place), 1, np.arange(len(place)) % 6) is None
