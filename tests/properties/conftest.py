"""Images and analyses that the tests of properties share, each made once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import pytest

import stemdisp
from stemdisp.materials import Zone, format_indices
from stemdisp.model.analysis import Analysis
from stemdisp.model.micrograph import Micrograph
from stemdisp.motion import Motion
from stemdisp.recipe import Recipe
from stemdisp.scene import Dose, Edge, Scene, SignalName, Truth, View

EDGE: dict[Zone, tuple[int, int, int]] = {(0, 0, 1): (1, 0, 0), (1, -1, 0): (1, 1, 1)}
"""The edge that is looked at in each zone."""


@dataclass(frozen=True)
class Shot:
    """One synthetic image with all that is known of it."""

    scene: Scene
    micrograph: Micrograph
    truth: Truth
    recipe: Recipe
    analysis: Analysis


def scene_of(zone: Zone, signals: tuple[SignalName, ...], *, noise: bool) -> Scene:
    """A crystal under an amorphous cap, its edge facing up and a little to the right."""
    scene = Scene(
        zone=zone,
        signals=signals,
        seed=5,
        view=View(shape=(244, 270), pixel_size_pm=(14.0, 14.0)),
        dose=Dose(peak_counts=2000, background_counts=200, noise=noise, dtype="float64"),
        motion=Motion(normal_pm=9.0, parallel_pm=20.0, jitter_pm=2.0),
        edge=Edge(plane=EDGE[zone], offset_A=8.0),
    )
    return scene.facing(80.0)


def shoot(scene: Scene) -> Shot:
    """Simulate and analyse with the recipe of the scene's crystal.

    Two signals stand 0.9 px apart, as those of two scans would.
    """
    micrograph, truth = stemdisp.simulate(scene)
    if len(scene.signals) > 1 and scene.edge is not None:
        moved = replace(scene, edge=replace(scene.edge, offset_A=scene.edge.offset_A + 0.126), signals=("ABF",))
        apart = stemdisp.simulate(moved)[0].signals["ABF"]
        micrograph = replace(micrograph, signals={**micrograph.signals, "ABF": apart})
    recipe = stemdisp.recipe_for(scene.material.name, format_indices(scene.zone))
    return Shot(scene, micrograph, truth, recipe, stemdisp.analyse(micrograph, recipe))


@pytest.fixture(scope="session")
def analysed() -> Callable[..., Shot]:
    """A function (zone, signals, noise) -> Shot that computes each image once."""

    @cache
    def shot(zone: Zone = (1, -1, 0), signals: tuple[SignalName, ...] = ("HAADF",), noise: bool = True) -> Shot:
        return shoot(scene_of(zone, signals, noise=noise))

    return shot
