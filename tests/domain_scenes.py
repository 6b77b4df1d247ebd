"""Crystals with a domain wall or a vortex, and without either, for accuracy tests and benchmark alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scenes import recipe

import stemdisp
from stemdisp.materials import MATERIALS, Zone
from stemdisp.model.analysis import Analysis
from stemdisp.model.domains import Domains
from stemdisp.motion import Motion, Pattern
from stemdisp.scene import Dose, Look, Scene, Stack, Truth, View
from stemdisp.synthetic import simulate

DISPLACED_PM = {"BaTiO3": 6.0, "PbTiO3": 15.0, "BiFeO3": 25.0}
"""By how much the moving site of these stands off its reference in the bulk, about."""

WIDTH_A = 5.0

STRONTIUM = 0.27
"""Height of a Sr column over that of Pb: (38 / 82)^1.7."""


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


def turned(seed: int) -> Scene:
    """A 90-degree wall in an image of 9 nm, one of 72 directions, materials and doses, 1 pm of random displacement."""
    material = ("BaTiO3", "PbTiO3")[seed % 2]
    at = tuple(np.random.default_rng([seed, 8]).uniform(-8, 8, 2).tolist())
    size = DISPLACED_PM[material] * (1 if seed // 2 % 2 else -1)
    motion = Motion(pattern="turn", pattern_pm=size, pattern_width_A=WIDTH_A, pattern_at_A=at, jitter_pm=1.0)
    shown = scene(material, motion, seed, counts=(500.0, 2000.0, 8000.0)[seed // 4 % 3])
    view = replace(shown.view, shape=(640, 640), rotation_deg=5.0 * seed - 180)
    return replace(shown, view=view)


def superlattice(cells: int, seed: int) -> Scene:
    """PbTiO3 and SrTiO3 in turn, as many cells of each, with a row of vortices in every layer of PbTiO3."""
    return Scene(
        material=MATERIALS["PbTiO3"],
        zone=(0, 0, 1),
        view=View(shape=(700, 700), pixel_size_pm=(12.0, 12.0), rotation_deg=(3.0, -20.0, 31.0)[seed % 3]),
        look=Look(tail=0.1, amplitude_scatter=0.02),
        dose=Dose(peak_counts=2000.0, background_counts=200.0),
        motion=Motion(
            pattern="vortices", pattern_pm=25.0, pattern_width_A=32.0, pattern_at_A=(5.0, 0.0), jitter_pm=1.0
        ),
        stack=Stack(cells=(cells, cells), strength={"Pb": STRONTIUM}, strain=-0.02, offset_A=3.0),
        seed=seed,
    )


FERROELECTRICS: tuple[tuple[str, Zone, Pattern], ...] = (
    ("BaTiO3", (0, 0, 1), "none"),
    ("BaTiO3", (0, 0, 1), "wall"),
    ("BaTiO3", (0, 0, 1), "turn"),
    ("BaTiO3", (1, -1, 0), "none"),
    ("BaTiO3", (1, -1, 0), "wall"),
    ("BiFeO3", (0, 0, 1), "none"),
    ("BiFeO3", (0, 0, 1), "turn"),
    ("BiFeO3", (1, -1, 0), "none"),
    ("BiFeO3", (1, -1, 0), "wall"),
)
"""Crystals, zones and patterns that the same calls are tested on, beside superlattices."""


def ferroelectric(material: str, zone: Zone, pattern: Pattern, seed: int) -> Scene:
    """An image of 9 nm, displaced as one or with a wall in its middle."""
    size = DISPLACED_PM[material] * (1 if seed % 2 else -1)
    uniform = (size, 0.5 * size) if pattern == "none" else (0.0, 0.0)
    motion = Motion(pattern=pattern, pattern_pm=size, pattern_width_A=WIDTH_A, uniform_pm=uniform, jitter_pm=1.0)
    shown = scene(material, motion, seed)
    view = replace(shown.view, shape=(640, 640), rotation_deg=(3.0, -20.0, 31.0)[seed % 3])
    return replace(shown, zone=zone, view=view)


def cores_px(shown: Scene) -> np.ndarray:
    """(n, 2) where the vortices of a superlattice are in the frame, in px."""
    assert shown.stack is not None
    first, second = shown.stack.cells
    spacing = float(np.linalg.norm(shown.motif.cell_A[1]))
    period = spacing * (first + second * (1 + shown.stack.strain))
    steps = np.stack(np.meshgrid(np.arange(-9, 10), np.arange(-9, 10)), axis=-1).reshape(-1, 2)
    along = shown.motion.pattern_at_A[0] + steps[:, 0] * shown.motion.pattern_width_A
    places = shown.centre + np.stack([along, shown.stack.offset_A + steps[:, 1] * period], axis=1) @ shown.to_px
    size = np.array(shown.view.shape[::-1])
    return np.asarray(places[((places > 0) & (places < size - 1)).all(axis=1)])


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
    across = np.array([1.0, 1.0] if shown.motion.pattern == "turn" else [1.0, 0.0]) @ shown.turn
    across = across / np.linalg.norm(across)
    return (points_px - middle_px(shown)) @ shown.to_pm @ across / 100
