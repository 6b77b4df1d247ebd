"""Place the columns that a fit holds among the reference sites, in whose rest the moving site is taken to move."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..fitting.grid import Grid
from ..flags import Flag
from ..model.columns import Columns
from ..model.lattice import Lattice


def hold(fitted: Columns, lattice: Lattice) -> NDArray[np.float64] | None:
    """Where oxygen columns that a fit held belong by the reference columns around them.

    ``assign`` places every column among the brightest, as good as any while nothing has been measured.  Where the
    brightest is the site that moves, oxygen held there would follow it, and pull at it in turn.

    Returns
    -------
    (N, 2) places in px: of oxygen the mean over its reference neighbours, of all others as ``fitted``; None where
    nothing was held or the brightest site is the reference, so that nothing changes.
    """
    motif = lattice.motif
    brightest = motif.sites[int(motif.contrast(fitted.signals[0]).argmax())]
    if brightest == motif.material.reference or not (fitted.flags & int(Flag.FIXED_POSITION)).any():
        return None
    reference = motif.site(motif.material.reference)
    rows = np.flatnonzero((fitted.site == reference) & fitted.usable)
    known = Grid.of(fitted.hk[rows], rows)
    xy = fitted.xy.copy()
    for site in np.flatnonzero(motif.oxygen):
        offsets = motif.around(motif.sites[site], motif.material.reference)
        steps = (motif.fractions[site] - motif.fractions[reference] - offsets) @ lattice.cell
        held = np.flatnonzero(fitted.site == site)
        near = known.at(fitted.hk[held][:, None, :] + offsets)
        count = (near >= 0).sum(axis=1)[:, None]
        places = np.where((near >= 0)[:, :, None], fitted.xy[near] + steps, 0.0).sum(axis=1)
        xy[held] = np.where(count > 0, places / np.maximum(count, 1), xy[held])
    return xy
