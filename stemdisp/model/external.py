"""A profile measured elsewhere, as by EELS, beside the layers of the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation over n layers, and the two-sided level at which there is none; NaN where too few
    layers have both values."""

    rho: float
    p_value: float
    n: int


@dataclass(frozen=True)
class ExternalProfile:
    """What was measured elsewhere at N distances, and what it says at the image's L layers.

    name, unit
        Of the values, as the user calls them.
    distance_nm, value, error
        (N,) as given; 0 at the interface and positive into the crystal, NaN where no error was given.
    at_layers, at_layers_error
        (L,) value at the distance of each layer, linear between the two nearest, and its standard error; NaN beyond
        the profile's ends, which are never extended.
    o_contrast, displacement
        How the values at the layers go with the contrast of oxygen and with the length of the mean displacement.
    warning
        What is missing, in a sentence; empty where the profile covers all layers.
    """

    name: str
    unit: str
    distance_nm: Floats
    value: Floats
    error: Floats
    at_layers: Floats
    at_layers_error: Floats
    o_contrast: RankCorrelation
    displacement: RankCorrelation
    warning: str = ""

    @property
    def covered(self) -> NDArray[np.bool_]:
        """(L,) layers that the profile has a value for."""
        return np.isfinite(self.at_layers)
