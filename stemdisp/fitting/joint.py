"""Fit all columns of an image at once: amplitudes, positions, shared shapes and a smooth background.

Damped Gauss-Newton on the sum of weighted squared residuals over the pixels near columns.  Every column's model
contains all its neighbours.  Sums over pixels are batched matrix products over tiles (NumPy or CuPy, the same lines);
the normal equations are sparse and are solved directly, the few shape parameters by their Schur complement.

The gradient uses every pixel; the curvature may use every n-th, which changes the path but not the destination.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend import CPU, Device
from .normal import Factor, Normal, NormalEquations
from .pace import Pace
from .problem import JointFit, Problem, State
from .profile import Evaluated, Shape, evaluate, pulls, shape_slopes
from .tiles import Chunk, coarse_stride, cut, hats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CPU_SAMPLES = 1 << 14
GPU_SAMPLES = 1 << 25
"""Tiles x columns x pixels worked on at once: what fits a core's cache, and what fills a GPU."""

SETTLED, SETTLED_SHAPE = 0.05, 0.01
"""While the largest movement (px) and change of shape stay below these, and steps shrink, an earlier curvature will
do."""

FAR, FEW = 0.3, 0.1
"""Columns are far from where they belong while more than this part of them moves by more px than this."""

RISING = 1.5
"""A mean square residual that grows by this factor in one step is no progress."""

RATIO, RATIO_SPREAD = 2.2, 0.1
"""Width ratio of tail and core, and the spread of its logarithm, before the image says more: a tail too faint to
measure has no ratio of its own, and without this the fit would creep along it for ever."""

FAINTEST = 0.02
"""Poisson weights are 1 / max(model, this fraction of the brightest pixels): dark counts and read-out noise remain."""


@dataclass(frozen=True)
class _Seen:
    """A chunk under a state: model, weight, weighted residual (T, P), profiles and displacements (T, L, P)."""

    model: Any
    weight: Any
    residual: Any
    at: Evaluated
    value: Any
    within: Any
    amplitude: Any
    sigma: Any
    dx: Any
    dy: Any
    rows: Any


@dataclass(frozen=True)
class _Grid:
    """Tiles of every ``stride``-th pixel on the device, and where their sums belong."""

    chunks: list[Chunk]
    stride: int
    equations: NormalEquations


def _pixel_mask(problem: Problem) -> NDArray[np.bool_]:
    """(ny, nx) finite pixels within the inner radius of a column."""
    ny, nx = problem.image.shape
    mask = np.zeros((ny, nx), dtype=bool)
    reach = int(np.ceil(problem.inner.max()))
    offset = np.arange(-reach, reach + 1)
    x = np.rint(problem.start[:, 0]).astype(int)[:, None, None] + offset[None, None, :]
    y = np.rint(problem.start[:, 1]).astype(int)[:, None, None] + offset[None, :, None]
    near = (
        np.hypot(x - problem.start[:, 0, None, None], y - problem.start[:, 1, None, None])
        <= problem.inner[:, None, None]
    )
    near &= (x >= 0) & (x < nx) & (y >= 0) & (y < ny)
    x, y = np.broadcast_to(x, near.shape)[near], np.broadcast_to(y, near.shape)[near]
    mask[y, x] = True
    return mask & np.isfinite(problem.image)


