"""The synthetic images that accuracy tests and the benchmark share: which they are, and why these."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import stemdisp
from stemdisp.bound import cramer_rao
from stemdisp.materials import Zone, format_indices
from stemdisp.recipe import Recipe
from stemdisp.scene import Dose, Edge, Look, Motion, Scene, Truth, View

Floats = NDArray[np.float64]

ZONES: tuple[Zone, ...] = ((0, 0, 1), (1, -1, 0))
TAILS = (0.0, 0.12)
"""Without a tail, and 12 % of the peak height in a Gaussian 2.2 times wider."""

SEEDS = (1, 2, 3)
"""Images of one family whose errors are put together: some 300 K columns, so that an rms is known to about 3 %."""

MARGIN_A = 3.0
"""Columns closer to the frame than this (angstrom) share their light with columns outside it, which the bound does not know."""


def recipe(scene: Scene) -> Recipe:
    """The recipe of a scene's crystal and zone, all else at its default."""
    return stemdisp.recipe_for(scene.material.name, format_indices(scene.zone))


def family(zone: Zone, tail: float, seed: int, peak_counts: float = 500.0) -> Scene:
    """One image of the parametric family without interface: every column displaced at random by 3 pm rms along each axis,
    amplitudes scattered by 2 %, background varying by 20 %."""
    return Scene(
        zone=zone,
        seed=seed,
        look=Look(tail=tail, amplitude_scatter=0.02),
        motion=Motion(jitter_pm=3.0),
        dose=Dose(peak_counts=peak_counts),
        view=View(shape=(400, 400)),
    )


def bound_px(scene: Scene, truth: Truth) -> Floats:
    """(N, 2) Cramer-Rao bound of the model that made the image, with the parameters the fit has in HAADF: every amplitude,
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


EDGE_PLANE: dict[Zone, tuple[int, int, int]] = {(0, 0, 1): (1, 0, 0), (1, -1, 0): (1, 1, 1)}
"""The edge studied in each zone; in [1-10] that of the multislice pair."""


def interface_scene(direction_deg: float = 90.0, *, zone: Zone = (1, -1, 0), peak_counts: float = 2e4, **changes: Any) -> Scene:
    """An edge facing ``direction_deg`` under an amorphous cap; K displaced by 24 pm along and 9 pm out of the edge, decaying
    over three layers. At 2e4 counts a layer mean's standard error stays below 0.3 pm; ``changes`` are fields of the scene."""
    scene = Scene(
        zone=zone,
        view=View(shape=(320, 320), pixel_size_pm=(12.5, 12.5)),
        dose=Dose(peak_counts=peak_counts, background_counts=0.1 * peak_counts),
        motion=Motion(normal_pm=9.0, parallel_pm=24.0, decay_layers=3.0),
        edge=Edge(plane=EDGE_PLANE[zone], offset_A=6.0),
    )
    return replace(scene, **changes).facing(direction_deg)
