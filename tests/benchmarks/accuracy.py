"""Print how accurate the default recipe and its alternatives are on both families of truth:
``python tests/benchmarks/accuracy.py``.

Values of the recipe are chosen with ``--choosing`` and judged without it: no jitter, amplitude or count is the same.
The noise-free multislice images exist once; what was chosen on them is judged by the others.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from families import (
    ALTERNATIVES,
    DEEP_LAYER,
    DEFAULT,
    Alternative,
    FamilyResult,
    MultisliceResult,
    Step,
    at_the_step,
    on_cells,
    on_family,
    on_multislice,
    step_image,
    step_rows,
)
from markdown import Table, say
from measure import Known, Pairs
from multislice_family import CHOOSING_SEEDS, JUDGING_SEEDS, SOURCES_A, weights
from peers import atomap_two_sublattices
from scenes import CHOOSING, FAMILIES, JUDGING, MARGIN_A, Family
from scipy.spatial import cKDTree

from stemdisp.errors import StemdispError
from stemdisp.materials import format_indices

SITES = ("Ta", "K", "O")
SHARP_SLOPE = 0.005
"""Slopes whose standard error is larger say too little to choose by."""

TIE = 0.05
"""Numbers that differ by less than this share of the larger one, or by noise, are called equal."""


@dataclass(frozen=True)
class Plan:
    """Which images are measured: the families, of which purpose and size, and the seeds of the multislice noise."""

    families: tuple[Family, ...]
    purpose: int
    whole: bool

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the counting noise of multislice images."""
        return CHOOSING_SEEDS if self.purpose == CHOOSING else JUDGING_SEEDS


def family_table(plan: Plan) -> Table:
    """Every family and site with the default recipe."""
    rows = []
    for family in plan.families:
        say(f"{family}, {family.side_px(whole=plan.whole)} px")
        found = on_family(family, purpose=plan.purpose, whole=plan.whole)
        case = (f"[{format_indices(family.zone)}]", f"{family.tail:g}", f"{family.peak_counts:g}")
        for site in SITES:
            rows.append((*case, f"{family.pixel_pm / 100:g}", site, *_of_site(found, site)))
            say("  " + "  ".join(rows[-1][4:]))
    head = ("zone", "tail", "counts", "A per px", "site", "n", "rms (pm)", "bound (pm)", "rms / bound", "bias (pm)")
    return Table(
        "Parametric family",
        (*head, "pull variance", "slope (K); error per displacement of K (Ta, O)"),
        rows,
        "Every column displaced by 3 pm rms along each axis, K by a further 45 pm in four directions and by none, an"
        " image each; amplitudes scattered by 2 %, peak to background 10 to 1. Bound = Cramer-Rao of the model that"
        " made the image, with what is fitted and, of oxygen, how far it is scattered about its place. Bias = mean"
        " error of all images, the larger component. Slope of measured against true displacement.",
    )


def _of_site(found: FamilyResult, site: str) -> tuple[str, ...]:
    result = found.of_site(site)
    if result is None:
        return ("0", "flagged", "", "", "", "", "")
    steep = found.slope if site == "K" else result.follows
    pulls = result.pairs.pull_variance
    return (
        str(len(result.pairs)),
        f"{result.pairs.rms:.3f}",
        f"{result.bound:.3f}",
        f"{result.ratio:.2f}",
        f"{result.bias:.2f} +- {result.bias_std:.2f}",
        f"{pulls:.2f}" if np.isfinite(pulls) else "held",
        f"{steep.value:.3f} +- {steep.std:.3f}",
    )


def atomap_at_the_step(*, oxygen: bool) -> Step:
    """The step as Atomap's chain for two sublattices sees it, started from the truth."""
    image, truth = step_image(oxygen=oxygen)
    bright, faint = (truth.xy[truth.site == site] for site in ("Ta", "K"))
    tantalum, potassium = atomap_two_sublattices(image.signals["HAADF"].image, bright, faint)
    return _cells_at_the_step(truth, (bright, tantalum), (faint, potassium))


