"""Pixels at which the detector had no more to give."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FEWEST, TOP, PILE = 10, 0.01, 4.0
"""Fewer pixels at the highest value are no pile; nor are more, unless they are this many times those in the part of the
range just below it."""

SAMPLE, FEW_LEVELS = 10_000, 32
"""Of so many pixels, fewer different values are coarse grey levels: the highest of them is no ceiling."""


def saturated(image: NDArray[Any]) -> NDArray[np.bool_]:
    """(ny, nx) pixels at the highest value, where so many of them pile up there that it must be a ceiling."""
    highest, lowest = np.nanmax(image), np.nanmin(image)
    at_top = np.asarray(image == highest)
    if len(np.unique(image.ravel()[:: max(1, image.size // SAMPLE)])) < FEW_LEVELS:
        return np.zeros(image.shape, dtype=bool)
    below = np.count_nonzero(image >= highest - TOP * (float(highest) - float(lowest))) - np.count_nonzero(at_top)
    if np.count_nonzero(at_top) < max(FEWEST, PILE * below) or highest == lowest:
        return np.zeros(image.shape, dtype=bool)
    return at_top
