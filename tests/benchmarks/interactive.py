"""Print what a person waits for who works on an image by hand: ``python tests/benchmarks/interactive.py``.

CPU seconds of a preview of peaks, of a column that was moved, and of the stages after that, and the longest time in
which a running analysis says nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from markdown import Table, say

import stemdisp
from stemdisp.backend import CPU
from stemdisp.model.analysis import Analysis
from stemdisp.model.micrograph import InputFile, Micrograph
from stemdisp.pipeline import STAGES
from stemdisp.positions import retouched
from stemdisp.pulse import listening
from stemdisp.recipe import FindSection
from stemdisp.scene import Dose, Look, Motion, Scene, View
from stemdisp.synthetic import simulate

SIZES = ((2048, 14.0), (4096, 13.0))
"""Side (px) and pixel size (pm): about 22,000 and 75,000 columns."""

DEAR = 0.03
"""CPU seconds above which a stage is named."""


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def watched(image: Micrograph, recipe: stemdisp.Recipe) -> tuple[Analysis, dict[str, float]]:
    """An analysis, and the longest CPU time between two beats in each of its stages."""
    longest, last, stage = dict.fromkeys(STAGES, 0.0), [time.process_time()], list(STAGES)[:1]

    def heard() -> None:
        now = time.process_time()
        longest[stage[0]] = max(longest[stage[0]], now - last[0])
        last[0] = now

    names, done = [*STAGES, "end"], None
    with listening(heard):
        for name, analysis in stemdisp.steps(image, recipe):
            heard()
            stage[0], done = names[names.index(name) + 1], analysis
    assert done is not None
    return done, longest


def one(side: int, pixel: float) -> dict[str, str]:
    """What was measured on an image, under its names."""
    scene = Scene(
        view=View(shape=(side, side), pixel_size_pm=(pixel, pixel)),
        look=Look(tail=0.1),
        motion=Motion(parallel_pm=10, jitter_pm=3),
        dose=Dose(peak_counts=500),
    )
    image = replace(simulate(scene)[0], inputs=(InputFile("a.tif", 1, "a" * 64, "tifffile"),))
    recipe = stemdisp.recipe_for("KTaO3", "1-10")
    analysis, gaps = watched(image, recipe)
    columns = analysis.columns
    assert columns is not None
    preview = stemdisp.Preview(image.signals["HAADF"])
    first = cpu(lambda: preview.peaks(FindSection()))
    separation = cpu(lambda: preview.peaks(FindSection(separation=9.0)))
    threshold = cpu(lambda: preview.peaks(FindSection(separation=9.0, threshold=0.3)))
    away = np.where(columns.of_site("Ta"), np.hypot(*(columns.xy - side / 2).T), np.inf)
    row = int(away.argmin())
    x, y = columns.xy[row] + [0.7, -0.5]
    edited = recipe.model_copy(update={"edits": (stemdisp.entry_for(analysis, "move", row=row, xy=(x, y)),)})
    retouched(analysis, edited, CPU)  # loads what is loaded lazily
    fit = cpu(lambda: retouched(analysis, edited, CPU))
    found = stemdisp.retouch(analysis, edited)
    after = {name: found.seconds[name] for name in list(STAGES)[list(STAGES).index("refine") + 1 :]}
    slowest = max(gaps, key=lambda name: gaps[name])
    named = ", ".join(f"{name} {seconds:.2f}" for name, seconds in after.items() if seconds >= DEAR)
    return {
        "columns": f"{len(columns):,}",
        "preview: first": f"{first:.2f}",
        "preview: another separation": f"{separation:.2f}",
        "preview: another threshold": f"{threshold:.3f}",
        "retouch: fit of a moved column": f"{fit:.2f}",
        "retouch: stages after it": f"{sum(after.values()):.2f} ({named})",
        "whole refine": f"{analysis.seconds['refine']:.1f}",
        "longest time between beats": f"{gaps[slowest]:.2f} ({slowest})",
    }


def interactive() -> Table:
    """CPU seconds on two sizes of image."""
    found = []
    for side, pixel in SIZES:
        say(f"interactive: {side} x {side}")
        found.append(one(side, pixel))
    rows = [(name, *(values[name] for values in found)) for name in found[0]]
    return Table("Working by hand (CPU s)", ("what", *(f"{side} x {side}" for side, _ in SIZES)), rows)


if __name__ == "__main__":
    print(interactive(), flush=True)
