"""Print how accurate and how fast stemdisp is, as Markdown: ``python tests/benchmarks/run.py > tables.md``.

Everything is measured here, on this machine, from fixed seeds.  Times are CPU seconds (all threads of the process
added up),
so that a busy machine hardly changes them.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

import accuracy
import crystals
import distortions
import engine
import ferroelectrics
import interactive
import interfaces
import maps
import multislice_layers_table
import numpy as np
import tifffile
from beside import beside
from layer_statistics import SURE, layered
from markdown import Table, say
from measure import (
    Known,
    displacements,
    interface_error,
    invented,
    known,
    layer_means,
    misnumbered,
    missed,
    sample_facts,
    sample_image,
    sample_known,
    slope,
    untrustworthy,
)
from scenes import FAMILIES, JUDGING, ROBUST, recipe

import stemdisp
from stemdisp.model.analysis import Analysis
from stemdisp.motion import Motion
from stemdisp.scene import Dose, Look, Scene, View
from stemdisp.synthetic import simulate

MEASURED = """
import sys
from stemdisp.cli import main
try:
    main()
finally:
    with open("/proc/self/status", encoding="ascii") as status:
        (line,) = (line for line in status if line.startswith("VmHWM"))
    print(line.split()[1], file=sys.stderr)
"""
"""The program, and at its end the most memory (kB) it had: what the system tells of a child may be its parent's."""

RUN = (sys.executable, "-c", MEASURED, "run", "--material", "KTaO3")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
CATIONS = ("K", "Ta")
OTHERS_NOTE = "0.1 A per pixel, the moving site displaced by 0 to 36 pm from image to image, all columns by 3 pm rms."
ZONE_112_NOTE = (
    "K and Ta are 1.15 A apart, source 0.8 A, no noise. Truth = displacement of the column image in ABF; only K moved."
)
MEASURED_NOTE = "No truth is known of these. Where they are from: `sample_data/SOURCES.md`."
SIGNALS = (("HAADF", "ABF"), ("HAADF",), ("ABF",))


def table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]], note: str = "") -> str:
    """A Markdown table under a heading."""
    return str(Table(title, head, rows, note))


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
    return table("Multislice images, layer by layer", head, rows, note)


def families() -> str:
    """Both families of truth; what alternatives to the default make of all families prints accuracy.py, for an hour."""
    plan = accuracy.Plan(FAMILIES, JUDGING, whole=False)
    return "\n".join(str(one) for one in accuracy.tables(plan, ["family", "step", "multislice", "cells"]))


def engines() -> str:
    """Fits of single columns by every engine, and by Atomap."""
    say("engines")
    return "\n".join(str(one) for one in engine.tables())


LARGE = ((2048, 10.0), (4096, 15.0))
"""Side (px) and pixel size (pm) of large images."""


def large() -> str:
    """Large images from file to tables, each in a process of its own, without figures."""
    rows = []
    for side, pixel in LARGE:
        say(f"{side} x {side}")
        scene = Scene(
            zone=(1, -1, 0),
            view=View(shape=(side, side), pixel_size_pm=(pixel, pixel)),
            look=Look(tail=0.1),
            motion=Motion(uniform_pm=(20.0, 9.0), jitter_pm=2.0),
            dose=Dose(peak_counts=2000),
        )
        image = np.asarray(simulate(scene)[0].signals["HAADF"].image, dtype=np.float32)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "large.tif"
            tifffile.imwrite(file, image)
            command = [*RUN, str(file), "--zone", "1-10", "--pixel-size", f"{pixel:g}", "--no-figures", "--out", folder]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            ended = subprocess.run(command, check=True, env=os.environ | ONE_THREAD, capture_output=True, text=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            summary = json.loads((Path(folder) / "large" / "summary.json").read_text(encoding="utf-8"))
            columns = sum(1 for _ in (Path(folder) / "large" / "columns.csv").open(encoding="utf-8")) - 1
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        memory = int(ended.stderr.split()[-1]) * 1024 / image.nbytes
        refined = summary.get("seconds", {}).get("refine")
        fit = "" if refined is None else f"{refined:.1f}"
        rows.append(
            (f"{side} x {side}, {pixel / 100:g} A per px", f"{columns}", fit, f"{seconds:.1f}", f"{memory:.0f}")
        )
    head = ("image", "columns", "fit (CPU s)", "file to tables (CPU s)", "memory in float32 images")
    return table("Large images along [1-10]", head, rows, "One thread, tails of 10 %, start of the process included.")


def others() -> str:
    """Other crystals, a zone that HAADF does not resolve, and measured images."""
    say("other crystals")
    parts = [table("Other crystals, parametric", *crystals.parametric_rows(), OTHERS_NOTE)]
    say("multislice along [11-2]")
    parts.append(table("KTaO3 along [11-2], multislice", *crystals.zone_112_rows(), ZONE_112_NOTE))
    say("measured images")
    parts.append(table("Measured images", *crystals.measured_rows(), MEASURED_NOTE))
    return "\n".join(parts)


def layers() -> str:
    """What layers say, over many images."""
    rows = []
    for what, images, options in (
        ("HAADF, 1500 counts", 300, {}),
        ("HAADF, 600 counts", 60, {"peak_counts": 600.0}),
        ("HAADF and ABF, 1500 counts", 60, {"signals": ("HAADF", "ABF")}),
    ):
        found = layered(range(1000, 1000 + images), **options)
        length, std, true = found.decay_nm.T
        told = np.isfinite(length)
        right = np.abs(length - true)[told] < np.maximum(0.2 * true, 2 * std)[told]
        poor, full = found.poor[found.truly_poor], found.poor[~found.truly_poor]
        oxygen = "signals" in options
        rows.append(
            (
                what,
                f"{images}",
                f"{found.coverage:.3f}",
                f"{found.found:.3f} of {(found.shift >= SURE).sum()}",
                f"{found.false:.4f} of {(found.shift == 0).sum()}",
                f"{right.mean():.3f} of {told.sum()}",
                f"{poor.mean():.3f} of {len(poor)}" if oxygen else "-",
                f"{full.mean():.4f} of {len(full)}" if oxygen else "-",
            )
        )
    return table(
        "What layers say, against what is true",
        (
            "images",
            "how many",
            "means within one standard error",
            "displaced by 4 standard errors, found",
            "not displaced, called so",
            "decay length within 20 % or two errors",
            "oxygen-poor (20 to 40 % missing), found",
            "not poor, called so",
        ),
        rows,
        "KTaO3 along [1-10], a (111) edge at changing angles against vacuum, K of five layers displaced by 26 pm and "
        "less, every column by 2 pm at random; 0.683 of means should lie within one standard error.",
    )


def multislice_layers() -> str:
    """The same of multislice interfaces."""
    return str(multislice_layers_table.table())


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


def speed() -> str:
    """Import, and an image of 1024 x 1024 from end to end; beside.py has Atomap."""
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
    rows.append(("fit alone", f"{n / analysis.seconds['refine']:.0f} columns per CPU s"))
    return table("Speed", ("what", "measured"), rows, f"One process on {os.cpu_count()} shared cores, no GPU.")


def main() -> None:
    """All tables."""
    warnings.simplefilter("ignore")
    began = time.process_time()
    parts = (families, multislice, layers, multislice_layers, interfaces.interfaces, maps.maps, distortions.distortions)
    parts = (*parts, ferroelectrics.ferroelectrics, others, robustness)
    for part in (beside, *parts, speed, interactive.interactive, engines, large):
        print(part(), flush=True)
    say(f"{time.process_time() - began:.0f} CPU s in all")


if __name__ == "__main__":
    main()