def _cells_at_the_step(truth: Known, tantalum: tuple[np.ndarray, ...], potassium: tuple[np.ndarray, ...]) -> Step:
    """Apparent displacements of K against its four Ta, from the true and the measured positions of both."""
    rows = np.flatnonzero((truth.site == "K") & truth.inside(MARGIN_A) & np.isfinite(truth.cell_pm).all(axis=1))
    _, around = cKDTree(tantalum[0]).query(truth.xy[rows], k=4)
    _, own = cKDTree(potassium[0]).query(truth.xy[rows])
    measured = (potassium[1][own] - tantalum[1][around].mean(axis=1)) @ truth.to_pm
    return step_rows(Pairs(measured, truth.cell_pm[rows], np.ones_like(measured), rows), truth)


def step_table(alternatives: tuple[Alternative, ...]) -> Table:
    """Apparent displacement of each row of K across a step, with and without oxygen."""
    rows, places = [], None
    methods: list[tuple[str, Callable[..., Step]]] = [
        (a.name, lambda a=a, **how: at_the_step(a, **how)) for a in alternatives
    ]
    for name, method in [*methods, ("Atomap: Ta, subtract, K", atomap_at_the_step)]:
        for oxygen in (False, True):
            say(f"step: {name}, {'with' if oxygen else 'without'} oxygen")
            found = method(oxygen=oxygen)
            near = np.abs(found.distance_A) < 13
            places = found.distance_A[near]
            shown = tuple(f"{value:+.2f}" for value in found.apparent_pm[near])
            rows.append((name, "yes" if oxygen else "no", *shown))
    assert places is not None
    head = ("method", "oxygen", *(f"{round(place) + 0:+d} A" if abs(place) > 1 else "at the step" for place in places))
    return Table(
        "A step in intensity",
        head,
        rows,
        "Apparent displacement of K (pm, along the normal) where nothing is displaced: [001], Ta columns of 1 on one"
        " side and of 0.35 on the other (+), K 0.12, Gaussian of 0.45 A with a tail of 12 % and 1.1 A, no noise."
        " Limit 0.3 pm.",
    )


def multislice_table(plan: Plan) -> Table:
    """The multislice family with the default recipe, against both calibrations of the truth."""
    rows = []
    for source in SOURCES_A:
        for seeds in ((), plan.seeds):
            say(f"multislice: source {source:g} A, {'counted' if seeds else 'no noise'}")
            found = {by: on_multislice("KTO111", source, by=by, seeds=seeds) for by in CALIBRATIONS}
            first, least = (found[by] for by in CALIBRATIONS)
            rms = (f"{first.cells.rms:.2f}", f"{least.cells.rms:.2f}", f"{first.tantalum.rms:.2f}")
            rms = (*rms, f"{first.deeper_tantalum.rms:.2f}")
            slopes = tuple(f"{one.slope.value:.3f} +- {one.slope.std:.3f}" for one in (first, least))
            rows.append((f"{source:g} A", "1e5 e/A2" if seeds else "none", *rms, *slopes, f"{first.bulk:.2f}"))
    bulk = [f"{on_multislice('KTO001', source).bulk:.2f} ({source:g} A)" for source in SOURCES_A]
    shares = [f"{source:g} A: {', '.join(f'{by} {_share(source, by)}' for by in CALIBRATIONS)}" for source in SOURCES_A]
    head = ("source", "noise", "K rms (pm)", "K rms, least squares", "Ta rms (pm)", "but the outermost plane", "slope")
    return Table(
        "Multislice family",
        (*head, "slope, least squares", "bulk mean (pm)"),
        rows,
        "KTaO3 (111) along [1-10] under a cap. K against its two Ta; truth = displacement of the column image, of which"
        f" K's share was calibrated by first moments, or by least squares ({'; '.join(shares)}). Bulk mean: layers"
        f" {DEEP_LAYER} and deeper, against the truth, nothing subtracted. Undisplaced bulk along [001], no noise:"
        f" mean {', '.join(bulk)} pm.",
    )


