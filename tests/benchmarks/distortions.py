"""Distortion of the scan against what was put in."""

from __future__ import annotations

import numpy as np
from distorted import AFFINE, JITTER_PM, ZONES_SEEN, measured, scene
from markdown import Table, say

from stemdisp.materials import format_indices

JITTERS = (0.0, JITTER_PM, 3.0)
SEEDS = range(1, 4)


def _affine() -> Table:
    rows = []
    for zone in ZONES_SEEN:
        for name, affine in AFFINE.items():
            say(f"distortions: {name}, {format_indices(zone)}")
            kept, taken = (measured(scene(zone, 1, affine=affine, counts=2e4), one) for one in ("none", "affine"))
            errors = ", ".join(f"{value:+.3f}" for value in kept.distortion_error_percent)
            change = taken.check("affine_correction").value
            biases = (f"({one.bias_pm[0]:+.2f}, {one.bias_pm[1]:+.2f})" for one in (kept, taken))
            rows.append((f"[{format_indices(zone)}]", name, errors, *biases, f"{change:.2f}"))
    head = (
        *("zone", "distortion", "x, y, shear: error (%)", "bias of displacements (pm)"),
        *("with correct = affine (pm)", "largest change (pm)"),
    )
    note = (
        "KTaO3, K displaced by (15, -10) pm, 20000 counts, 40 A, disorder of 2 pm. True displacements are those off "
        "the ideal lattice, turned by the rotation in the distortion, which nobody can tell from how the crystal lies."
    )
    return Table("Affine distortion of the scan", head, rows, note)


def _jitter() -> Table:
    rows = []
    for zone in ZONES_SEEN:
        for true in JITTERS:
            say(f"distortions: jitter of {true:g} pm, {format_indices(zone)}")
            found = [measured(scene(zone, seed, jitter_pm=true)).check("row_jitter") for seed in SEEDS]
            below = measured(scene(zone, 1, jitter_pm=true, edge=True)).check("row_jitter")
            values = np.array([one.value for one in found])
            rows.append(
                (
                    f"[{format_indices(zone)}]",
                    f"{true:g}",
                    ", ".join(f"{value:.2f}" for value in values),
                    f"{np.mean([one.std for one in found if one.std is not None]):.2f}",
                    str(sum("below" not in one.sentence for one in found)),
                    f"{below.value:.2f} +- {below.std:.2f}",
                    f"{np.mean([one.displacement_pm for one in found]):.2f}",
                )
            )
    head = (
        *("zone", "jitter (pm)", "found (pm)", "error claimed (pm)", f"seen in {len(SEEDS)}"),
        *("below an edge along the rows (pm)", "a cell keeps (pm)"),
    )
    note = (
        "2000 counts, 400 rows at 0.1 A; at the edge K is displaced by 26 pm, which decays from layer to layer. Where "
        "no jitter is seen, a cell keeps no more than the limit."
    )
    return Table("Jitter of rows", head, rows, note)


def distortions() -> str:
    """Both tables."""
    return f"{_affine()}\n{_jitter()}"
