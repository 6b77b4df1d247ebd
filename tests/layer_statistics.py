"""What the layers say against what is true, over many images: for accuracy tests and benchmark alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scenes import interface_scene, recipe

import stemdisp
from stemdisp.motion import Motion
from stemdisp.scene import Dose, Edge, Scene, View
from stemdisp.synthetic import simulate

Floats = NDArray[np.float64]

PARALLEL_PM, NORMAL_PM, DECAY_LAYERS = 24.0, 9.0, 1.5
"""Displacement of the outermost layer, and how many layers it falls to 1/e in; it ends after ``DISPLACED`` layers."""

DISPLACED = 5
LOSSES = (0.4, 0.3, 0.2)
"""Missing parts of the oxygen columns of the outermost layers."""

SURE = 4.0
"""A layer displaced by so many standard errors has to be called displaced."""


@dataclass(frozen=True)
class Layered:
    """One row a layer of all images (R rows).

    pull
        (R, 2) error of the mean (normal, parallel) over its stated standard error.
    error_pm
        (R, 2) that error.
    shift
        (R,) true displacement in stated standard errors; 0 = none.
    displaced, poor, truly_poor
        (R,) called displaced, called rich in vacancies, and whether it is.
    decay_nm
        (images, 3) length found, its standard error, true length; NaN = none found.
    """

    pull: Floats
    error_pm: Floats
    shift: Floats
    displaced: NDArray[np.bool_]
    poor: NDArray[np.bool_]
    truly_poor: NDArray[np.bool_]
    decay_nm: Floats

    @property
    def coverage(self) -> float:
        """Share of means within one stated standard error of the truth."""
        return float((np.abs(self.pull) < 1).mean())

    @property
    def found(self) -> float:
        """Share of layers displaced by at least four standard errors that were called displaced."""
        return float(self.displaced[self.shift >= SURE].mean())

    @property
    def false(self) -> float:
        """Share of layers without a displacement that were called displaced."""
        return float(self.displaced[self.shift == 0].mean())


def scenes(seeds: range, signals: tuple[str, ...], peak_counts: float) -> Iterator[Scene]:
    """Interfaces under vacuum at changing angles, K displaced by steps that end, every column by 2 pm at random."""
    layers = tuple(
        (NORMAL_PM * float(np.exp(-n / DECAY_LAYERS)), PARALLEL_PM * float(np.exp(-n / DECAY_LAYERS)))
        for n in range(DISPLACED)
    )
    for seed in seeds:
        yield interface_scene(
            37.0 * seed,
            peak_counts=peak_counts,
            seed=seed,
            signals=signals,
            view=View(shape=(300, 300), pixel_size_pm=(14.0, 14.0)),
            motion=Motion(layers_pm=layers, jitter_pm=2.0),
            edge=Edge(plane=(1, 1, 1), offset_A=10.0, beyond="vacuum", vacancies=LOSSES),
            dose=Dose(peak_counts=peak_counts, background_counts=0.1 * peak_counts),
        )


def layered(seeds: range, *, signals: tuple[str, ...] = ("HAADF",), peak_counts: float = 1500.0) -> Layered:
    """Analyse an image for each seed."""
    rows: dict[str, list[Floats]] = {}
    decays = []
    for scene in scenes(seeds, signals, peak_counts):
        image = simulate(scene)[0]
        analysis = stemdisp.analyse(image, recipe(scene))
        profile = analysis.profile
        assert profile is not None and analysis.interface is not None
        true = np.zeros((len(profile), 2))
        for n, shift in enumerate(scene.motion.layers_pm[: len(profile)]):
            true[n] = shift
        mean = np.stack([profile.normal_pm, profile.parallel_pm], axis=1)
        sem = np.stack([profile.normal_sem_pm, profile.parallel_sem_pm], axis=1)
        told = np.isfinite(mean).all(axis=1)
        losses = np.zeros(len(profile))
        losses[: len(LOSSES)] = LOSSES[: len(profile)]
        values = {
            "pull": (mean - true) / sem,
            "error_pm": mean - true,
            "shift": np.hypot(*(true / sem).T),
            "displaced": profile.significant == 1,
            "poor": profile.vacancy_rich == 1,
            "truly_poor": losses > 0,
        }
        for name, value in values.items():
            rows.setdefault(name, []).append(value[told])
        spacing = analysis.interface.spacing_pm / 1000
        decay = analysis.decay
        length = (np.nan, np.nan) if decay is None else (decay.length_nm, decay.length_std_nm)
        decays.append((*length, DECAY_LAYERS * spacing))
    return Layered(**{name: np.concatenate(value) for name, value in rows.items()}, decay_nm=np.array(decays))