def cell_table(alternatives: tuple[Alternative, ...]) -> Table:
    """Multislice bulk along [1-10], where the displacement of whole columns is known without calibration."""
    rows = []
    for alternative in alternatives:
        for source in SOURCES_A:
            say(f"multislice bulk: {alternative.name}, source {source:g} A")
            found = on_cells(source, alternative)
            shares = [f"{value:.3f}" for value in (*found.whole, *found.alone)]
            rows.append((alternative.name, f"{source:g} A", f"{found.bulk:.2f}", *shares))
    return Table(
        "Multislice bulk along [1-10]",
        ("[refine]", "source", "nothing moved: mean (pm)", "K and O moved: slope x", "y", "K alone: share x", "y"),
        rows,
        "A periodic cell, 8 phonon configurations that are not those of the interface, no noise. K and the O of its"
        " columns moved by 20 pm: the slope is against that, no calibration enters. K alone: the share of its"
        " displacement that the column shows to this fit.",
    )


CALIBRATIONS = ("first moment", "least squares")


def _share(source: float, by: str) -> str:
    found, simulated = weights(source, by)
    return f"{found['x']:.3f}, {found['y']:.3f}" + ("" if simulated == source else f" as of {simulated:g} A")


@dataclass(frozen=True)
class Number:
    """One number of an alternative, the smaller the better, and what is uncertain about it."""

    value: float
    uncertain: float = 0.0

    def beats(self, other: Number) -> bool:
        """Whether it is smaller by more than a tie."""
        tie = max(TIE * max(self.value, other.value), 2 * float(np.hypot(self.uncertain, other.uncertain)), 0.01)
        return self.value < other.value - tie


def numbers(plan: Plan, alternative: Alternative) -> dict[str, Number]:
    """The summary of an alternative: name of the number -> the worst over the images."""
    found: dict[str, Number] = {}
    results = [on_family(f, alternative, plan.purpose, whole=plan.whole) for f in plan.families]
    for site in SITES:
        of_site = [result for r in results if (result := r.of_site(site)) is not None]
        if of_site:
            worst = max(of_site, key=lambda r: r.ratio)
            found[f"{site}: rms / bound"] = Number(worst.ratio, worst.ratio / np.sqrt(4 * len(worst.pairs)))
    cations = [r.of_site(site) for r in results for site in ("Ta", "K")]
    worst = max((r for r in cations if r is not None), key=lambda r: r.bias)
    found["bias (pm)"] = Number(worst.bias, worst.bias_std)
    slopes = [r.slope for r in results if r.slope.std < SHARP_SLOPE]
    if slopes:
        steep = max(slopes, key=lambda s: abs(s.value - 1))
        found["slope off 1"] = Number(abs(steep.value - 1), steep.std)
    found["step (pm)"] = Number(max(abs(at_the_step(alternative, oxygen=oxygen).worst) for oxygen in (False, True)))
    return found | _multislice_numbers(plan, alternative)


def _multislice_numbers(plan: Plan, alternative: Alternative) -> dict[str, Number]:
    found: dict[str, Number] = {}
    clean = {s: on_multislice("KTO111", s, alternative) for s in SOURCES_A}
    by_least = {s: on_multislice("KTO111", s, alternative, by="least squares") for s in SOURCES_A}
    for source in SOURCES_A:
        counted = on_multislice("KTO111", source, alternative, seeds=plan.seeds)
        found[f"K, {source:g} A"] = Number(clean[source].cells.rms)
        found[f"K, {source:g} A, 1e5"] = Number(counted.cells.rms, counted.cells.rms / np.sqrt(4 * len(counted.cells)))
        found[f"Ta, {source:g} A"] = Number(clean[source].tantalum.rms)
    closest = [_off_one(clean[s], by_least[s]) for s in SOURCES_A]
    found["multislice slope off 1"] = max(closest, key=lambda n: n.value)
    cells = [on_cells(s, alternative) for s in SOURCES_A]
    found["whole columns' slope off 1"] = Number(max(abs(share - 1) for cell in cells for share in cell.whole))
    bulk = [*clean.values(), *(on_multislice("KTO001", s, alternative) for s in SOURCES_A), *cells]
    found["bulk mean"] = Number(max(result.bulk for result in bulk))
    return found


