"""Where a field of vectors on a grid turns from one direction to another, by less than half a turn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .domains import OPPOSITE, Crossing, zero_of
from .grid import Grid

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

BEFORE, BETWEEN, AFTER = np.array([-3, -2, -1]), np.array([-1, 0, 1, 2]), np.array([2, 3, 4])
"""Cells along a row, from the last one before a turn, that the two directions are means of, and those in between."""

LEAST = np.cos(np.radians(50))
"""Cosine of the smallest turn that counts: means of three clear vectors differ by that much nowhere by chance."""

BESIDE, CENTRED = np.array([2.0, 3.0]), 3
"""Cells to each side of the place that say what is half-way there, and how often the place is told anew."""

CENTRAL = 0.8
"""Cells from the middle of the widest turn within which its place lies."""

APART = 3
"""Cells along a row within which only the widest turn counts."""


def turns(vectors: Floats, placing: Floats, clear: Mask, hk: Ints, along: int) -> list[Crossing]:
    """Where ``vectors`` (n, 2) turn by 50 to 134 degrees along rows of cells (n, 2), in which index ``along`` (0 = h, 1
    = k) runs.

    ``placing`` (n, 2) are the same, NaN where they may not tell the place. The mean of three ``clear`` cells (n,) is
    compared with that of three behind the two cells beyond them. The place is where the component along the difference
    is half-way between what it is on both sides, by linear interpolation.
    """
    grid, step = Grid.of(hk), np.eye(2, dtype=np.int64)[along]
    rows = {name: grid.at(hk[:, None] + n[:, None] * step) for name, n in _WINDOWS.items()}
    told = np.all([(r >= 0).all(axis=1) for r in rows.values()], axis=0)
    told &= clear[rows["before"]].all(axis=1) & clear[rows["after"]].all(axis=1)
    told &= np.isfinite(placing[rows["between"]]).all(axis=(1, 2))
    start = np.flatnonzero(told)
    before, after = (vectors[rows[name][start]].mean(axis=1) for name in ("before", "after"))
    cosine = (before * after).sum(axis=1) / np.maximum(np.linalg.norm(before, axis=1) * _length(after), 1e-12)
    widest = _widest(hk[start], cosine, along)
    found = []
    for n in np.flatnonzero(widest & (cosine < LEAST) & (cosine > OPPOSITE)):
        between = rows["between"][start[n]]
        row = np.concatenate([rows["before"][start[n], :2], between, rows["after"][start[n], 1:]])
        middle = float(hk[start[n], along]) + 0.5
        place = _place(hk[row, along].astype(np.float64), vectors[row], middle)
        # Farther off, the widest turn is only the one next to the rim, and the place is beside the cells.
        if place is not None and abs(place - middle) <= CENTRAL:
            found.append((int(hk[start[n], 1 - along]), place, before[n], after[n]))
    return _with_reach(found, hk, along)


def _place(at: Floats, vectors: Floats, place: float) -> float | None:
    """Index at which vectors (8, 2) of a row's cells ``at`` (8,) are half-way, on its way from a first guess: as far to
    one side as to the other they are compared."""
    for _ in range(CENTRED):
        one, other = (
            np.array([np.interp(place + side * BESIDE, at, part).mean() for part in vectors.T]) for side in (-1, 1)
        )
        values = (vectors[2:6] - (one + other) / 2) @ (other - one)
        if not values[0] < 0 < values[-1]:
            return None
        place = at[2] + zero_of(values)
    return place


_WINDOWS = {"before": BEFORE, "between": BETWEEN, "after": AFTER}


def _length(vectors: Floats) -> Floats:
    return np.asarray(np.linalg.norm(vectors, axis=1))


def _widest(hk: Ints, cosine: Floats, along: int) -> Mask:
    """(n,) whether no turn nearby in the same row (cells (n, 2)) is wider; of equal ones the first counts."""
    grid, step = Grid.of(hk), np.eye(2, dtype=np.int64)[along]
    widest = np.ones(len(hk), dtype=bool)
    for away in range(1, APART + 1):
        for sign in (-1, 1):
            other = grid.at(hk + sign * away * step)
            beside = np.where(other >= 0, cosine[other], 2.0) if len(hk) else cosine
            widest &= (cosine < beside) | ((cosine == beside) & (sign > 0))
    return widest


def _with_reach(found: list[tuple[int, float, Floats, Floats]], hk: Ints, along: int) -> list[Crossing]:
    """With how far it is to half the way to the next turn of the row, or to its end."""
    turned = []
    for row in sorted({one[0] for one in found}):
        own = sorted((one for one in found if one[0] == row), key=lambda one: one[1])
        cells = hk[hk[:, 1 - along] == row, along]
        for n, (_, place, before, after) in enumerate(own):
            left = (place - own[n - 1][1]) / 2 if n else place - cells.min() + 1
            right = (own[n + 1][1] - place) / 2 if n + 1 < len(own) else cells.max() + 1 - place
            turned.append(Crossing(row, place, True, float(min(left, right)), before, after))
    return turned
