"""Say how much of its atom's displacement a mixed column shows."""

from __future__ import annotations

from ..crystal import Motif
from ..model.dilution import Dilution
from ..polarization_section import PolarizationSection

CALIBRATED_STD, ESTIMATED_STD = 0.04, 0.1
"""Relative standard deviation of a share that was measured on multislice images, where two definitions of the column's
centre differ by so much (sample_data), and of one by the atoms' scattering alone, which differs from the measured by
so much."""


def dilution(motif: Motif, signal: str, recipe: PolarizationSection) -> Dilution:
    """Share of the moving atom's displacement in that of its column.

    Parameters
    ----------
    motif
        Projected crystal: what columns hold, and what was measured of them.
    signal
        Which signal the displacement was measured in.
    recipe
        ``dilution`` wins over the crystal's own.

    Returns
    -------
    Dilution
        With the sentence that says where the share comes from and what it assumes.
    """
    material = motif.material
    site = material.moving
    content = motif.content[motif.site(site)]
    others = " and ".join(element for element in content if element != site) or "others"
    if recipe.dilution is not None:
        return Dilution(
            recipe.dilution,
            0.0,
            f"{site} displacement = column displacement / {recipe.dilution:.3g}, as the recipe says",
        )
    share = motif.dilution(signal)
    if len(content) < 2:
        return Dilution(1.0, 0.0, f"columns of {site} hold {site} alone and move with it")
    measured = motif.measured_dilution(signal) is not None
    std = share * (CALIBRATED_STD if measured else ESTIMATED_STD)
    source = material.dilution_source if measured else "by how strongly its atoms scatter"
    taken = f"{site} displacement = column displacement / ({share:.2f} +- {std:.2f}) in {signal}"
    return Dilution(share, std, f"{taken} if {others} in it stays ({source})")
