"""Fit a few columns of an image again, while everything else stays as a joint fit left it: the columns around them, the
profile, the background, and how the variance of a pixel follows from its expected value.

The same sums and steps as in the joint fit (fitting.joint), over the pixels of the few, with matrices small enough to
be written down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pulse import beat
from .engine import Gradient
from .joint import MOVING, JointFit
from .pace import Pace
from .prior import prior, towards_prior
from .problem import Problem, State, background_on, variance_model
from .profile import at_rim, evaluate
from .tiles import FINER, hats, odd_stride

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MARGIN = 2
"""Pixels of a patch beyond what its columns reach."""

SMALL = 1e-9
"""Of the diagonal is added to it, so that what nothing says stays where it is."""


@dataclass(frozen=True)
class Patch:
    """The answer: a fit of the columns asked for alone, in a part of the image that begins at the pixel ``corner``
    (x, y), whose background is taken off; and the problem that it is the answer to."""

    problem: Problem
    joint: JointFit
    corner: Ints


def box(problem: Problem, xy: Floats, rows: Ints, reach: float) -> tuple[slice, slice]:
    """Rows and columns of the pixels within ``reach`` px, and their profiles' radius, of some columns."""
    reach = max(reach, float(problem.radius[rows].max())) + MARGIN
    low = np.floor(xy[rows].min(axis=0) - reach).astype(int).clip(0)
    high = np.ceil(xy[rows].max(axis=0) + reach).astype(int) + 1
    ny, nx = problem.image.shape
    return slice(low[1], min(int(high[1]), ny)), slice(low[0], min(int(high[0]), nx))


def fit_patch(
    problem: Problem,
    state: State,
    image: NDArray[np.floating[Any]],
    rows: Ints,
    part: tuple[slice, slice],
    *,
    chi2: float,
    faintest: float,
    max_iterations: int,
) -> Patch:
    """Amplitudes and positions of the columns ``rows`` (n,), from ``state`` on, until they move no more.

    Parameters
    ----------
    problem, state
        Of all columns of the image; profiles lie around where the state has them, and the problem's image may be empty.
    image, part
        The pixels that are looked at (h, w), and where in the whole image they are.
    chi2, faintest
        Of the fit of all columns: its mean square residual, and the smallest expected value that is believed.
    """
    ground = background_on(hats((problem.image.shape[0], problem.image.shape[1]), problem.spacing), state, part)
    corner = np.array([part[1].start, part[0].start])
    small, at = _taken(problem, state, rows, corner, image - ground)
    others = _others(problem, state, rows, part)
    seen = _Pixels(small, at, others, ground, faintest)
    at = seen.lifted(at)
    pace, moved = Pace(0.5 * small.limit), np.full(len(rows), np.inf)
    runaway, iterations = np.zeros(len(rows), dtype=bool), 0
    while iterations < max_iterations and (moved >= small.tolerance).any():
        beat()
        at, moved, fled = seen.step(at, chi2, pace)
        runaway |= fled
        iterations += 1
    values = seen.derivatives(at)
    curvature = seen.curvature(at, prior(small, at, chi2).position, values)
    covariance = _covariance(curvature, at.free) * chi2
    with np.errstate(invalid="ignore"):
        beforehand = 0.5 * (covariance[:, 1, 1] + covariance[:, 2, 2]) / small.known**2
    rest, weight = seen.rest(at, values)
    moving = moved >= MOVING * small.tolerance
    joint = JointFit(
        at, covariance, chi2, rest, weight, moving, runaway, small.expected, beforehand, iterations, "", faintest, None
    )
    return Patch(small, joint, corner)


def _taken(problem: Problem, state: State, rows: Ints, corner: Ints, image: NDArray[Any]) -> tuple[Problem, State]:
    """Some columns alone, seen from ``corner``, on an image without a background."""
    alone = replace(problem, tied=np.full_like(problem.tied, -1), led=np.full_like(problem.led, -1)).taken(rows)
    moved = {name: getattr(alone, name) - corner for name in ("start", "expected")}
    knots = hats((image.shape[0], image.shape[1]), problem.spacing)
    at, nothing = state.taken(rows), np.zeros(len(knots[0]) * len(knots[1]))
    at = replace(at, xy=at.xy - corner, background=nothing, free=alone.free)
    return replace(alone, **moved, centre=at.xy, image=image), at


