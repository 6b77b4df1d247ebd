"""Print how accurate and how fast stemdisp is, as Markdown: ``python tests/benchmarks/run.py > tables.md``.

Everything is measured here, on this machine, from fixed seeds.  Times are CPU seconds (all threads of the process
added up),
so that a busy machine hardly changes them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

import crystals
import numpy as np
from measure import (
    Known,
    Pairs,
    displacements,
    interface_error,
    invented,
    known,
    layer_means,
    misnumbered,
    missed,
    positions,
    sample_facts,
    sample_image,
    sample_known,
    slope,
    untrustworthy,
)
from scenes import MARGIN_A, ROBUST, SEEDS, TAILS, ZONES, bound_px, family, recipe

import stemdisp
from stemdisp.materials import Zone, format_indices
from stemdisp.model.analysis import Analysis
from stemdisp.scene import Dose, Motion, Scene, Truth, View
from stemdisp.synthetic import simulate

CATIONS = ("K", "Ta")
OTHERS_NOTE = "0.1 A per pixel, the moving site displaced by 0 to 36 pm from image to image, all columns by 3 pm rms."
ZONE_112_NOTE = (
    "K and Ta are 1.15 A apart, source 0.8 A, no noise. Truth = displacement of the column image in ABF; only K moved."
)
MEASURED_NOTE = "No truth is known of these. Where they are from: `sample_data/SOURCES.md`."
SIGNALS = (("HAADF", "ABF"), ("HAADF",), ("ABF",))


def table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]], note: str = "") -> str:
    """A Markdown table under a heading."""
    lines = [f"### {title}", "", f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", note, ""] if note else [*lines, ""])


def say(text: str) -> None:
    """What goes on, for whoever watches; tables alone go to the output."""
    print(text, file=sys.stderr, flush=True)


def _count(found: list[str]) -> str:
    return str(len(found))


def _recall(analysis: Analysis, truth: Known) -> str:
    shares = []
    for site in CATIONS:
        there = int(((truth.site == site) & truth.inside(0.6)).sum())
        shares.append(f"{100 * (1 - len(missed(analysis, truth, (site,))) / there):.3g} %")
    return " / ".join(shares)


def multislice() -> str:
    """The multislice pair, with and without noise, and each of its images alone."""
    rows = []
    for dose, signals in product(("clean", "1e5"), SIGNALS):
        say(f"multislice {dose} {'+'.join(signals)}")
        analysis = stemdisp.analyse(sample_image(f"KTO111_{dose}", *signals), stemdisp.recipe_for("KTaO3", "1-10"))
        truth = sample_known("KTO111", signals[0])
        means, found = layer_means(analysis, truth), slope(displacements(analysis, truth))
        errors = np.array([m.error for m in means])
        worst = means[int(np.abs(errors).max(axis=1).argmax())]
        edge = f"{interface_error(analysis, truth)[0]:+.0f}" if analysis.interface else "none"
        rows.append(
            (
                "none" if dose == "clean" else "1e5 e/A2",
                "+".join(signals),
                _recall(analysis, truth),
                _count(invented(analysis, truth, CATIONS)),
                edge,
                _count(misnumbered(analysis, truth)),
                f"{found.value:.3f} +- {found.std:.3f}",
                f"{np.sqrt((errors**2).mean()):.2f}",
                f"{np.abs(errors).max():.2f} (layer {worst.layer}, sem {worst.sem.max():.2f})",
            )
        )
    head = (
        "noise",
        "images",
        "K / Ta found",
        "false K, Ta",
        "interface off (pm)",
        "cells in a wrong layer",
        "slope",
        "rms of layer means (pm)",
        "worst layer mean (pm)",
    )
    bulk = stemdisp.analyse(sample_image("KTO001", "HAADF"), stemdisp.recipe_for("KTaO3", "001"))
    cells = displacements(bulk, sample_known("KTO001", "HAADF"))
    note = (
        "Multislice of KTaO3 (111) under amorphous LaAlO3 along [1-10], "
        f"{sample_facts()['phonon_configurations']} phonon configurations; truth = centroid of the column image. "
        f"[001] bulk, nothing displaced: mean ({cells.bias[0]:+.2f}, {cells.bias[1]:+.2f}) pm, "
        f"rms {cells.rms:.2f} pm over {len(cells)} cells."
    )
    return table("Multislice images", head, rows, note)


@cache
def _bound(zone: Zone, tail: float, peak_counts: float) -> dict[str, float]:
    scene = family(zone, tail, SEEDS[0], peak_counts)
    truth = simulate(scene)[1]
    facts, bound = known(truth), bound_px(scene, truth)[truth.present] * scene.view.pixel_size_pm
    return {s: float(np.sqrt((bound[(facts.site == s) & facts.inside(MARGIN_A)] ** 2).mean())) for s in CATIONS}


def parametric() -> str:
    """Rms against the Cramer-Rao bound, bias, slope and pulls."""
    rows = []
    for zone, tail, (peak, seeds) in product(ZONES, TAILS, ((500.0, SEEDS), (5000.0, SEEDS[:1]))):
        say(f"parametric {zone} tail {tail:g} {peak:g} counts")
        found: dict[str, list[Pairs]] = {site: [] for site in CATIONS}
        cells: list[Pairs] = []
        for seed in seeds:
            scene = family(zone, tail, seed, peak)
            image, truth = simulate(scene)
            analysis, facts = stemdisp.analyse(image, recipe(scene)), known(truth)
            cells.append(displacements(analysis, facts, MARGIN_A))
            for site in CATIONS:
                found[site].append(positions(analysis, facts, site, MARGIN_A))
        steep = slope(_together(cells))
        for site in CATIONS:
            pairs, bound = _together(found[site]), _bound(zone, tail, peak)[site]
            numbers = (f"{pairs.rms:.3f}", f"{bound:.3f}", f"{pairs.rms / bound:.2f}", f"{np.hypot(*pairs.bias):.2f}")
            more = (f"{pairs.pull_variance:.2f}", f"{steep.value:.3f} +- {steep.std:.3f}" if site == "K" else "")
            rows.append((f"[{format_indices(zone)}]", f"{tail:g}", f"{peak:g}", site, str(len(pairs)), *numbers, *more))
    head = (
        "zone",
        "tail",
        "counts",
        "site",
        "n",
        "rms (pm)",
        "bound (pm)",
        "rms / bound",
        "bias (pm)",
        "pull variance",
        "slope",
    )
    note = (
        "0.1 A per pixel, columns displaced by 3 pm rms; bound = Cramer-Rao for the model that made the image, "
        "with the parameters that are fitted. Slope of measured against true displacement of K."
    )
    return table("Parametric images", head, rows, note)


def _together(parts: list[Pairs]) -> Pairs:
    joined = parts[0]
    for part in parts[1:]:
        joined = joined.joined(part)
    return joined


def others() -> str:
    """Other crystals, a zone that HAADF does not resolve, and measured images."""
    say("other crystals")
    parts = [table("Other crystals, parametric", *crystals.parametric_rows(), OTHERS_NOTE)]
    say("multislice along [11-2]")
    parts.append(table("KTaO3 along [11-2], multislice", *crystals.zone_112_rows(), ZONE_112_NOTE))
    say("measured images")
    parts.append(table("Measured images", *crystals.measured_rows(), MEASURED_NOTE))
    return "\n".join(parts)


def robustness() -> str:
    """Worst layer mean of every image that must not disturb any."""
    rows = []
    for name, scene in ROBUST.items():
        say(f"robustness: {name}")
        image, truth = simulate(scene)
        analysis, facts = stemdisp.analyse(image, recipe(scene)), known(truth)
        if analysis.interface is None:
            rows.append((name, "no interface", "", "", "", ""))
            continue
        means = layer_means(analysis, facts)
        errors = np.abs([m.error for m in means])
        layer = means[int(errors.max(axis=1).argmax())].layer
        sem = max(m.sem.max() for m in means)
        wrong = _count(misnumbered(analysis, facts))
        rows.append((name, f"{errors.max():.2f}", str(layer), f"{sem:.2f}", wrong, str(untrustworthy(analysis))))
    head = (
        "image",
        "worst layer mean (pm)",
        "layer",
        "largest scatter sem (pm)",
        "cells in a wrong layer",
        "columns in doubt",
    )
    return table("What must not matter", head, rows, "1e5 counts; edge in vacuum unless a cap is named.")


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _cpu_of(*arguments: str) -> float:
    """Smallest CPU time of three fresh interpreters with these arguments."""
    root = Path(__file__).parents[2]
    took = []
    for _ in range(3):
        began = _children()
        environment = {**os.environ, "PYTHONPATH": str(root)}
        subprocess.run([sys.executable, *arguments], check=True, cwd=root, env=environment, stdout=subprocess.DEVNULL)
        took.append(_children() - began)
    return min(took)


def _atomap(image: stemdisp.Micrograph, truth: Truth) -> tuple[float, dict[str, float]]:
    """Columns per CPU second and rms in pm per site of Atomap's documented chain for two sublattices, from the ideal
    lattice:
    2-D Gaussians on the brightest columns, those taken off the image, 2-D Gaussians on the others."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        import atomap.api as am
        from atomap.tools import remove_atoms_from_image_using_2d_gaussian

        facts, rms, fitted = known(truth), {}, 0
        pixels = np.asarray(image.signals["HAADF"].image, dtype=float)
        assert image.pixel_size is not None
        began = time.process_time()
        for site in ("Ta", "K"):
            rows = np.flatnonzero(truth.site == site)
            sublattice = am.Sublattice(truth.ideal_xy[rows].tolist(), image=pixels)
            sublattice.find_nearest_neighbors()
            sublattice.refine_atom_positions_using_2d_gaussian(percent_to_nn=0.4, show_progressbar=False)
            if site == "Ta":
                pixels = remove_atoms_from_image_using_2d_gaussian(pixels, sublattice, show_progressbar=False)
            error = ((np.array(sublattice.atom_positions) - truth.xy[rows]) * image.pixel_size.xy_pm)[
                facts.inside(MARGIN_A)[rows]
            ]
            rms[site] = float(np.sqrt((error**2).mean()))
            fitted += len(rows)
    logging.disable(logging.NOTSET)
    return fitted / (time.process_time() - began), rms


