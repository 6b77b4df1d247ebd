"""Place the columns that a fit holds among the reference sites, in whose rest the moving site is taken to move."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
    known = {(int(h), int(k)): row for (h, k), row in zip(fitted.hk[rows], rows, strict=True)}
    xy = fitted.xy.copy()
    for site in np.flatnonzero(motif.oxygen):
        offsets = motif.around(motif.sites[site], motif.material.reference)
        steps = (motif.fractions[site] - motif.fractions[reference] - offsets) @ lattice.cell
        for row in np.flatnonzero(fitted.site == site):
            near = [known.get((int(h), int(k)), -1) for h, k in fitted.hk[row] + offsets]
            there = np.array(near) >= 0
            if there.any():
                xy[row] = (fitted.xy[np.array(near)[there]] + steps[there]).mean(axis=0)
    return xy
