"""The joint fit's sums by the compiled kernel.

Curvature is kept as 3 x 3 blocks of pairs of elements: columns, and knots of the background, whose blocks have one
entry.  The few parameters of the shape, which touch everything, are a border.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..backend import Device
from ..pulse import beat, beating
from .engine import Gradient, Known, Steps
from .kernel import _kernel
from .problem import FAINTEST, Problem, State, variance_model
from .profile import at_rim
from .tiles import SMOOTHNESS, SPARSE, averaged, hats, phase, sampled

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

log = logging.getLogger(__name__)

PRECISION, MOST_ITERATIONS = {np.float32: 1e-3, np.float64: 1e-6}, 400
"""To which fraction the residual of the equations is reduced, and in how many iterations at most."""

NEIGHBOURHOOD = 10
"""Columns whose parameters are left free when the covariance of one of them is taken."""


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
class _Summed:
    """Sums over the pixels of a grid at one state, and image minus model and weight of each; None = not asked."""

    columns: Floats
    knots: Floats
    shape: Floats
    totals: Floats
    blocks: NDArray[np.floating] | None
    border: Floats | None
    corner: Floats | None
    rest: NDArray[np.floating] | None
    weight: NDArray[np.floating] | None


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
        self._group = problem.group.astype(np.int32)
        self.faintest = self._faint()

    @cached_property
    def pairs(self) -> Ints:
        """(m, 2) elements that overlap, i <= j, sorted."""
        found = _pairs(self.problem, self.knots)
        beat()
        return found

    @cached_property
    def neighbours(self) -> _kernel.Neighbours:
        """The same, as the kernel wants them."""
        found = _kernel.Neighbours(self.pairs, self.columns, self.elements)
        beat()
        return found

    def _faint(self) -> float:
        # A quantile of a sample: the exact one costs more than an iteration.
        values = np.abs(sampled(self.problem.image, SPARSE))[sampled(self._near, SPARSE) > 0]
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
            beat()
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

    def _sum(self, state: State, stride: int, *, curvature: bool, pixels: bool = False) -> _Summed:
        """Sums over every ``stride``-th pixel, as engine.Sums says."""
        grid, shared = self.grid(stride), self.groups + 4
        found = _Summed(
            np.zeros((self.columns, 3)),
            np.zeros(self.elements - self.columns),
            np.zeros(shared),
            np.zeros(2),
            np.zeros((len(self.pairs), 9), dtype=self._dtype) if curvature else None,
            np.zeros((shared, self.elements, 3)) if curvature else None,
            np.zeros((shared, shared)) if curvature else None,
            np.zeros_like(grid.image) if pixels else None,
            np.zeros_like(grid.image) if pixels else None,
        )
        told = (self._tables(state, grid), self.neighbours, grid.image)
        slopes, curved = (found.columns, found.knots, found.shape), (found.blocks, found.border, found.corner)
        seen = (found.rest, found.weight)
        beating(lambda: _kernel.sum(*told, *slopes, found.totals, *curved, *seen, self.threads))
        for values in (found.columns, found.knots, found.shape, found.blocks, found.border, found.corner):
            if values is not None and stride > 1:
                values *= stride**2
        found.totals[0] *= stride**2
        return found

    def gradient(self, state: State, stride: int) -> Gradient:
        """Gradient over every ``stride``-th pixel."""
        found = self._sum(state, stride, curvature=False)
        squares, pixels = (float(total) for total in found.totals)
        return Gradient(found.columns, found.knots, found.shape, squares, round(pixels))

    def curvature(self, state: State, stride: int) -> CompiledCurvature:
        """Curvature over every ``stride``-th pixel."""
        found = self._sum(state, stride, curvature=True)
        assert found.blocks is not None and found.border is not None and found.corner is not None
        return CompiledCurvature(self, found.blocks, found.border, found.corner)

    def rest(self, state: State) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Image minus model, and weight (ny, nx), both zero where no pixel is used."""
        found, grid = self._sum(state, 1, curvature=False, pixels=True), self.grid(1)
        assert found.rest is not None and found.weight is not None
        return grid.seen(found.rest), grid.seen(found.weight)


class CompiledCurvature:
    """Blocks (m, 9) of pairs, border (S, E, 3) and corner (S, S)."""

    def __init__(self, sums: CompiledSums, blocks: NDArray[np.floating], border: Floats, corner: Floats) -> None:
        self.sums, self.blocks, self.border, self.corner = sums, blocks, border, corner
        self.stiffness = self._stiffen()

    def _stiffen(self) -> float:
        """Ties neighbouring knots together; how strongly."""
        sums, n = self.sums, self.sums.columns
        first = int(np.searchsorted(sums.pairs[:, 0], n))
        one, two = sums.pairs[first:].T.astype(np.int64) - n
        own, width = one == two, len(sums.knots[0])
        blocks = self.blocks[first:, 0]
        typical = blocks[own]
        stiffness = SMOOTHNESS * float(np.median(typical[typical > 0])) if (typical > 0).any() else 0.0
        beside = ((two - one == 1) & (two % width != 0)) | (two - one == width)
        blocks[beside] -= stiffness
        each = np.bincount(np.concatenate([one[beside], two[beside]]), minlength=sums.elements - n)
        blocks[own] += (stiffness * each).astype(blocks.dtype)
        return stiffness

    def _extra(self, known: Known) -> Floats:
        extra = np.zeros((self.sums.elements, 3))
        extra[: self.sums.columns, 1:] = known.position[:, None]
        return extra

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
        border = np.ascontiguousarray(self.border[chosen].reshape(len(chosen), 3 * self.sums.elements))
        corner = np.ascontiguousarray((self.corner + known.shape)[np.ix_(chosen, chosen)])
        return CompiledFactor(self, self._extra(known), self._free(state), border, corner, chosen, height, damping)

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
        beat()
        result = np.zeros((sums.columns, 9))
        tied, extra = sums.problem.tied.astype(np.int32), self._extra(known)
        equations = (sums.neighbours, self.blocks, extra, self._free(state), tied, near)
        beating(lambda: _kernel.covariance(*equations, result, sums.threads))
        return result.reshape(-1, 3, 3)


@dataclass(frozen=True)
class CompiledFactor:
    """Equations ready to be solved by conjugate gradients."""

    curvature: CompiledCurvature
    extra: Floats
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
        tied, asked = sums.problem.tied.astype(np.int32), (own.ravel(), gradient.shape[self.chosen])
        equations = (sums.neighbours, self.curvature.blocks, self.extra, self.free, tied, self.border, self.corner)
        limits = (self.damping, PRECISION[sums._dtype], MOST_ITERATIONS, sums.threads)
        taken = beating(lambda: _kernel.solve(*equations, sums._group, self.height, *asked, x, y, *limits))
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
    beat()
    pairs = np.sort(np.concatenate(parts), axis=1)
    return np.ascontiguousarray(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].astype(np.int32))
