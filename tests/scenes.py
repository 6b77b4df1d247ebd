"""The synthetic images that accuracy tests and the benchmark share: which they are, and why these."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

import stemdisp
from stemdisp.bound import cramer_rao
from stemdisp.materials import MATERIALS, KTaO3, Zone, format_indices
from stemdisp.recipe import Recipe
from stemdisp.scene import Dose, Edge, Look, Motion, OutputType, Scene, Truth, View

Floats = NDArray[np.float64]

ZONES: tuple[Zone, ...] = ((0, 0, 1), (1, -1, 0))
TAILS = (0.0, 0.12)
"""Without a tail, and 12 % of the peak height in a Gaussian 2.2 times wider."""

SEEDS = (1, 2, 3)
"""Images of one family whose errors are put together: some 300 K columns, so that an rms is known to about 3 %."""

MARGIN_A = 3.0
"""Columns closer to the frame than this (angstrom) share their light with columns outside it, which the bound does
not know."""


def recipe(scene: Scene) -> Recipe:
    """The recipe of a scene's crystal and zone, all else at its default."""
    return stemdisp.recipe_for(scene.material.name, format_indices(scene.zone))


def family(zone: Zone, tail: float, seed: int, peak_counts: float = 500.0) -> Scene:
    """One image of the parametric family without interface: every column displaced at random by 3 pm rms along each
    axis,
    amplitudes scattered by 2 %, background varying by 20 %."""
    return Scene(
        zone=zone,
        seed=seed,
        look=Look(tail=tail, amplitude_scatter=0.02),
        motion=Motion(jitter_pm=3.0),
        dose=Dose(peak_counts=peak_counts),
        view=View(shape=(400, 400)),
    )


OTHER_CRYSTALS: tuple[tuple[str, Zone], ...] = (
    ("PbTiO3", (0, 0, 1)),
    ("BaTiO3", (0, 0, 1)),
    ("SrTiO3", (1, -1, 0)),
    ("KNbO3", (1, -1, 0)),
)

MOVED_PM = ((0.0, 0.0), (10.0, -5.0), (-20.0, 12.0), (30.0, 20.0))
"""Displacements (right, down) of the moving site, one an image: as far as ferroelectrics go."""


def other_crystal(name: str, zone: Zone, tail: float, peak_counts: float) -> list[Scene]:
    """Images of a material, each with its moving site displaced by another vector."""
    return [
        Scene(
            material=MATERIALS[name],
            zone=zone,
            seed=seed,
            look=Look(tail=tail, amplitude_scatter=0.02),
            motion=Motion(jitter_pm=3.0, uniform_pm=moved),
            dose=Dose(peak_counts=peak_counts),
            view=View(shape=(400, 400)),
        )
        for seed, moved in enumerate(MOVED_PM)
    ]


def bound_px(scene: Scene, truth: Truth) -> Floats:
    """(N, 2) Cramer-Rao bound of the model that made the image, with the parameters the fit has in HAADF: every
    amplitude,
    positions of the cations, one width of the brightest site and one of all others, the tail where there is one, a
    background on knots as far apart as the recipe's."""
    motif = scene.motif
    bright = motif.sites[int(motif.contrast("HAADF").argmax())]
    others = tuple(name for name in motif.sites if name != bright)
    knots = recipe(scene).refine.background_spacing * float(np.linalg.norm(truth.lattice.cell, axis=1).min())
    return cramer_rao(
        truth,
        "HAADF",
        free_xy=~motif.oxygen[truth.site_index],
        same_width=(others,),
        tail=scene.look.tail > 0,
        background_px=knots,
    )


EDGE_PLANE: dict[Zone, tuple[int, int, int]] = {(0, 0, 1): (1, 0, 0), (1, -1, 0): (1, 1, 1), (1, 1, -2): (1, 1, 1)}
"""The edge studied in each zone; in [1-10] and [11-2] that of the multislice pair."""


def interface_scene(
    direction_deg: float = 90.0, *, zone: Zone = (1, -1, 0), peak_counts: float = 1e5, **changes: Any
) -> Scene:
    """An edge facing ``direction_deg`` under an amorphous cap; K displaced by 24 pm along and 9 pm out of the edge,
    decaying
    over three layers. ``changes`` are fields of the scene."""
    scene = Scene(
        zone=zone,
        view=View(shape=(320, 320), pixel_size_pm=(12.5, 12.5)),
        dose=Dose(peak_counts=peak_counts, background_counts=0.1 * peak_counts),
        motion=Motion(normal_pm=9.0, parallel_pm=24.0, decay_layers=3.0),
        edge=Edge(plane=EDGE_PLANE[zone], offset_A=6.0),
    )
    return replace(scene, **changes).facing(direction_deg)


PX_PER_A_CELL = (12, 16, 24, 40, 60)
"""Magnifications in pixels per lattice parameter."""


def _magnified(px_per_cell: int) -> View:
    """A view of about 40 A at some pixels per lattice parameter, 60 A where pixels are few."""
    pixel = 100 * KTaO3.lattice_A / px_per_cell
    side = round((60 if px_per_cell < 20 else 40 if px_per_cell < 50 else 34) * 100 / pixel)
    return View(shape=(side, side), pixel_size_pm=(pixel, pixel))


def _half_empty(direction_deg: float, **changes: Any) -> Scene:
    scene = interface_scene(direction_deg, **changes)
    assert scene.edge is not None
    return replace(scene, edge=replace(scene.edge, beyond="vacuum"))


ROBUST: dict[str, Scene] = {
    **{f"turned by {d} degrees": _half_empty(90 + d) for d in range(0, 91, 15)},
    **{f"{n} px per lattice parameter": _half_empty(97, view=_magnified(n)) for n in PX_PER_A_CELL},
    **{
        f"stored as {dtype}": _half_empty(97, dose=Dose(peak_counts=1e5, background_counts=1e4, dtype=dtype))
        for dtype in get_args(OutputType)
    },
    **{f"edge facing {d} degrees": _half_empty(d) for d in range(36, 360, 36)},
    **{f"under a cap, edge facing {d} degrees": interface_scene(d) for d in (10, 90, 200, 290)},
    **{f"10 % of columns missing, seed {n}": _half_empty(97, missing=0.1, seed=n) for n in (1, 2, 3)},
}
"""Images that must not disturb a layer's mean by more than 1 pm. The crystal is half of the frame and ends in vacuum
unless
a cap is named; at 1e5 counts the counting noise of a layer mean is below 0.3 pm (Cramer-Rao, 12 px per lattice
parameter:
0.1 pm)."""
