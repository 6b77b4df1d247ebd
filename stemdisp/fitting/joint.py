"""Fit all columns of an image at once: amplitudes, positions, shared shapes and a smooth background.

Damped Gauss-Newton on the sum of weighted squared residuals over the pixels near columns.  Every column's model
contains all its neighbours.  The sums over pixels are an engine's (fitting.engine).

First on means of pixels, then on all: where the fit ends is said by the gradient of all pixels; an earlier curvature is
used again as long as steps shrink by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend import CPU, Device
from ..pulse import beat
from .engine import Curvature, Factor, Gradient, Known, Steps, Sums, sums
from .pace import Pace
from .prior import energy, prior, towards_prior
from .problem import Problem, State
from .profile import Shape
from .tiles import COARSEST, FINER, SPARSE, hats, odd_stride, sampled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Place = Callable[[Floats], Floats]

SETTLED, SETTLED_SHAPE, SHRINKING, STILL = 0.1, 0.01, 0.4, 0.02
"""While the rms movement (px) and change of shape stay below the first two, and each step below that share of the one
before, an earlier curvature will do; below the last (px) it matters little how steps shrink."""

FAR, FEW = 0.3, 0.1
"""Columns are far from where they belong while more than this part of them moves by more px than this."""

RIGID = 1e-3
"""Change of shape below which it counts as found."""

ROUGH, FEW_LEFT = 0.1, 0.02
"""On means of pixels columns need only come to rest this well (px), and this part of them, at the frame, not at all."""

STRONG = 0.4
"""Columns above this share of the brightest are fitted before all others are."""

LAST_LEFT, MOVING = 3e-3, 3.0
"""This part of all columns may still move a little more than its tolerance; one that moves by more than so many times
its tolerance is said to move."""

MOST_LEFT = 10.0
"""So many last steps are left to go at most."""

FAINT_TAIL = 0.02
"""Weight below which a tail keeps the width it has."""

WORSE, RISING = 1.02, 1.5
"""A mean square residual, what is known beforehand included, that grows by these factors in one step: the step was too
long, or far too long."""

DAMPED, UNDAMPED = 1e-2, 1e-4
"""Share of the curvature's diagonal that is added to it where a step was too long, and below which nothing is."""


@dataclass(frozen=True)
class JointFit:
    """The result.

    state
        Where the fit ended.
    covariance
        (N, 3, 3) of (amplitude, x, y).
    chi2
        Weighted mean square residual of the whole fit.
    rest, weight
        (ny, nx) what the model leaves of the image, and weights of the pixels.
    moving, runaway
        (N,) columns that still move, and that left their limit.
    expected, beforehand
        (N, 2) where columns were expected, and (N,) the share of what is known of a position that was known beforehand.
    iterations, engine
        How many steps were taken, and by whom.
    faintest
        The smallest expected value that was believed, in Poisson weights.
    curvature
        The last one, of columns in the order of the fit; None where it is not kept.
    """

    state: State
    covariance: Floats
    chi2: float
    rest: NDArray[np.floating]
    weight: NDArray[np.floating]
    moving: NDArray[np.bool_]
    runaway: NDArray[np.bool_]
    expected: Floats
    beforehand: Floats
    iterations: int
    engine: str
    faintest: float
    curvature: Curvature | None

    def taken(self, order: Ints) -> JointFit:
        """The same columns in another order."""
        rows = {
            name: getattr(self, name)[order] for name in ("covariance", "moving", "runaway", "expected", "beforehand")
        }
        return replace(self, state=self.state.taken(order), **rows)


