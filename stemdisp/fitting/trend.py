"""How a quantity that was measured at many places changes from one end of them to the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST = 10
"""Places without which there is no trend: a plane has three parameters, and its error wants some more."""

FLATTEST = 0.05
"""Least ratio of the second moments of the places along two axes: flatter ones lie on a line."""

FARTHEST = 4.0
"""Values farther from the plane than so many standard deviations of their middle are no part of it."""

PER_MEDIAN = 1.4826
"""Standard deviation of normal numbers over the median of their sizes."""


@dataclass(frozen=True)
class Trend:
    """A plane through values at places.

    mean
        Its value in the middle of the places.
    change, change_std
        From the one end of the places to the other along the direction in which it rises.
    direction_deg
        This direction, counter-clockwise as seen (y runs down), in (-180, 180].
    """

    mean: float
    change: float
    change_std: float
    direction_deg: float


def trend(xy: Floats, values: Floats) -> Trend | None:
    """The plane through ``values`` (n,) at ``xy`` (n, 2), by least squares; None where places are too few or on a line.

    The error is what the scatter about the plane makes of it, whatever that comes from. The change is never negative:
    where there is none it comes out as large as its error.

    >>> y, x = np.mgrid[:5, :5]
    >>> found = trend(np.column_stack([x.ravel(), y.ravel()]), 2.0 + 0.1 * x.ravel())
    >>> round(found.mean, 6), round(found.change, 6), round(found.direction_deg, 6) + 0.0
    (2.2, 0.4, 0.0)
    """
    known = np.isfinite(values) & np.isfinite(xy).all(axis=1)
    if not _spread_out(xy[known]):
        return None
    _, left = _plane(xy[known], values[known])
    size = np.abs(left)
    near = size <= FARTHEST * PER_MEDIAN * max(float(np.median(size)), float(np.finfo(float).eps))
    known[known] = near
    if not _spread_out(xy[known]):
        return None
    around = xy[known] - xy[known].mean(axis=0)
    (mean, *slopes), left = _plane(around, values[known])
    steepness = float(np.hypot(*slopes))
    along = np.array(slopes) / steepness if steepness > 0 else np.array([1.0, 0.0])
    extent = float(np.ptp(around @ along))
    variance = (left**2).sum() / (len(left) - 3)
    error = float(np.sqrt(variance * along @ np.linalg.inv(around.T @ around) @ along))
    direction = float(np.degrees(np.arctan2(-along[1], along[0])))
    return Trend(float(mean), steepness * extent, error * extent, direction)


def _spread_out(xy: Floats) -> bool:
    if len(xy) < FEWEST:
        return False
    low, high = np.linalg.eigvalsh(np.cov(xy.T))
    return bool(low > FLATTEST * high)


def _plane(xy: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Level and slopes (3,) of the plane through values (n,), and what it leaves of them."""
    design = np.column_stack([np.ones(len(values)), xy])
    found = np.linalg.lstsq(design, values, rcond=None)[0]
    return np.asarray(found), np.asarray(values - design @ found)
