"""Blank the part of an image that a crystal was found in, so that others can be looked for in the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..model.columns import Columns
from ..model.lattice import Lattice
from ..model.micrograph import Signal

REACH = 1.2
"""How far around a column its crystal is blanked, in the longer cell vector: the tails of the last columns go too."""


def blank(
    signal: Signal, peaks: Columns, columns: Columns, lattice: Lattice, fewest: int
) -> tuple[Signal, Columns] | None:
    """What is left of an image and of its peaks without one crystal.

    Parameters
    ----------
    signal, peaks
        The image, and all maxima that are still to be explained.
    columns, lattice
        The crystal.
    fewest
        Number of cells that must find room in the rest.

    Returns
    -------
    The image with the crystal at the median of the rest, and the peaks outside it; None where too little is left.
    """
    from scipy.ndimage import distance_transform_edt

    ny, nx = signal.image.shape
    free = np.ones((ny, nx), dtype=bool)
    x, y = np.rint(columns.xy).astype(int).clip(0, [nx - 1, ny - 1]).T
    free[y, x] = False
    reach = REACH * float(np.linalg.norm(lattice.cell, axis=1).max())
    rest = np.asarray(distance_transform_edt(free)) > reach
    x, y = np.rint(peaks.xy).astype(int).clip(0, [nx - 1, ny - 1]).T
    left = peaks.take(rest[y, x])
    if rest.sum() < fewest * abs(float(np.linalg.det(lattice.cell))) or len(left) < fewest:
        return None
    image = np.where(rest, signal.image, np.nanmedian(signal.image[rest]))
    return replace(signal, image=image), left
