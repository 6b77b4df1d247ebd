"""A crystal on another of the same lattice that stands 1 % apart, for accuracy tests and benchmark alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scenes import recipe

import stemdisp
from stemdisp.materials import Zone
from stemdisp.model.maps import Maps
from stemdisp.scene import Dose, Edge, Look, Scene, Truth, View
from stemdisp.synthetic import simulate

STRAIN_PERCENT = 1.0
PLANES: dict[Zone, tuple[int, int, int]] = {(0, 0, 1): (1, 0, 0), (1, -1, 0): (1, 1, 1)}

CLEAR_A = 6.0
"""Distance from the step (angstrom) beyond which no cell has columns on both of its sides."""


@dataclass(frozen=True)
class Strained:
    """Maps of an image with a step in strain, and where its cells are: height (M,) above the step in angstrom."""

    maps: Maps
    height_A: NDArray[np.float64]
    sides: int

    def beside(self, *, above: bool) -> NDArray[np.bool_]:
        """(M,) cells on one side with all their columns."""
        clear = self.height_A > CLEAR_A if above else self.height_A < -CLEAR_A
        return np.asarray(clear & np.isfinite(self.maps.e_normal_percent))

    def pull_variance(self) -> float:
        """Mean square of the errors of strain and rotation on both sides, in their standard deviations."""
        pulls = []
        for above in (False, True):
            rows = self.beside(above=above)
            for name, true in (("e_normal", STRAIN_PERCENT * above), ("e_parallel", 0.0)):
                error = getattr(self.maps, f"{name}_percent")[rows] - true
                pulls.append(error / getattr(self.maps, f"{name}_std_percent")[rows])
            pulls.append(self.maps.rotation_deg[rows] / self.maps.rotation_std_deg[rows])
        return float(np.mean(np.concatenate(pulls) ** 2))


def scene(zone: Zone, seed: int, *, direction_deg: float = 75.0, counts: float = 2000.0) -> Scene:
    """An image of 7 nm, 2 % scatter of the amplitudes, layers beyond the middle 1 % farther apart."""
    return Scene(
        zone=zone,
        view=View(shape=(500, 500), pixel_size_pm=(14.0, 14.0)),
        look=Look(tail=0.1, amplitude_scatter=0.02),
        dose=Dose(peak_counts=counts, background_counts=0.1 * counts),
        edge=Edge(
            plane=PLANES[zone],
            offset_A=3.0,
            beyond="crystal",
            beyond_strain=STRAIN_PERCENT / 100,
        ),
        seed=seed,
    ).facing(direction_deg)


def measured(shown: Scene) -> Strained:
    """What is found in an image."""
    micrograph, truth = simulate(shown)
    analysis = stemdisp.analyse(micrograph, recipe(shown), device="cpu")
    assert analysis.maps is not None and analysis.cells is not None
    return Strained(analysis.maps, _height_A(analysis.cells.xy, truth), len(analysis.sides))


def _height_A(xy: NDArray[np.float64], truth: Truth) -> NDArray[np.float64]:
    assert truth.interface_point is not None and truth.interface_normal is not None
    return np.asarray((xy - truth.interface_point) @ truth.to_pm @ truth.interface_normal / 100)
