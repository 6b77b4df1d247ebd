"""Sums of an image over discs around columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend import CPU, Device
from .engine import built

Floats = NDArray[np.float64]


def disc_sums(image: NDArray[np.floating[Any]], xy: Floats, radius: float, device: Device = CPU) -> Floats:
    """(N,) sum of an image (ny, nx) over the pixels within ``radius`` px of each place (N, 2); 0 outside the frame."""
    dtype = np.float32 if image.dtype == np.float32 else np.float64
    if device.compiled and built():
        from .kernel import _kernel

        found = np.zeros(len(xy))
        pixels = np.ascontiguousarray(image, dtype=dtype)
        _kernel.disc_sums(pixels, np.ascontiguousarray(xy, dtype=np.float64), radius, found, device.threads)
        return found
    return np.array([_one(image, place, radius) for place in xy])


def _one(image: NDArray[np.floating[Any]], place: Floats, radius: float) -> float:
    ny, nx = image.shape
    low = np.maximum(np.ceil(place - radius), 0).astype(int)
    high = np.minimum(np.floor(place + radius) + 1, [nx, ny]).astype(int)
    if (high <= low).any():
        return 0.0
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]]
    inside = (x - place[0]) ** 2 + (y - place[1]) ** 2 <= radius**2
    return float(image[low[1] : high[1], low[0] : high[0]][inside].sum(dtype=np.float64))
