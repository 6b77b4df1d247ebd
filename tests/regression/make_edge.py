"""Freeze what is measured on one small image: ``python tests/regression/make_edge.py`` writes frozen_edge.csv beside
this file.

Run it only when numbers are meant to change, and say so in CHANGELOG.md under "Numbers change".
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import stemdisp
from stemdisp.model.analysis import Analysis
from stemdisp.scene import Dose, Edge, Look, Motion, Scene, View
from stemdisp.synthetic import simulate

FROZEN = Path(__file__).parent / "frozen_edge.csv"
HEAD = ("site", "h", "k", "x_px", "y_px", "dx_pm", "dy_pm")

SCENE = Scene(
    seed=2026,
    view=View(shape=(200, 240), pixel_size_pm=(15.0, 15.0)),
    look=Look(tail=0.08),
    dose=Dose(peak_counts=3000, background_counts=300),
    motion=Motion(normal_pm=9, parallel_pm=24, jitter_pm=2),
    edge=Edge(offset_A=4.0),
).facing(94)

Table = dict[tuple[str, int, int], NDArray[np.float64]]
"""(site, h, k) -> x and y in px, dx and dy in pm (NaN where there is no displacement)."""


def measured(analysis: Analysis) -> Table:
    """The columns of known position, with the displacement of those that have one."""
    columns, cells, field = analysis.columns, analysis.cells, analysis.displacement
    assert columns is not None and cells is not None and field is not None
    moved = np.full((len(columns), 2), np.nan)
    moved[cells.moving] = field.uv
    names = np.array(columns.sites)[columns.site]
    return {
        (str(names[i]), int(columns.hk[i, 0]), int(columns.hk[i, 1])): np.array([*columns.xy[i], *moved[i]])
        for i in np.flatnonzero(columns.usable)
    }


def analyse() -> Table:
    """Simulate, analyse, tabulate."""
    return measured(stemdisp.analyse(simulate(SCENE)[0], stemdisp.recipe_for("KTaO3", "1-10")))


def read() -> Table:
    """The frozen table."""
    with FROZEN.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {(r["site"], int(r["h"]), int(r["k"])): np.array([float(r[name]) for name in HEAD[3:]]) for r in rows}


def write(table: Table) -> None:
    """Freeze a table."""
    with FROZEN.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEAD)
        for (site, h, k), values in table.items():
            writer.writerow([site, h, k, *(f"{value:.5f}" for value in values)])


if __name__ == "__main__":
    write(analyse())
