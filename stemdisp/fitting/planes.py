"""Where values jump from one plane of a lattice to the next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .grid import distinct

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TOGETHER = 3
"""Planes on either side that are compared."""

FEWEST = 5
"""Cells of a plane whose median counts."""

MOST, WITHIN = 0.8, 0.5
"""Share of the cells that depart from the median of their plane by less than this part of the largest jump: else the
planes run across what jumps, not along it."""

FLAT = 0.8
"""Part of a jump that it still has in the places beside its own."""

HELD = 0.5
"""Part of the largest jump that another one is."""


def jumps_between_planes(plane: Ints, values: Floats, least: Floats) -> Floats:
    """Places (j,) between planes, half-integers, at which any of ``values`` (n, F) of cells in ``plane`` (n,) jumps.

    Medians of three planes are compared with those of the next three. A jump has to be at least ``least`` (F,), the
    largest nearby, and half as large as the largest of all; a plane that is different by itself counts
    as none.
    """
    cells = np.stack([plane, np.zeros_like(plane)], axis=1)
    found, index, count = distinct(cells)
    medians = np.full((len(found), values.shape[1]), np.nan)
    for number in np.flatnonzero(count >= FEWEST):
        medians[number] = np.median(values[index == number], axis=0)
    whole = np.flatnonzero(np.isfinite(medians).all(axis=1))
    if len(whole) < 2 * TOGETHER:
        return np.zeros(0)
    off = np.abs(values - medians[index])[np.isin(index, whole)]
    medians, numbers = medians[whole], found[whole, 0]
    windows = np.median(np.lib.stride_tricks.sliding_window_view(medians, TOGETHER, axis=0), axis=-1)
    jump = np.abs(windows[TOGETHER:] - windows[:-TOGETHER])
    uniform = np.quantile(off, MOST, axis=0) < WITHIN * jump.max(axis=0)
    size = np.where(uniform, jump / least, 0.0).max(axis=1)
    # A median of three takes a jump one plane too early or too late as well: the middle is the place.
    top = np.array([size[max(0, n - TOGETHER + 1) : n + TOGETHER].max() for n in range(len(size))])
    near = size >= np.maximum(FLAT * top, max(1.0, HELD * size.max(initial=0.0)))
    runs = np.split(np.flatnonzero(near), np.flatnonzero(np.diff(np.flatnonzero(near)) > 1) + 1)
    last = np.array([run.mean() + TOGETHER - 1 for run in runs if len(run)])
    return np.asarray(np.interp(last, np.arange(len(numbers)), numbers) + 0.5)
