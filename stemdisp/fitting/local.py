"""Fit columns one by one, all at once, in small windows of an image from which their neighbours were taken.

A plane lies under each column.  What the joint model leaves under a weak column (tails, uneven background) is such a
plane; in a noisy image its slopes are noise instead.  They are therefore shrunk by empirical Bayes: the variance of
the slopes over all columns, less what noise alone would give, is the variance they are allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend import CPU, Device
from .profile import Shape, evaluate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """Square windows around columns: pixel coordinates (n, P), ``data`` with the neighbours taken off, ``weight`` (0
    outside the round window)."""

    x: Any
    y: Any
    data: Any
    weight: Any


@dataclass(frozen=True)
class LocalProblem:
    """Windows (n) and what is known of their columns: the profile's shape and width ``sigma`` (n,) px, the ``start``
    (n, 2) px, and how far from it a column may go, ``limit`` (n,) px."""

    windows: Windows
    shape: Shape
    sigma: Floats
    start: Floats
    limit: Floats
    device: Device = CPU

    def with_own(self, amplitude: Floats) -> LocalProblem:
        """The problem on a residual image with each window's own column, of ``amplitude`` (n,), added back."""
        up, windows = self.device.up, self.windows
        dx, dy = windows.x - up(self.start[:, :1]), windows.y - up(self.start[:, 1:])
        profile = evaluate(self.shape, up(self.sigma[:, None]), dx, dy, self.device.xp).value
        return replace(self, windows=replace(windows, data=windows.data + up(amplitude[:, None]) * profile))


@dataclass(frozen=True)
class LocalFit:
    """Amplitude (n,), position (n, 2), covariance (n, 3, 3) of (amplitude, x, y), plane (n, 3) of (level, x, y slope),
    weighted mean square residual (n,) and whether the position still moved at the end (n,)."""

    amplitude: Floats
    xy: Floats
    covariance: Floats
    plane: Floats
    plane_variance: Floats
    chi2: Floats
    moving: NDArray[np.bool_]


def cut_windows(image: Floats, weight: Floats, xy: Floats, radius: float, device: Device = CPU) -> Windows:
    """Round windows of ``radius`` px around ``xy`` (n, 2); pixels outside the frame have no weight."""
    ny, nx = image.shape
    reach = int(np.ceil(radius)) + 1
    offset = np.arange(-reach, reach + 1)
    x = np.rint(xy[:, 0]).astype(int)[:, None, None] + offset[None, None, :] + 0 * offset[None, :, None]
    y = np.rint(xy[:, 1]).astype(int)[:, None, None] + offset[None, :, None] + 0 * offset[None, None, :]
    x, y = x.reshape(len(xy), len(offset) ** 2), y.reshape(len(xy), len(offset) ** 2)
    inside = (x >= 0) & (y >= 0) & (x < nx) & (y < ny)
    inside &= np.hypot(x - xy[:, :1], y - xy[:, 1:]) <= radius
    row, column = np.clip(y, 0, ny - 1), np.clip(x, 0, nx - 1)
    return Windows(
        device.up(x.astype(float)),
        device.up(y.astype(float)),
        device.up(image[row, column]),
        device.up(weight[row, column] * inside),
    )


def fit_windows(problem: LocalProblem, *, tolerance: float, max_iterations: int) -> LocalFit:
    """Amplitude, position and plane of each column with its profile fixed.

    The first fit leaves the slopes of the plane free, the second holds them as tightly as the first says.
    """
    loose = _iterate(problem, 0.0, tolerance, max_iterations)
    slopes = loose.plane[:, 1:]
    known = np.isfinite(loose.plane_variance).all(axis=1)
    if not known.any():
        return loose
    spread = 1.4826 * np.median(np.abs(slopes[known]))
    allowed = max(spread**2 - float(np.median(loose.plane_variance[known][:, 1:])), 1e-6 * spread**2, 1e-300)
    return _iterate(problem, 1 / allowed, tolerance, max_iterations)


