"""Continue a lattice over rows of spots that are fainter than the rest, where whole rows are there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .grid import Grid, distinct, means

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

STEPS = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
REACH = 3
"""Cells to each side along the rim that are looked at together."""

MOST, FEWEST, SHORT = 0.85, 5, 1
"""Share of the places beside a rim, of so many at least, that must hold a spot: among the blobs of an amorphous layer
one in five does by chance; and of how many where such rows were found before."""


def onward(hk: Ints, xy: Floats, cell: Floats, spots: Floats, tolerance: float, frame: Floats) -> tuple[Ints, Floats]:
    """Cells (m, 2) and places (m, 2) of ``spots`` (s, 2) that continue indexed ones, cells (n, 2) at places (n, 2).

    ``cell`` (2, 2) are the lattice vectors in px, ``tolerance`` (px) is how far a spot may stand from where its
    neighbours predict it; only places between the corners ``frame`` (2, 2) are looked at.
    """
    from scipy.spatial import cKDTree

    tree, start = cKDTree(spots), len(hk)
    while len(spots):
        targets = (hk[:, None] + STEPS).reshape(-1, 2)
        fresh = Grid.of(hk).at(targets) < 0
        beside, index, count = distinct(targets[fresh])
        place = means((xy[:, None] + STEPS @ cell).reshape(-1, 2)[fresh], index, count)
        framed = ((place > frame[0]) & (place < frame[1])).all(axis=1)
        beside, place = beside[framed], place[framed]
        distance, near = map(np.asarray, tree.query(place, distance_upper_bound=tolerance))
        there = np.isfinite(distance)
        # Once a fainter crystal is seen, what stands in the corner between two of its columns belongs to it, and so do
        # its short rows in the corners of the frame.
        grown = len(hk) > start
        there &= _rows_of(beside, there, SHORT if grown else FEWEST) | ((count[framed] > 1) & grown)
        if not there.any():
            break
        hk, xy = np.concatenate([hk, beside[there]]), np.concatenate([xy, spots[near[there]]])
    return hk[start:], xy[start:]


def _rows_of(hk: Ints, there: Mask, fewest: int) -> Mask:
    """(n,) whether nearly all cells (n, 2) around one are ``there``."""
    reach = np.arange(-REACH, REACH + 1)
    steps = np.stack(np.meshgrid(reach, reach, indexing="ij"), axis=-1).reshape(-1, 2)
    rows = Grid.of(hk).at(hk[:, None] + steps)
    number = (rows >= 0).sum(axis=1)
    seen = ((rows >= 0) & there[rows]).sum(axis=1)
    return np.asarray((number >= fewest) & (seen >= MOST * number))