def fit(
    problem: Problem,
    state: State,
    *,
    max_iterations: int,
    near: bool = False,
    rough: bool = False,
    curvature: Curvature | None = None,
    place: Place | None = None,
    device: Device = CPU,
) -> JointFit:
    """Iterate from ``state`` until free columns move by no more than their tolerance, or ten times as much where a
    ``rough`` answer will do.

    First on means of as many pixels as the narrowest column allows, then, or at once where the state is ``near`` the
    answer, on all, with profiles centred on where columns were found, and with the ``curvature`` of an earlier fit of
    the same columns as long as that will do. In between ``place`` says from where all columns are (N, 2) where they are
    expected. Never raises for a column: one that leaves its limit is put back and held (``runaway``), one that still
    moves at the end is marked (``moving``).

    The order of columns changes nothing, not a bit: they are worked on in an order of their own.
    """
    order = problem.order()
    back = np.argsort(order)
    anew = None if place is None else lambda xy: place(xy[back])[order]
    found = _fit(
        problem.taken(order),
        state.taken(order),
        max_iterations=max_iterations,
        near=near,
        rough=rough,
        curvature=curvature,
        place=anew,
        device=device,
    )
    return found.taken(back)


def _fit(
    problem: Problem,
    state: State,
    *,
    max_iterations: int,
    near: bool,
    rough: bool,
    curvature: Curvature | None,
    place: Place | None,
    device: Device,
) -> JointFit:
    width = float(np.exp(state.shape.log_sigma.min()))
    runaway, iterations = np.zeros(len(problem.start), dtype=bool), 0
    if not near:
        state, runaway, iterations = _coarse(problem, state, width, max_iterations, device)
        if place is not None:
            problem = replace(problem, expected=place(state.xy))
            placed = (np.isfinite(problem.known) | ~problem.free) & (problem.led[:, 0] < 0)
            state = replace(state, xy=np.where(placed[:, None], problem.expected, state.xy))
    problem = replace(problem, centre=state.xy)
    engine = sums(problem, width, device)
    beat()
    descent = _Descent(problem, engine, 1, odd_stride(FINER * width), damping=0.0, curvature=curvature)
    moved = np.full(len(problem.start), np.inf)
    target, few, at_rest = (10 * problem.tolerance, FEW_LEFT, ROUGH) if rough else (problem.tolerance, LAST_LEFT, RIGID)
    while iterations < max_iterations and ((moved * descent.left >= target).mean() > few or descent.bent > at_rest):
        state, moved, fled = descent.step(state, moved)
        runaway |= fled
        iterations += 1
    rest, weight = engine.rest(state)
    beat()
    used = int(np.count_nonzero(weight))
    squares = float(np.einsum("yx,yx,yx->", weight, rest, rest, dtype=np.float64))
    chi2 = squares / max(float(used - 3 * state.free.sum() - len(state.background)), 1.0)
    curvature = descent.curvature or engine.curvature(state, descent.curve)
    beat()
    covariance = curvature.covariance(state, prior(problem, state, chi2)) * chi2
    beat()
    with np.errstate(invalid="ignore"):
        beforehand = 0.5 * (covariance[:, 1, 1] + covariance[:, 2, 2]) / problem.known**2
    moving = moved >= MOVING * problem.tolerance
    return JointFit(
        state,
        covariance,
        chi2,
        rest,
        weight,
        moving,
        runaway,
        problem.expected,
        beforehand,
        iterations,
        engine.name,
        engine.faintest,
        curvature,
    )


def _coarse(
    problem: Problem, state: State, width: float, max_iterations: int, device: Device
) -> tuple[State, NDArray[np.bool_], int]:
    """The state on means of pixels, as single ones would show it, which columns ran away, and steps taken."""
    engine, coarse = sums(problem, width, device), odd_stride(COARSEST * width)
    runaway, iterations = np.zeros(len(problem.start), dtype=bool), 0
    beat()
    held = linear(engine, state, coarse)
    strength = np.abs(held.amplitude)
    strong = strength > STRONG * np.quantile(strength, 0.9)
    target = np.maximum(10 * problem.tolerance, ROUGH)
    # Faint columns under the tails of bright ones wait until those are in place; what is known beforehand, longer.
    for waiting in (~strong | np.isfinite(problem.known), np.isfinite(problem.known)):
        held, moved = replace(held, free=problem.free & ~runaway & ~waiting), np.full(len(runaway), np.inf)
        descent = _Descent(problem, engine, coarse, coarse, damping=1e-2)
        while iterations < max_iterations and (moved * descent.left >= target).mean() > FEW_LEFT:
            held, moved, fled = descent.step(held, moved)
            runaway |= fled
            iterations += 1
    return _sharpened(problem, replace(held, free=problem.free & ~runaway), coarse), runaway, iterations