@dataclass(frozen=True)
class _Others:
    """What columns that stay give (h, w), and pixels near enough to them to be used."""

    model: Floats
    near: NDArray[np.bool_]


def _others(problem: Problem, state: State, rows: Ints, part: tuple[slice, slice]) -> _Others:
    corner = np.array([part[1].start, part[0].start])
    shape = part[0].stop - part[0].start, part[1].stop - part[1].start
    xy = state.xy - corner
    reach = np.maximum(problem.radius, problem.inner)[:, None]
    inside = ((xy > -reach) & (xy < np.array(shape[::-1]) - 1 + reach)).all(axis=1)
    inside[rows] = False
    model, near = np.zeros(shape), np.zeros(shape, dtype=bool)
    beside = np.flatnonzero(inside)
    sigma = np.exp(state.shape.log_sigma)[problem.group[beside]]
    rim = at_rim(state.shape, sigma, problem.radius[beside])[0]
    for i, row in enumerate(beside):
        window, dx, dy = _window(xy[row], float(reach[row, 0]), shape)
        value = evaluate(state.shape, sigma[i], dx, dy, np).value - rim[i]
        away = np.hypot(dx, dy)
        model[window] += state.amplitude[row] * value * (away <= problem.radius[row])
        near[window] |= away <= problem.inner[row]
    return _Others(model, near)


def _window(xy: Floats, reach: float, shape: tuple[int, int]) -> tuple[tuple[slice, slice], Floats, Floats]:
    """Pixels of a patch within ``reach`` px of a place along x and y, and their distances along both."""
    low = np.ceil(xy - reach).astype(int).clip(0)
    high = np.minimum(np.floor(xy + reach).astype(int) + 1, shape[::-1])
    high = np.maximum(high, low)
    dx = np.arange(low[0], high[0])[None, :] - xy[0]
    dy = np.arange(low[1], high[1])[:, None] - xy[1]
    return (slice(low[1], high[1]), slice(low[0], high[0])), dx, dy


