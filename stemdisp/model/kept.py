"""What a finished fit leaves behind for changes by hand: in memory only, never in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..fitting.problem import Problem, State
from .columns import Columns
from .lattice import Lattice

if TYPE_CHECKING:
    from .analysis import Analysis

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Usual:
    """What single columns are judged by, as all of a signal tell it.

    ridge
        1 / variance of the slopes under weak columns.
    height
        (S,) median contrast of each site, NaN where none is listed.
    shoulder
        (S,) sites that are no maxima of their own.
    """

    ridge: float
    height: Floats
    shoulder: NDArray[np.bool_]


@dataclass(frozen=True)
class Settled:
    """Where the joint fit of a signal ended.

    problem
        As it was fitted at last; its image has the shape but not the pixels of the signal's, which the micrograph has.
    state
        The answer. Its first rows are the listed columns; those beyond the frame follow.
    chi2, faintest, ceiling
        Mean square residual, the smallest expected value that is believed, and the value of saturated pixels (NaN where
        there are none).
    usual
        What single columns are judged by.
    place
        Says from columns where all belong (N, 2) px; None = where they started.
    """

    problem: Problem
    state: State
    chi2: float
    faintest: float
    ceiling: float
    usual: Usual
    place: Callable[[Columns], Floats] | None

    def __post_init__(self) -> None:
        image = self.problem.image
        pixels = np.broadcast_to(np.zeros((), dtype=image.dtype), image.shape)
        object.__setattr__(self, "problem", replace(self.problem, image=pixels))


@dataclass(frozen=True)
class Kept:
    """What changes by hand start from.

    ``listed`` are the columns as ``assign`` listed them, before any edit, and ``lattice`` those it listed them with;
    ``settled`` is the joint fit of each signal. Where columns were changed since, ``full`` is the analysis of the last
    fit of the whole image.
    """

    listed: Columns
    lattice: Lattice
    settled: Mapping[str, Settled] = field(default_factory=dict)
    full: Analysis | None = None
