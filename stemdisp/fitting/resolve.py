"""Which columns of a fitted lattice show as extrema of their own, and which are shoulders of a brighter neighbour."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from .profile import Shape, evaluate

Floats = NDArray[np.float64]

STEPS = 15
"""Points from a column half-way to its nearest neighbour at which the model is looked at."""

SHARED = 1.5 / STEPS
"""Part of the way before half-way that belongs to both columns: there the maximum of two that flow together stands."""

CELLS = 3
"""Cells around a column whose columns are summed."""

AROUND = tuple(step for step in product((-1, 0, 1), repeat=2) if any(step))


def resolved(places: Floats, cell: Floats, height: Floats, sigma: Floats, shape: Shape) -> NDArray[np.bool_]:
    """(S,) columns beside which the sum of all has a maximum, nearer than half of the way to the nearest neighbour.

    Parameters
    ----------
    places
        (S, 2) columns of one cell in px.
    cell
        (2, 2) cell vectors in px.
    height, sigma
        (S,) height (positive) and core width (px) of each.
    shape
        Metric and tail of their profile.

    Fitted where it is only a shoulder, a column's position depends on the model of its neighbour's flank more than on
    the image.
    """
    offsets = np.array(list(product(range(-CELLS, CELLS + 1), repeat=2))) @ cell
    others = (places[:, None, :] + offsets).reshape(-1, 2)
    heights, sigmas = np.repeat(height, len(offsets)), np.repeat(sigma, len(offsets))
    found = np.zeros(len(places), dtype=bool)
    for i, place in enumerate(places):
        distance = np.hypot(*(others - place).T)
        reach = 0.5 * float(distance[distance > 1e-9].min())
        own = (1 - SHARED) * reach
        line = np.linspace(-reach, reach, 2 * STEPS + 1)
        x, y = np.meshgrid(line, line)
        dx, dy = x[..., None] + place[0] - others[:, 0], y[..., None] + place[1] - others[:, 1]
        model = evaluate(shape, sigmas, dx, dy, np).value @ heights
        ny, nx = model.shape
        rim = np.max([model[1 + v : ny - 1 + v, 1 + u : nx - 1 + u] for v, u in AROUND], axis=0)
        found[i] = bool(((model[1:-1, 1:-1] > rim) & (np.hypot(x, y)[1:-1, 1:-1] < own)).any())
    return found
