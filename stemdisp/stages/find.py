"""Find the bright (or dark) spots of a signal.

Filtering lives and dies here: positions from this step are starting points, never results.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import StageError
from ..fitting.peaks import Terms, finite, shortest_spacing, summits, tall_enough
from ..model.columns import Columns
from ..model.micrograph import Signal
from ..recipe import FindSection

Floats = NDArray[np.float64]
Window = tuple[float, float, float, float]

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
    return Preview(signal).peaks(recipe)


class Preview:
    """What :func:`find` finds in one signal, again and again while its recipe changes.

    What does not depend on the recipe (how the image repeats, its cosine transform) is computed once, and all maxima
    once for each separation that follows another: a new threshold costs next to nothing.  Keeps one array as large as
    the image.
    """

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self._last: tuple[float, Floats, Floats] | None = None

    def peaks(self, recipe: FindSection, window: Window | None = None) -> Columns:
        """The peaks as :func:`find` gives them; with a ``window`` (x0, y0, x1, y1) in px those inside it only.

        They are those of the whole image all the same: it says what is tall.  Raises StageError as :func:`find` does.
        """
        terms, spacing = self._seen
        separation = recipe.separation if recipe.separation is not None else max(2.0, 0.5 * spacing)
        if self._last is None or self._last[0] != separation:
            self._last = separation, *summits(terms, separation, max(0.7, SMOOTHING * 2 * separation))
        _, xy, heights = self._last
        chosen = tall_enough(heights, recipe.threshold)
        if window is not None:
            chosen = chosen & ((xy >= window[:2]) & (xy <= window[2:])).all(axis=1)
        signal = self.signal
        return Columns.at(xy[chosen], signals=(signal.name,), amplitude=signal.contrast * heights[chosen])

    @cached_property
    def _seen(self) -> tuple[Terms, float]:
        """The image's transform, dark columns turned into bright ones, and the distance (px) at which it repeats."""
        signal = self.signal
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
        return Terms.of(image), spacing