def _iterate(problem: LocalProblem, ridge: float, tolerance: float, max_iterations: int) -> LocalFit:
    """Gauss-Newton in positions, the linear part solved exactly each time.

    ``ridge`` is 1 / variance of the slopes, in units of the data.
    """
    start, limit, windows = problem.start, problem.limit, problem.windows
    xy, moving = start.copy(), np.ones(len(start), dtype=bool)
    counted = problem.device.down((windows.weight > 0).sum(axis=1))
    scale = np.zeros(len(start))
    for _ in range(max_iterations):
        values, squares, curvature, gradient = _expand(problem, xy, ridge * scale)
        scale = squares / np.maximum(counted - 6, 1)
        hold = np.zeros((len(start), 6))
        hold[:, 4:] = (ridge * scale)[:, None]
        gradient[:, 4:] -= hold[:, 4:] * values[:, 2:]
        step = _solve(curvature, gradient, hold)[:, 1:3]
        length = np.hypot(step[:, 0], step[:, 1])
        away = xy + step * np.minimum(1.0, 0.5 * limit / np.maximum(length, 1e-12))[:, None] - start
        xy = start + away * np.minimum(1.0, limit / np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-12))[:, None]
        moving = length >= tolerance
        if not moving.any():
            break
    covariance = np.linalg.inv(_lifted(curvature, hold)) * scale[:, None, None]
    variance = np.einsum("nii->ni", covariance)[:, 3:]
    return LocalFit(values[:, 0], xy, covariance[:, :3, :3], values[:, 1:], variance, scale, moving)


def _expand(problem: LocalProblem, xy: Floats, hold: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """At positions ``xy``: the best linear values (n, 4) of amplitude, level and slopes, the weighted squares (n,) they
    leave, and curvature (n, 6, 6) and gradient (n, 6) of (amplitude, x, y, level, slopes)."""
    device, windows = problem.device, problem.windows
    xp, up, down, weight = device.xp, device.up, device.down, windows.weight
    dx, dy = windows.x - up(xy[:, :1]), windows.y - up(xy[:, 1:])
    at = evaluate(problem.shape, up(problem.sigma[:, None]), dx, dy, xp)
    u, v = windows.x - up(problem.start[:, :1]), windows.y - up(problem.start[:, 1:])
    ones = xp.ones_like(dx)
    linear = xp.stack([at.value, ones, u, v], axis=1)
    ridge = np.zeros((len(xy), 4))
    ridge[:, 2:] = hold[:, None]
    normal = down((linear * weight[:, None]) @ linear.transpose(0, 2, 1))
    values = _solve(normal, down((linear @ (weight * windows.data)[:, :, None])[:, :, 0]), ridge)
    residual = windows.data - (up(values)[:, None, :] @ linear)[:, 0]
    amplitude = up(values[:, :1])
    jacobian = xp.stack([at.value, amplitude * at.q * at.mx, amplitude * at.q * at.my, ones, u, v], axis=1)
    curvature = down((jacobian * weight[:, None]) @ jacobian.transpose(0, 2, 1))
    gradient = down((jacobian @ (weight * residual)[:, :, None])[:, :, 0])
    return values, down((weight * residual**2).sum(axis=1)), curvature, gradient


def _lifted(matrix: Floats, hold: Floats) -> Floats:
    diagonal = np.einsum("nii->ni", matrix)
    lift = hold + 1e-12 * diagonal + np.where(diagonal > 0, 0.0, 1.0)
    return np.asarray(matrix + lift[:, :, None] * np.eye(matrix.shape[1]))


def _solve(matrix: Floats, right: Floats, hold: Floats) -> Floats:
    return np.asarray(np.linalg.solve(_lifted(matrix, hold), right[:, :, None])[:, :, 0], dtype=np.float64)
