"""What each layer says: means over the cells of one crystal plane, with errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """One row a layer (L rows), outermost first; NaN where a quantity does not exist.

    ``normal`` points out of the crystal, ``parallel`` is it turned 90 degrees clockwise as seen. ``_sd`` is the
    scatter of the cells, ``_sem`` the standard error of their mean, with what neighbours err together and with that of
    the reference that was subtracted. ``magnitude_pm`` and ``polarization_uC_cm2`` are the length of the mean vector,
    ``magnitude_sem_pm`` is from a bootstrap over the cells. ``coherence`` is the mean resultant length of the
    directions, ``p_value`` Rayleigh's. ``shift_p_value`` is the level at which the mean vector is not zero, and
    ``significant`` (1, 0) says for which layers that is believed. ``atom_`` are
    displacements of the moving atoms, where their columns hold others too. ``p_`` are components of the mean
    polarization. What is said of oxygen and of the expansion is that of
    :class:`~stemdisp.model.vacancies.Vacancies`, of the strain across and along the interface, with the standard error
    of its mean, that of :class:`~stemdisp.model.maps.Maps`.
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
    magnitude_sem_pm: Floats
    shift_p_value: Floats
    significant: Floats
    o_contrast_p_value: Floats
    expansion_pm: Floats
    expansion_sem_pm: Floats
    atom_normal_pm: Floats
    atom_normal_sem_pm: Floats
    atom_parallel_pm: Floats
    atom_parallel_sem_pm: Floats
    p_normal_uC_cm2: Floats
    p_normal_sem_uC_cm2: Floats
    p_parallel_uC_cm2: Floats
    p_parallel_sem_uC_cm2: Floats
    strain_normal_percent: Floats
    strain_normal_sem_percent: Floats
    strain_parallel_percent: Floats
    strain_parallel_sem_percent: Floats

    def __len__(self) -> int:
        return len(self.layer)

    @property
    def strongest(self) -> int | None:
        """Row of the layer with the longest mean displacement; None where no layer has one."""
        return int(np.nanargmax(self.magnitude_pm)) if np.isfinite(self.magnitude_pm).any() else None

    def arrays(self) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
        """Field name -> array, in the order of the fields."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True)
class Decay:
    """Displacements that fall off exponentially with the distance d from the interface: amplitude x exp(-d / length).

    normal_pm, parallel_pm
        Amplitudes at the interface, with standard errors.
    length_nm, length_std_nm
        Over which the displacement falls to 1/e.
    chi2
        Mean square of what the layers differ by from it, in their standard errors.
    """

    normal_pm: float
    normal_std_pm: float
    parallel_pm: float
    parallel_std_pm: float
    length_nm: float
    length_std_nm: float
    chi2: float


def numbers_of(layers: Sequence[int]) -> str:
    """Numbers of layers, runs shortened.

    >>> numbers_of([3]), numbers_of([0, 1, 2, 5]), numbers_of([0, 1, 4])
    ('layer 3', 'layers 0 to 2 and 5', 'layers 0, 1 and 4')
    """
    runs: list[list[int]] = []
    for one in layers:
        if runs and one == runs[-1][-1] + 1:
            runs[-1].append(one)
        else:
            runs.append([one])
    shown = [text for run in runs for text in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run))]
    listed = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
    return f"layer{'' if len(layers) == 1 else 's'} {listed}"
