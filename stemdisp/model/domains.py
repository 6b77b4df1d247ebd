"""Domain walls and vortices: where the displacement turns into its opposite, or winds around a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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
    sense: Literal["clockwise", "counter-clockwise", "outwards", "inwards", "none"]


@dataclass(frozen=True)
class Wall:
    """A 180-degree wall, straight or not.

    points_px
        (n, 2) where rows of cells cross it.
    point_px
        (2,) their mean.
    normal
        (2,) unit vector across it, (x right, y down) in physical proportions, towards where the component is positive.
    position_std_nm
        standard error of the mean position along the normal, from the scatter of the rows.
    scatter_nm
        by how much single rows depart from a straight wall.
    width_nm, width_std_nm
        w of tanh(distance / w), with its standard error; NaN where it could not be fitted.
    amplitude_pm
        of that tanh.
    """

    points_px: Floats
    point_px: Floats
    normal: Floats
    position_std_nm: float
    scatter_nm: float
    width_nm: float
    width_std_nm: float
    amplitude_pm: float


@dataclass(frozen=True)
class Domains:
    """What there is of both.

    component
        (2,) unit vector (x right, y down) along which the displacement is longest, and whose sign walls change.
    sentence
        How they were looked for.
    """

    vortices: tuple[Vortex, ...]
    walls: tuple[Wall, ...]
    component: Floats
    sentence: str