class _Pixels:
    """The pixels of a patch and the model of its columns on them, as derivatives that are zero almost everywhere."""

    def __init__(self, problem: Problem, start: State, others: _Others, ground: Floats, faintest: float) -> None:
        self.problem, self.others, self.ground = problem, others, ground
        self.shape = others.model.shape
        self.variance = variance_model(problem.variance, faintest)
        sigma = np.exp(start.shape.log_sigma)
        self.sigma, self.stride = sigma[problem.group], odd_stride(FINER * float(sigma.min()))
        self.rim = at_rim(start.shape, self.sigma, problem.radius)[0]
        near, index, first = others.near.copy(), [], [0]
        for xy, radius, inner in zip(problem.centre, problem.radius, problem.inner, strict=True):
            window, dx, dy = _window(xy, max(float(radius), float(inner)), self.shape)
            near[window] |= np.hypot(dx, dy) <= inner
            (y, x) = np.nonzero(np.hypot(dx, dy) <= radius)
            index.append((y + window[0].start) * self.shape[1] + x + window[1].start)
            first.append(first[-1] + len(y))
        self.index, self.first = np.concatenate(index), np.array(first)
        self.column = np.repeat(np.arange(len(first) - 1), np.diff(first))
        self.used = near & np.isfinite(problem.image)
        self.data = np.where(self.used, problem.image, 0.0)
        y, x = np.divmod(self.index, self.shape[1])
        self.xy = np.stack([x, y], axis=1).astype(np.float64)

    def derivatives(self, state: State) -> Floats:
        """(3, M) by amplitude, x and y at the pixels of each column, one column after another."""
        dx, dy = (self.xy - state.xy[self.column]).T
        at = evaluate(state.shape, self.sigma[self.column], dx, dy, np)
        height = state.amplitude[self.column] * at.q
        return np.stack([at.value - self.rim[self.column], height * at.mx, height * at.my])

    def rest(self, state: State, derivatives: Floats | None = None) -> tuple[Floats, Floats]:
        """Image minus model, and weight (h, w), both zero where no pixel is used."""
        value = (self.derivatives(state) if derivatives is None else derivatives)[0]
        own = np.bincount(self.index, state.amplitude[self.column] * value, self.data.size).reshape(self.shape)
        model = self.others.model + own
        offset, gain, floor = self.variance
        weight = self.used / np.maximum(offset + gain * (model + self.ground), floor)
        return np.where(self.used, self.data - model, 0.0), weight

    def curvature(self, state: State, known: Floats, derivatives: Floats | None = None) -> Floats:
        """(3n, 3n) weighted products of derivatives, and what is ``known`` (n,) of positions beforehand, over every
        ``stride``-th pixel."""
        from scipy.sparse import csr_matrix

        values = self.derivatives(state) if derivatives is None else derivatives
        weight = self.rest(state, values)[1].ravel()
        kept = np.flatnonzero((self.xy.astype(np.int64) % self.stride == self.stride // 2).all(axis=1))
        n, index = len(self.problem.radius), self.index[kept]
        root = np.sqrt(weight[index]) * self.stride
        rows = (3 * self.column[kept] + np.arange(3)[:, None]).ravel()
        size = (3 * n, self.data.size)
        jacobian = csr_matrix(((values[:, kept] * root).ravel(), (rows, np.tile(index, 3))), shape=size)
        product = np.asarray((jacobian @ jacobian.T).todense())
        diagonal = np.zeros((n, 3))
        diagonal[:, 1:] = known[:, None]
        diagonal = diagonal.ravel() + SMALL * np.diag(product)
        return product + np.diag(diagonal + (diagonal + np.diag(product) == 0))

    def pulls(self, values: Floats, residual: Floats) -> Floats:
        """(n, 3) sums of derivatives times a weighted residual (h, w)."""
        products = values * residual.ravel()[self.index]
        n = len(self.problem.radius)
        return np.stack([np.bincount(self.column, product, n) for product in products], axis=1)

    def lifted(self, state: State) -> State:
        """With the amplitudes that fit best where columns stand."""
        values = self.derivatives(state)
        rest, weight = self.rest(state, values)
        product = self.curvature(state, np.zeros(len(state.xy)), values)[::3, ::3]
        change = np.linalg.solve(product, self.pulls(values, rest * weight)[:, 0])
        return replace(state, amplitude=state.amplitude + change)

    def step(self, state: State, chi2: float, pace: Pace) -> tuple[State, Floats, NDArray[np.bool_]]:
        """The next state, how far each column moved (n,) in px, and which ran away."""
        values = self.derivatives(state)
        rest, weight = self.rest(state, values)
        known = prior(self.problem, state, chi2)
        none = np.zeros(0)
        gradient = Gradient(self.pulls(values, rest * weight), none, np.zeros(len(known.shape)), 0.0, 0)
        pull = towards_prior(self.problem, state, gradient, known).columns
        pull[~state.free, 1:] = 0
        curvature = _held(self.curvature(state, known.position, values), state.free)
        change: Floats = np.linalg.solve(curvature, pull.ravel()).reshape(-1, 3).astype(np.float64)
        move = pace.limited(change[:, 1:])
        xy = state.xy + move
        fled = state.free & (np.hypot(*(xy - self.problem.start).T) > self.problem.limit)
        xy[fled] = self.problem.start[fled]
        new = replace(state, xy=xy, amplitude=state.amplitude + change[:, 0], free=state.free & ~fled)
        return new, np.hypot(move[:, 0], move[:, 1]), fled


def _held(curvature: Floats, free: NDArray[np.bool_]) -> Floats:
    """The curvature with the positions of columns that are not free tied to nothing."""
    held = np.repeat(~free, 3)
    held[::3] = False
    found = curvature.copy()
    found[held] = found[:, held] = 0
    found[held, held] = 1
    return found


def _covariance(curvature: Floats, free: NDArray[np.bool_]) -> Floats:
    """(n, 3, 3) inverse of the curvature for each column; NaN where its position is held."""
    n = len(free)
    inverse = np.linalg.inv(_held(curvature, free)).reshape(n, 3, n, 3)
    own: Floats = inverse[np.arange(n), :, np.arange(n)].astype(np.float64)
    own[~free, 1:] = np.nan
    own[~free, :, 1:] = np.nan
    return own
