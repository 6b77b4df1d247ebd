"""The edge of the crystal: a line, its outward normal, and every cell's layer and distance from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interface:
    """A straight edge of the crystal.

    point
        (2,) a point of the line in px.
    normal
        (2,) unit vector out of the crystal, (x right, y down), in physical (not pixel) proportions.
    plane
        Miller indices of the layers, e.g. (1, 1, 1).
    spacing_pm
        distance of two layers.
    layer
        (M,) layer of every cell, 0 = outermost plane of the moving site; -1 = none.
    distance_nm
        (M,) 0 at the interface, positive into the crystal.
    position_std_nm
        standard deviation of the line's position along the normal.
    """

    point: Floats
    normal: Floats
    plane: tuple[int, int, int]
    spacing_pm: float
    layer: NDArray[np.int64]
    distance_nm: Floats
    position_std_nm: float
    origin: Literal["automatic", "recipe"]

    @property
    def parallel(self) -> Floats:
        """(2,) the normal turned 90 degrees clockwise as seen: normal up, parallel right (y down)."""
        return np.array([-self.normal[1], self.normal[0]])

    def layers_of(self, cells: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Numbers of the layers that chosen cells (M,) lie in, each once, outermost first; none where ``cells`` is
        empty, as a field's ``offset_cells`` is where nothing was subtracted."""
        return np.unique(self.layer[cells & (self.layer >= 0)]) if len(cells) else self.layer[:0]
