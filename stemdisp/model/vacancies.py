"""What speaks of missing oxygen, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Vacancies:
    """One row a layer (L rows), outermost first; NaN where a quantity does not exist.

    contrast, contrast_sem
        (L,) mean contrast of the pure oxygen columns relative to bulk, 1 = as there, and its standard error.
    p_value
        (L,) one-sided level at which the contrast is not below that of the bulk.
    rich
        (L,) 1 = rich in vacancies by that test, 0 = not: a proxy, never an occupancy.
    expansion_pm, expansion_sem_pm
        (L,) by how much more than in the bulk the reference planes on the two sides of a layer stand apart.
    sentence
        How it was measured, or why it was not.
    """

    contrast: Floats
    contrast_sem: Floats
    p_value: Floats
    rich: Floats
    expansion_pm: Floats
    expansion_sem_pm: Floats
    sentence: str
