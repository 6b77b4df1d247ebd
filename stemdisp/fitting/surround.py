"""What lies around the columns of a table: columns just outside the frame, and distances that set the size of
windows."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


RIM = 0.0
"""Places less than this many px inside the frame's outermost pixel centres that hold no listed column count as outside:
the predictions that decide what is listed differ from these by a fraction of a pixel."""


ROWS = np.array([(p, q) for p, q in product(range(-2, 3), repeat=2) if np.gcd(p, q) == 1])
"""Rows p h + q k = const of a lattice that an edge may follow, both ways."""

AROUND = 3
"""Cells to each side that tell whether the crystal goes on beyond the frame."""


def phantoms(
    xy: Floats, site: Ints, hk: Ints, cell: Floats, shape: tuple[int, int], margin: float
) -> tuple[Floats, Ints, Ints]:
    """Columns outside the frame whose tails reach in: positions (P, 2) px, sites (P,) and, for the amplitude, the rows
    (P, 3) of the three nearest columns of their site.

    Without them the columns along the image's edge drift into the light of a neighbour that nobody models. They
    continue the lattice ``cell`` (2, 2) px from columns within ``margin`` px of the frame.
    """
    from scipy.spatial import cKDTree

    known = {(int(s), int(h), int(k)) for s, (h, k) in zip(site, hk, strict=True)}
    places: dict[tuple[int, int, int], list[Floats]] = {}
    high = np.array([shape[1] - 1, shape[0] - 1])
    reach = margin + np.linalg.norm(cell, axis=1).sum()
    near = np.flatnonzero(((xy < reach) | (xy > high - reach)).any(axis=1))
    for dh, dk in product((-1, 0, 1), repeat=2):
        target = xy[near] + np.array([dh, dk]) @ cell
        outside = ((target < RIM) | (target > high - RIM)).any(axis=1)
        close = ((target > -margin) & (target < high + margin)).all(axis=1)
        for row, place in zip(near[outside & close], target[outside & close], strict=True):
            key = (int(site[row]), int(hk[row, 0] + dh), int(hk[row, 1] + dk))
            if key not in known:
                places.setdefault(key, []).append(place)
    means = {key: np.mean(found, axis=0) for key, found in places.items()}
    means = {key: place for key, place in means.items() if _continues(key, place, known, cell, high)}
    if not means:
        return np.zeros((0, 2)), np.zeros(0, dtype=np.int64), np.zeros((0, 3), dtype=np.int64)
    positions = np.array(list(means.values()))
    sites = np.array([key[0] for key in means], dtype=np.int64)
    tied = np.zeros((len(sites), 3), dtype=np.int64)
    for s in np.unique(sites):
        rows = np.flatnonzero(site == s)
        nearest = cKDTree(xy[rows]).query(positions[sites == s], k=min(3, len(rows)))[1].reshape((sites == s).sum(), -1)
        tied[sites == s] = rows[np.resize(nearest.T, (3, len(nearest))).T]
    return positions, sites, tied


def _continues(
    key: tuple[int, int, int], place: Floats, known: set[tuple[int, int, int]], cell: Floats, high: Floats
) -> bool:
    """Whether the crystal goes on at a place outside the frame.

    Where the cells around it inside the frame are full and empty, the rows of the lattice that part the two are the
    edge carried on beyond the frame; the place is outside if it lies beyond all of them. Without such a row the
    majority of the next cells decides.
    """
    steps = np.array(list(product(range(-AROUND, AROUND + 1), repeat=2)))
    beside = place + steps @ cell
    inside = ((beside >= RIM) & (beside <= high - RIM)).all(axis=1)
    full = inside & np.array([(key[0], key[1] + int(h), key[2] + int(k)) in known for h, k in steps])
    empty = inside & ~full
    if not full.any() or not empty.any():
        return bool(full.any())
    heights = steps @ ROWS.T
    outermost = heights[full].max(axis=0)
    parts = heights[empty].min(axis=0) > outermost
    if parts.any():
        return bool((outermost[parts] >= 0).any())
    next_to = np.abs(steps).max(axis=1) == 1
    return bool((full & next_to).sum() > (empty & next_to).sum())


def inside_share(xy: Floats, shape: tuple[int, int], radius: float) -> Floats:
    """(N,) share of a disc of ``radius`` px around each position that lies inside the frame."""
    grid = np.linspace(-1, 1, 21)
    disc = np.array([(u, v) for u in grid for v in grid if u * u + v * v <= 1]) * radius
    points = xy[:, None, :] + disc
    inside = (points >= -0.5) & (points <= np.array([shape[1], shape[0]]) - 0.5)
    return np.asarray(inside.all(axis=2).mean(axis=1))
