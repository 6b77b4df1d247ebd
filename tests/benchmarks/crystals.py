"""Tables on crystals other than KTaO3 (111), and on measured images: rows as text, for ``run.py``."""

from __future__ import annotations

from itertools import product

import numpy as np
from measure import Pairs, displacements, invented, known, missed, sample_image, sample_known, slope
from measured import NCEM, PAIR, STACK, VELOX, Beside, barium_titanate, same_cells
from scenes import OTHER_CRYSTALS, TAILS, other_crystal, recipe

import stemdisp
from stemdisp.errors import StemdispError
from stemdisp.io.summary import summary
from stemdisp.materials import format_indices
from stemdisp.model.analysis import Analysis
from stemdisp.pipeline import require_pixel_size
from stemdisp.synthetic import simulate

Rows = list[tuple[str, ...]]


def parametric_rows() -> tuple[tuple[str, ...], Rows]:
    """Slope, bias and scatter of other materials."""
    rows = []
    for (name, zone), tail, counts in product(OTHER_CRYSTALS, TAILS, (500.0, 5000.0)):
        wrong, pairs = 0, None
        for scene in other_crystal(name, zone, tail, counts):
            image, truth = simulate(scene)
            analysis, facts = stemdisp.analyse(image, recipe(scene)), known(truth)
            cations = (scene.material.moving, scene.material.reference)
            wrong += len(missed(analysis, facts, cations)) + len(invented(analysis, facts, cations))
            own: Pairs = displacements(analysis, facts)
            pairs = own if pairs is None else pairs.joined(own)
        assert pairs is not None
        steep = slope(pairs)
        case = (name, f"[{format_indices(zone)}]", f"{tail:g}", f"{counts:g}", str(len(pairs)), str(wrong))
        found = (f"{steep.value:.3f} +- {steep.std:.3f}", f"{np.hypot(*pairs.bias):.2f}", f"{pairs.rms:.2f}")
        rows.append((*case, *found, f"{pairs.pull_variance:.2f}"))
    head = (
        "crystal",
        "zone",
        "tail",
        "counts",
        "cells",
        "sites wrong",
        "slope",
        "bias (pm)",
        "rms (pm)",
        "pull variance",
    )
    return head, rows


def zone_112_rows() -> tuple[tuple[str, ...], Rows]:
    """Multislice along [11-2], where HAADF does not resolve K from Ta."""
    rows = []
    for signals in (("HAADF",), ("HAADF", "ABF"), ("ABF",)):
        analysis = stemdisp.analyse(sample_image("KTO112", *signals), stemdisp.recipe_for("KTaO3", "11-2"))
        assert analysis.displacement is not None and analysis.columns is not None
        cells = int(analysis.displacement.valid.sum())
        if not cells:
            rows.append(("+".join(signals), "0", "K flagged UNRESOLVED", "", ""))
            continue
        pairs = displacements(analysis, sample_known("KTO112", "ABF"))
        measured, true = pairs.measured.mean(axis=0), pairs.true.mean(axis=0)
        rows.append(
            (
                "+".join(signals),
                str(cells),
                f"({measured[0]:.1f}, {measured[1]:.1f})",
                f"({true[0]:.1f}, {true[1]:.1f})",
                f"({pairs.bias[0]:+.1f}, {pairs.bias[1]:+.1f})",
            )
        )
    return ("images", "cells with a displacement", "mean (pm)", "truth (pm)", "off by (pm)"), rows


def _mean(analysis: Analysis) -> str:
    mean = summary(analysis)["displacement"]
    (x, y), (dx, dy) = mean["mean_pm"], mean["sem_pm"]
    level = f"{mean['p_value']:.1g}" if mean["p_value"] > 1e-9 else "< 1e-9"
    return f"({x:.2f} +- {dx:.2f}, {y:.2f} +- {dy:.2f}), p {level}"


def _columns(analysis: Analysis) -> str:
    assert analysis.columns is not None
    columns = analysis.columns
    return ", ".join(f"{name} {int((columns.of_site(name) & columns.usable).sum())}" for name in columns.sites)


def _ends(files: Beside) -> str:
    """How an analysis of files that show no such crystal ends."""
    image, wanted = files.read(), stemdisp.recipe_for(files.material, files.zone)
    try:
        require_pixel_size(image, wanted)
        stemdisp.analyse(image, wanted)
    except StemdispError as error:
        return str(error)
    return "analysed"


def measured_rows() -> tuple[tuple[str, ...], Rows]:
    """Measured images; those beside the project only where they are."""
    whole = barium_titanate()
    ny, nx = whole.micrograph.shape
    warning = next(text for text in whole.warnings if "along y a pixel is" in text)
    rows = [("BaTiO3 [001], HAADF, whole", _columns(whole), _mean(whole), warning.split(";")[0])]
    everything = slice(None)
    halves = {
        "left": ((everything, slice(0, nx // 2)), (0, 0)),
        "right": ((everything, slice(nx // 2, None)), (nx // 2, 0)),
        "upper": ((slice(0, ny // 2), everything), (0, 0)),
        "lower": ((slice(ny // 2, None), everything), (0, ny // 2)),
    }
    for name, (part, corner) in halves.items():
        half = barium_titanate(part)
        x, y = same_cells(whole, half, corner).mean(axis=0)
        rows.append((f"its {name} half", _columns(half), _mean(half), f"same cells differ by ({x:+.2f}, {y:+.2f}) pm"))
    for name, files in (("perovskite [1-10], ADF + ABF", PAIR), ("SrTiO3 [1-10], 5 frames of ABF", STACK)):
        if files.paths:
            found = files.analyse()
            drift = found.micrograph.frame_shifts_px
            said = "" if drift is None else f"frames shifted by up to {np.hypot(*drift.T).max():.1f} px, aligned"
            rows.append((name, _columns(found), _mean(found), said))
    for name, files in (("Velox, 4 detectors, 87 nm per px", VELOX), ("NCEM, unit n_m, another crystal", NCEM)):
        if files.paths:
            rows.append((name, "", "", _ends(files)))
    return ("image", "usable columns", "mean displacement (pm), Rayleigh", "said"), rows