def _sharpened(problem: Problem, state: State, stride: int) -> State:
    """The state fitted to means of ``stride`` x ``stride`` pixels as single pixels would show it: narrower, by the
    variance of such a block, and higher."""
    sigma2 = np.exp(2 * state.shape.log_sigma)
    narrower = np.maximum(sigma2 - (stride**2 - 1) / 12, 0.25 * sigma2)
    amplitude = state.amplitude * (sigma2 / narrower)[problem.group]
    return replace(state, amplitude=amplitude, shape=replace(state.shape, log_sigma=0.5 * np.log(narrower)))


class _Descent:
    """Steps on every ``stride``-th pixel, with the curvature of every ``curve``-th."""

    def __init__(
        self,
        problem: Problem,
        engine: Sums,
        stride: int,
        curve: int,
        *,
        damping: float,
        curvature: Curvature | None = None,
    ) -> None:
        self.problem, self.engine, self.stride, self.curve = problem, engine, stride, curve
        # Half the limit a step: far enough to arrive in two, short enough not to jump onto a neighbour.
        self.paces = Pace(0.5 * problem.limit), Pace(np.ones(1))
        self.damping, self.curvature = damping, curvature
        # How far there is left to go, in last steps, if steps go on to shrink as they do.
        self.left = 1.0
        # How much the shape has changed and still may.
        self.bent = np.inf
        self.misfit, self.settled, self.tailed = np.inf, curvature is not None, False
        self.factor: Factor | None = None
        self.before: tuple[State, Gradient, Known, float] | None = None

    def step(self, state: State, moved: Floats) -> tuple[State, Floats, NDArray[np.bool_]]:
        """The next state, how far each column moved (N,) in px, and which ran away."""
        beat()
        gradient = self.engine.gradient(state, self.stride)
        beat()
        known = prior(self.problem, state, gradient.chi2)
        misfit = gradient.chi2 + float(energy(self.problem, state, known).sum()) / max(gradient.pixels, 1)
        if misfit > RISING * self.misfit and self.before is not None:
            # Far too long: the step is taken back, and the next one, in that direction, is a quarter of it.
            state, gradient, known, misfit = self.before
            self.settled = False
            self.paces[1].shorten()
        elif misfit > WORSE * self.misfit:
            self.damping, self.settled = max(10 * self.damping, DAMPED), False
        else:
            self.damping = 0.1 * self.damping if self.damping > UNDAMPED else 0.0
        self.before, self.misfit = (state, gradient, known, misfit), misfit
        scaled = towards_prior(self.problem, state, gradient, known)
        # A tail that would have to be negative is held.
        tailed = self.problem.tail and not (state.shape.tail == 0 and gradient.shape[-2] <= 0)
        fresh = self.curvature is None or not self.settled
        if fresh:
            self.curvature, self.factor = self.engine.curvature(state, self.curve), None
            beat()
        if self.factor is None or tailed != self.tailed:
            # While columns are far from where they belong the profile stays round, or it would stretch towards them.
            far = bool((moved[state.free] > FAR).mean() > FEW) if state.free.any() else False
            self.factor = self._factor(state, known, round_=far and not self.settled, tailed=tailed)
        steps = self.factor.step(scaled, state.background)
        if tailed and state.shape.tail == 0 and steps.shape[-2] < 0:
            self.factor = self._factor(state, known, round_=False, tailed=False)
            steps = self.factor.step(scaled, state.background)
        beat()
        new, after, fled = _moved(self.problem, state, steps, self.paces)
        # A few that swing do not tell how all others go.
        last, now = (float(np.sqrt((np.minimum(step, SETTLED) ** 2).mean())) for step in (moved, after))
        shrinking, first = now < SHRINKING * last, not np.isfinite(moved).all()
        self.left = 1.0 if first else float(np.clip(now / max(last - now, 1e-3 * now, 1e-300), 1.0, MOST_LEFT))
        if fresh and not shrinking and now > STILL and not first:
            # What the frame cuts is sampled unevenly: from now on all pixels.
            self.curve = self.stride
        bent = new.shape.distance(state.shape)
        # What is held back by damping is not at rest.
        self.bent = self.left * bent if self.damping == 0 else np.inf
        near = float(np.sqrt((after**2).mean())) < SETTLED and bent < SETTLED_SHAPE
        self.settled = bool(shrinking and near and not fled.any())
        return new, after, fled

    def _factor(self, state: State, known: Known, *, round_: bool, tailed: bool) -> Factor:
        """The curvature, ready to solve; the width of a tail that is hardly there is nothing to look for."""
        assert self.curvature is not None
        self.tailed = tailed
        shape_free = np.ones(len(known.shape), dtype=bool)
        shape_free[-4:-2] = not round_
        shape_free[-2:] = tailed, tailed and state.shape.tail > FAINT_TAIL
        return self.curvature.factorise(state, shape_free, known, self.damping)


