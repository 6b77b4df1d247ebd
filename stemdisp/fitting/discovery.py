"""Which of many tests to believe."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def discoveries(level: NDArray[np.float64], rate: float) -> NDArray[np.bool_]:
    """(n,) tests to believe of those with p-values ``level`` (n,), NaN = not made, such that at most the share ``rate``
    of them is so by chance.

    Benjamini and Hochberg 1995, doi 10.1111/j.2517-6161.1995.tb02031.x.

    >>> discoveries(np.array([0.001, 0.5, 0.02, np.nan]), 0.05)
    array([ True, False,  True, False])
    """
    made = np.isfinite(level)
    order = np.argsort(np.where(made, level, np.inf), kind="stable")
    rank = np.arange(1, len(level) + 1)
    passed = np.flatnonzero(made[order] & (level[order] <= rate * rank / max(int(made.sum()), 1)))
    result = np.zeros(len(level), dtype=bool)
    if len(passed):
        result[order[: passed[-1] + 1]] = True
    return result
