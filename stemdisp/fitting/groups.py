"""Rows that carry the same number, as cells of one layer or columns of one plane do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]


def members(number: NDArray[np.int64], chosen: NDArray[np.bool_]) -> list[Rows]:
    """Chosen rows of each number, in their order, from 0 to the largest number there is; negative ones are left out.

    >>> [rows.tolist() for rows in members(np.array([1, -1, 3, 1]), np.array([True, True, False, True]))]
    [[], [0, 3], [], []]
    """
    rows = np.flatnonzero(chosen & (number >= 0))
    rows = rows[np.argsort(number[rows], kind="stable")]
    ends = np.searchsorted(number[rows], np.arange(int(number.max(initial=-1)) + 1), side="right")
    return np.split(rows, ends)[:-1]
