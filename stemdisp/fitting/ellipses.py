"""The second moments of single columns, each fitted as an ellipse of its own, and what they say: ellipticity, width.

    S = [[xx, xy], [xy, yy]],    profile = exp(-d' S^-1 d / 2),    e = (s1 - s2) / (s1 + s2) (cos 2t, sin 2t)

with s1 and s2 the standard deviations along the long and the short axis and t the direction of the long one,
counter-clockwise as seen (y runs down).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backend import CPU, Device
from .joint import JointFit
from .problem import Problem
from .window import LARGEST, ColumnModel, Search, Starts, fit_columns

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WINDOW_WIDTHS = 2.5
"""Radius of a window in widths of the widest column in it."""

FURTHEST_WIDTHS = 2.0
"""How far a column may go from where the joint fit has it."""


@dataclass(frozen=True)
class Ellipses:
    """Columns (n) as ellipses of their own; NaN where the fit did not end well.

    xy
        (n, 2) px.
    moments, covariance
        (n, 3) xx, xy, yy of the core in px^2, and (n, 3, 3) their covariance.
    """

    xy: Floats
    moments: Floats
    covariance: Floats


def fit_ellipses(problem: Problem, joint: JointFit, rows: Ints, device: Device = CPU) -> Ellipses:
    """An ellipse on a slope for each of the columns ``rows`` (n,), in a window of the image without its neighbours.

    In its window each column stands as the joint fit leaves it, with the tail that all columns share taken off.
    """
    n, shape = len(rows), joint.state.shape
    if not n:
        return Ellipses(np.zeros((0, 2)), np.zeros((0, 3)), np.zeros((0, 3, 3)))
    sigma = np.exp(shape.log_sigma)[problem.group[rows]]
    metric = shape.metric[[0, 0, 1], [0, 1, 1]]
    starts = Starts(
        joint.state.xy[rows],
        metric * (0.5 / sigma**2).reshape(n, 1),
        FURTHEST_WIDTHS * sigma,
        joint.state.amplitude[rows],
    )
    radius = WINDOW_WIDTHS * float(sigma.max())
    search = Search(size=min(2 * int(np.ceil(radius)) + 1, LARGEST), radius=radius)
    model = ColumnModel("elliptical", plane=True)
    found = fit_columns(joint.rest, starts, model, search, weight=joint.weight, device=device)
    moments, covariance = moments_of(found.shape, found.shape_covariance)
    told = found.converged
    return Ellipses(
        np.where(told[:, None], found.xy, np.nan),
        np.where(told[:, None], moments, np.nan),
        np.where(told[:, None, None], covariance, np.nan),
    )


def moments_of(shape: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Moments (n, 3) and their covariance (n, 3, 3) of exponents a dx^2 + 2 b dx dy + c dy^2, given as (n, 3).

    >>> moments_of(np.array([[0.5, 0.0, 0.125]]), np.zeros((1, 3, 3)))[0]
    array([[ 1., -0.,  4.]])
    """
    a, b, c = shape.T
    twice = 2 * (a * c - b**2)
    moments = np.column_stack([c, -b, a]) / twice[:, None]
    xx, xy, yy = moments.T
    # dS = -S d(S^-1) S with S^-1 = 2 [[a, b], [b, c]].
    by = -2 * np.array(
        [[xx**2, 2 * xx * xy, xy**2], [xx * xy, xx * yy + xy**2, xy * yy], [xy**2, 2 * xy * yy, yy**2]]
    ).transpose(2, 0, 1)
    return moments, by @ covariance @ by.transpose(0, 2, 1)


