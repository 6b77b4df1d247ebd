"""The joint fit's sums by arrays: batched matrix products over tiles, NumPy or CuPy, the same lines.

The oracle of the compiled kernel, and what takes its place where none was built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend import CPU, Device
from ..pulse import beat
from .engine import Gradient, Known, Steps
from .normal import Factor, Normal, NormalEquations
from .problem import FAINTEST, Problem, State, variance_model
from .profile import Evaluated, at_rim, evaluate, pulls, shape_slopes
from .tiles import Chunk, averaged, cut, hats, phase

Floats = NDArray[np.float64]

CPU_SAMPLES = 1 << 14
GPU_SAMPLES = 1 << 25
"""Tiles x columns x pixels worked on at once: what fits a core's cache, and what fills a GPU."""


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
    x = np.rint(problem.centre[:, 0]).astype(int)[:, None, None] + offset[None, None, :]
    y = np.rint(problem.centre[:, 1]).astype(int)[:, None, None] + offset[None, :, None]
    near = (
        np.hypot(x - problem.centre[:, 0, None, None], y - problem.centre[:, 1, None, None])
        <= problem.inner[:, None, None]
    )
    near &= (x >= 0) & (x < nx) & (y >= 0) & (y < ny)
    x, y = np.broadcast_to(x, near.shape)[near], np.broadcast_to(y, near.shape)[near]
    mask[y, x] = True
    return np.asarray(mask & np.isfinite(problem.image))


def _sampled(image: NDArray[np.floating], stride: int) -> Floats:
    """The image, flat, with every ``stride``-th pixel standing for those around it."""
    x0, y0 = phase((image.shape[0], image.shape[1]), stride)
    full = np.nan_to_num(image.astype(float))
    full[y0::stride, x0::stride] = np.nan_to_num(averaged(image, stride))
    return np.asarray(full.ravel(), dtype=np.float64)


