"""What each layer says: means over the cells of one crystal plane, with errors."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """One row a layer (L rows), outermost first; NaN where a quantity does not exist.

    ``normal`` points out of the crystal, ``parallel`` is it turned 90 degrees clockwise as seen. ``_sd`` is the
    scatter of the cells, ``_sem`` the standard error of their mean. ``magnitude_pm`` and ``polarization_uC_cm2`` are
    the length of the mean vector. ``coherence`` is the mean resultant length of the directions, ``p_value`` Rayleigh's.
    """

    layer: NDArray[np.int64]
    distance_nm: Floats
    n: NDArray[np.int64]
    normal_pm: Floats
    normal_sd_pm: Floats
    normal_sem_pm: Floats
    parallel_pm: Floats
    parallel_sd_pm: Floats
    parallel_sem_pm: Floats
    magnitude_pm: Floats
    polarization_uC_cm2: Floats
    coherence: Floats
    p_value: Floats
    o_contrast: Floats
    o_contrast_sem: Floats
    vacancy_rich: Floats

    def __len__(self) -> int:
        return len(self.layer)

    def arrays(self) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
        """Field name -> array, in the order of the fields."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
