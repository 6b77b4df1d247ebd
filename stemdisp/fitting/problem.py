"""What a joint fit is asked, and its state on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .profile import Shape, evaluate
from .tiles import hats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


FAINTEST = 0.02
"""Poisson weights are 1 / max(model, this fraction of the brightest pixels): dark counts and read-out noise remain."""


POISSON, UNIFORM = (0.0, 1.0), (1.0, 0.0)
"""(offset, gain) of variances offset + gain * expected, up to a factor."""


def variance_model(variance: tuple[float, float], faintest: float) -> tuple[float, float, float]:
    """(offset, gain, floor) such that pixels weigh 1 / max(offset + gain * expected, floor); ``faintest`` is the
    smallest expected value that is believed."""
    offset, gain = variance
    return offset, gain, max(offset, 0.0) + gain * faintest


AT_RIM = 0.005
"""Height of a profile, relative to its peak, that may be left at the rim of its window."""

SQUARE = 64.0
"""Side (px) of the squares by which columns are ordered."""

COLUMNWISE = (
    "start",
    "expected",
    "group",
    "centre",
    "beside",
    "radius",
    "inner",
    "free",
    "limit",
    "known",
    "tolerance",
)


@dataclass(frozen=True)
class Problem:
    """What is fitted.

    image
        (ny, nx) float32 or float64; NaN = no data.
    start
        (N, 2) positions (x, y) in px where columns were found.
    expected
        (N, 2) px; where a column is known beforehand to be, or stays if it is not free.
    group
        (N,) columns of one group share a width.
    centre
        (N, 2) where profiles and the pixels that are used lie around: as near to the columns as is known, and the same
        during a fit, so that no pixel comes or goes.
    radius
        (N,) px; a column's profile ends there.
    inner
        (N,) px; pixels farther than this from every column are not used.
    free
        (N,) columns whose position is fitted.
    tied
        (N, 3) rows whose mean amplitude a column takes, -1 = its own amplitude is fitted.
    led
        (N, 3) rows with which a column that is not free moves along; -1 = it stays.
    beside
        (N, 2) px from the mean of these to the column.
    spacing
        px between background knots.
    limit
        (N,) px; a column that leaves this distance of its start has run away.
    known
        (N,) px; standard deviation of what is expected, inf where nothing is.
    variance
        (offset, gain): the variance of a pixel is offset + gain * expected, up to a factor.
    tolerance
        (N,) px; the fit is done when no column moves farther than this.
    """

    image: NDArray[np.floating]
    start: Floats
    expected: Floats
    centre: Floats
    group: Ints
    radius: Floats
    inner: Floats
    free: NDArray[np.bool_]
    tied: Ints
    led: Ints
    beside: Floats
    spacing: float
    limit: Floats
    known: Floats
    tolerance: Floats
    variance: tuple[float, float] = POISSON
    tail: bool = True

    def order(self) -> Ints:
        """Rows by where they start, square by square of the image: neighbours stand near each other."""
        x, y = self.start.T
        return np.lexsort((self.group, x, y, np.floor(x / SQUARE), np.floor(y / SQUARE)))

    def taken(self, order: Ints) -> Problem:
        """The same columns in another order."""
        place = np.argsort(order)
        changes: dict[str, Any] = {name: getattr(self, name)[order] for name in COLUMNWISE}
        for name in ("tied", "led"):
            of = getattr(self, name)[order]
            changes[name] = np.where(of >= 0, place[of], -1)
        return replace(self, **changes)


@dataclass(frozen=True)
class State:
    """A model: positions (N, 2), amplitudes (N,), background at the knots (K,), shape, and which columns may still
    move."""

    xy: Floats
    amplitude: Floats
    background: Floats
    shape: Shape
    free: NDArray[np.bool_]

    def taken(self, order: Ints) -> State:
        """The same columns in another order."""
        return replace(self, xy=self.xy[order], amplitude=self.amplitude[order], free=self.free[order])


def background_at(problem: Problem, state: State, xy: Floats) -> Floats:
    """(N,) smooth background under positions (N, 2) px."""
    knots = hats((problem.image.shape[0], problem.image.shape[1]), problem.spacing)
    grid = state.background.reshape(len(knots[1]), len(knots[0]))
    place = (xy - [knots[0][0], knots[1][0]]) / problem.spacing
    first = np.clip(np.floor(place).astype(int), 0, np.array(grid.shape[::-1]) - 2)
    u, v = (place - first).T
    i, j = first.T
    low = (1 - u) * grid[j, i] + u * grid[j, i + 1]
    return np.asarray((1 - v) * low + v * ((1 - u) * grid[j + 1, i] + u * grid[j + 1, i + 1]))


def background_on(knots: tuple[Floats, Floats], state: State, part: tuple[slice, slice]) -> Floats:
    """(h, w) smooth background at the pixels of a part of the image."""
    grid = state.background.reshape(len(knots[1]), len(knots[0]))
    x, y = (np.arange(along.start, along.stop) for along in part[::-1])
    across = np.stack([np.interp(x, knots[0], line) for line in grid])
    return np.stack([np.interp(y, knots[1], line) for line in across.T], axis=1)


def confined(state: State, problem: Problem) -> bool:
    """Whether the brightest columns' profile has ended at the rim of their window."""
    widest = int(problem.radius.argmax())
    sigma = float(np.exp(state.shape.log_sigma)[problem.group[widest]])
    rim = np.array([problem.radius[widest]])
    return bool(evaluate(state.shape, sigma, rim, np.zeros(1), np).value[0] <= AT_RIM)
