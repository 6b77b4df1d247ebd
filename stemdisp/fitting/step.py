"""Find the line across which values that are scattered on a plane jump.

A smooth trend (quadratic in x and y: thickness, defocus) is fitted along with the jump, so that a gradient is no step.
Directions and places of the line are tried coarsely on means over blocks, then fitted to all values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pulse import beat

Floats = NDArray[np.float64]

DIRECTIONS, PLACES = 48, 60
"""Lines tried: so many directions over half a turn, so many places along each."""

BLOCKS = 24
"""Values are averaged over this number of blocks along the longer side first."""

NEAREST_TO_RIM = 0.06
"""A line leaves at least this part of the values on either of its sides."""

BLURRED = 1.2
"""Logarithm of the width, in smallest ones, that a jump is first looked for with."""

FLAT = 20.0
"""Where a tanh is 1 to all digits that numbers have."""

MOST_BENT = 2
"""Terms by which the line may bend: a parabola, then a cubic."""


@dataclass(frozen=True)
class Step:
    """A line across which values jump.

    normal
        (2,) unit vector from the lower to the higher side of ``xy @ normal``.
    place, place_std
        Of the line along ``normal``, where it crosses the middle of all values, and its standard error.
    bend
        (0, 1 or 2 values) of a parabola and a cubic in the distance along the line, in units of ``reach``: how far it
        departs from a straight one at that distance.
    middle, reach
        (2,) centre of the values and the largest distance from it.
    jump
        (F,) of the values, from the lower to the higher side.
    width
        Over which they jump (tanh).
    gain
        By how much chi2 is better than with the smooth trend alone.
    """

    normal: Floats
    place: float
    place_std: float
    bend: Floats
    middle: Floats
    reach: float
    jump: Floats
    width: float
    gain: float

    def height(self, xy: Floats) -> Floats:
        """(M,) distance of places (M, 2) from the line along its normal, positive on the higher side."""
        away = xy - self.middle
        along = away @ [self.normal[1], -self.normal[0]] / self.reach
        bent = sum((c * along ** (n + 2) for n, c in enumerate(self.bend)), np.zeros(len(xy)))
        return np.asarray(away @ self.normal - self.place - bent)


def find_step(xy: Floats, values: Floats, *, width: float, worth: float) -> Step:
    """The best line across which ``values`` (M, F), of unit noise each, jump at places ``xy`` (M, 2).

    Parameters
    ----------
    width
        Smallest width of a jump, in units of ``xy``: the distance of neighbours.
    worth
        Gain of chi2 for which the line may bend.
    """
    from scipy.optimize import minimize

    middle = 0.5 * (xy.min(axis=0) + xy.max(axis=0))
    away = xy - middle
    reach = float(np.hypot(*away.T).max())
    smooth = np.linalg.qr(_smooth(away / reach))[0]
    left = values - smooth @ (smooth.T @ values)
    angle, place = _coarse(away, left, reach)

    def judged(unknown: Floats) -> tuple[float, Floats]:
        beat()
        height = _height(away, reach, unknown)
        rise = _tanh(height / (width * np.exp(np.clip(unknown[2], 0, 5))))[:, None]
        rise = rise - smooth @ (smooth.T @ rise)
        power = float((rise**2).sum())
        slope = rise[:, 0] @ left / power if power > 1e-9 else np.zeros(values.shape[1])
        return float(slope @ slope) * power, 2 * slope

    def worse(unknown: Floats) -> float:
        return -judged(unknown)[0]

    def refined(start: Floats) -> Any:
        # From a wide jump on: a sharp one sees only the rows beside it.
        for spread in (BLURRED, 0.3):
            start = np.concatenate([start[:2], [spread], start[3:]])
            scale = np.array([1 / DIRECTIONS, 1 / PLACES, 0.3, *[2 * width / reach] * (len(start) - 3)])
            found = minimize(worse, start, method="Nelder-Mead", options=_options(start, scale))
            start = found.x
        return found

    found = refined(np.array([angle, place / reach, BLURRED]))
    for _ in range(MOST_BENT):
        bends = [refined(np.append(found.x, bend)) for bend in (-2 * width / reach, 2 * width / reach)]
        bent = min(bends, key=lambda one: float(one.fun))
        if found.fun - bent.fun < worth:
            break
        found = bent
    gain, jump = judged(found.x)
    return Step(
        normal=np.array([np.cos(found.x[0]), np.sin(found.x[0])]),
        place=float(found.x[1] * reach),
        place_std=_error(worse, found.x, width / reach) * reach,
        bend=found.x[3:] * reach,
        middle=middle,
        reach=reach,
        jump=jump,
        width=float(width * np.exp(np.clip(found.x[2], 0, 5))),
        gain=gain,
    )


def _options(start: Floats, scale: Floats) -> Any:
    simplex = np.concatenate([start[None], start + np.diag(scale)])
    return {"initial_simplex": simplex, "xatol": 1e-4, "fatol": 1e-2, "maxfev": 400}


def _height(away: Floats, reach: float, unknown: Floats) -> Floats:
    """Distance from the line that ``unknown`` (angle, place, log width, bends ...) stands for."""
    normal = np.array([np.cos(unknown[0]), np.sin(unknown[0])])
    power = along = away @ [normal[1], -normal[0]] / reach
    bent = np.zeros(len(away))
    for bend in unknown[3:]:
        power = power * along
        bent += bend * power
    return np.asarray(away @ normal - reach * (unknown[1] + bent))


def _tanh(places: Floats) -> Floats:
    """The same as numpy's, which takes as long where there is nothing to work out: most places are far from a line."""
    near = np.abs(places) < FLAT
    found = np.sign(places)
    found[near] = np.tanh(places[near])
    return found


