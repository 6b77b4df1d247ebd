"""The joint fit's sums by the compiled kernel: every pixel once for the model, every column once for its gradient.

Curvature is kept as 3 x 3 blocks of pairs of elements: columns, and knots of the background, whose blocks have one
entry.  The few parameters of the shape, which touch everything, are a border.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backend import Device
from .engine import Gradient, Known, Steps
from .kernel import _kernel
from .problem import FAINTEST, Problem, State, variance_model
from .profile import at_rim
from .tiles import SMOOTHNESS, averaged, hats, phase

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

log = logging.getLogger(__name__)

PRECISION, MOST_ITERATIONS = 1e-3, 200
"""To which fraction the residual of the equations is reduced, and in how many iterations at most."""

NEIGHBOURHOOD = 10
"""Columns whose parameters are left free when the covariance of one of them is taken."""


CUT = 0.6
"""A column nearer to the frame than this share of its radius is cut by it."""


@dataclass(frozen=True)
class _Grid:
    """Every ``stride``-th pixel: flat padded image, its shape, first pixel and row length, and the columns of each
    bin."""

    image: NDArray[np.floating]
    shape: tuple[int, int]
    origin: tuple[float, float]
    stride: int
    row: int
    first: Ints
    column: Ints

    def seen(self, flat: NDArray[np.floating]) -> NDArray[np.floating]:
        """A flat padded array as an image."""
        ny, nx = self.shape
        return flat[: ny * self.row].reshape(ny, self.row)[:, :nx]


@dataclass(frozen=True)
class _Rendered:
    """A state on a grid: weighted residual and weight of its pixels, weighted squares and number of pixels."""

    state: State
    tables: _kernel.Tables
    residual: NDArray[np.floating]
    weight: NDArray[np.floating]
    squares: float
    pixels: int


class CompiledSums:
    """Evaluates model, gradient and curvature of a problem in the kernel."""

    def __init__(self, problem: Problem, device: Device) -> None:
        self.problem, self.threads = problem, device.threads
        self.name = f"compiled, {_kernel.level()}"
        shape = (problem.image.shape[0], problem.image.shape[1])
        near = np.zeros(shape, dtype=np.uint8)
        _kernel.mark(problem.centre, problem.inner, near)
        self._near = near
        self._dtype = np.float32 if problem.image.dtype == np.float32 else np.float64
        self.knots = hats(shape, problem.spacing)
        self.columns = len(problem.centre)
        self.elements = self.columns + len(self.knots[0]) * len(self.knots[1])
        self.groups = int(problem.group.max()) + 1
        self._grids: dict[int, _Grid] = {}
        self._last: dict[int, _Rendered] = {}
        self._pairs: Ints | None = None
        self._cut = np.zeros(self.elements, dtype=bool)
        inner = np.minimum(problem.centre, np.array([shape[1] - 1, shape[0] - 1]) - problem.centre).min(axis=1)
        self._cut[: self.columns] = inner < CUT * problem.radius
        self._group = problem.group.astype(np.int32)
        self.faintest = self._faint()

    def _faint(self) -> float:
        # A quantile of a sample: the exact one costs more than an iteration.
        values = np.abs(self.problem.image[::5, ::5])[self._near[::5, ::5] > 0]
        values = values[np.isfinite(values)]
        return (FAINTEST * float(np.quantile(values, 0.995)) if values.size else 0.0) or 1.0

    def grid(self, stride: int) -> _Grid:
        """The pixels of a stride, laid out for the kernel once."""
        if stride not in self._grids:
            problem = self.problem
            x0, y0 = (int(p) for p in phase((problem.image.shape[0], problem.image.shape[1]), stride))
            part = averaged(problem.image, stride)
            ny, nx = part.shape
            row = -(-nx // _kernel.BIN) * _kernel.BIN + _kernel.MARGIN
            flat = np.full(ny * row + _kernel.MARGIN, np.nan, dtype=self._dtype)
            image = flat[: ny * row].reshape(ny, row)[:, :nx]
            image[:] = part
            image[self._near[y0::stride, x0::stride] == 0] = np.nan
            image[~np.isfinite(image)] = np.nan
            first, column = _kernel.bins(problem.centre, problem.radius, nx, ny, x0, y0, stride)
            self._grids[stride] = _Grid(flat, (ny, nx), (x0, y0), stride, row, first, column)
        return self._grids[stride]

    def _tables(self, state: State, grid: _Grid) -> _kernel.Tables:
        """What the kernel is told."""
        problem, shape = self.problem, state.shape
        m, (m1, m2) = shape.metric, shape.stretch
        return _kernel.Tables(
            state.xy,
            problem.centre,
            problem.radius,
            state.amplitude,
            0.5 * np.exp(-2 * shape.log_sigma)[problem.group],
            *at_rim(shape, np.exp(shape.log_sigma)[problem.group], problem.radius),
            self._group,
            [m[0, 0], m[0, 1], m[1, 1], m1, m2, shape.tail, np.exp(-2 * shape.log_ratio), problem.tail],
            state.background.reshape(len(self.knots[1]), len(self.knots[0])),
            [self.knots[0][0], self.knots[1][0], problem.spacing],
            [grid.shape[1], grid.shape[0], grid.row],
            [*grid.origin, grid.stride],
            list(variance_model(problem.variance, self.faintest)),
            grid.first,
            grid.column,
        )

    def _render(self, state: State, stride: int) -> _Rendered:
        last = self._last.get(stride)
        if last is not None and last.state is state:
            return last
        grid = self.grid(stride)
        tables = self._tables(state, grid)
        if last is None:
            residual, weight = np.zeros_like(grid.image), np.zeros_like(grid.image)
        else:
            residual, weight = last.residual, last.weight
        totals = np.zeros((len(grid.first) - 1, 2))
        _kernel.render(tables, grid.image, residual, weight, totals, self.threads)
        squares, pixels = (float(total) for total in totals.sum(axis=0))
        self._last[stride] = _Rendered(state, tables, residual, weight, squares, round(pixels))
        return self._last[stride]

    def gradient(self, state: State, stride: int) -> Gradient:
        """Gradient over every ``stride``-th pixel."""
        seen = self._render(state, stride)
        sums, all_sums = np.zeros((self.columns, 9)), np.zeros((self.elements, 1, 3))
        _kernel.gather(seen.tables, seen.residual, sums, self.threads)
        _kernel.project(seen.tables, seen.residual[None], all_sums, self.columns, self.threads)
        _, by_shape = at_rim(state.shape, np.exp(state.shape.log_sigma)[self.problem.group], self.problem.radius)
        sums[:, 3] -= by_shape[:, 0] * sums[:, 8]
        if self.problem.tail:
            sums[:, 6:8] -= by_shape[:, 1:] * sums[:, 8:]
        shape = np.zeros(self.groups + 4)
        shape[: self.groups] = np.bincount(self.problem.group, sums[:, 3], self.groups)
        shape[self.groups :] = sums[:, 4:8].sum(axis=0)
        return Gradient(sums[:, :3].copy(), all_sums[self.columns :, 0, 0].copy(), shape, seen.squares, seen.pixels)

    def curvature(self, state: State, stride: int) -> CompiledCurvature:
        """Curvature over every ``stride``-th pixel."""
        seen = self._render(state, stride)
        if self._pairs is None:
            self._pairs = _pairs(self.problem, self.knots)
        blocks = self._blocks(seen, stride)
        size = len(seen.weight)
        slopes = np.zeros((self.groups + 4, size), dtype=self._dtype)
        for g in range(self.groups):
            _kernel.slopes(seen.tables, g, seen.weight, slopes[g : g + 1], self.threads)
        _kernel.slopes(seen.tables, -1, seen.weight, slopes[self.groups :], self.threads)
        border = np.zeros((self.groups + 4, self.elements, 3))
        for first in range(0, len(slopes), 4):
            images = slopes[first : first + 4]
            part = np.zeros((self.elements, len(images), 3))
            _kernel.project(seen.tables, images, part, 0, self.threads)
            border[first : first + 4] = part.transpose(1, 0, 2)
        weight = np.where(seen.weight > 0, seen.weight, 1)
        corner = np.einsum("sp,tp,p->st", slopes, slopes, 1 / weight, dtype=np.float64)
        return CompiledCurvature(self, self._pairs, blocks, border, corner)

    def _blocks(self, seen: _Rendered, stride: int) -> Floats:
        """(m, 9) products of the derivatives of each pair.

        Columns that the frame cuts are sampled too unevenly by every n-th pixel; where all pixels have been seen at
        this state, those pairs take all.
        """
        assert self._pairs is not None
        pairs, whole = self._pairs, self._last.get(1)
        blocks = np.zeros((len(pairs), 9))
        if stride == 1 or whole is None or whole.state is not seen.state:
            _kernel.pairs(seen.tables, seen.weight, pairs, blocks, self.threads)
            return blocks
        cut = self._cut[pairs].all(axis=1)
        for chosen, image, factor in ((~cut, seen, 1.0), (cut, whole, stride**-2.0)):
            rows = np.flatnonzero(chosen)
            part = np.zeros((len(rows), 9))
            _kernel.pairs(image.tables, image.weight, pairs[rows], part, self.threads)
            blocks[rows] = factor * part
        return blocks

    def rest(self, state: State) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Image minus model, and weight (ny, nx), both zero where no pixel is used."""
        seen, grid = self._render(state, 1), self.grid(1)
        weight = grid.seen(seen.weight)
        rest = grid.seen(seen.residual) / np.where(weight > 0, weight, 1)
        return rest, weight