def _off_one(first: MultisliceResult, least: MultisliceResult) -> Number:
    """How far the slope is off 1 by the calibration that suits it better: which is true nobody knows."""
    slope = min((first.slope, least.slope), key=lambda s: abs(s.value - 1))
    return Number(abs(slope.value - 1), slope.std)


def comparison_table(plan: Plan, alternatives: tuple[Alternative, ...]) -> Table:
    """One row an alternative, the default first, and in what an alternative beats it."""
    found, failed = {}, []
    for alternative in alternatives:
        say(f"all families: {alternative.name}")
        try:
            found[alternative.name] = numbers(plan, alternative)
        except StemdispError as error:
            if alternative == DEFAULT:
                raise
            failed.append((alternative.name, f"fails: {error}"))
    ours = found[DEFAULT.name]
    head = ("[refine]", *ours, "better than the default in")
    rows = []
    for name, values in found.items():
        shown = [f"{values[key].value:.3f}" if key in values else "flagged" for key in ours]
        better = [key for key in ours if key in values and values[key].beats(ours[key])]
        rows.append((name, *shown, "" if name == DEFAULT.name else ", ".join(better) or "nothing"))
    rows += [(name, *[""] * len(ours), text) for name, text in failed]
    return Table(
        "The default against alternatives",
        head,
        rows,
        "The worst over all images of a kind. K and Ta of the multislice images: rms in pm, by source, without noise or"
        f" at 1e5 e/A2 (seeds {', '.join(map(str, plan.seeds))}); slopes by the calibration that suits better. Better ="
        f" by more than {100 * TIE:.0f} %, two standard deviations and 0.01. Images for judging (seeds from"
        f" {1000 * plan.purpose}); values are chosen on others ({CHOOSING * 1000} and on, noise"
        f" {', '.join(map(str, CHOOSING_SEEDS))}).",
    )


def main() -> None:
    """All tables, or those asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--whole", action="store_true", help="images as large as the standard error of the slope needs")
    parser.add_argument("--choosing", action="store_true", help="images that values may be chosen on")
    parser.add_argument("--quick", action="store_true", help="500 counts and 0.1 A per pixel alone")
    parser.add_argument(
        "--only", nargs="+", choices=("family", "step", "multislice", "cells", "comparison"), help="these tables"
    )
    parser.add_argument("--alternatives", nargs="+", metavar="NAME", help="these alternatives, beside the default")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    began = time.process_time()
    quick = tuple(f for f in FAMILIES if f.peak_counts == 500 and f.pixel_pm == 10)
    plan = Plan(quick if asked.quick else FAMILIES, CHOOSING if asked.choosing else JUDGING, asked.whole)
    for table in tables(plan, asked.only, asked.alternatives):
        print(table, flush=True)
    say(f"{time.process_time() - began:.0f} CPU s in all")


def tables(plan: Plan, only: list[str] | None = None, named: list[str] | None = None) -> list[Table]:
    """The tables in the order of the README; each is measured when it is asked for."""
    alternatives = tuple(a for a in ALTERNATIVES if a == DEFAULT or (a.differs() and (not named or a.name in named)))
    small = Plan(plan.families, plan.purpose, whole=False)
    makers: dict[str, Callable[[], Table]] = {
        "family": lambda: family_table(plan),
        "step": lambda: step_table(alternatives),
        "multislice": lambda: multislice_table(plan),
        "cells": lambda: cell_table((DEFAULT,)),
        "comparison": lambda: comparison_table(small, alternatives),
    }
    return [make() for name, make in makers.items() if not only or name in only]


if __name__ == "__main__":
    main()