class ArraySums:
    """Evaluates model, gradient and curvature of a problem on a device."""

    def __init__(self, problem: Problem, width: float, device: Device = CPU) -> None:
        self.problem, self.width, self.device = problem, width, device
        self.pixel_mask = _pixel_mask(problem)
        self._images: dict[int, Any] = {}
        self.mask = device.up(self.pixel_mask.ravel())
        self._grids: dict[int, _Grid] = {}
        bright = np.abs(problem.image[self.pixel_mask])
        self.faintest = (FAINTEST * float(np.quantile(bright, 0.995)) if bright.size else 0.0) or 1.0
        self.name = "arrays" + (f", {device.name}" if device.is_gpu else "")

    def grid(self, stride: int) -> _Grid:
        """The tiles of every ``stride``-th pixel, cut once."""
        if stride not in self._grids:
            problem, shape = self.problem, (self.problem.image.shape[0], self.problem.image.shape[1])
            samples = GPU_SAMPLES if self.device.is_gpu else CPU_SAMPLES
            host = cut(
                shape,
                problem.centre,
                problem.radius,
                spacing=problem.spacing,
                width=self.width,
                stride=stride,
                samples=samples,
            )
            knots = hats(shape, problem.spacing)
            equations = NormalEquations([c.columns for c in host], problem.group, (len(knots[1]), len(knots[0])))
            self._images[stride] = self.device.up(_sampled(problem.image, stride))
            self._grids[stride] = _Grid([c.on(self.device) for c in host], stride, equations)
        return self._grids[stride]

    def gradient(self, state: State, stride: int) -> Gradient:
        """Gradient over every ``stride``-th pixel."""
        total, n = self.normal(state, stride, curvature=False), len(self.problem.centre)
        columns, knots = total.gradient[: 3 * n].reshape(-1, 3), total.gradient[3 * n :]
        return Gradient(columns, knots, total.border_gradient, total.squares, total.pixels)

    def curvature(self, state: State, stride: int) -> ArrayCurvature:
        """Curvature over every ``stride``-th pixel."""
        return ArrayCurvature(self.problem, self.grid(stride).equations, self.normal(state, stride, curvature=True))

    def normal(self, state: State, stride: int, *, curvature: bool) -> Normal:
        """Gradient (and curvature) of minus half the weighted sum of squares over every ``stride``-th pixel."""
        grid = self.grid(stride)
        total = grid.equations.empty()
        for number in range(len(grid.chunks)):
            beat()
            self._add(total, grid, number, state, curvature)
        return total if stride == 1 else total.scaled(float(stride**2))

    def rest(self, state: State) -> tuple[Floats, Floats]:
        """Image minus model, and weight (ny, nx), both zero where no pixel is used."""
        xp = self.device.xp
        rest, weight = xp.zeros(self.mask.shape), xp.zeros(self.mask.shape)
        for chunk in self.grid(1).chunks:
            beat()
            seen, inside = self._see(chunk, state), chunk.inside
            weight[chunk.pixels[inside]] = seen.weight[inside]
            rest[chunk.pixels[inside]] = (seen.residual / xp.maximum(seen.weight, 1e-300))[inside]
        shape = self.problem.image.shape
        return self.device.down(rest).reshape(shape), self.device.down(weight).reshape(shape)

    def _see(self, chunk: Chunk, state: State) -> _Seen:
        xp, up, problem = self.device.xp, self.device.up, self.problem
        rows, listed = xp.maximum(chunk.columns, 0), chunk.columns >= 0
        px, py = chunk.coordinates(xp)
        xy, within = up(state.xy)[rows][:, :, :, None], chunk.within
        dx, dy = px - xy[:, :, 0], py - xy[:, :, 1]
        sigma = up(np.exp(state.shape.log_sigma)[problem.group])[rows][:, :, None]
        at = evaluate(state.shape, sigma, dx, dy, xp)
        rim = at_rim(state.shape, np.exp(state.shape.log_sigma)[problem.group], problem.radius)[0]
        value = (at.value - up(rim)[rows][:, :, None]) * within
        amplitude = xp.where(listed, up(state.amplitude)[rows], 0.0)
        background = (up(state.background)[chunk.nodes][:, None, :] @ chunk.hat)[:, 0, :]
        model = (amplitude[:, None, :] @ value)[:, 0, :] + background
        offset, gain, floor = variance_model(problem.variance, self.faintest)
        weight = (self.mask[chunk.pixels] & chunk.inside) / xp.maximum(offset + gain * model, floor)
        residual = weight * (self._images[chunk.stride][chunk.pixels] - model)
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
        level = (seen.residual[:, None, :] * seen.within).sum(axis=-1)
        rim, by_shape = at_rim(state.shape, np.exp(state.shape.log_sigma)[self.problem.group], self.problem.radius)
        rim, by_shape = self.device.up(rim)[seen.rows], self.device.up(by_shape)[seen.rows]
        sums[:, :, 0] -= rim * level
        sums[:, :, 3] -= by_shape[:, :, 0] * level
        if self.problem.tail:
            sums[:, :, 6:] -= by_shape[:, :, 1:] * level[:, :, None]
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
        _, by_shape = at_rim(state.shape, np.exp(state.shape.log_sigma)[self.problem.group], self.problem.radius)
        rim = self.device.up(by_shape)[seen.rows][:, :, :, None]
        slopes = shape_slopes(state.shape, seen.at, seen.sigma, seen.dx, seen.dy, xp)
        for number, taken in ((0, 0), (3, 1), (4, 2)):
            slopes[number] = slopes[number] - rim[:, :, taken]
        shapes = [s * seen.within for s in slopes]
        group = self.device.up(self.problem.group)[seen.rows]
        widths = [(seen.amplitude * (group == g))[:, None, :] @ shapes[0] for g in range(groups)]
        others = [seen.amplitude[:, None, :] @ s for s in shapes[1:]]
        by_position = [strong * slope * seen.at.mx, strong * slope * seen.at.my]
        jacobian = xp.concatenate([seen.value, *by_position, chunk.hat, *widths, *others], axis=1)
        jacobian *= xp.sqrt(seen.weight)[:, None, :]
        return jacobian @ jacobian.transpose(0, 2, 1)


class ArrayCurvature:
    """The products of all derivatives, as the sums of tiles left them."""

    def __init__(self, problem: Problem, equations: NormalEquations, normal: Normal) -> None:
        self.problem, self.equations, self.normal = problem, equations, normal

    def _free(self, state: State) -> NDArray[np.bool_]:
        """(N, 2) whether a column's amplitude and position are fitted."""
        return np.stack([self.problem.tied[:, 0] < 0, state.free], axis=1)

    def factorise(self, state: State, shape_free: NDArray[np.bool_], known: Known, damping: float) -> ArrayFactor:
        """Ready to solve for what is free."""
        selection = self.equations.selection(self._free(state), self.problem.tied)
        return ArrayFactor(self.equations.factorise(self.normal, selection, shape_free, known, damping))

    def covariance(self, state: State, known: Known) -> Floats:
        """(N, 3, 3) inverse curvature of each column's (amplitude, x, y) with its nearest neighbours free as well."""
        return self.equations.covariance(self.normal, state.xy, self._free(state), known.position)


@dataclass(frozen=True)
class ArrayFactor:
    """A sparse factor with the shape's border eliminated."""

    factor: Factor

    def step(self, gradient: Gradient, background: Floats) -> Steps:
        """The Gauss-Newton step."""
        own = np.concatenate([gradient.columns.ravel(), gradient.knots])
        step, shape = self.factor.step(own, gradient.shape, background)
        n = gradient.columns.size
        return Steps(step[:n].reshape(-1, 3), step[n:], shape)
