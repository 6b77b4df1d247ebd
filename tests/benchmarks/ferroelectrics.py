"""Walls of 90 degrees, other ferroelectrics and superlattices against what is true."""

from __future__ import annotations

import numpy as np
from domain_scenes import (
    FERROELECTRICS,
    WIDTH_A,
    cores_px,
    ferroelectric,
    found_in,
    superlattice,
    turned,
    wall_off_A,
)
from markdown import Table, say
from measure import displacements, known, slope

from stemdisp.materials import format_indices
from stemdisp.model.analysis import Analysis
from stemdisp.model.domains import Domains
from stemdisp.scene import Scene, Truth

TURNED = 72
IMAGES, CELLS = 3, (6, 8, 10)
WITHIN_A = 4.0
NEAR_RIM_PX = 100.0
"""A vortex closer to the frame has no twelve cells around it."""


def turns() -> Table:
    """90-degree walls in all directions."""
    rows = []
    for material in ("BaTiO3", "PbTiO3"):
        say(f"ferroelectrics: walls of 90 degrees in {material}")
        walls, off, number = [], [], 0
        for seed in range(TURNED):
            shown = turned(seed)
            if shown.material.name != material:
                continue
            number += 1
            found, _, _ = found_in(shown)
            if len(found.walls) == 1 and not found.vortices:
                walls += found.walls
                off.append(wall_off_A(shown, found.walls[0].points_px))
        means, every = np.array([one.mean() for one in off]), np.concatenate(off)
        angles, widths = [one.turn_deg for one in walls], [10 * one.width_nm for one in walls]
        rows.append(
            (
                material,
                f"{len(walls)} of {number}",
                f"{np.sqrt((means**2).mean()):.2f}",
                f"{np.abs(means).max():.2f}",
                f"{np.sqrt((every**2).mean()):.2f}",
                f"{np.mean(angles):.1f} +- {np.std(angles):.1f}",
                f"{np.nanmean(widths):.2f} +- {np.nanstd(widths):.2f}",
            )
        )
    head = ("crystal", "walls found", "rms of positions (A)", "worst (A)", "rms of rows (A)", "turn (deg)", "width (A)")
    note = (
        "9 nm along [001], turned in steps of 5 degrees, 500, 2000 and 8000 counts, 6 and 15 pm, 1 pm of disorder; "
        f"true width {WIDTH_A:g} A. Found counts images with this one wall and nothing else."
    )
    return Table("Walls of 90 degrees", head, rows, note)


def crystals() -> Table:
    """What displacements, walls and vortices of each kind of image are worth."""
    rows = [
        _row(
            f"{name} [{format_indices(zone)}], {_NAMES[pattern]}",
            [ferroelectric(name, zone, pattern, seed) for seed in range(IMAGES)],
        )
        for name, zone, pattern in FERROELECTRICS
    ]
    rows += [_row(f"{n} PbTiO3 / {n} SrTiO3 [001]", [superlattice(n, seed) for seed in range(IMAGES)]) for n in CELLS]
    head = (
        "image",
        "mean off (pm)",
        "in its errors",
        "slope",
        "rms (pm)",
        "walls",
        "worst (A)",
        "vortices",
        "worst (A)",
    )
    note = (
        f"{IMAGES} images of 8 to 9 nm each, 2000 counts, 1 pm of disorder; displaced by 6 (BaTiO3), 25 (BiFeO3) and "
        "up to 25 pm (PbTiO3). A slope is given where it varies; no layers of a superlattice are counted."
    )
    return Table("Ferroelectrics and superlattices", head, rows, note)


_NAMES = {"none": "uniform", "wall": "180 degrees", "turn": "90 degrees"}


def _row(name: str, scenes: list[Scene]) -> tuple[str, ...]:
    say(f"ferroelectrics: {name}")
    off, errors, pairs, walls, cores, counted = [], [], None, [], [], [0, 0, 0]
    for shown in scenes:
        found, analysis, truth = found_in(shown)
        own = displacements(analysis, known(truth))
        pairs = own if pairs is None else pairs.joined(own)
        off.append(own.bias)
        errors.append(own.bias_sem)
        walls += [abs(float(wall_off_A(shown, one.points_px).mean())) for one in found.walls]
        matched, there, more = _cores(shown, found, truth)
        cores += matched
        counted = [one + new for one, new in zip(counted, (len(found.walls), there, more), strict=True)]
        assert analysis.interface is None and _said_so(analysis, shown)
    assert pairs is not None
    steep = slope(pairs)
    varies = shown.motion.pattern != "none"
    wanted = len(scenes) if shown.motion.pattern in ("wall", "turn") else 0
    return (
        name,
        f"{np.abs(off).max():.2f}",
        f"{np.abs(np.array(off) / np.array(errors)).max():.1f}",
        f"{steep.value:.3f} +- {steep.std:.3f}" if varies else "",
        f"{pairs.rms:.2f}",
        f"{counted[0]} of {wanted}",
        f"{max(walls):.2f}" if walls else "",
        f"{len(cores)} of {counted[1]}" + (f", {counted[2]} more" if counted[2] else ""),
        f"{max(cores):.2f}" if cores else "",
    )


def _cores(shown: Scene, found: Domains, truth: Truth) -> tuple[list[float], int, int]:
    """Distances (angstrom) of vortices from true ones, how many of these lie well inside, and how many false ones."""
    if shown.stack is None:
        return [], 0, len(found.vortices)
    true, size = cores_px(shown), np.array(shown.view.shape[::-1])
    inside = ((true > NEAR_RIM_PX) & (true < size - NEAR_RIM_PX)).all(axis=1)
    apart = [np.linalg.norm((true - one.xy_px) @ truth.to_pm, axis=1) / 100 for one in found.vortices]
    near = [int(one.argmin()) for one in apart if one.min() < WITHIN_A]
    matched = [float(one.min()) for one in apart if one.min() < WITHIN_A and inside[one.argmin()]]
    return matched, int(inside.sum()), len(found.vortices) - len(set(near))


def _said_so(analysis: Analysis, shown: Scene) -> bool:
    return shown.stack is None or any("boundaries between crystals" in one for one in analysis.warnings)


def ferroelectrics() -> str:
    """Both tables."""
    return f"{turns()}\n{crystals()}"
