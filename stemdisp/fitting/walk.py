"""Index spots on a lattice by walking from a seed with local cell vectors, all of one frontier at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..pulse import beat
from .grid import Grid, distinct, means

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STEPS = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
LEARNING = 0.25
"""Share of a measured step in the local cell vectors carried on: follows distortions, averages displacements."""


@dataclass(frozen=True)
class Walk:
    """Indexed spots: ``row`` (n,) of the spot, ``hk`` (n, 2), local ``cell`` (n, 2, 2) in px."""

    row: Ints
    hk: Ints
    cell: Floats


def walk(spots: Floats, seeds: Floats, seed_hk: Ints, cell: Floats, tolerance: float) -> Walk:
    """Index the spots (n, 2) that continue the lattice from ``seeds`` (s, 2), predicted places of cells ``seed_hk``
    (s, 2).

    ``tolerance`` is the largest distance in px of a spot from where its neighbours predict it. Where two cells claim
    one spot the nearer prediction has it; a cell takes the spot nearest to the mean of its predictions.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(spots)
    taken = np.zeros(len(spots), dtype=bool)
    indexed = Grid.of(seed_hk, np.full(len(seed_hk), -1))
    found: list[tuple[Ints, Ints, Floats]] = [
        (np.zeros(0, dtype=np.int64), np.zeros((0, 2), dtype=np.int64), np.zeros((0, 2, 2)))
    ]
    target_hk, predicted, target_cell = seed_hk, seeds, np.broadcast_to(cell, (len(seeds), 2, 2))
    while len(target_hk):
        beat()
        distance, near = map(np.asarray, tree.query(predicted, distance_upper_bound=tolerance))
        keep = np.isfinite(distance)
        keep[keep] &= ~taken[near[keep]]
        order = np.flatnonzero(keep)[np.argsort(distance[keep], kind="stable")]
        order = order[np.unique(near[order], return_index=True)[1]]
        new, hk, new_cell = near[order], target_hk[order], target_cell[order]
        taken[new] = True
        indexed.put(hk, new)
        found.append((new, hk, new_cell))
        target_hk, predicted, target_cell = _frontier(spots, new, hk, new_cell, indexed)
    rows, hks, cells = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Walk(rows, hks, cells)


def _frontier(spots: Floats, rows: Ints, hk: Ints, cell: Floats, indexed: Grid) -> tuple[Ints, Floats, Floats]:
    """Unvisited neighbours of freshly indexed spots: hk (t, 2), mean predicted place (t, 2), mean local cell (t, 2,
    2)."""
    if not len(rows):
        return np.zeros((0, 2), dtype=np.int64), np.zeros((0, 2)), np.zeros((0, 2, 2))
    targets = hk[:, None, :] + STEPS
    others, learned = indexed.at(targets), cell.copy()
    for step, other in zip(STEPS, others.T, strict=True):
        axis, sign = int(step[0] == 0), int(step.sum())
        pair = np.flatnonzero(other >= 0)
        measured = sign * (spots[other[pair]] - spots[rows[pair]])
        learned[pair, axis] += LEARNING * (measured - learned[pair, axis])
    where = spots[rows][:, None, :] + STEPS @ learned
    fresh = others < 0
    unique, index, count = distinct(targets[fresh])
    carried = learned[np.flatnonzero(fresh) // len(STEPS)]
    return unique, means(where[fresh], index, count), means(carried, index, count)
