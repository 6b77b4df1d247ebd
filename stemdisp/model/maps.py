"""What the lattice itself says in every cell: strain, rotation, c/a, brightness, and where oxygen stands."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Maps:
    """One row a cell (M rows, as of :class:`~stemdisp.model.cells.UnitCells`); NaN where a quantity does not exist.
    ``_std`` are standard deviations, from the errors of the columns alone.

    exx_percent, eyy_percent, exy_percent
        Strain of the reference lattice against its mean in the bulk, in the frame of the image (x right, y down),
        shear as half the change of a right angle.
    rotation_deg
        By how much it is turned against the bulk, counter-clockwise as seen.
    e_normal_percent, e_parallel_percent
        The same strain across and along the interface; NaN without one.
    c_over_a
        Ratio of the two projected cubic axes, c = the one that is longer in the mean of the bulk. Not against the bulk:
        a scan that is stretched along one axis shows in it.
    moving_intensity, reference_intensity
        Height of the moving column, and mean height of its reference columns, over their median in the bulk.
    bond_pm
        Mean projected distance between the oxygen columns of a cell and the cation columns they are bonded to.
    oxygen_dx_pm, oxygen_dy_pm
        Where the centroid of the oxygen columns around the moving one stands from that of its reference columns, in
        the ideal crystal the same place (x right, y down); against the bulk where displacements are.
    moving_ellipticity_cos, moving_ellipticity_sin, reference_ellipticity_cos, reference_ellipticity_sin
        (s1 - s2) / (s1 + s2) times the cosine and the sine of twice the direction of the long axis, counter-clockwise
        as seen, of the moving column and as the mean of its reference columns, less their mean in the bulk: what lens
        and probe do to all columns alike cancels. s1 and s2 are the widths along the long and the short axis.
    moving_ellipticity, reference_ellipticity
        Lengths of these vectors: never negative, and so above zero where there is only noise.
    moving_ellipticity_deg, reference_ellipticity_deg
        Directions of the long axis, [0, 180); NaN where the length is not told from zero.
    bulk
        (M,) cells that are 0 or 1 in the mean.
    sentences
        What it was measured against, and what is left out and why.
    """

    exx_percent: Floats
    exx_std_percent: Floats
    eyy_percent: Floats
    eyy_std_percent: Floats
    exy_percent: Floats
    exy_std_percent: Floats
    rotation_deg: Floats
    rotation_std_deg: Floats
    e_normal_percent: Floats
    e_normal_std_percent: Floats
    e_parallel_percent: Floats
    e_parallel_std_percent: Floats
    c_over_a: Floats
    c_over_a_std: Floats
    moving_intensity: Floats
    moving_intensity_std: Floats
    reference_intensity: Floats
    reference_intensity_std: Floats
    bond_pm: Floats
    bond_std_pm: Floats
    oxygen_dx_pm: Floats
    oxygen_dx_std_pm: Floats
    oxygen_dy_pm: Floats
    oxygen_dy_std_pm: Floats
    moving_ellipticity: Floats
    moving_ellipticity_std: Floats
    moving_ellipticity_deg: Floats
    moving_ellipticity_std_deg: Floats
    moving_ellipticity_cos: Floats
    moving_ellipticity_cos_std: Floats
    moving_ellipticity_sin: Floats
    moving_ellipticity_sin_std: Floats
    reference_ellipticity: Floats
    reference_ellipticity_std: Floats
    reference_ellipticity_deg: Floats
    reference_ellipticity_std_deg: Floats
    reference_ellipticity_cos: Floats
    reference_ellipticity_cos_std: Floats
    reference_ellipticity_sin: Floats
    reference_ellipticity_sin_std: Floats
    bulk: NDArray[np.bool_]
    sentences: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.exx_percent)

    def arrays(self) -> dict[str, Floats]:
        """Name -> (M,) values of everything that is one number a cell, in the order of the fields."""
        return {name: getattr(self, name) for name in NAMES}


NAMES = tuple(field.name for field in fields(Maps) if field.name not in ("bulk", "sentences"))
"""Maps that an analysis may have, each followed by its standard deviation."""
