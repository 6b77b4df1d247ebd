"""Domain walls and vortices: where the displacement turns from one direction to another, or winds around a point."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Sense = Literal["clockwise", "counter-clockwise", "outwards", "inwards", "none"]

REVERSED: dict[Sense, Sense] = {
    "clockwise": "counter-clockwise",
    "counter-clockwise": "clockwise",
    "outwards": "inwards",
    "inwards": "outwards",
    "none": "none",
}
"""What becomes of the sense where all vectors are turned into their opposites."""


def _unknown() -> Floats:
    return np.full((2, 2), np.nan)


@dataclass(frozen=True)
class Vortex:
    """A point that the displacement winds around.

    xy_px
        (2,) where the displacement is zero, and ``std_px`` (2,) its standard error, NaN where it could not be fitted.
    charge
        winding number: 1 = vortex, -1 = antivortex.
    sense
        which way the displacement of a vortex runs, as seen; none of an antivortex.
    """

    xy_px: Floats
    std_px: Floats
    charge: int
    sense: Sense


@dataclass(frozen=True)
class Wall:
    """A wall between two domains, straight or not.

    points_px
        (n, 2) where rows of cells cross it.
    point_px
        (2,) their mean.
    normal
        (2,) unit vector across it, (x right, y down) in physical proportions, towards where the component along the
        change of the displacement is larger: of a 180-degree wall where :attr:`Domains.component` is positive.
    position_std_nm
        standard error of the mean position along the normal, from the scatter of the rows.
    scatter_nm
        by how much single rows depart from a straight wall.
    width_nm, width_std_nm
        w of tanh(distance / w), with its standard error; NaN where it could not be fitted.
    amplitude_pm
        of that tanh.
    sides_pm, sides_std_pm
        (2, 2) mean displacement (right, down) beside it, first on the side that the normal comes from, then on the one
        it points to, and their standard errors; NaN where they were not measured.
    """

    points_px: Floats
    point_px: Floats
    normal: Floats
    position_std_nm: float
    scatter_nm: float
    width_nm: float
    width_std_nm: float
    amplitude_pm: float
    sides_pm: Floats = field(default_factory=_unknown)
    sides_std_pm: Floats = field(default_factory=_unknown)

    @property
    def directions_deg(self) -> Floats:
        """(2,) of the displacement on both sides, counter-clockwise as seen, in (-180, 180]."""
        return np.degrees(np.arctan2(-self.sides_pm[:, 1], self.sides_pm[:, 0]))

    @property
    def turn_deg(self) -> float:
        """Angle between both, 0 to 180."""
        one, other = self.directions_deg
        return float(abs((other - one + 180) % 360 - 180))

    @property
    def turn_std_deg(self) -> float:
        """Its standard error."""
        square = (self.sides_pm**2).sum(axis=1)
        across = self.sides_pm[:, ::-1] * self.sides_std_pm
        return float(np.degrees(np.sqrt(((across**2).sum(axis=1) / square**2).sum())))


@dataclass(frozen=True)
class Domains:
    """What there is of both.

    component
        (2,) unit vector (x right, y down) along which the displacement is longest, and whose sign 180-degree walls
        change.
    sentence
        How they were looked for.
    """

    vortices: tuple[Vortex, ...]
    walls: tuple[Wall, ...]
    component: Floats
    sentence: str

    def __bool__(self) -> bool:
        return bool(self.vortices or self.walls)

    @property
    def reversed(self) -> Domains:
        """Those of a field that points against the displacement everywhere, as the polarization of some crystals does;
        displacements stay what they are."""
        turned = tuple(replace(one, sense=REVERSED[one.sense]) for one in self.vortices)
        return replace(self, vortices=turned)
