"""Moments of columns: what they say of ellipticity, width and axes, and how sure that is."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.fitting.ellipses import axes, ellipticity, moments_of, scaled, strength, width
from stemdisp.fitting.window import ColumnModel, Search, fit_columns, round_starts


def of_axes(long: float, short: float, angle_deg: float) -> np.ndarray:
    """(1, 3) moments of an ellipse, direction as seen."""
    t = np.radians(angle_deg)
    u, v = np.array([np.cos(t), -np.sin(t)]), np.array([np.sin(t), np.cos(t)])
    form = long**2 * np.outer(u, u) + short**2 * np.outer(v, v)
    return form[[0, 0, 1], [0, 1, 1]][None]


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 150.0])
def test_an_ellipse_has_its_axes_ellipticity_and_width(angle):
    moments, none = of_axes(3.0, 2.0, angle), np.zeros((1, 3, 3))
    sigma, found, _ = axes(moments, none)
    np.testing.assert_allclose(sigma, [[3.0, 2.0]])
    assert abs((found[0] - angle + 90) % 180 - 90) < 1e-9
    twice = np.radians(2 * angle)
    e, _ = ellipticity(moments, none)
    np.testing.assert_allclose(e, [[0.2 * np.cos(twice), 0.2 * np.sin(twice)]], atol=1e-12)
    np.testing.assert_allclose(width(moments, none)[0], np.sqrt(6.0))


@pytest.mark.parametrize("of", [ellipticity, width, axes])
def test_errors_are_those_of_small_changes(of):
    moments, draw = of_axes(3.0, 2.0, 25.0), np.random.default_rng(3)
    form = draw.normal(size=(3, 3))
    cov = 1e-6 * form @ form.T
    many = moments + draw.multivariate_normal(np.zeros(3), cov, 20000)
    found = of(many, np.broadcast_to(cov, (len(many), 3, 3)))
    values = np.column_stack(found[:-1])
    spread = found[-1][0]
    std = np.sqrt(np.diag(spread)) if spread.ndim == 2 else np.atleast_1d(spread)
    np.testing.assert_allclose(values.std(axis=0), std, rtol=0.03)


def test_pixels_that_are_not_square_are_taken_off():
    moments = of_axes(2.0, 2.0, 0.0) * [0.25, 0.5, 1.0]
    e, _ = ellipticity(*scaled(moments, np.zeros((1, 3, 3)), np.array([20.0, 10.0])))
    np.testing.assert_allclose(e, 0, atol=1e-12)


def test_what_is_no_ellipse_has_no_ellipticity():
    moments, none = np.array([[1.0, 2.0, 1.0]]), np.zeros((1, 3, 3))
    assert np.isnan(ellipticity(moments, none)[0]).all() and np.isnan(width(moments, none)[0]).all()


def test_only_what_is_told_from_round_has_a_direction():
    e, cov = np.array([[0.0, 0.1], [0.01, 0.0]]), np.broadcast_to(1e-4 * np.eye(2), (2, 2, 2))
    length, std, angle, angle_std = strength(e, cov, 3.0)
    np.testing.assert_allclose(length, [0.1, 0.01])
    np.testing.assert_allclose(std, 0.01)
    np.testing.assert_allclose(angle, [45.0, np.nan])
    np.testing.assert_allclose(angle_std, [np.degrees(0.05), np.nan])


def test_the_covariance_of_a_fitted_shape_is_what_noise_makes():
    y, x = np.mgrid[:21, :21] - 10.0
    column, draw = 100 * np.exp(-(x**2 + 0.3 * x * y + 1.2 * y**2) / 12), np.random.default_rng(4)
    starts = round_starts(np.array([[10.0, 10.0]]), 2.4, 3.0)
    model, search = ColumnModel("elliptical", plane=True), Search(size=21)
    fits = [fit_columns(column + draw.normal(0, 2, x.shape), starts, model, search) for _ in range(600)]
    shapes = np.concatenate([fit.shape for fit in fits])
    claimed = np.mean([fit.shape_covariance[0] for fit in fits], axis=0)
    ratio = np.linalg.eigvals(np.linalg.solve(claimed, np.cov(shapes.T))).real
    assert (0.75 < ratio).all() and (ratio < 1.3).all()
    moments = moments_of(shapes, np.zeros((600, 3, 3)))[0].mean(axis=0)
    np.testing.assert_allclose(
        moments, 6 * np.linalg.inv([[1, 0.15], [0.15, 1.2]])[[0, 0, 1], [0, 1, 1]], rtol=0.02, atol=0.02
    )