class JointModel:
    """Evaluates model, gradient and curvature of a problem on a device."""

    def __init__(self, problem: Problem, width: float, device: Device = CPU) -> None:
        self.problem, self.width, self.device = problem, width, device
        self.pixel_mask = _pixel_mask(problem)
        self.image = device.up(np.nan_to_num(problem.image).ravel())
        self.mask = device.up(self.pixel_mask.ravel())
        self._grids: dict[int, _Grid] = {}
        bright = np.abs(problem.image[self.pixel_mask])
        self.faintest = FAINTEST * float(np.quantile(bright, 0.995)) if bright.size else 1.0

    def grid(self, stride: int) -> _Grid:
        """The tiles of every ``stride``-th pixel, cut once."""
        if stride not in self._grids:
            problem, shape = self.problem, (self.problem.image.shape[0], self.problem.image.shape[1])
            samples = GPU_SAMPLES if self.device.is_gpu else CPU_SAMPLES
            host = cut(
                shape,
                problem.start,
                problem.radius,
                spacing=problem.spacing,
                width=self.width,
                stride=stride,
                samples=samples,
            )
            knots = hats(shape, problem.spacing)
            equations = NormalEquations([c.columns for c in host], problem.group, (len(knots[1]), len(knots[0])))
            self._grids[stride] = _Grid([c.on(self.device) for c in host], stride, equations)
        return self._grids[stride]

    def normal(self, state: State, stride: int, *, curvature: bool) -> Normal:
        """Gradient (and curvature) of minus half the weighted sum of squares over every ``stride``-th pixel."""
        grid = self.grid(stride)
        total = grid.equations.empty()
        for number in range(len(grid.chunks)):
            self._add(total, grid, number, state, curvature)
        return total

    def images(self, state: State) -> tuple[Floats, Floats]:
        """Model and weight images (ny, nx) over all pixels near columns; zero elsewhere."""
        xp = self.device.xp
        model, weight = xp.zeros(self.image.shape), xp.zeros(self.image.shape)
        for chunk in self.grid(1).chunks:
            seen = self._see(chunk, state)
            model[chunk.pixels[chunk.inside]] = seen.model[chunk.inside]
            weight[chunk.pixels[chunk.inside]] = seen.weight[chunk.inside]
        shape = self.problem.image.shape
        return self.device.down(model).reshape(shape), self.device.down(weight).reshape(shape)

    def _see(self, chunk: Chunk, state: State) -> _Seen:
        xp, up, problem = self.device.xp, self.device.up, self.problem
        rows, listed = xp.maximum(chunk.columns, 0), chunk.columns >= 0
        px, py = chunk.coordinates(xp)
        xy, within = up(state.xy)[rows][:, :, :, None], chunk.within
        dx, dy = px - xy[:, :, 0], py - xy[:, :, 1]
        sigma = up(np.exp(state.shape.log_sigma)[problem.group])[rows][:, :, None]
        at = evaluate(state.shape, sigma, dx, dy, xp)
        value = at.value * within
        amplitude = xp.where(listed, up(state.amplitude)[rows], 0.0)
        background = (up(state.background)[chunk.nodes][:, None, :] @ chunk.hat)[:, 0, :]
        model = (amplitude[:, None, :] @ value)[:, 0, :] + background
        weight = (self.mask[chunk.pixels] & chunk.inside) * 1.0
        if problem.weights == "poisson":
            weight /= xp.maximum(model, self.faintest)
        residual = weight * (self.image[chunk.pixels] - model)
        return _Seen(model, weight, residual, at, value, within, amplitude, sigma, dx, dy, rows)

    def _add(self, total: Normal, grid: _Grid, number: int, state: State, curvature: bool) -> None:
        xp, down, chunk = self.device.xp, self.device.down, grid.chunks[number]
        seen = self._see(chunk, state)
        sums = pulls(
            state.shape,
            seen.at,
            seen.sigma,
            seen.dx,
            seen.dy,
            seen.residual[:, None, :] * seen.within,
            xp,
            tail=self.problem.tail,
        )
        sums[:, :, 1:] *= seen.amplitude[:, :, None]
        knots = (chunk.hat @ seen.residual[:, :, None])[:, :, 0]
        columns, nodes, sums = down(chunk.columns), down(chunk.nodes), down(sums)
        grid.equations.add_gradient(total, columns, sums[:, :, :3], sums[:, :, 3:], nodes, down(knots))
        total.squares += float((seen.residual**2 / xp.maximum(seen.weight, 1e-300)).sum())
        total.pixels += int((seen.weight > 0).sum())
        if curvature:
            product = down(self._product(chunk, seen, state, grid.equations.groups))
            grid.equations.add_curvature(total, number, columns, nodes, product)

    def _product(self, chunk: Chunk, seen: _Seen, state: State, groups: int) -> Any:
        """Products (T, J, J) of the weighted Jacobian: amplitudes, x, y, knots, widths of the groups, rest of the
        shape."""
        xp = self.device.xp
        strong, slope = seen.amplitude[:, :, None], seen.at.q * seen.within
        shapes = [s * seen.within for s in shape_slopes(state.shape, seen.at, seen.sigma, seen.dx, seen.dy, xp)]
        group = self.device.up(self.problem.group)[seen.rows]
        widths = [(seen.amplitude * (group == g))[:, None, :] @ shapes[0] for g in range(groups)]
        others = [seen.amplitude[:, None, :] @ s for s in shapes[1:]]
        by_position = [strong * slope * seen.at.mx, strong * slope * seen.at.my]
        jacobian = xp.concatenate([seen.value, *by_position, chunk.hat, *widths, *others], axis=1)
        jacobian *= xp.sqrt(seen.weight)[:, None, :]
        return jacobian @ jacobian.transpose(0, 2, 1)


