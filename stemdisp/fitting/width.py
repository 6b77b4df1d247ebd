"""How wide columns are, seen before any fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_COLUMNS = 400
"""Columns averaged: more do not make a starting value better."""


def steepest(image: Floats, xy: Floats, reach: float) -> float:
    """Radius (px) at which the mean radial profile around columns at ``xy`` (n, 2) falls most, at most ``reach`` px.

    For a Gaussian that is its standard deviation, whatever its height and background.  Columns are bright.  NaN where
    no column lies far enough inside the frame, or nothing falls.
    """
    ny, nx = image.shape
    half = int(np.ceil(reach)) + 1
    inside = ((xy >= half) & (xy <= np.array([nx, ny]) - 1 - half)).all(axis=1)
    chosen = xy[inside]
    chosen = chosen[:: max(1, len(chosen) // MOST_COLUMNS)]
    if not len(chosen):
        return float("nan")
    line = np.arange(-half, half + 1)
    dy, dx = (grid.ravel() for grid in np.meshgrid(line, line, indexing="ij"))
    near = np.rint(chosen).astype(int)
    distance = np.hypot(*(near[:, None, :] + np.stack([dx, dy], axis=1) - chosen[:, None, :]).transpose(2, 0, 1))
    values = image[near[:, 1, None] + dy, near[:, 0, None] + dx]
    known = np.isfinite(values) & (distance <= reach)
    # Rings of one pixel, half a pixel apart, hold pixels enough even around few columns.
    radii = np.arange(0.5, reach, 0.5)
    rings = [known & (np.abs(distance - r) <= 0.5) for r in radii]
    profile = np.array([values[ring].mean() if ring.any() else np.nan for ring in rings])
    slope = np.diff(profile)
    if not np.isfinite(slope).any() or np.nanmin(slope) >= 0:
        return float("nan")
    return float(radii[int(np.nanargmin(slope))] + 0.25)
