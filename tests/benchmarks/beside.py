"""What matters most, beside Atomap: ``python tests/benchmarks/beside.py`` prints the table that opens the section.

Atomap starts from the true positions, which nobody has in practice; stemdisp finds its own.
"""

from __future__ import annotations

import sys
import time
import warnings
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from accuracy import atomap_at_the_step
from engine import FOR_ATOMAP, PER_ROW, atomap, best, scene
from families import at_the_step
from markdown import Table, say
from measure import known, layer_means, positions, sample_image, sample_known
from peers import atomap_two_sublattices, load_atomap
from scenes import MARGIN_A, recipe
from scipy.spatial import cKDTree

import stemdisp
from stemdisp.backend import CPU
from stemdisp.fitting.window import fit_columns
from stemdisp.motion import Motion
from stemdisp.scene import Dose, Look, Scene, Truth, View
from stemdisp.synthetic import simulate

LAYERS = (0, 1, 2)
"""Layers below the interface that are shown."""


def _atomap_on(image: stemdisp.Micrograph, truth: Truth) -> tuple[float, dict[str, float]]:
    """Columns per CPU second and rms in pm per site of Atomap's documented chain for two sublattices, from the ideal
    lattice."""
    facts = known(truth)
    rows = {site: np.flatnonzero(truth.site == site) for site in ("Ta", "K")}
    load_atomap()
    began = time.process_time()
    found = atomap_two_sublattices(
        image.signals["HAADF"].image, *(truth.ideal_xy[r] for r in rows.values()), centre_of_mass=False
    )
    took = time.process_time() - began
    rms: dict[str, float] = {}
    for (site, r), xy in zip(rows.items(), found, strict=True):
        error = ((xy - truth.xy[r]) @ truth.to_pm)[facts.inside(MARGIN_A)[r]]
        rms[site] = float(np.sqrt((error**2).mean()))
    return sum(map(len, rows.values())) / took, rms


def _positions() -> list[tuple[str, str, str]]:
    """Error of single columns, of Gaussians and of columns with a tail."""
    rows = []
    for look, words in ((Look(), "Gaussian columns"), (Look(tail=0.1), "columns with tails of 10 %")):
        given = Scene(view=View(shape=(256, 256)), dose=Dose(peak_counts=500), motion=Motion(jitter_pm=3.0), look=look)
        image, truth = simulate(given)
        ours, (_, theirs) = stemdisp.analyse(image, recipe(given)), _atomap_on(image, truth)
        for site in ("Ta", "K"):
            mine = positions(ours, known(truth), site, MARGIN_A).rms
            what = f"rms error of {site}, {words}, 500 counts at the peak of Ta"
            rows.append((what, f"{mine:.2f} pm", f"{theirs[site]:.2f} pm"))
    return rows


def _layers() -> list[tuple[str, str, str]]:
    """Displacement of K along the interface, layer by layer, where it is known from a multislice image."""
    image, truth = sample_image("KTO111_1e5", "HAADF"), sample_known("KTO111", "HAADF")
    ours = layer_means(stemdisp.analyse(image, stemdisp.recipe_for("KTaO3", "1-10")), truth)
    along = np.array([-truth.normal[1], truth.normal[0]])
    bright, faint = (truth.xy[truth.site == site] for site in ("Ta", "K"))
    tantalum, potassium = atomap_two_sublattices(image.signals["HAADF"].image, bright, faint)
    rows = []
    for mean in ours:
        if mean.layer not in LAYERS:
            continue
        inside = (truth.layer == mean.layer) & np.isfinite(truth.cell_pm).all(axis=1) & truth.inside(MARGIN_A)
        here = np.flatnonzero(inside)
        _, own = cKDTree(faint).query(truth.xy[here])
        ideal = truth.xy[here] - truth.cell_pm[here] @ np.linalg.inv(truth.to_pm)
        _, two = cKDTree(bright).query(ideal, k=2)
        found = float(((potassium[own] - tantalum[two].mean(axis=1)) @ truth.to_pm @ along).mean())
        what = f"K in layer {mean.layer} of the multislice image, true {mean.true[1]:+.1f} pm along the interface"
        rows.append((what, f"{mean.measured[1]:+.1f} +- {mean.sem[1]:.1f} pm", f"{found:+.1f} pm"))
    return rows


def _step() -> tuple[str, str, str]:
    """What is seen at an interface at which nothing moves."""
    ours, theirs = at_the_step(oxygen=True).worst, atomap_at_the_step(oxygen=True).worst
    what = "false displacement of K where Ta columns fade to a third from one row to the next"
    return what, f"{ours:+.2f} pm", f"{theirs:+.2f} pm"


def _rates() -> list[tuple[str, str, str]]:
    """Columns per CPU second: single columns, and the chain from starts to positions of all."""
    slow, _, _ = atomap(scene(FOR_ATOMAP))
    whole = scene(PER_ROW)
    image = whole.image.astype(np.float32)
    cpu, _, _ = best(lambda: fit_columns(image, whole.starts, device=replace(CPU, threads=1)))
    given = Scene(view=View(shape=(512, 512)), dose=Dose(peak_counts=500), motion=Motion(jitter_pm=3.0))
    analysis = stemdisp.analyse(simulate(given)[0], recipe(given))
    theirs, _ = _atomap_on(*simulate(replace(given, view=View(shape=(256, 256)))))
    assert analysis.columns is not None
    ours = len(analysis.columns) / analysis.seconds["refine"]
    fast = len(whole.xy) / cpu
    return [
        (
            f"single columns, 15 x 15 px: {fast / slow:,.0f} times as many",
            f"{fast:,.0f} a CPU s",
            f"{slow:,.0f} a CPU s",
        ),
        (
            f"all columns of an image together: {ours / theirs:,.0f} times",
            f"{ours:,.0f} a CPU s",
            f"{theirs:,.0f} a CPU s",
        ),
    ]


def beside() -> str:
    """The table."""
    say("beside Atomap")
    rows = [*_positions(), _step(), *_layers(), *_rates()]
    note = (
        "Atomap by its documented chain for two sublattices (centre of mass, 2-D Gaussians, the bright columns taken"
        " off), started from the true positions; stemdisp finds its own. Of the layers, +- is one standard error."
    )
    return str(
        Table("Beside Atomap", ("what", f"stemdisp {stemdisp.__version__}", f"Atomap {version('atomap')}"), rows, note)
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(beside())