def fit(problem: Problem, state: State, *, max_iterations: int, device: Device = CPU) -> JointFit:
    """Iterate from ``state`` until no free column moves by more than its tolerance.

    First on every n-th pixel, as far apart as the narrowest column allows, then on all. Never raises for a column: one
    that leaves its limit is put back and held (``runaway``), one that still moves at the end is marked (``moving``).
    """
    width = float(np.exp(state.shape.log_sigma.min()))
    model, coarse = JointModel(problem, width, device), coarse_stride(width)
    state = _linear(model, state, coarse)
    runaway = np.zeros(len(problem.start), dtype=bool)
    moved, iterations, damping = np.full(len(problem.start), np.inf), 0, 1e-2
    fine = problem.tolerance
    for stride, target in [(coarse, np.maximum(10 * fine, 0.1)), (1, fine)] if coarse > 1 else [(1, fine)]:
        moved[:] = np.inf
        # Half the limit a step: far enough to arrive in two, short enough not to jump onto a neighbour.
        paces = Pace(0.5 * problem.limit), Pace(np.ones(1))
        factor: Factor | None = None
        settled, curve, chi2 = False, coarse, np.inf
        while iterations < max_iterations and (moved >= target).any():
            gradient = model.normal(state, stride, curvature=stride == curve)
            if gradient.chi2 > RISING * chi2:
                # The sparse samples misjudge something at the frame: take the curvature from all pixels from now on.
                curve, gradient, factor = stride, model.normal(state, stride, curvature=True), None
            chi2 = gradient.chi2
            if factor is None or not settled:
                normal = gradient if stride == curve else model.normal(state, curve, curvature=True)
                far = bool((moved[state.free] > FAR).mean() > FEW)
                factor = _factorise(problem, state, normal, model.grid(curve).equations, damping, far=far)
            before, last = state.shape, moved.max()
            state, moved, fled = _step(problem, state, gradient.scaled((stride / curve) ** 2), factor, paces)
            settled = bool(moved.max() < min(SETTLED, 0.4 * last) and state.shape.distance(before) < SETTLED_SHAPE)
            if fled.any():
                runaway |= fled
                factor = None
            iterations, damping = iterations + 1, 0.1 * damping
    image, weight = model.images(state)
    used = weight > 0
    squares = float((weight[used] * (problem.image[used] - image[used]) ** 2).sum())
    chi2 = squares / max(float(used.sum() - 3 * state.free.sum() - len(state.background)), 1.0)
    equations, normal = model.grid(coarse).equations, model.normal(state, coarse, curvature=True)
    covariance = equations.covariance(normal, state.xy, _free(problem, state)) * (chi2 / coarse**2)
    return JointFit(state, covariance, chi2, image, weight, moved >= fine, runaway, iterations)


def _linear(model: JointModel, state: State, stride: int) -> State:
    """The state with the amplitudes and background that fit best while positions and shape are held."""
    held = replace(state, free=np.zeros_like(state.free))
    normal, equations = model.normal(state, stride, curvature=True), model.grid(stride).equations
    nothing = np.zeros(equations.groups + 4, dtype=bool)
    selection = equations.selection(_free(model.problem, held), model.problem.tied)
    step, _ = equations.factorise(normal, selection, nothing, 0.0).step(normal, state.background)
    amplitude, background = state.amplitude + step[: 3 * equations.n : 3], state.background + step[3 * equations.n :]
    return replace(state, amplitude=amplitude, background=background)


def initial_state(problem: Problem, sigma: Floats, tail: float = 0.0) -> State:
    """Zero amplitudes on a level background: the first, linear step finds both."""
    ny, nx = problem.image.shape
    knots = hats((ny, nx), problem.spacing)
    level = float(np.nanmedian(problem.image))
    shape = Shape(np.log(sigma), np.zeros(2), tail)
    background = np.full(len(knots[0]) * len(knots[1]), level)
    return State(problem.start.copy(), np.zeros(len(problem.start)), background, shape, problem.free)


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


def _free(problem: Problem, state: State) -> NDArray[np.bool_]:
    """(N, 2) whether a column's amplitude and position are fitted."""
    return np.stack([problem.tied[:, 0] < 0, state.free], axis=1)


def _factorise(
    problem: Problem, state: State, normal: Normal, equations: NormalEquations, damping: float, *, far: bool
) -> Factor:
    """The curvature at a state, ready to solve for steps of what is free there; while columns are still ``far`` from
    where they belong the profile stays round, or it would stretch towards them."""
    shape_free = np.ones(equations.groups + 4, dtype=bool)
    shape_free[-4:-2] = not far
    shape_free[-2:] = problem.tail
    normal.corner[-1, -1] += normal.chi2 / RATIO_SPREAD**2
    return equations.factorise(normal, equations.selection(_free(problem, state), problem.tied), shape_free, damping)


def _step(
    problem: Problem, state: State, gradient: Normal, factor: Factor, paces: tuple[Pace, Pace]
) -> tuple[State, Floats, NDArray[np.bool_]]:
    """One step at the pace of columns and shape: the new state, how far each column moved (N,) in px, and which ran
    away."""
    n = len(problem.start)
    gradient.border_gradient[-1] -= gradient.chi2 / RATIO_SPREAD**2 * (state.shape.log_ratio - np.log(RATIO))
    step, shape = factor.step(gradient, state.background)
    columns, background = step[: 3 * n].reshape(-1, 3), step[3 * n :]
    move = paces[0].limited(columns[:, 1:])
    xy = state.xy + move
    fled = state.free & (np.hypot(*(xy - problem.start).T) > problem.limit)
    xy[fled] = problem.start[fled]
    new = State(
        xy,
        state.amplitude + columns[:, 0],
        state.background + background,
        state.shape.step(_shape_step(state.shape, shape, paces[1])),
        state.free & ~fled,
    )
    return new, np.hypot(move[:, 0], move[:, 1]), fled


def _shape_step(shape: Shape, step: Floats, pace: Pace) -> Floats:
    """The step in the direction of ``step``, as long as the profile follows about linearly: its parameters belong
    together."""
    longest = shape.longest_step()
    relative = step / longest
    return np.asarray(
        pace.limited(relative[None] / max(1.0, float(np.abs(relative).max())) / len(step) ** 0.5)[0]
        * longest
        * len(step) ** 0.5
    )
