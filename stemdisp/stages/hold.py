"""Place oxygen columns, which HAADF hardly shows, among the columns of another site: known of them beforehand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..fitting.grid import Grid
from ..model.columns import Columns
from ..model.lattice import Lattice


def hold(columns: Columns, lattice: Lattice, among: str) -> NDArray[np.float64]:
    """Where oxygen columns belong by the columns of the site ``among`` around them.

    Returns
    -------
    (N, 2) places in px: of oxygen the mean over its neighbours of that site, of all others, and where it has none, as
    in ``columns``.
    """
    motif = lattice.motif
    reference = motif.site(among)
    rows = np.flatnonzero((columns.site == reference) & columns.usable)
    known = Grid.of(columns.hk[rows], rows)
    xy = columns.xy.copy()
    for site in np.flatnonzero(motif.oxygen):
        offsets = motif.around(motif.sites[site], among)
        steps = (motif.fractions[site] - motif.fractions[reference] - offsets) @ lattice.cell
        held = np.flatnonzero(columns.site == site)
        near = known.at(columns.hk[held][:, None, :] + offsets)
        count = (near >= 0).sum(axis=1)[:, None]
        places = np.where((near >= 0)[:, :, None], columns.xy[near] + steps, 0.0).sum(axis=1)
        xy[held] = np.where(count > 0, places / np.maximum(count, 1), xy[held])
    return xy
