"""What layers say of multislice interfaces, against what is true: a row for every case and dose."""

from __future__ import annotations

import numpy as np
from layer_statistics import SURE
from markdown import Table, say
from measure import misnumbered
from multislice_layers import (
    CASES,
    DISPLACED_PM,
    DOSES,
    LARGE_PM,
    POOR,
    SEEDS,
    SEMS,
    analysed,
    facts,
    said,
)

HEAD = (
    "K of layer 0 moved by",
    "dose",
    "cells in a wrong layer",
    "layer means, rms (pm)",
    "worst (pm)",
    "worst in its errors",
    f"within {SEMS:g} errors",
    "K, rms and worst (pm)",
    "K within 10 % or 2 errors",
    "displaced, found",
    "not displaced, called so",
    f"{100 * POOR:.0f} % of O missing and more, named",
    "no O missing, named",
)


def _share(called: np.ndarray, among: np.ndarray) -> str:
    return f"{int((called[among] == 1).sum())} of {int(among.sum())}" if among.any() else "-"


def _row(case: str, dose: float | None) -> tuple[str, ...]:
    found = said(case, dose)
    seeds = SEEDS if dose else (0,)
    wrong = [misnumbered(analysed(case, dose, seed), facts(case).column) for seed in seeds]
    error, judged = np.abs(found.error), found.judged
    row, component = np.unravel_index(int(error.argmax()), error.shape)
    off = (found.atom - found.atom_true)[judged]
    nowhere = np.full(len(found.layer), (np.abs(found.atom_true) < DISPLACED_PM).all())
    return (
        CASES[case],
        f"{dose:.0e} e/A2".replace("e+0", "e") if dose else "infinite",
        f"{sum(map(len, wrong))}",
        f"{np.sqrt((error**2).mean()):.2f}",
        f"{error.max():.2f} ({('out of', 'in')[component]} plane, layer {found.layer[row]})",
        f"{np.abs(found.pull).max():.1f}",
        f"{(np.abs(found.pull) < SEMS).mean():.3f} of {error.size}",
        f"{np.sqrt((off**2).mean()):.2f}, {np.abs(off).max():.2f}" if judged.any() else "-",
        f"{int((found.atom_off[judged] < 1).sum())} of {off.size}" if judged.any() else "-",
        _share(found.significant, found.certain),
        _share(found.significant, nowhere),
        _share(found.rich, found.missing >= POOR),
        _share(found.rich, found.missing == 0),
    )


def rows() -> list[tuple[str, ...]]:
    """One for every case and dose."""
    found = []
    for case in CASES:
        for dose in DOSES:
            say(f"multislice layers: {case}, {dose or 'no noise'}")
            found.append(_row(case, dose))
    return found


def table() -> Table:
    """With what it was measured on."""
    note = (
        "Multislice of KTaO3 (111) under amorphous LaAlO3 along [1-10], HAADF and ABF, source 0.8 A, two opposite "
        f"phonon configurations for each case, {len(SEEDS)} images for each dose. K moves by exp(-n / 3) of what is "
        "named, 0 to 40 % of the oxygen of layers 0 to 3 is missing. Truth = centroid of the column image, against the "
        "same cells that were taken for zero; errors are those stated. K is judged in layers of "
        f"{LARGE_PM:g} pm and more; displaced = by {SURE:g} of the stated errors."
    )
    return Table("Multislice layers", HEAD, rows(), note)
