"""Find the bright (or dark) spots of a signal.

Filtering lives and dies here: positions from this step are starting points, never results.
"""

from __future__ import annotations

import numpy as np

from ..errors import StageError
from ..fitting.peaks import finite, local_maxima, shortest_spacing
from ..model.columns import Columns
from ..model.micrograph import Signal
from ..recipe import FindSection

SMOOTHING = 0.14
"""Standard deviation of the smoothing in shortest repeats of the image: about the width of a column."""


def find(signal: Signal, recipe: FindSection) -> Columns:
    """Peaks of one signal, dark ones where its columns are dark.

    Parameters
    ----------
    signal
        Image of columns; its ``contrast`` says whether they are bright or dark.
    recipe
        ``separation`` (px) and ``threshold`` (fraction of the tallest peaks).

    Returns
    -------
    Columns
        N peaks with ``xy`` (N, 2) px and ``amplitude`` (N,), nothing assigned.

    Raises
    ------
    StageError
        The image is constant, or nothing in it repeats.
    """
    image = finite(signal.image)
    image = image if signal.contrast > 0 else -image
    if np.ptp(image) == 0:
        raise StageError(
            f"{signal.name}: no lattice found: every pixel has the same value; check the detector and the file"
        )
    spacing = shortest_spacing(image)
    if not np.isfinite(spacing):
        raise StageError(
            f"{signal.name}: no lattice found: nothing in the image repeats; choose an area with columns in focus"
        )
    separation = recipe.separation if recipe.separation is not None else max(2.0, 0.5 * spacing)
    xy, heights = local_maxima(image, separation, max(0.7, SMOOTHING * 2 * separation), recipe.threshold)
    return Columns.at(xy, signals=(signal.name,), amplitude=signal.contrast * heights)
