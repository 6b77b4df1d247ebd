"""Rows of a table looked up by the cell (h, k) they belong to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Grid:
    """A number a cell; -1 = none, and outside."""

    def __init__(self, low: Ints, high: Ints) -> None:
        """Empty, for cells from ``low`` to ``high`` (2,), both included."""
        self.low = np.asarray(low, dtype=np.int64)
        self.numbers = np.full(np.maximum(np.asarray(high) - self.low + 1, 0), -1, dtype=np.int64)

    @classmethod
    def of(cls, hk: Ints, numbers: Ints | None = None) -> Grid:
        """With ``numbers`` (n,), or the rows 0 to n - 1, at cells (n, 2); of equal cells the last counts."""
        if not len(hk):
            return cls(np.zeros(2, dtype=np.int64), np.full(2, -1))
        grid = cls(hk.min(axis=0), hk.max(axis=0))
        grid.put(hk, np.arange(len(hk)) if numbers is None else numbers)
        return grid

    def at(self, hk: Ints) -> Ints:
        """(...) numbers of cells (..., 2)."""
        h, k = hk[..., 0] - self.low[0], hk[..., 1] - self.low[1]
        height, width = self.numbers.shape
        inside = (h >= 0) & (h < height) & (k >= 0) & (k < width)
        if not self.numbers.size:
            return np.full(inside.shape, -1, dtype=np.int64)
        return np.where(inside, self.numbers.ravel()[np.where(inside, h * width + k, 0)], -1)

    def put(self, hk: Ints, numbers: Ints) -> None:
        """Set the numbers (n,) of cells (n, 2), growing where they lie outside."""
        if not len(hk):
            return
        under = np.maximum(self.low - hk.min(axis=0), 0)
        over = np.maximum(hk.max(axis=0) - self.low + 1 - self.numbers.shape, 0)
        if under.any() or over.any():
            self.numbers = np.pad(self.numbers, np.stack([under, over], axis=1), constant_values=-1)
            self.low = self.low - under
        self.numbers[tuple((hk - self.low).T)] = numbers


def distinct(hk: Ints) -> tuple[Ints, Ints, Ints]:
    """The different ones (m, 2) among cells (n, 2), by h, then k; which of them each is (n,), how often each is there
    (m,)."""
    if not len(hk):
        return np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    low = hk.min(axis=0)
    span = int(hk[:, 1].max() - low[1]) + 1
    keys, index, count = np.unique(
        (hk[:, 0] - low[0]) * span + hk[:, 1] - low[1], return_inverse=True, return_counts=True
    )
    return np.stack(np.divmod(keys, span), axis=1) + low, index, count


def means(values: NDArray[np.float64], index: Ints, count: Ints) -> NDArray[np.float64]:
    """(m, ...) means of the values (n, ...) that belong together, ``index`` (n,) and ``count`` (m,) as of
    :func:`distinct`."""
    flat = values.reshape(len(values), int(np.prod(values.shape[1:])))
    sums = np.stack([np.bincount(index, column, len(count)) for column in flat.T], axis=1)
    return np.asarray((sums / count[:, None]).reshape(len(count), *values.shape[1:]))


def scatter(values: NDArray[np.float64], hk: Ints) -> NDArray[np.float64]:
    """(F,) scatter of values (n, F) from cell (n, 2) to next cell, which a jump or a slow change hardly alters: 1.48
    times the median of the absolute differences over the root of two; 0 where no two cells are neighbours."""
    grid, apart = Grid.of(hk), []
    for step in ((1, 0), (0, 1)):
        beside = grid.at(hk + np.array(step))
        apart.append(values[beside >= 0] - values[beside[beside >= 0]])
    between = np.concatenate(apart)
    if not len(between):
        return np.zeros(values.shape[1])
    return np.asarray(1.4826 * np.median(np.abs(between), axis=0) / np.sqrt(2))


ALIKE, FAINTER, AROUND = 0.25, 0.6, 2
"""Relative scatter of values that are of one kind, part of the usual value below which they are a kind of their own,
and cells to each side that are looked at together."""


def usual(values: NDArray[np.float64], hk: Ints, median: float) -> NDArray[np.float64]:
    """(n,) usual positive value: the ``median`` of all, or that of the cells (n, 2) around where these have lower
    values (n,) that are alike."""
    found = np.full(len(values), median)
    low = np.flatnonzero(values < FAINTER * median)
    if not len(low):
        return found
    reach = np.arange(-AROUND, AROUND + 1)
    steps = np.stack(np.meshgrid(reach, reach, indexing="ij"), axis=-1).reshape(-1, 2)
    rows = Grid.of(hk).at(hk[low, None] + steps)
    around = np.where(rows >= 0, values[rows], np.nan)
    middle = np.nanmedian(around, axis=1)
    spread = 1.4826 * np.nanmedian(np.abs(around - middle[:, None]), axis=1)
    own = (spread < ALIKE * middle) & (middle < FAINTER * median)
    found[low[own]] = middle[own]
    return found
