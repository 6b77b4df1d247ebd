"""Write the frozen numbers that test_frozen.py compares with: python tests/regression/make.py

Images are made once and kept (delete one to have it simulated again), so that no random stream of another NumPy can
change them.  Whoever writes the numbers again says so, with the reason and by how much they changed, under "Numbers
change" in CHANGELOG.md.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

import stemdisp
from stemdisp import flags
from stemdisp.model.micrograph import Micrograph, PixelSize, Signal
from stemdisp.motion import Motion
from stemdisp.scene import Dose, Edge, Look, Scene, View

HERE = Path(__file__).parent

PIXEL_PM = 14.0

ALIKE = Scene(
    view=View(shape=(220, 236), pixel_size_pm=(PIXEL_PM, PIXEL_PM)),
    look=Look(tail=0.1, amplitude_scatter=0.02),
    motion=Motion(normal_pm=8.0, parallel_pm=20.0, jitter_pm=2.0),
    dose=Dose(peak_counts=1500, dtype="uint16"),
)
"""What real images have: noise, tails, scatter, an uneven background."""

SCENES = {
    "001": replace(ALIKE, zone=(0, 0, 1), seed=11, edge=Edge(plane=(1, 0, 0), offset_A=7.0)).facing(74.0),
    "1-10": replace(ALIKE, zone=(1, -1, 0), seed=12, edge=Edge(plane=(1, 1, 1), offset_A=7.0)).facing(97.0),
}
"""One small interface per zone."""

HEAD = ("site", "h", "k", "x_px", "y_px", "dx_pm", "dy_pm", "layer", "flags")


def analyse(zone: str) -> stemdisp.Analysis:
    """The analysis of a kept image."""
    image = np.load(HERE / f"image_{zone}.npz")["counts"]
    signals = {"HAADF": Signal("HAADF", image)}
    micrograph = Micrograph(f"frozen {zone}", signals, PixelSize(PIXEL_PM, PIXEL_PM, "file"))
    return stemdisp.analyse(micrograph, stemdisp.recipe_for("KTaO3", zone))


def rows(analysis: stemdisp.Analysis) -> list[tuple[str, ...]]:
    """A line of text for each column; displacement and layer are those of its cell, empty where there is none."""
    columns, cells, field = analysis.columns, analysis.cells, analysis.displacement
    assert columns is not None and cells is not None and field is not None and analysis.interface is not None
    cell_of = np.full(len(columns), -1)
    cell_of[cells.moving] = np.arange(len(cells))
    found = []
    for i in range(len(columns)):
        cell = int(cell_of[i])
        vector = ("", "") if cell < 0 or not field.valid[cell] else tuple(f"{v:.4f}" for v in field.uv[cell])
        layer = "" if cell < 0 else str(analysis.interface.layer[cell])
        name, (h, k) = columns.sites[int(columns.site[i])], columns.hk[i]
        place = (f"{columns.xy[i, 0]:.5f}", f"{columns.xy[i, 1]:.5f}")
        found.append((name, str(h), str(k), *place, *vector, layer, flags.names(int(columns.flags[i]))))
    return found


def main() -> None:
    """Write images that are not there, and all numbers."""
    for zone, scene in SCENES.items():
        image = HERE / f"image_{zone}.npz"
        if not image.exists():
            np.savez_compressed(image, counts=stemdisp.simulate(scene)[0].signals["HAADF"].image)
        with (HERE / f"numbers_{zone}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEAD)
            writer.writerows(rows(analyse(zone)))


if __name__ == "__main__":
    main()