class CompiledCurvature:
    """Blocks of pairs, border and corner."""

    def __init__(self, sums: CompiledSums, pairs: Ints, blocks: Floats, border: Floats, corner: Floats) -> None:
        self.sums, self.pairs, self.blocks, self.border, self.corner = sums, pairs, blocks, border, corner
        self._own = pairs[:, 0] == pairs[:, 1]
        knots = np.flatnonzero(self._own)[sums.columns :]
        typical = blocks[knots, 0]
        self.stiffness = SMOOTHNESS * float(np.median(typical[typical > 0])) if (typical > 0).any() else 0.0

    def _with(self, known: Known) -> Floats:
        """The blocks with what is known beforehand, and the stiffness between neighbouring knots."""
        sums, blocks = self.sums, self.blocks.copy()
        own = np.flatnonzero(self._own)
        blocks[own[: sums.columns], 4] += known.position
        blocks[own[: sums.columns], 8] += known.position
        ny, nx = len(sums.knots[1]), len(sums.knots[0])
        number = np.arange(ny * nx).reshape(ny, nx)
        for one, two in ((number[:, :-1], number[:, 1:]), (number[:-1], number[1:])):
            blocks[own[sums.columns + one.ravel()], 0] += self.stiffness
            blocks[own[sums.columns + two.ravel()], 0] += self.stiffness
            key = self.pairs[:, 0].astype(np.int64) * sums.elements + self.pairs[:, 1]
            wanted = (sums.columns + one.ravel()).astype(np.int64) * sums.elements + sums.columns + two.ravel()
            blocks[np.searchsorted(key, wanted), 0] -= self.stiffness
        return blocks

    def _free(self, state: State) -> NDArray[np.uint8]:
        sums = self.sums
        free = np.zeros((sums.elements, 3), dtype=np.uint8)
        free[: sums.columns, 0] = sums.problem.tied[:, 0] < 0
        free[: sums.columns, 1:] = state.free[:, None]
        free[sums.columns :, 0] = 1
        return free

    def factorise(self, state: State, shape_free: NDArray[np.bool_], known: Known, damping: float) -> CompiledFactor:
        """Ready to solve for what is free."""
        chosen = np.flatnonzero(shape_free)
        # Before any height is known, all are alike.
        height = state.amplitude if state.amplitude.any() else np.ones(self.sums.columns)
        equations = _kernel.Equations(self.pairs, self._with(known), self.sums.columns, self.sums.elements)
        border = np.ascontiguousarray(self.border[chosen].reshape(len(chosen), 3 * self.sums.elements))
        corner = np.ascontiguousarray((self.corner + np.diag(known.shape))[np.ix_(chosen, chosen)])
        return CompiledFactor(self, equations, self._free(state), border, corner, chosen, height, damping)

    def covariance(self, state: State, known: Known) -> Floats:
        """(N, 3, 3) inverse curvature of each column's (amplitude, x, y) with its nearest neighbours free as well."""
        from scipy.spatial import cKDTree

        sums = self.sums
        most = min(NEIGHBOURHOOD, sums.columns)
        near = cKDTree(state.xy).query(state.xy, k=most)[1].reshape(sums.columns, most).astype(np.int32)
        # Two columns at one place: each comes first in its own neighbourhood.
        strange = near[:, 0] != np.arange(sums.columns)
        for row in np.flatnonzero(strange):
            near[row] = np.concatenate([[row], near[row][near[row] != row]])[:most]
        result = np.zeros((sums.columns, 9))
        equations = _kernel.Equations(self.pairs, self._with(known), sums.columns, sums.elements)
        tied = sums.problem.tied.astype(np.int32)
        equations.covariance(self._free(state), tied, near, result, sums.threads)
        return result.reshape(-1, 3, 3)


