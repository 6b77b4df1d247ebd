"""Fit columns one by one, all at once, in small windows of an image from which their neighbours were taken.

A plane lies under each column.  What the joint model leaves under a weak column (tails, uneven background) is such a plane;
in a noisy image its slopes are noise instead.  They are therefore shrunk by empirical Bayes: the variance of the slopes over
all columns, less what noise alone would give, is the variance they are allowed.
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
    """Square windows around columns: pixel coordinates (n, P), ``data`` with the neighbours taken off, ``weight`` (0 outside
    the round window)."""

    x: Any
    y: Any
    data: Any
    weight: Any

    def with_columns(self, shape: Shape, sigma: Floats, xy: Floats, amplitude: Floats, device: Device) -> Windows:
        """The windows of a residual image with each one's own column added back."""
        dx, dy = self.x - device.up(xy[:, :1]), self.y - device.up(xy[:, 1:])
        own = device.up(amplitude[:, None]) * evaluate(shape, device.up(sigma[:, None]), dx, dy, device.xp).value
        return replace(self, data=self.data + own)


@dataclass(frozen=True)
class LocalFit:
    """Amplitude (n,), position (n, 2), covariance (n, 3, 3) of (amplitude, x, y), plane (n, 3) of (level, x, y slope),
    weighted mean square residual (n,) and whether the position still moved at the end (n,)."""

    amplitude: Floats
    xy: Floats
    covariance: Floats
    plane: Floats
    chi2: Floats
    moving: NDArray[np.bool_]


def cut_windows(image: Floats, weight: Floats, xy: Floats, radius: float, device: Device = CPU) -> Windows:
    """Round windows of ``radius`` px around ``xy`` (n, 2); pixels outside the frame have no weight."""
    ny, nx = image.shape
    reach = int(np.ceil(radius)) + 1
    offset = np.arange(-reach, reach + 1)
    x = np.rint(xy[:, 0]).astype(int)[:, None, None] + offset[None, None, :] + 0 * offset[None, :, None]
    y = np.rint(xy[:, 1]).astype(int)[:, None, None] + offset[None, :, None] + 0 * offset[None, None, :]
    x, y = x.reshape(len(xy), -1), y.reshape(len(xy), -1)
    inside = (x >= 0) & (y >= 0) & (x < nx) & (y < ny)
    inside &= np.hypot(x - xy[:, :1], y - xy[:, 1:]) <= radius
    row, column = np.clip(y, 0, ny - 1), np.clip(x, 0, nx - 1)
    return Windows(
        device.up(x.astype(float)), device.up(y.astype(float)), device.up(image[row, column]), device.up(weight[row, column] * inside)
    )


def fit_windows(
    windows: Windows,
    shape: Shape,
    sigma: Floats,
    start: Floats,
    *,
    limit: Floats,
    tolerance: float,
    max_iterations: int,
    device: Device = CPU,
) -> LocalFit:
    """Amplitude, position and plane of each column with its profile fixed.

    ``sigma`` (n,) px, ``start`` (n, 2) px; positions stay within ``limit`` (n,) px of the start. The first fit leaves the
    slopes free, the second holds them as tightly as the first says.
    """
    loose = _iterate(windows, shape, sigma, start, np.zeros(2), limit, tolerance, max_iterations, device)
    slopes, variance = loose[1][:, 4:6], loose[2][:, [4, 5], [4, 5]]
    known = np.isfinite(variance).all(axis=1)
    if not known.any():
        return _result(loose)
    spread = 1.4826 * np.median(np.abs(slopes[known] - np.median(slopes[known], axis=0)))
    allowed = max(spread**2 - float(np.median(variance[known])), 1e-6 * spread**2)
    return _result(_iterate(windows, shape, sigma, start, np.full(2, 1 / allowed), limit, tolerance, max_iterations, device))


