"""Strain across a step, and domain walls and vortices, against what is true."""

from __future__ import annotations

import numpy as np
from domain_scenes import DISPLACED_PM, WIDTH_A, found_in, middle_px, patterned, wall_off_A, without_domains
from markdown import Table, say
from strained import STRAIN_PERCENT, measured, scene

from stemdisp.materials import Zone, format_indices

ZONES_SEEN: tuple[Zone, ...] = ((0, 0, 1), (1, -1, 0))
COUNTS = (500.0, 2000.0, 10000.0)
IMAGES, EMPTY = 10, 40


def _strain() -> Table:
    rows = []
    for zone in ZONES_SEEN:
        for counts in COUNTS:
            say(f"maps: strain, {format_indices(zone)}, {counts:g} counts")
            found = measured(scene(zone, seed=21, counts=counts))
            below, above = (found.beside(above=side) for side in (False, True))
            normal, rotation = found.maps.e_normal_percent, found.maps.rotation_deg
            both = below | above
            rows.append(
                (
                    f"[{format_indices(zone)}]",
                    f"{counts:g}",
                    *(f"{normal[side].mean():+.3f} +- {normal[side].std():.3f}" for side in (below, above)),
                    f"{found.maps.e_parallel_percent[both].mean():+.3f}",
                    f"{rotation[both].mean():+.4f} +- {rotation[both].std():.4f}",
                    f"{found.pull_variance():.2f}",
                )
            )
    head = ("zone", "counts", "strain below (%)", "above (%)", "along the step (%)", "rotation (°)", "pull variance")
    note = (
        f"KTaO3, layers beyond the middle {STRAIN_PERCENT:g} % farther apart and relative to the bulk below; mean and "
        "scatter of single cells more than 6 A from the step. True are 0, 1, 0 and 0."
    )
    return Table("A step in strain", head, rows, note)


def _domains() -> Table:
    rows = []
    for material, amount in DISPLACED_PM.items():
        say(f"maps: walls and vortices in {material}")
        walls, widths, vortices, false = [], [], [], 0
        for seed in range(30, 30 + IMAGES):
            shown = patterned(material, "wall", seed)
            found, _, _ = found_in(shown)
            false += len(found.vortices) + max(len(found.walls) - 1, 0)
            walls += [wall_off_A(shown, one.points_px) for one in found.walls[:1]]
            widths += [10 * one.width_nm for one in found.walls[:1]]
            shown = patterned(material, "vortex", seed)
            found, _, truth = found_in(shown)
            false += len(found.walls) + max(len(found.vortices) - 1, 0)
            vortices += [(one.xy_px - middle_px(shown)) @ truth.to_pm / 100 for one in found.vortices[:1]]
        off, place = np.concatenate(walls), np.array(vortices)
        rows.append(
            (
                f"{material}, {amount:g} pm",
                f"{len(walls)} of {IMAGES}",
                f"{np.sqrt((off**2).mean()):.2f}",
                f"{np.abs(off).max():.2f}",
                f"{np.mean(widths):.2f} +- {np.std(widths):.2f}",
                f"{len(vortices)} of {IMAGES}",
                f"{np.sqrt((place**2).sum(axis=1).mean()):.2f}",
                str(false),
            )
        )
    say("maps: neither")
    claimed = sum(bool(found.walls or found.vortices) for found, _, _ in map(found_in, without_domains(EMPTY)))
    head = (
        *("displaced by", "walls found", "rms of rows (A)", "worst row (A)", "width (A)"),
        *("vortices found", "rms of centres (A)", "false ones beside"),
    )
    note = (
        f"7 nm along [001], 2000 counts, 1 pm of disorder, true width {WIDTH_A:g} A. One was claimed in {claimed} of "
        f"{EMPTY} images that are displaced as one or not at all, with up to 6 pm of disorder and 100 to 5000 counts."
    )
    return Table("Domain walls and vortices", head, rows, note)


def maps() -> str:
    """Both tables."""
    return f"{_strain()}\n{_domains()}"
