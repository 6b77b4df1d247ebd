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


def ceiling(image: NDArray[Any]) -> float:
    """The highest value of an image (ny, nx), where so many pixels pile up there that it must be a ceiling; else
    NaN."""
    highest, lowest = np.nanmax(image), np.nanmin(image)
    if len(np.unique(image.ravel()[:: max(1, image.size // SAMPLE)])) < FEW_LEVELS:
        return float("nan")
    at_top = np.count_nonzero(image == highest)
    below = np.count_nonzero(image >= highest - TOP * (float(highest) - float(lowest))) - at_top
    if at_top < max(FEWEST, PILE * below) or highest == lowest:
        return float("nan")
    return float(highest)


def unsaturated(image: NDArray[Any], highest: float, *, single: bool) -> NDArray[np.floating[Any]]:
    """An image, or a part of one, as real numbers of single or double precision, NaN at its :func:`ceiling`."""
    values: NDArray[np.floating[Any]] = image.astype(np.float32 if single else np.float64)
    values[image == highest] = np.nan
    return values
