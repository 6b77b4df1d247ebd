"""Crystals with a domain wall or a vortex, and without either, for accuracy tests and benchmark alike."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scenes import recipe

import stemdisp
from stemdisp.materials import MATERIALS
from stemdisp.model.analysis import Analysis
from stemdisp.model.domains import Domains
from stemdisp.scene import Dose, Look, Motion, Scene, Truth, View
from stemdisp.synthetic import simulate

DISPLACED_PM = {"BaTiO3": 6.0, "PbTiO3": 15.0}
"""By how much the moving site of these stands off its reference in the bulk, about."""

WIDTH_A = 5.0


def scene(material: str, motion: Motion, seed: int, *, counts: float = 2000.0) -> Scene:
    """An image of 7 nm along [001] with 2 % scatter of the amplitudes, turned by up to 45 degrees."""
    turned = float(np.random.default_rng([seed, 5]).uniform(-45, 45))
    return Scene(
        material=MATERIALS[material],
        zone=(0, 0, 1),
        view=View(shape=(500, 500), pixel_size_pm=(14.0, 14.0), rotation_deg=turned),
        look=Look(tail=0.1, amplitude_scatter=0.02),
        dose=Dose(peak_counts=counts, background_counts=0.1 * counts),
        motion=motion,
        seed=seed,
    )


def patterned(material: str, pattern: str, seed: int) -> Scene:
    """With a wall or a vortex off the middle, and 1 pm of random displacement of every column."""
    at = tuple(np.random.default_rng([seed, 6]).uniform(-8, 8, 2).tolist())
    size = DISPLACED_PM[material] * (1 if seed % 2 else -1)
    motion = Motion(pattern=pattern, pattern_pm=size, pattern_width_A=WIDTH_A, pattern_at_A=at, jitter_pm=1.0)
    return scene(material, motion, seed)


def without_domains(count: int) -> Iterator[Scene]:
    """Half of them displaced as one, half not at all, columns displaced at random by up to 6 pm; 100 to 5000 counts."""
    for seed in range(count):
        draw = np.random.default_rng([seed, 7])
        motion = Motion(
            uniform_pm=tuple(draw.uniform(-15, 15, 2).tolist()) if seed % 4 < 2 else (0.0, 0.0),
            jitter_pm=float(draw.uniform(0, 6)),
        )
        yield scene(("BaTiO3", "PbTiO3")[seed % 2], motion, seed, counts=float(10 ** draw.uniform(2, 3.7)))


def found_in(shown: Scene) -> tuple[Domains, Analysis, Truth]:
    """Walls and vortices of an image, everything else that is known of it, and its truth."""
    micrograph, truth = simulate(shown)
    analysis = stemdisp.analyse(micrograph, recipe(shown), device="cpu")
    assert analysis.domains is not None
    return analysis.domains, analysis, truth


def middle_px(shown: Scene) -> np.ndarray:
    """(2,) where the middle of the pattern is, in px."""
    return shown.centre + np.array(shown.motion.pattern_at_A) @ shown.to_px


def wall_off_A(shown: Scene, points_px: np.ndarray) -> np.ndarray:
    """(n,) distances of points from the true wall, in angstrom, towards where the component is positive in truth."""
    across = np.array([1.0, 0.0]) @ shown.turn
    return (points_px - middle_px(shown)) @ shown.to_pm @ across / 100
