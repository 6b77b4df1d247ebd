"""Lines and smooth curves on the plane: fitted to points near them, and how far from them other points are."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HIGHEST_DEGREE = 3
"""Of the polynomials that pass for a smooth curve."""

ALIKE = 3
"""Points in a row that are off to the same side, as those of one terrace are: so many count as one."""

STIFFNESS = 1e-2
"""Of a dividing curve against slope and bend, in places divided: hardly any."""

ROUNDS = 20
"""Repetitions of the fit with weights of the last one; few are needed, and none harms."""


def smooth_curve(along: Floats, across: Floats, reach: float) -> tuple[Polynomial, NDArray[np.bool_]]:
    """The curve ``across(along)`` through most of the points (N,), and which of them (N,) lie within ``reach`` of it.

    Of polynomials of degree 2 and 3 it is the one that is worth its terms (Schwarz 1978, doi 10.1214/aos/1176344136).
    Points far off do not count (Tukey's biweight).
    """
    best: tuple[float, Polynomial, NDArray[np.bool_]] | None = None
    for degree in range(2, HIGHEST_DEGREE + 1):
        curve = _robust(along, across, degree, reach)
        off = np.minimum(np.abs(across - curve(along)), reach)
        spread = max(float((off**2).mean()), (1e-2 * reach) ** 2)
        worth = len(along) / ALIKE * np.log(spread) + degree * np.log(len(along))
        if best is None or worth < best[0]:
            best = (worth, curve, np.asarray(off < reach))
    assert best is not None
    return best[1:]


def _robust(along: Floats, across: Floats, degree: int, reach: float) -> Polynomial:
    weight = np.ones(len(along))
    for _ in range(ROUNDS):
        curve = Polynomial.fit(along, across, degree, w=weight)
        off = (across - curve(along)) / (2 * reach)
        weight = np.maximum(1 - off**2, 0.0)
        if (weight > 0).sum() <= degree:
            break
    return curve


def dividing_curve(curve: Polynomial, inner: Floats, outer: Floats, width: float) -> Polynomial:
    """The curve of the same degree that best divides places (along, across) below it from those above (n, 2), (m, 2).

    Logistic regression (Cox 1958, doi 10.1111/j.2517-6161.1958.tb00292.x) of which ``width`` is fixed: half the
    distance of the last row below from the first above, or so. Starts from ``curve``.
    """
    places = np.concatenate([inner, outer])
    below = np.arange(len(places)) < len(inner)
    scaled = np.polynomial.polyutils.mapdomain(places[:, 0], curve.domain, curve.window)
    terms = np.vander(scaled, len(curve.coef), increasing=True)
    coefficients = np.array(curve.coef, dtype=np.float64)
    # Where places are divided by many curves, it is the one that bends least.
    stiff = np.diag([1e-9, *[STIFFNESS] * (len(coefficients) - 1)])
    for _ in range(ROUNDS):
        chance = 1 / (1 + np.exp(((places[:, 1] - terms @ coefficients) / width).clip(-30, 30)))
        weight = np.maximum(chance * (1 - chance), 1e-6)
        step = np.linalg.solve(
            (terms * weight[:, None]).T @ terms + stiff, terms.T @ (below - chance) * width - stiff @ coefficients
        )
        coefficients = coefficients + step.clip(-width, width)
    return Polynomial(coefficients, curve.domain, curve.window)


def height_over(points: Floats, along: Floats) -> Floats:
    """(M,) height of a chain of ``points`` (P, 2), given as (along, across) with ``along`` growing, at places ``along``
    (M,); its first and last piece go on for ever."""
    last = np.searchsorted(points[:, 0], along).clip(1, len(points) - 1)
    (x0, y0), (x1, y1) = points[last - 1].T, points[last].T
    return np.asarray(y0 + (y1 - y0) * (along - x0) / (x1 - x0))


def distance_from(points: Floats, places: Floats) -> Floats:
    """(M,) shortest distance of ``places`` (M, 2) from a chain of ``points`` (P, 2)."""
    shortest = np.full(len(places), np.inf)
    for start, end in pairwise(points):
        piece = end - start
        share = ((places - start) @ piece / (piece @ piece)).clip(0, 1)
        away = places - start - share[:, None] * piece
        shortest = np.minimum(shortest, np.hypot(away[:, 0], away[:, 1]))
    return shortest
