"""Place oxygen columns, which HAADF hardly shows, where another signal shows them, if they were held elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model.columns import Columns
from ..model.lattice import Lattice

FEWEST = 10
"""Oxygen columns seen in both places, below which nothing is said of where they are."""


def shown(
    columns: Columns, held: NDArray[np.float64], lattice: Lattice, spread_pm: float
) -> NDArray[np.float64] | None:
    """Where oxygen columns are, by a signal that shows them.

    In a polar crystal oxygen may stand tens of pm off its place among the cations; held there, it pulls at its
    neighbours.

    Parameters
    ----------
    columns
        With oxygen from the signal that shows it.
    held
        (N, 2) places in px where oxygen was held in the other signal.
    spread_pm
        Largest rms distance (along one axis) from there that oxygen was held to.

    Returns
    -------
    (N, 2) places in px, of oxygen that was not seen as in ``held``; None where it is no farther from there, errors
    apart.
    """
    seen = lattice.motif.oxygen[columns.site] & columns.usable & np.isfinite(columns.cov).all(axis=(1, 2))
    if seen.sum() < FEWEST:
        return None
    pm = lattice.scale_pm
    off = (columns.xy[seen] - held[seen]) * pm
    error = np.diagonal(columns.cov[seen], axis1=1, axis2=2) * pm**2
    if (off**2 - error).sum() / seen.sum() < 2 * spread_pm**2:
        return None
    return np.where(seen[:, None], columns.xy, held)