def speed() -> str:
    """Import, an image of 1024 x 1024 from end to end, and Atomap on the same columns of a small one."""
    say("speed: imports")
    bare, imported = _cpu_of("-c", "pass"), _cpu_of("-c", "import stemdisp")
    rows = [("`import stemdisp`", f"{imported:.2f} CPU s ({bare:.2f} of it Python's own)")]
    rows.append(("`stemdisp --help`", f"{_cpu_of('-m', 'stemdisp.cli', '--help'):.2f} CPU s"))
    scene = Scene(view=View(shape=(1024, 1024)), dose=Dose(peak_counts=500), motion=Motion(jitter_pm=3.0))
    image, _ = simulate(scene)
    say("speed: 1024 x 1024")
    stemdisp.analyse(simulate(replace(scene, view=View()))[0], recipe(scene))  # loads what is loaded lazily
    began = time.process_time()
    analysis = stemdisp.analyse(image, recipe(scene))
    took = time.process_time() - began
    assert analysis.columns is not None
    n = len(analysis.columns)
    rows.append((f"1024 x 1024, {n} columns, all steps", f"{took:.1f} CPU s, {n / took:.0f} columns per CPU s"))
    shown = [name for name, seconds in analysis.seconds.items() if seconds >= 0.01]
    rows += [(f"of this: {name}", f"{analysis.seconds[name]:.2f} CPU s") for name in shown]
    say("speed: Atomap")
    small = replace(scene, view=View(shape=(256, 256)))
    image, truth = simulate(small)
    facts = known(truth)
    ours = stemdisp.analyse(image, recipe(small))
    rate, theirs = _atomap(image, truth)
    refined = n / analysis.seconds["refine"]
    rows.append(("fit alone", f"{refined:.0f} columns per CPU s"))
    rows.append(
        (
            "Atomap: Ta, subtract, K",
            f"{rate:.0f} columns per CPU s; our fit alone is {refined / rate:.0f} times as fast",
        )
    )
    for site in CATIONS:
        mine = positions(ours, facts, site, MARGIN_A).rms
        rows.append((f"rms of {site}, 256 x 256, 500 counts", f"{mine:.2f} pm; Atomap {theirs[site]:.2f} pm"))
    return table("Speed", ("what", "measured"), rows, f"One process on {os.cpu_count()} shared cores, no GPU.")


def main() -> None:
    """All tables."""
    warnings.simplefilter("ignore")
    began = time.process_time()
    for part in (multislice, parametric, others, robustness, speed):
        print(part(), flush=True)
    say(f"{time.process_time() - began:.0f} CPU s in all")


if __name__ == "__main__":
    main()
