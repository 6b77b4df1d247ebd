"""What lies around the columns of a table: columns just outside the frame, and distances that set the size of
windows."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from .grid import Grid, distinct, means

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


RIM = 0.0
"""Places less than this many px inside the frame's outermost pixel centres that hold no listed column count as outside:
the predictions that decide what is listed differ from these by a fraction of a pixel."""


NEXT = np.array([(h, k) for h, k in product((-1, 0, 1), repeat=2) if h or k])
"""Steps to the cells that touch one, by side or corner."""

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

    high = np.array([shape[1] - 1, shape[0] - 1])
    reach = margin + np.linalg.norm(cell, axis=1).sum()
    near = np.flatnonzero(((xy < reach) | (xy > high - reach)).any(axis=1))
    empty = np.zeros(0, dtype=np.int64)
    found: list[tuple[Floats, Ints, Ints]] = [(np.zeros((0, 2)), empty, np.zeros((0, 3), dtype=np.int64))]
    for s in np.unique(site[near]):
        rows, beside = np.flatnonzero(site == s), near[site[near] == s]
        known = Grid.of(hk[rows])
        targets, there = hk[beside][:, None, :] + NEXT, xy[beside][:, None, :] + NEXT @ cell
        outside = ((there < RIM) | (there > high - RIM)).any(axis=2)
        outside &= ((there > -margin) & (there < high + margin)).all(axis=2) & (known.at(targets) < 0)
        cells, index, count = distinct(targets[outside])
        places = means(there[outside], index, count)
        on = _continues(cells, places, known, cell, high)
        if on.any():
            nearest = cKDTree(xy[rows]).query(places[on], k=min(3, len(rows)))[1].reshape(int(on.sum()), -1)
            tied = rows[np.resize(nearest.T, (3, len(nearest))).T]
            found.append((places[on], np.full(len(nearest), s, dtype=np.int64), tied))
    positions, sites, tied = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return positions, sites, tied


def _continues(hk: Ints, places: Floats, known: Grid, cell: Floats, high: Ints) -> NDArray[np.bool_]:
    """(P,) whether the crystal goes on at places (P, 2) outside the frame, in cells ``hk`` (P, 2).

    Where the cells around one inside the frame are full and empty, the rows of the lattice that part the two are the
    edge carried on beyond the frame; the place is outside if it lies beyond all of them. Without such a row the
    majority of the next cells decides.
    """
    steps = np.array(list(product(range(-AROUND, AROUND + 1), repeat=2)))
    beside = places[:, None, :] + steps @ cell
    inside = ((beside >= RIM) & (beside <= high - RIM)).all(axis=2)
    full = inside & (known.at(hk[:, None, :] + steps) >= 0)
    empty = inside & ~full
    heights, beyond = steps @ ROWS.T, np.abs(steps @ ROWS.T).max() + 1
    outermost = np.where(full[:, :, None], heights, -beyond).max(axis=1)
    parts = np.where(empty[:, :, None], heights, beyond).min(axis=1) > outermost
    next_to = np.abs(steps).max(axis=1) == 1
    majority = (full & next_to).sum(axis=1) > (empty & next_to).sum(axis=1)
    on = np.where(parts.any(axis=1), (parts & (outermost >= 0)).any(axis=1), majority)
    return np.asarray(full.any(axis=1) & (on | ~empty.any(axis=1)))


def leaders_of(
    xy: Floats, site: Ints, free: NDArray[np.bool_], cut: NDArray[np.bool_], cell: Floats
) -> tuple[Ints, Floats]:
    """(N, 3) for columns that the frame cuts, or that lie beyond it, the three nearest of their site that are fitted,
    -1 for all others, and where a site has fewer; and (N, 2) px from the middle of those to where the lattice goes on
    from them: a displacement goes on beyond the frame."""
    from scipy.spatial import cKDTree

    leaders, beside = np.full((len(xy), 3), -1, dtype=np.int64), np.zeros((len(xy), 2))
    for s in np.unique(site):
        rows, to = np.flatnonzero(free & (site == s)), cut & (site == s)
        if len(rows) >= leaders.shape[1] and to.any():
            leaders[to] = rows[cKDTree(xy[rows]).query(xy[to], k=leaders.shape[1])[1]]
            steps = (xy[to][:, None, :] - xy[leaders[to]]) @ np.linalg.inv(cell)
            beside[to] = (np.rint(steps) @ cell).mean(axis=1)
    return leaders, beside


def inside_share(xy: Floats, shape: tuple[int, int], radius: float) -> Floats:
    """(N,) share of a disc of ``radius`` px around each position that lies inside the frame."""
    grid = np.linspace(-1, 1, 21)
    disc = np.array([(u, v) for u in grid for v in grid if u * u + v * v <= 1]) * radius
    low, high = np.full(2, -0.5), np.array([shape[1], shape[0]]) - 0.5
    cut = ((xy - radius < low) | (xy + radius > high)).any(axis=1)
    points = xy[cut, None, :] + disc
    share = np.ones(len(xy))
    share[cut] = ((points >= low) & (points <= high)).all(axis=2).mean(axis=1)
    return share
