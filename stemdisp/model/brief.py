"""What the list of a batch says of one image: a few numbers of its result, or why it has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

QUANTITIES = ("parallel_pm", "normal_pm", "p_parallel_uC_cm2", "p_normal_uC_cm2")
"""What is pooled of the layers: components of displacement and polarization, in the frame of the interface."""


class Measured(NamedTuple):
    """A number and its standard error; NaN where there is none."""

    value: float
    std: float


class Kind(NamedTuple):
    """What layers must have in common to be compared: crystal, zone axis, family and spacing (pm) of the planes, side
    of the interface, and model of the polarization (empty where there is none)."""

    material: str
    zone: tuple[int, ...]
    plane: tuple[int, ...]
    spacing_pm: float
    side: int
    model: str


@dataclass(frozen=True)
class SideLayers:
    """The layers of one image on one side of its interface (L rows).

    ``means`` and ``sems`` are keyed by :data:`QUANTITIES`.
    """

    kind: Kind
    layer: NDArray[np.int64]
    distance_nm: NDArray[np.float64]
    n: NDArray[np.float64]
    means: Mapping[str, NDArray[np.float64]]
    sems: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Brief:
    """One image of a batch: label, folder, how it ended ("done", "failed", "damaged"), and a sentence of what is wrong.

    ``strongest`` is the length of the longest mean displacement of a layer (pm), ``strongest_layer`` its number;
    ``mean_pm`` the length of the mean displacement of all cells, ``polarization`` that along the mean displacement of
    ``polarization_of`` (uC/cm2) by ``model``. ``seconds`` are CPU seconds.  None: not known.
    """

    label: str
    folder: Path
    status: str
    sentence: str = ""
    warnings: tuple[str, ...] = ()
    columns: int | None = None
    displacements: int | None = None
    strongest: Measured | None = None
    strongest_layer: int | None = None
    mean_pm: Measured | None = None
    polarization: Measured | None = None
    polarization_of: str = ""
    model: str = ""
    seconds: float | None = None
    recipe: str = ""
    sides: tuple[SideLayers, ...] = field(default=(), repr=False)
