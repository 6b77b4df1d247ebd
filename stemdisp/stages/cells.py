"""Build unit cells: each moving column with the reference columns that surround it centrosymmetrically in the ideal
crystal."""

from __future__ import annotations

import numpy as np

from ..errors import StageError
from ..flags import Flag
from ..model.cells import UnitCells
from ..model.columns import Columns
from ..model.lattice import Lattice


def cells(columns: Columns, lattice: Lattice) -> UnitCells:
    """Row numbers on the (h, k) grid; -1 = missing.

    Returns
    -------
    UnitCells
        M cells, one per column of the moving site, ordered as those columns; ``xy`` (M, 2) is the centroid of the
        reference neighbours, NaN (and ``INCOMPLETE``) where one of them is missing or has no position of its own.

    Raises
    ------
    StageError
        Not a single cell is complete, though the sites are resolved: whatever the lattice was found on, it shows
        nothing that could be measured.
    """
    motif, material = lattice.motif, lattice.motif.material
    moving = np.flatnonzero(columns.of_site(material.moving))
    reference = np.flatnonzero(columns.of_site(material.reference))
    offsets = motif.neighbours(material.moving, material.reference)
    low = columns.hk.min(axis=0) - np.abs(offsets).max(axis=0)
    span = columns.hk.max(axis=0) + np.abs(offsets).max(axis=0) - low + 1
    grid = np.full(span, -1, dtype=np.int64)
    grid[tuple((columns.hk[reference] - low).T)] = reference
    around = columns.hk[moving][:, None, :] + offsets - low
    rows = grid[around[..., 0], around[..., 1]]
    known = (rows >= 0) & columns.usable[rows]
    complete = known.all(axis=1)
    centroid = np.where(complete[:, None], columns.xy[rows].mean(axis=1), np.nan)
    usable = columns.usable[moving]
    unresolved = (columns.flags & int(Flag.UNRESOLVED)) > 0
    if not (complete & usable).any() and not unresolved.any():
        raise StageError(
            f"none of the {len(moving)} {material.moving} columns can be measured against its {material.reference} "
            "neighbours; check material and zone, or use an image of higher dose"
        )
    flags = columns.flags[moving] | np.where(complete & usable, 0, int(Flag.INCOMPLETE))
    return UnitCells(
        moving_site=material.moving,
        reference_site=material.reference,
        hk=columns.hk[moving].copy(),
        moving=moving,
        reference=rows,
        xy=centroid,
        flags=flags,
    )