def _result(found: tuple[Floats, Floats, Floats, Floats, NDArray[np.bool_]]) -> LocalFit:
    xy, values, covariance, chi2, moving = found
    return LocalFit(values[:, 0], xy, covariance[:, :3, :3], values[:, 3:], chi2, moving)


def _iterate(
    windows: Windows,
    shape: Shape,
    sigma: Floats,
    start: Floats,
    ridge: Floats,
    limit: Floats,
    tolerance: float,
    max_iterations: int,
    device: Device,
) -> tuple[Floats, Floats, Floats, Floats, NDArray[np.bool_]]:
    """Gauss-Newton in positions, the linear part solved exactly each time: xy, linear values (amplitude, -, -, level, slopes),
    covariance (n, 6, 6), chi2, still moving.  ``ridge`` is 1 / variance of the slopes, in units of the data."""
    xp = device.xp
    xy, moving = start.copy(), np.ones(len(start), dtype=bool)
    width, weight = device.up(sigma)[:, None], windows.weight
    counted = device.down((weight > 0).sum(axis=1))
    scale = np.ones(len(start))
    for _ in range(max_iterations):
        dx, dy = windows.x - device.up(xy[:, :1]), windows.y - device.up(xy[:, 1:])
        at = evaluate(shape, width, dx, dy, xp)
        u, v = windows.x - device.up(start[:, :1]), windows.y - device.up(start[:, 1:])
        ones = xp.ones_like(dx)
        linear = xp.stack([at.value, ones, u, v], axis=1)
        normal = device.down((linear * weight[:, None]) @ linear.transpose(0, 2, 1))
        right = device.down((linear @ (weight * windows.data)[:, :, None])[:, :, 0])
        hold = np.zeros((len(start), 4))
        hold[:, 2:] = ridge * scale[:, None]
        values = _solve(normal, right, hold)
        amplitude = device.up(values[:, :1])
        residual = windows.data - (device.up(values)[:, None, :] @ linear)[:, 0]
        squares = device.down((weight * residual**2).sum(axis=1))
        scale = squares / np.maximum(counted - 6, 1)
        jacobian = xp.stack([at.value, amplitude * at.q * at.mx, amplitude * at.q * at.my, ones, u, v], axis=1)
        curvature = device.down((jacobian * weight[:, None]) @ jacobian.transpose(0, 2, 1))
        gradient = device.down((jacobian @ (weight * residual)[:, :, None])[:, :, 0])
        hold = np.zeros((len(start), 6))
        hold[:, 4:] = ridge * scale[:, None]
        gradient[:, 4:] -= hold[:, 4:] * values[:, 2:]
        step = _solve(curvature, gradient, hold)[:, 1:3]
        length = np.hypot(step[:, 0], step[:, 1])
        step *= np.minimum(1.0, 0.5 * limit / np.maximum(length, 1e-12))[:, None]
        xy = xy + step
        away = xy - start
        xy = start + away * np.minimum(1.0, limit / np.maximum(np.hypot(*away.T), 1e-12))[:, None]
        moving = length >= tolerance
        if not moving.any():
            break
    covariance = _invert(curvature, hold) * scale[:, None, None]
    full = np.column_stack([values[:, 0], step, values[:, 1:]])
    return xy, full, covariance, scale, moving


def _lifted(matrix: Floats, hold: Floats) -> Floats:
    diagonal = np.einsum("nii->ni", matrix)
    lift = hold + 1e-12 * diagonal + np.where(diagonal > 0, 0.0, 1.0)
    return np.asarray(matrix + lift[:, :, None] * np.eye(matrix.shape[1]))


def _solve(matrix: Floats, right: Floats, hold: Floats) -> Floats:
    return np.asarray(np.linalg.solve(_lifted(matrix, hold), right[:, :, None])[:, :, 0], dtype=np.float64)


def _invert(matrix: Floats, hold: Floats) -> Floats:
    return np.asarray(np.linalg.inv(_lifted(matrix, hold)), dtype=np.float64)
