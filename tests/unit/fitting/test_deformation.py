"""Deformation gradients of a few points: exact for a homogeneous deformation, with the errors that they have."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stemdisp.fitting.deformation import gradients, polar, spread

SQUARE = np.array([[x, y] for x in (-200.0, 200.0) for y in (-200.0, 200.0)])
SIX = np.array([[x, y] for x in (-282.0, 0.0, 282.0) for y in (-199.5, 199.5)])

entries = st.floats(-0.2, 0.2)
matrices = st.tuples(entries, entries, entries, entries).map(lambda e: np.eye(2) + np.reshape(e, (2, 2)))


def of(ideal: np.ndarray, measured: np.ndarray, known: np.ndarray | None = None, std: float = 1.0):
    n = len(measured)
    cov = np.broadcast_to(std**2 * np.eye(2), (n, len(ideal), 2, 2))
    return gradients(ideal, measured, cov, np.ones((n, len(ideal)), dtype=bool) if known is None else known)


@settings(deadline=None)
@given(matrices, st.floats(-1e5, 1e5), st.lists(st.integers(0, 5), max_size=2))
def test_a_homogeneous_deformation_comes_back_exactly(matrix, place, missing) -> None:
    known = np.ones((1, 6), dtype=bool)
    known[0, missing] = False
    measured = SIX @ matrix.T + [place, -place]
    measured[missing] = 1e9
    found, _ = of(SIX, measured[None], known)
    np.testing.assert_allclose(found[0], matrix, atol=1e-9)


@settings(deadline=None)
@given(matrices, st.floats(-3.0, 3.0))
def test_turning_everything_turns_the_gradient(matrix, angle) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found, _ = of(SIX, (SIX @ matrix.T)[None])
    turned, _ = of(SIX @ turn.T, (SIX @ matrix.T @ turn.T)[None])
    np.testing.assert_allclose(turned[0], turn @ found[0] @ turn.T, atol=1e-9)


@settings(deadline=None)
@given(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1), st.floats(-0.1, 0.1), st.floats(-3.1, 3.1))
def test_stretch_and_rotation_are_told_apart(xx, yy, xy, angle) -> None:
    stretch = np.array([[1 + xx, xy], [xy, 1 + yy]])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found, turned = polar((stretch @ turn)[None])
    np.testing.assert_allclose(found[0], stretch, atol=1e-12)
    np.testing.assert_allclose(turned[0], angle, atol=1e-12)


def test_errors_are_what_noise_makes() -> None:
    noise = np.random.default_rng(3).normal(0, 2.0, (20000, 4, 2))
    found, covariance = of(SQUARE, SQUARE + noise, std=2.0)
    for linear in (np.diag([1.0, 0.0]), np.array([[0, 0.5], [0.5, 0]]), np.array([[0, -0.5], [0.5, 0]])):
        scatter = np.einsum("nrc,rc->n", found, linear).std()
        np.testing.assert_allclose(spread(covariance, linear), scatter, rtol=0.03)
    # Four columns at +-a/2: std of d x / d X is sigma / a.
    np.testing.assert_allclose(spread(covariance, np.diag([1.0, 0.0])), 2.0 / 400)


def test_too_few_points_or_a_line_tell_nothing() -> None:
    known = np.ones((3, 6), dtype=bool)
    known[0, :3], known[1, ::2] = False, False
    found, covariance = of(SIX, np.broadcast_to(SIX, (3, 6, 2)), known)
    np.testing.assert_array_equal(np.isfinite(found).all(axis=(1, 2)), [False, False, True])
    assert np.isnan(covariance[:2]).all() and np.isfinite(covariance[2]).all()
    line = np.array([[x, 0.001 * x] for x in range(5)])
    assert np.isnan(of(line, line[None])[0]).all()


def test_no_places() -> None:
    found, covariance = of(SIX, np.zeros((0, 6, 2)))
    assert found.shape == (0, 2, 2) and covariance.shape == (0, 2, 2, 2, 2)
