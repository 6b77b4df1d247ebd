"""What many images say of one layer after the other: means over images, and how far images differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .brief import Kind

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """One quantity of every layer (L rows).

    mean
        Mean over images, each of which counts once.
    sd
        Scatter between images (one standard deviation); NaN for a single one.
    sem
        Standard error of the mean, which includes that scatter.
    images
        How many images have it.
    """

    mean: Floats
    sd: Floats
    sem: Floats
    images: NDArray[np.int64]


@dataclass(frozen=True)
class PooledProfile:
    """The layers of all images of one kind, outermost first (L rows).

    ``images`` have layers of this kind, analysed under ``recipes`` different recipes; ``distance_nm`` is the mean over
    images, ``cells`` the sum.  ``spreads`` is keyed by :data:`~stemdisp.model.brief.QUANTITIES`.
    """

    kind: Kind
    images: int
    recipes: int
    layer: NDArray[np.int64]
    distance_nm: Floats
    cells: NDArray[np.int64]
    spreads: Mapping[str, Spread]

    def __len__(self) -> int:
        return len(self.layer)
