"""Fit columns one by one, all at once, in small windows of an image from which their neighbours were taken.

A plane lies under each column.  What the joint model leaves under a weak column (tails, uneven background) is such a
plane; in a noisy image its slopes are noise instead.  They are therefore shrunk by empirical Bayes: the variance of
the slopes over all columns, less what noise alone would give, is the variance they are allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend import CPU, Device
from ..pulse import beat
from .profile import Shape
from .window import ColumnFits, ColumnModel, Search, Starts, Status, fit_columns

Floats = NDArray[np.float64]
Pixels = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class LocalProblem:
    """Columns (n) to be fitted with the profile they have.

    image, weight
        (ny, nx) with the neighbours taken off; weight 0 = not used.
    radius
        px of the round windows.
    shape, sigma
        The profile, and its width (n,) px.
    start, limit
        (n, 2) px, and (n,) how far from it a column may go.
    own
        (n,) heights of the columns where they were taken off the image as well, as they stand at ``start``.
    """

    image: Pixels
    weight: Pixels
    radius: float
    shape: Shape
    sigma: Floats
    start: Floats
    limit: Floats
    own: Floats | None = None
    device: Device = CPU


@dataclass(frozen=True)
class LocalFit:
    """Amplitude (n,), position (n, 2), covariance (n, 3, 3) of (amplitude, x, y), slopes (n, 2) of the plane and their
    variance (n, 2), weighted mean square residual (n,), whether the fit did not end well (n,), who computed it, and
    1 / variance that the slopes were allowed.

    A column that cannot be fitted keeps its start and its own height; its covariance is NaN.
    """

    amplitude: Floats
    xy: Floats
    covariance: Floats
    slopes: Floats
    slopes_variance: Floats
    chi2: Floats
    moving: NDArray[np.bool_]
    engine: str
    ridge: float = 0.0


def fit_windows(
    problem: LocalProblem, *, tolerance: float, max_iterations: int, ridge: float | None = None
) -> LocalFit:
    """Amplitude, position and plane of each column with its profile fixed.

    The first fit leaves the slopes of the plane free, the second holds them as tightly as the first says; where
    ``ridge`` says it, one fit will do.
    """
    search = Search(
        size=2 * int(np.ceil(problem.radius)) + 3,
        radius=problem.radius,
        tolerance=tolerance,
        evaluations=max_iterations,
    )
    if ridge is not None:
        return _fit(problem, replace(search, ridge=ridge))
    loose = _fit(problem, search)
    beat()
    known = np.isfinite(loose.slopes_variance).all(axis=1)
    if not known.any():
        return loose
    spread = 1.4826 * np.median(np.abs(loose.slopes[known]))
    allowed = max(spread**2 - float(np.median(loose.slopes_variance[known])), 1e-6 * spread**2, 1e-300)
    return _fit(problem, replace(search, ridge=1 / allowed))


def _fit(problem: LocalProblem, search: Search) -> LocalFit:
    n, shape = len(problem.start), problem.shape
    metric = shape.metric[[0, 0, 1], [0, 1, 1]]
    starts = Starts(problem.start, metric * (0.5 / problem.sigma**2).reshape(n, 1), problem.limit, problem.own)
    model = ColumnModel("shared", plane=True, tail=shape.tail, ratio=float(np.exp(shape.log_ratio)))
    fits = fit_columns(problem.image, starts, model, search, weight=problem.weight, device=problem.device)
    return _named(fits, np.zeros(n) if problem.own is None else problem.own, search.ridge)


def _named(fits: ColumnFits, own: Floats, ridge: float) -> LocalFit:
    failed = np.isin(fits.status, (Status.FEW_PIXELS, Status.SINGULAR))
    return LocalFit(
        amplitude=np.where(failed, own, fits.amplitude),
        xy=fits.xy,
        covariance=fits.covariance,
        slopes=fits.slopes,
        slopes_variance=fits.background_variance[:, 1:],
        chi2=fits.chi2,
        moving=~fits.converged,
        engine=fits.engine,
        ridge=ridge,
    )
