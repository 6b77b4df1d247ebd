"""Whether two rows of numbers rise together."""

from __future__ import annotations

from itertools import permutations
from math import factorial

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXACT = 8
"""Up to so many pairs all orders are counted; beyond, Student's t is within a few per cent of that."""


def spearman(one: Floats, other: Floats) -> tuple[float, float]:
    """Spearman's rank correlation of n pairs, and the two-sided level at which they are in no common order; NaN where
    a row has no order (fewer than 3 pairs, or all alike).

    Ties share their mean rank. Pairs count as independent.
    Kendall and Gibbons, Rank Correlation Methods, 5th ed. 1990, ch. 4.

    >>> spearman(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 4.0, 9.0, 16.0]))
    (1.0, 0.08333333333333333)
    """
    from scipy.special import stdtr

    n = len(one)
    a, b = _centred_ranks(one), _centred_ranks(other)
    size = float(np.sqrt((a @ a) * (b @ b)))
    if n < 3 or size == 0:
        return float("nan"), float("nan")
    rho = float(np.clip(a @ b / size, -1.0, 1.0))
    if n <= EXACT:
        orders = np.array(list(permutations(range(n))))
        return rho, float(np.mean(np.abs(b[orders] @ a) >= (abs(rho) - 1e-9) * size))
    t = abs(rho) * np.sqrt((n - 2) / max(1 - rho**2, 1e-300))
    # No order of n is rarer than one of all of them and its reverse.
    return rho, max(2 * float(stdtr(n - 2, -t)), 2 / factorial(min(n, 150)))


def _centred_ranks(values: Floats) -> Floats:
    """Ranks with their mean taken off; equal values share the mean of theirs."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[index.ravel()] - (len(values) + 1) / 2, dtype=np.float64)
