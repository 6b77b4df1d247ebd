"""Measure the affine distortion of the scan: the lattice in the image against the ideal lattice of the material."""

from __future__ import annotations

import numpy as np

from ..fitting.affine import stretch
from ..model.cells import UnitCells
from ..model.columns import Columns
from ..model.distortion import Distortion
from ..model.interface import Interface
from ..model.lattice import Lattice
from ..model.micrograph import PixelSize

FEWEST = 24
"""Columns of the bulk below which those of the whole crystal are taken: the bulk is then too small to tell 0.1 %."""


def distortion(
    columns: Columns, cells: UnitCells, lattice: Lattice, interface: Interface | None, pixel_size: PixelSize
) -> Distortion | None:
    """The distortion that the reference columns show.

    Parameters
    ----------
    columns, cells, lattice
        The refined crystal; of the lattice only what it is a lattice of.
    interface
        Where there is one, the half of the layers that lies deeper tells: near an edge crystals are strained.
    pixel_size
        Width and height of a pixel, the file's error included, which then is part of the distortion.

    Returns
    -------
    Distortion | None
        None where the columns are too few or stand on a line.
    """
    motif = lattice.motif
    usable = columns.of_site(motif.material.reference) & columns.usable
    deep, where = usable, "all of the crystal"
    if interface is not None and (interface.layer >= 0).any():
        first = (int(interface.layer.max()) + 1) // 2
        inner = cells.reference[interface.layer >= first]
        deep = usable & np.isin(np.arange(len(columns)), inner)
        where = f"layers {first} and deeper"
    for rows, place in ((deep, where), (usable, "all of the crystal")):
        if rows.sum() < FEWEST and rows is not usable:
            continue
        ideal = (columns.hk[rows] + motif.fractions[columns.site[rows]]) @ (100 * motif.cell_A * [1, -1])
        found = stretch(ideal, columns.xy[rows] * pixel_size.xy_pm)
        if found is not None:
            return Distortion(found.matrix, found.std, int(rows.sum()), place)
    return None