@dataclass(frozen=True)
class CompiledFactor:
    """Equations ready to be solved by conjugate gradients."""

    curvature: CompiledCurvature
    equations: _kernel.Equations
    free: NDArray[np.uint8]
    border: Floats
    corner: Floats
    chosen: NDArray[np.int64]
    height: Floats
    damping: float

    def step(self, gradient: Gradient, background: Floats) -> Steps:
        """The Gauss-Newton step."""
        sums = self.curvature.sums
        n, shape = sums.columns, np.zeros(len(gradient.shape))
        own = np.zeros((sums.elements, 3))
        own[:n] = gradient.columns
        pull = _unevenness(background.reshape(len(sums.knots[1]), len(sums.knots[0])))
        own[n:, 0] = gradient.knots - self.curvature.stiffness * pull.ravel()
        x, y = np.zeros(own.size), np.zeros(len(self.chosen))
        taken = self.equations.solve(
            self.free,
            sums.problem.tied.astype(np.int32),
            self.border,
            self.corner,
            sums._group,
            self.height,
            own.ravel(),
            gradient.shape[self.chosen],
            x,
            y,
            self.damping,
            PRECISION,
            MOST_ITERATIONS,
            sums.threads,
        )
        log.debug("equations solved in %d iterations", taken)
        shape[self.chosen] = y
        steps = x.reshape(-1, 3)
        return Steps(steps[:n], steps[n:, 0].copy(), shape)


