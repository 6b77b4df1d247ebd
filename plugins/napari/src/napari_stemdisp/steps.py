"""The steps that a user sees: which stages of the analysis each stands for, what it is set by, and what it says when it
is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stemdisp import Analysis

RIM_PERCENT = 90
"""Percentile of the columns' errors that stands beside their median."""


@dataclass(frozen=True)
class Step:
    """One step: its stages run together.

    sections
        Recipe sections that its form shows.
    number
        What it says of an analysis in which its stages ran.
    hint
        One sentence on what the user does here.
    """

    key: str
    title: str
    stages: tuple[str, ...]
    sections: tuple[str, ...]
    number: Callable[[Analysis], str]
    hint: str


def _image(analysis: Analysis) -> str:
    micrograph = analysis.micrograph
    ny, nx = micrograph.shape
    size = micrograph.pixel_size
    scale = "no pixel size" if size is None else _size(size.x_pm, size.y_pm)
    return f"{' + '.join(micrograph.signals)}, {nx} x {ny} px, {scale}"


def _size(x_pm: float, y_pm: float) -> str:
    return f"{x_pm:.4g} pm" if np.isclose(x_pm, y_pm, rtol=1e-3) else f"{x_pm:.4g} x {y_pm:.4g} pm"


def _find(analysis: Analysis) -> str:
    return "" if analysis.peaks is None else f"{len(analysis.peaks)} peaks"


def _sites(analysis: Analysis) -> str:
    columns = analysis.columns
    if columns is None:
        return ""
    return ", ".join(f"{name} {int(columns.of_site(name).sum())}" for name in columns.sites)


def _refine(analysis: Analysis) -> str:
    """Median error of the moving columns."""
    columns, cells, size = analysis.columns, analysis.cells, analysis.micrograph.pixel_size
    if columns is None or cells is None or not columns.usable[cells.moving].any():
        return "no column could be measured"
    std = columns.xy_std[cells.moving][columns.usable[cells.moving]].max(axis=1)
    std = std[np.isfinite(std)]
    if not len(std):
        return "errors unknown"
    scale, unit = (1.0, "px") if size is None else (size.x_pm, "pm")
    low, high = np.percentile(std, (50, RIM_PERCENT)) * scale
    return f"{cells.moving_site} to {low:.2g} {unit} (90 % better than {high:.2g})"


def _interface(analysis: Analysis) -> str:
    found = analysis.interface
    if found is None:
        return "none"
    layers = np.unique(found.layer[found.layer >= 0])
    plane = "".join(str(i) if i >= 0 else f"{-i}\u0304" for i in found.plane)
    return f"({plane}), {len(layers)} layers, edge to ± {1000 * found.position_std_nm:.1g} pm"


def _displacement(analysis: Analysis) -> str:
    field = analysis.displacement
    if field is None:
        return "in px only: no pixel size" if analysis.micrograph.pixel_size is None else "none"
    if not field.valid.any():
        return "no complete cell"
    return f"{int(field.valid.sum())} cells, median {np.median(field.magnitude[field.valid]):.2g} pm"


def _polarization(analysis: Analysis) -> str:
    profile, field = analysis.profile, analysis.polarization
    if profile is not None and profile.strongest is not None:
        row = profile.strongest
        return (
            f"layer {profile.layer[row]}: {profile.magnitude_pm[row]:.3g} ± {profile.magnitude_sem_pm[row]:.1g} pm, "
            f"{profile.polarization_uC_cm2[row]:.3g} µC/cm²"
        )
    if field is None or not field.valid.any():
        return "none"
    return f"median {np.median(field.magnitude[field.valid]):.2g} µC/cm²"


def _nothing(analysis: Analysis) -> str:
    return ""


STEPS = (
    Step("image", "Image", (), ("material", "image"), _image, "What was opened, and the crystal in it."),
    Step("find", "Find columns", ("find",), ("find",), _find, "Rings follow the sliders; bright columns are enough."),
    Step(
        "sites",
        "Sites and lattice",
        ("basis", "assign"),
        ("basis", "assign"),
        _sites,
        "Every column gets its site and cell. Move, add or delete columns on the layer 'columns'.",
    ),
    Step("refine", "Refine", ("refine", "cells"), ("refine",), _refine, "All columns are fitted together."),
    Step(
        "interface",
        "Interface",
        ("interface",),
        ("interface",),
        _interface,
        "Drag the ends of the line to put the interface elsewhere.",
    ),
    Step(
        "displacement",
        "Displacement",
        ("displacement",),
        ("displacement",),
        _displacement,
        "Moving columns against the centroid of their reference columns.",
    ),
    Step(
        "polarization",
        "Polarization and layers",
        (
            "polarization",
            "dilution",
            "maps",
            "domains",
            "vacancies",
            "layers",
            "decay",
            "headline",
            "external",
            "quality",
        ),
        ("polarization", "layers"),
        _polarization,
        "Click a layer of the profile to see its cells, or a cell to see its fit.",
    ),
    Step("export", "Export", (), (), _nothing, "Tables, figures and report as the command line writes them."),
)
"""All of them, in order."""

DEAR = tuple(stage for step in STEPS if step.key in ("find", "sites", "refine") for stage in step.stages)
"""Stages that run when they are asked for; changes of later ones are followed at once."""

BY_KEY = {step.key: step for step in STEPS}


def step_of(stage: str) -> Step:
    """The step that a stage belongs to."""
    return next(step for step in STEPS if stage in step.stages)
