"""The synthetic images that accuracy tests and the benchmark share: which they are, and why these."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any, get_args

import numpy as np
from measure import known
from numpy.typing import NDArray

import stemdisp
from stemdisp.bound import cramer_rao
from stemdisp.crystal import project
from stemdisp.materials import MATERIALS, KTaO3, Zone, format_indices
from stemdisp.motion import Motion
from stemdisp.recipe import Recipe
from stemdisp.scene import Dose, Edge, Look, OutputType, Scene, Truth, View
from stemdisp.synthetic import simulate

Floats = NDArray[np.float64]

ZONES: tuple[Zone, ...] = ((0, 0, 1), (1, -1, 0))
TAILS = (0.0, 0.12)
"""Without a tail, and 12 % of the peak height in a Gaussian 2.2 times wider."""

MARGIN_A = 3.0
"""Columns closer to the frame than this (angstrom) share their light with columns outside it, which the bound does
not know."""


def recipe(scene: Scene) -> Recipe:
    """The recipe of a scene's crystal and zone, all else at its default."""
    return stemdisp.recipe_for(scene.material.name, format_indices(scene.zone))


PEAKS = (50.0, 500.0, 5000.0)
PIXELS_PM = (10.0, 20.0)

JITTER_PM = 3.0
"""Rms displacement of every column along each axis: the crystal's own disorder, which nobody can know beforehand."""

CHOOSING, JUDGING = 1, 2
"""What images are for. Those with which values of the recipe are chosen and those by which they are judged have no seed
in common: jitter, amplitudes and counts are drawn anew."""

FAMILY_MOVED_PM = ((40.0, -20.0), (-20.0, -40.0), (-40.0, 20.0), (20.0, 40.0), (0.0, 0.0))
"""Displacement (right, down) of the moving site, one an image: both axes alike, no mean, nothing moved in one."""

SLOPE_STD = 0.0025
"""Standard error of the slope that a whole family aims at."""

CELL_STD_PM = 2.0
"""Standard deviation of a component of a cell's displacement at 500 counts and 0.1 A per pixel, at most; it is known
more sharply with the root of the counts and the fineness of the pixels."""

LEAST_SIDE_PX = {10.0: 400, 20.0: 300}
"""Side of the images of few columns, per pixel size in pm: 60 to 180 K columns in each."""


@dataclass(frozen=True)
class Family:
    """Images that differ in displacement and seed alone: a zone, a tail, a dose and a pixel size."""

    zone: Zone
    tail: float
    peak_counts: float
    pixel_pm: float

    def __str__(self) -> str:
        pixel = f"{self.pixel_pm / 100:g} A per px"
        return f"[{format_indices(self.zone)}], tail {self.tail:g}, {self.peak_counts:g} counts, {pixel}"

    def side_px(self, *, whole: bool) -> int:
        """Side of the images: that which the standard error of the slope needs, or the least."""
        least = LEAST_SIDE_PX[self.pixel_pm]
        if not whole:
            return least
        std = CELL_STD_PM * self.pixel_pm / 10 * np.sqrt(500 / self.peak_counts)
        power = float((np.array(FAMILY_MOVED_PM) ** 2).sum())  # of one cell in each image
        cells = (std / SLOPE_STD) ** 2 / power
        area = float(abs(np.linalg.det(project(KTaO3, self.zone).cell_A)))
        return max(least, round((np.sqrt(cells * area) + 2 * MARGIN_A) * 100 / self.pixel_pm))

    def scenes(self, purpose: int = JUDGING, *, whole: bool = False) -> list[Scene]:
        """The images: every column displaced by 3 pm rms along each axis, amplitudes scattered by 2 %, a background of
        a tenth of the peak that varies by 20 %."""
        side = self.side_px(whole=whole)
        return [
            Scene(
                zone=self.zone,
                seed=1000 * purpose + number,
                look=Look(tail=self.tail, amplitude_scatter=0.02),
                motion=Motion(jitter_pm=JITTER_PM, uniform_pm=moved),
                dose=Dose(peak_counts=self.peak_counts, background_counts=0.1 * self.peak_counts),
                view=View(shape=(side, side), pixel_size_pm=(self.pixel_pm, self.pixel_pm)),
            )
            for number, moved in enumerate(FAMILY_MOVED_PM)
        ]


FAMILIES = tuple(Family(*case) for case in product(ZONES, TAILS, PEAKS, PIXELS_PM))


STEP_LOOK = Look(tail=0.12, tail_ratio=1.1 / 0.45, sigma_A=dict.fromkeys(("Ta", "K", "O1", "O2"), 0.45))
"""Profile of the step: a Gaussian of 0.45 A with a tail of 12 % of its height and 1.1 A."""


def step_scene(*, oxygen: bool, step: float = 0.35) -> Scene:
    """KTaO3 along [001] of which the Ta columns in one half are weaker; nothing is displaced and nothing is counted.

    A method that shares a bright column's light among its neighbours sees K move at the step.
    """
    without = {} if oxygen else {"O1": 0.0, "O2": 0.0}
    return Scene(
        zone=(0, 0, 1),
        look=replace(STEP_LOOK, amplitude={"K": 0.12, **without}),
        dose=Dose(peak_counts=5000, background_counts=500, background_variation=0, noise=False),
        view=View(shape=(400, 400)),
        edge=Edge(plane=(1, 0, 0), beyond="crystal", step=step),
    ).facing(90.0)


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
    """(N, 2) Cramer-Rao bound of the model that made the image, for the best that can be known: every amplitude and
    position, one width of the brightest site and one of all others, the tail where there is one, a background on knots
    as far apart as the recipe's.

    Oxygen stands in HAADF near a known place: how far from it, the scene's jitter, enters as a prior.
    """
    motif = scene.motif
    bright = motif.sites[int(motif.contrast("HAADF").argmax())]
    others = tuple(name for name in motif.sites if name != bright)
    knots = recipe(scene).refine.background_spacing * float(np.linalg.norm(truth.lattice.cell, axis=1).min())
    jitter = scene.motion.jitter_pm / float(np.mean(scene.view.pixel_size_pm))
    return cramer_rao(
        truth,
        "HAADF",
        prior_px=np.where(motif.oxygen[truth.site_index], jitter, np.nan),
        same_width=(others,),
        tail=scene.look.tail > 0,
        background_px=knots,
    )


@cache
def family_bound_pm(family: Family) -> dict[str, float]:
    """Bound of each site, rms over the columns whose neighbours are all in the frame and over the images of the family;
    from images of 30 A, which share their widths, their tail and their background among few columns, so that large
    images may come out below.

    A moved column stands where its neighbours' tails have a slope, and is known less well by what the tails are known
    by: the four images with a displacement, alike in that, count four times the one without.
    """
    side = round(3000 / family.pixel_pm)
    variances: dict[str, float] = {}
    for scene, share in zip((family.scenes()[0], family.scenes()[-1]), (0.8, 0.2), strict=True):
        scene = replace(scene, view=replace(scene.view, shape=(side, side)))
        truth = simulate(scene)[1]
        bound, inner = bound_px(scene, truth) * family.pixel_pm, known(truth).inside(MARGIN_A)
        of_site = {site: truth.present & (truth.site == site) for site in np.unique(truth.site).tolist()}
        for site, rows in of_site.items():
            mean = float(np.nanmean(bound[rows & inner] ** 2))
            variances[site] = variances.get(site, 0.0) + share * mean
    return {site: float(np.sqrt(variance)) for site, variance in variances.items()}


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
