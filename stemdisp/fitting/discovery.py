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


def in_sequence(level: NDArray[np.float64], at: float) -> NDArray[np.bool_]:
    """(n,) tests with p-values up to ``at``, from the first on to the first that is not; NaN = not made, passed over.

    In a sequence that was fixed beforehand each test may have the whole level, and the chance of any false one is no
    larger (Maurer, Hothorn and Lehmacher 1995, in: Biometrie in der chemisch-pharmazeutischen Industrie 6, 3-18).

    >>> in_sequence(np.array([0.01, np.nan, 0.04, 0.2, 0.001]), 0.05)
    array([ True, False,  True, False, False])
    """
    tested = np.flatnonzero(np.isfinite(level))
    failed = np.flatnonzero(level[tested] > at)
    believed = np.zeros(len(level), dtype=bool)
    believed[tested[: failed[0] if len(failed) else len(tested)]] = True
    return believed
