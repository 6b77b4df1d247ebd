"""Edges of every kind at every direction, for accuracy tests and benchmark alike: how far from the true one they are
found, and how often one is found where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scenes import recipe

from stemdisp.crystal import project
from stemdisp.fitting.curve import height_over
from stemdisp.materials import KTaO3, Zone
from stemdisp.model.interface import Interface
from stemdisp.pipeline import steps
from stemdisp.scene import Dose, Edge, Look, Scene, Truth, View
from stemdisp.synthetic import simulate

Floats = NDArray[np.float64]

PLANES = {(0, 0, 1): (1, 0, 0), (1, -1, 0): (1, 1, 1)}

MIDDLE_OF_THE_GAP, BETWEEN_REFERENCE, BETWEEN_MOVING = 0.25, 0.5, 0.0
"""Where the edge is, in layers above the last reference plane: half-way to the next plane of either cation, or between
the last and the first of those planes that change."""

KINDS: dict[str, dict[str, Any]] = {
    "amorphous, straight": {},
    "vacuum, straight": {"beyond": "vacuum"},
    "amorphous, 8.5 degrees off its plane": {"slope": 0.15},
    "amorphous, convex, radius 6 nm": {"radius_A": 60.0},
    "vacuum, concave, radius 6 nm": {"beyond": "vacuum", "radius_A": -60.0},
    "crystal, Ta 15 % fainter": {"beyond": "crystal", "step": 0.85},
    "crystal, Ta 30 % fainter, convex, radius 6 nm": {"beyond": "crystal", "step": 0.7, "radius_A": 60.0},
    "crystal, layers 2 % farther apart": {"beyond": "crystal", "beyond_strain": 0.02},
    "crystal, K 50 % brighter": {"beyond": "crystal", "beyond_strength": {"K": 1.5}},
}
"""What an edge is like, as fields of the scene's edge."""


@dataclass(frozen=True)
class Found:
    """How far the edge was found from the true one along its normal (P,), in layers, seen inside the frame; the angle
    between the normals in degrees; the edge's own standard error in layers. None where no edge was found."""

    off: Floats
    turned_deg: float
    std: float

    @property
    def worst(self) -> float:
        """Largest distance, in layers."""
        return float(np.abs(self.off).max())


def scene(kind: str, direction_deg: float, zone: Zone = (1, -1, 0), seed: int = 0) -> Scene:
    """An image of 5 nm with 2 % scatter of the amplitudes and 1000 counts in its brightest peaks."""
    motif = project(KTaO3, zone)
    spacing = 1 / float(np.linalg.norm(motif.reciprocal(motif.rows(PLANES[zone]))))
    clearance = BETWEEN_REFERENCE if "Ta" in kind else BETWEEN_MOVING if "K" in kind else MIDDLE_OF_THE_GAP
    edge = Edge(plane=PLANES[zone], offset_A=3.0, clearance_A=clearance * spacing, **KINDS[kind])
    shown = Scene(
        zone=zone,
        view=View(shape=(400, 400), pixel_size_pm=(12.5, 12.5)),
        look=Look(tail=0.1, amplitude_scatter=0.02),
        dose=Dose(peak_counts=1000, background_counts=100),
        edge=edge,
        seed=seed,
    )
    return shown.facing(direction_deg)


def found_in(scene: Scene) -> tuple[Interface | None, Truth]:
    """The interface of an image, and what is true in it."""
    micrograph, truth = simulate(scene)
    for stage, analysis in steps(micrograph, recipe(scene), device="cpu"):
        if stage == "interface":
            return analysis.interface, truth
    raise AssertionError("no stage finds interfaces")


def compare(found: Interface | None, truth: Truth) -> Found | None:
    """An interface against the true one."""
    if found is None:
        return None
    assert truth.interface_curve is not None and truth.interface_normal is not None
    pm = np.array(truth.pixel_size_pm)
    normal = truth.interface_normal * np.sign(truth.interface_normal @ found.normal)
    axes = np.stack([[-normal[1], normal[0]], normal], axis=1)
    true, seen = (curve * pm @ axes for curve in (truth.interface_curve, found.curve))
    true, seen = (chain if chain[0, 0] < chain[-1, 0] else chain[::-1] for chain in (true, seen))
    along = np.linspace(max(true[0, 0], seen[0, 0]), min(true[-1, 0], seen[-1, 0]), 60)
    off = (height_over(seen, along) - height_over(true, along)) / found.spacing_pm
    turned = np.degrees(np.arccos(np.clip(found.normal @ normal, -1, 1)))
    return Found(off, float(turned), 1000 * found.position_std_nm / found.spacing_pm)


def without_edge(count: int) -> Iterator[Scene]:
    """Images that a crystal fills: both zones, doses from 30 to 3000 counts, a background that varies by a half,
    amplitudes that scatter by up to 10 %."""
    for seed in range(count):
        draw = np.random.default_rng([seed, 77])
        peak = float(10 ** draw.uniform(1.5, 3.5))
        zone: Zone = ((0, 0, 1), (1, -1, 0))[seed % 2]
        yield replace(
            scene("amorphous, straight", 90.0, zone),
            edge=None,
            seed=seed,
            missing=float(draw.uniform(0, 0.02)),
            look=Look(tail=0.1, amplitude_scatter=float(draw.uniform(0, 0.1))),
            dose=Dose(peak_counts=peak, background_counts=0.1 * peak, background_variation=0.5),
        )
