"""The edge of a crystal: a line or a curve, its outward normal, and every cell's layer and distance from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Edge:
    """Where a crystal ends or changes, before layers are counted from it.

    points
        (P, 2) px along it: two of a straight one, or a chain.
    normal
        (2,) unit vector outwards, (x right, y down), in physical (not pixel) proportions.
    kind
        outline = the crystal ends there, boundary = another begins there, drawn = a user says so.
    std_nm
        standard deviation of its position along the normal, where that is known.
    sentence
        How it was told.
    """

    points: Floats
    normal: Floats
    kind: Literal["outline", "boundary", "drawn"]
    std_nm: float | None = None
    sentence: str = ""


@dataclass(frozen=True)
class Interface:
    """The edge as the crystal on one side of it has it.

    curve
        (P, 2) points of the edge in px, from end to end of the image.
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
        standard deviation of the edge's position along the normal.
    sentence
        How the edge was told.
    """

    curve: Floats
    normal: Floats
    plane: tuple[int, int, int]
    spacing_pm: float
    layer: NDArray[np.int64]
    distance_nm: Floats
    position_std_nm: float
    origin: Literal["automatic", "recipe"]
    sentence: str = ""

    @property
    def parallel(self) -> Floats:
        """(2,) the normal turned 90 degrees clockwise as seen: normal up, parallel right (y down)."""
        return np.array([-self.normal[1], self.normal[0]])

    @property
    def point(self) -> Floats:
        """(2,) the edge's point in px half-way along it."""
        return np.array(self.curve[len(self.curve) // 2] if len(self.curve) % 2 else self.curve.mean(axis=0))

    @property
    def straight(self) -> bool:
        """Whether the edge is one straight line along a plane."""
        return len(self.curve) == 2

    def layers_of(self, cells: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Numbers of the layers that chosen cells (M,) lie in, each once, outermost first; none where ``cells`` is
        empty, as a field's ``offset_cells`` is where nothing was subtracted."""
        return np.unique(self.layer[cells & (self.layer >= 0)]) if len(cells) else self.layer[:0]