def _smooth(xy: Floats) -> Floats:
    """(M, 6) terms of the trend."""
    x, y = xy.T
    return np.stack([np.ones(len(x)), x, y, x * x, x * y, y * y], axis=1)


def _coarse(away: Floats, left: Floats, reach: float) -> tuple[float, float]:
    """Direction and place of the best sharp jump of block means."""
    side = 2 * reach / BLOCKS
    number = np.floor((away + reach) / side).astype(np.int64) @ [BLOCKS + 1, 1]
    _, block, count = np.unique(number, return_inverse=True, return_counts=True)
    centre = np.stack([np.bincount(block, away[:, i]) / count for i in (0, 1)], axis=1)
    mean = np.stack([np.bincount(block, column) / count for column in left.T], axis=1)
    root = np.sqrt(count)[:, None]
    smooth, mean = _smooth(centre / reach) * root, mean * root
    basis = np.linalg.qr(smooth)[0]
    best = (-1.0, 0.0, 0.0)
    for angle in np.arange(DIRECTIONS) * np.pi / DIRECTIONS:
        u = centre @ [np.cos(angle), np.sin(angle)]
        order = np.argsort(u)
        share = np.cumsum(count[order]) / count.sum()
        low, high = np.interp([NEAREST_TO_RIM, 1 - NEAREST_TO_RIM], share, u[order])
        places = np.linspace(low, high, PLACES)
        rise = np.where(u[:, None] > places, 1.0, -1.0) * root
        rise = rise - basis @ (basis.T @ rise)
        power = (rise**2).sum(axis=0)
        gain = ((rise.T @ mean) ** 2).sum(axis=1) / np.maximum(power, 1e-9)
        gain[power < 1e-6 * count.sum()] = 0
        top = int(gain.argmax())
        if gain[top] > best[0]:
            best = (float(gain[top]), float(angle), float(places[top]))
    return best[1:]


def _error(worse: Callable[[Floats], float], found: Floats, step: float) -> float:
    """Standard error of the place: where chi2 is worse by 1, from its curvature over ``step`` to both sides."""
    moved = [found + step * np.eye(len(found))[1] * side for side in (-1, 1)]
    curvature = (sum(worse(one) for one in moved) - 2 * worse(found)) / step**2
    return float(np.sqrt(2 / curvature)) if curvature > 0 else float("inf")