def _unevenness(grid: Floats) -> Floats:
    """Derivative of half the squared differences of neighbouring knots, by each of them."""
    pull = np.zeros_like(grid)
    for axis in (0, 1):
        step = np.diff(grid, axis=axis)
        low, high = [slice(None), slice(None)], [slice(None), slice(None)]
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        pull[tuple(low)] -= step
        pull[tuple(high)] += step
    return pull


def _pairs(problem: Problem, knots: tuple[Floats, Floats]) -> Ints:
    """(m, 2) sorted pairs i <= j of elements that overlap: columns nearer than the mean of their radii, columns and the
    knots around them, neighbouring knots, and every element with itself."""
    from scipy.spatial import cKDTree

    n, reach = len(problem.centre), 2 * problem.radius
    near = cKDTree(problem.centre).query_pairs(float(reach.max()), output_type="ndarray").astype(np.int64)
    away = np.hypot(*(problem.centre[near[:, 0]] - problem.centre[near[:, 1]]).T)
    near = near[away <= 0.5 * (reach[near[:, 0]] + reach[near[:, 1]])]
    nx, ny = len(knots[0]), len(knots[1])
    parts = [near, np.repeat(np.arange(n + nx * ny)[:, None], 2, axis=1)]
    place = (problem.centre - [knots[0][0], knots[1][0]]) / problem.spacing
    wide = 1 + problem.radius / problem.spacing
    most = int(np.ceil(wide.max()))
    base = np.floor(place).astype(np.int64)
    for dy in range(1 - most, most + 1):
        for dx in range(1 - most, most + 1):
            knot = base + np.array([dx, dy])
            there = ((knot >= 0) & (knot < [nx, ny]) & (np.abs(knot - place) < wide[:, None])).all(axis=1)
            parts.append(np.stack([np.flatnonzero(there), n + knot[there, 1] * nx + knot[there, 0]], axis=1))
    number = n + np.arange(nx * ny).reshape(ny, nx)
    for one, two in (
        (number[:, :-1], number[:, 1:]),
        (number[:-1], number[1:]),
        (number[:-1, :-1], number[1:, 1:]),
        (number[:-1, 1:], number[1:, :-1]),
    ):
        parts.append(np.stack([one.ravel(), two.ravel()], axis=1))
    pairs = np.sort(np.concatenate(parts), axis=1)
    return np.ascontiguousarray(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].astype(np.int32))