def _moved(
    problem: Problem, state: State, steps: Steps, paces: tuple[Pace, Pace]
) -> tuple[State, Floats, NDArray[np.bool_]]:
    """The state after one step at the pace of columns and shape, how far each column moved (N,), and which ran
    away."""
    # What belongs together in a step is shortened together.
    share = _share(state.shape, steps.shape, paces[1])
    move = share * paces[0].limited(steps.columns[:, 1:])
    xy = state.xy + move
    fled = state.free & (np.hypot(*(xy - problem.start).T) > problem.limit)
    xy[fled] = problem.start[fled]
    along = (problem.led[:, 0] >= 0) & ~state.free
    xy[along] = xy[problem.led[along]].mean(axis=1) + problem.beside[along]
    new = State(
        xy,
        state.amplitude + share * steps.columns[:, 0],
        state.background + share * steps.knots,
        state.shape.step(share * steps.shape),
        state.free & ~fled,
    )
    # Whether columns have come to rest is not to be told from a step that something else made short.
    return new, np.hypot(move[:, 0], move[:, 1]) / share, fled


def linear(engine: Sums, state: State, stride: int) -> State:
    """The state with the amplitudes and background that fit best while positions and shape are held."""
    held = replace(state, free=np.zeros_like(state.free))
    nothing = np.zeros(len(state.shape.log_sigma) + 4, dtype=bool)
    known = Known(np.zeros(len(state.xy)), np.zeros((len(nothing), len(nothing))))
    gradient = engine.gradient(held, stride)
    beat()
    curvature = engine.curvature(held, stride)
    beat()
    steps = curvature.factorise(held, nothing, known, 0.0).step(gradient, state.background)
    beat()
    return replace(state, amplitude=state.amplitude + steps.columns[:, 0], background=state.background + steps.knots)


def initial_state(problem: Problem, sigma: Floats, tail: float = 0.0) -> State:
    """Zero amplitudes on a level background: the first, linear step finds both."""
    ny, nx = problem.image.shape
    knots = hats((ny, nx), problem.spacing)
    known = sampled(problem.image, SPARSE)
    known = known[np.isfinite(known)]
    level = float(np.median(known)) if known.size else 0.0
    shape = Shape(np.log(sigma), np.zeros(2), tail)
    background = np.full(len(knots[0]) * len(knots[1]), level)
    return State(problem.expected.copy(), np.zeros(len(problem.start)), background, shape, problem.free)


def _share(shape: Shape, step: Floats, pace: Pace) -> float:
    """The part of a step that is taken: the profile follows about linearly, and does not swing."""
    relative = step / shape.longest_step() / len(step) ** 0.5
    length = float(np.linalg.norm(relative))
    share = 1 / max(1.0, float(np.abs(relative).max()) * len(step) ** 0.5)
    if shape.tail > 0 and shape.tail + share * step[-2] < 0:
        share = -shape.tail / float(step[-2])
    return share if length == 0 else float(np.linalg.norm(pace.limited(share * relative[None])[0])) / length