def scaled(moments: Floats, covariance: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """Both in another unit: lengths along x and y times ``scale`` (2,)."""
    x, y = scale
    factor = np.array([x * x, x * y, y * y])
    return moments * factor, covariance * np.outer(factor, factor)


def ellipticity(moments: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """(n, 2) ellipticity e as seen, and its covariance (n, 2, 2); NaN of moments that are no ellipse's.

    >>> ellipticity(np.array([[9.0, 0.0, 4.0]]), np.zeros((1, 3, 3)))[0].round(6)
    array([[ 0.2, -0. ]])
    """
    xx, xy, yy = moments.T
    # (s1 + s2)^2 = xx + yy + 2 sqrt(det).
    root = np.sqrt(_det(moments))
    whole = xx + yy + 2 * root
    e = np.column_stack([xx - yy, -2 * xy]) / whole[:, None]
    by_whole = np.column_stack([1 + yy / root, -2 * xy / root, 1 + xx / root])
    by = np.zeros((len(e), 2, 3))
    by[:, 0, 0], by[:, 0, 2], by[:, 1, 1] = 1.0, -1.0, -2.0
    by = (by - e[:, :, None] * by_whole[:, None, :]) / whole[:, None, None]
    return e, by @ covariance @ by.transpose(0, 2, 1)


def width(moments: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """(n,) geometric mean of both standard deviations, and its standard deviation.

    >>> width(np.array([[9.0, 0.0, 4.0]]), np.zeros((1, 3, 3)))[0].round(6)
    array([2.44949])
    """
    xx, xy, yy = moments.T
    det = _det(moments)
    mean = det**0.25
    by = np.column_stack([yy, -2 * xy, xx]) * (mean / (4 * det))[:, None]
    return mean, np.sqrt(np.einsum("ni,nij,nj->n", by, covariance, by))


def _det(moments: Floats) -> Floats:
    """(n,) determinants; NaN of what is no ellipse."""
    xx, xy, yy = moments.T
    det = xx * yy - xy**2
    return np.where((det > 0) & (xx > 0), det, np.nan)


def axes(moments: Floats, covariance: Floats) -> tuple[Floats, Floats, Floats]:
    """(n, 2) standard deviations along the long and the short axis, (n,) direction of the long one in degrees, [0,
    180), and (n, 3) their standard deviations.

    That of the direction is as large as it comes out where the column is nearly round, and says no more then.

    >>> sigma, angle, _ = axes(np.array([[4.0, 0.0, 9.0]]), np.zeros((1, 3, 3)))
    >>> sigma.tolist(), angle.tolist()
    ([[3.0, 2.0]], [90.0])
    """
    xx, xy, yy = moments.T
    angle = 0.5 * np.arctan2(-2 * xy, xx - yy)
    mean, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    sigma = np.sqrt(np.where(mean > half, [mean + half, mean - half], np.nan)).T
    cos, sin = np.cos(2 * angle), np.sin(2 * angle)
    # Along the axes S is diagonal: its elements there are squared widths, its cross element turns them.
    by_long = np.column_stack([(1 + cos) / 2, -sin, (1 - cos) / 2]) / (2 * sigma[:, :1])
    by_short = np.column_stack([(1 - cos) / 2, sin, (1 + cos) / 2]) / (2 * sigma[:, 1:])
    with np.errstate(divide="ignore", invalid="ignore"):
        by_turn = np.column_stack([-sin / 2, -cos, sin / 2]) / (2 * half[:, None])
        by = np.stack([by_long, by_short, np.degrees(by_turn)], axis=1)
        std = np.sqrt(np.einsum("nki,nij,nkj->nk", by, covariance, by))
    return sigma, np.degrees(angle) % 180.0, std


def strength(e: Floats, covariance: Floats, sigmas: float) -> tuple[Floats, Floats, Floats, Floats]:
    """(n,) lengths of ellipticities (n, 2), directions of the long axis in degrees, [0, 180), and both's standard
    deviations.

    There is no direction where the length is below ``sigmas`` of its standard deviations.
    """
    length = np.hypot(*e.T)
    along = e / np.where(length > 0, length, np.nan)[:, None]
    across = along[:, ::-1] * [-1.0, 1.0]
    std, turned = (np.sqrt(np.einsum("ni,nij,nj->n", u, covariance, u)) for u in (along, across))
    told = length >= sigmas * std
    angle = np.degrees(0.5 * np.arctan2(e[:, 1], e[:, 0])) % 180.0
    with np.errstate(divide="ignore", invalid="ignore"):
        angle_std = np.degrees(0.5 * turned / length)
    return length, std, np.where(told, angle, np.nan), np.where(told, angle_std, np.nan)
