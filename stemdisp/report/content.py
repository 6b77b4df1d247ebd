"""What stands on the page, as plain values for the template."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..flags import SENTENCES, Flag
from ..io.recipe_toml import to_toml
from ..io.summary import mean_displacement
from ..io.text import one_line
from ..model.analysis import Analysis
from ..model.quality import Check
from .domains import tables_of_domains
from .words import (
    JOIN,
    NOTHING,
    count,
    crystal,
    fixed,
    number,
    overlined,
    p_value,
    paragraph,
    reference_sentence,
    strongest_layer,
    unit_text,
    with_error,
)

LAYERS_SHOWN = 60
"""Rows of the layer table on the page; the rest stands in the table file."""

CAPTIONS = {
    "columns": "Every column where the signal shows it, by site. Hollow marks: only the contrast was fitted, the "
    "position is the lattice's. Crosses: columns without a usable position.",
    "displacement": "Displacement of every cell. Arrows are magnified by the factor stated; their colour is their "
    "direction, as the wheel shows it. Faint arrows do not stand above their error.",
    "components": "The two components of the displacement; white is zero.",
    "layers": "Mean displacement of each layer with its standard error; bands show the scatter of the cells.",
    "layers_beyond": "The same of the crystal on the other side of the interface, with layers counted from there.",
    "directions": "How many cells point where, petals by area; the line is their mean, at the rim if all agree.",
    "polarization": "Polarization under the model and charges named below the map; other models may give another size "
    "and another sign.",
    "maps": "Strain and rotation of the reference lattice and brightness of the columns, cell by cell; white is the "
    "bulk. Errors of single cells stand in the table of cells.",
}
"""File stem of a figure -> what stands below it."""

EXTERNAL = (
    "A profile measured elsewhere is taken at the distances of the layers, linear between its own and never beyond "
    "their ends. It is compared with the layers by Spearman's correlation of ranks; p is the two-sided chance of as "
    "much among layers in random order. Neighbouring layers are alike, so p is too small."
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Picture:
    """A figure inside the page."""

    name: str
    caption: str
    data: str


def pictures(paths: Iterable[Path]) -> list[Picture]:
    """The PNG files among ``paths`` as text, in their order."""
    return [
        Picture(path.stem, CAPTIONS.get(path.stem, path.stem), base64.b64encode(path.read_bytes()).decode("ascii"))
        for path in map(Path, paths)
        if path.suffix.lower() == ".png"
    ]


def subtitle(analysis: Analysis) -> str:
    """Crystal, signals, size and pixel size."""
    micrograph, size = analysis.micrograph, analysis.micrograph.pixel_size
    ny, nx = micrograph.shape
    seen = " + ".join(micrograph.signals)
    parts = [crystal(analysis), f"positions from {seen}, no image" if micrograph.blank else seen, f"{nx} × {ny} px"]
    if size is not None:
        wide, high = nx * size.x_pm / 1000, ny * size.y_pm / 1000
        parts.append(f"{wide:.3g} × {high:.3g} nm")
    if micrograph.frames > 1:
        parts.append(f"mean of {micrograph.frames} frames")
    return " · ".join(parts)


def _calibration(analysis: Analysis) -> list[tuple[str, str]]:
    size, lattice = analysis.micrograph.pixel_size, analysis.lattice
    rows = []
    if size is not None:
        rows.append((f"Pixel size (from {size.origin})", f"{size.x_pm:.5g} × {size.y_pm:.5g} pm"))
    if lattice is not None:
        x, y = lattice.scale_pm
        rows.append(("Pixel size by the lattice", f"{x:.5g} × {y:.5g} pm"))
        rows.append(("Rotation of the cell vector a", f"{fixed(lattice.rotation_deg, 2)}°"))
        rows.append(("Shear of the scan axes", f"{fixed(lattice.shear_deg, 2)}°"))
    return rows


def _precision(analysis: Analysis) -> list[tuple[str, str]]:
    columns, size = analysis.columns, analysis.micrograph.pixel_size
    if columns is None:
        return []
    rows = []
    for site in columns.sites:
        std = columns.xy_std[columns.of_site(site) & columns.usable]
        std = std[np.isfinite(std).all(axis=1)]
        if len(std):
            x, y = np.median(std, axis=0) * (size.xy_pm if size else 1)
            rows.append(
                (f"Median position error of {site}", f"{number(x, 2)}, {number(y, 2)} {'pm' if size else 'px'} (x, y)")
            )
    return rows


def _by_frames(analysis: Analysis) -> list[tuple[str, str]]:
    """What frames that were fitted one by one say of the errors."""
    found = analysis.frame_precision
    if found is None:
        return []
    over = f"between {found.frames} frames over the stated error"
    return [(f"Scatter of {one.name} {over}", with_error(one.ratio, one.ratio_std)) for one in found.repeats]


def key_numbers(analysis: Analysis) -> list[tuple[str, str]]:
    """Names and values with units and errors."""
    rows = _calibration(analysis) + _precision(analysis) + _by_frames(analysis)
    field, edge, profile = analysis.displacement, analysis.interface, analysis.profile
    if field is not None and field.valid.any():
        rows.append(("Median length of the displacements", f"{number(float(np.nanmedian(field.magnitude)))} pm"))
        rows.append(("Median error of a displacement (x, y)", _median_std(field.std[field.valid])))
    mean = mean_displacement(analysis)
    if field is not None and field.offset is None and mean is not None:
        for name, value, error in zip(("right", "down"), mean["mean_pm"], mean["sem_pm"], strict=True):
            rows.append((f"Mean displacement, {name}", with_error(value, error, "pm")))
    if field is not None and field.offset is not None:
        std = (None, None) if field.offset_std is None else field.offset_std
        for name, value, error in zip(("right", "down"), field.offset, std, strict=True):
            rows.append((f"Reference offset subtracted, {name}", with_error(value, error, "pm")))
    if edge is not None:
        rows.append((f"Spacing of the {overlined(edge.plane, '()')} layers", f"{number(edge.spacing_pm, 4)} pm"))
        rows.append(("Error of the interface's position", f"{number(1000 * edge.position_std_nm, 2)} pm"))
    row = strongest_layer(profile)
    if profile is not None and row is not None:
        rows.append(
            (f"Largest mean displacement (layer {profile.layer[row]})", f"{number(profile.magnitude_pm[row])} pm")
        )
        rows.append(("Polarization of that layer", f"{number(profile.polarization_uC_cm2[row])} µC/cm²"))
        for name, which in (("outwards", "normal"), ("parallel to the interface", "parallel")):
            value, sem = (getattr(profile, f"p_{which}{end}_uC_cm2")[row] for end in ("", "_sem"))
            rows.append((f"The same, {name}", with_error(value, sem, "uC/cm2")))
    rows += _models(analysis)
    return [(name, value) for name, value in rows if not value.startswith(NOTHING)]


def _models(analysis: Analysis) -> list[tuple[str, str]]:
    """Polarization by model, along the mean displacement."""
    found = analysis.headline
    if found is None:
        return []
    return [
        (
            f"Polarization of {found.where} along its displacement, {one.model.replace('_', ' ')}",
            with_error(one.along, one.along_std, "uC/cm2"),
        )
        for one in found.estimates
    ]


def _median_std(std: np.ndarray[Any, Any]) -> str:
    x, y = np.median(std, axis=0)
    return f"{number(x, 2)}, {number(y, 2)} pm" if np.isfinite([x, y]).all() else NOTHING


def tables_of_layers(analysis: Analysis) -> list[Row]:
    """A table for each side of the interface: its title, its rows, how many deeper layers are left out."""
    return [
        {
            "title": "Layers beyond the interface" if number else "Layers",
            "rows": layers(analysis.of_side(number)),
            "left_out": max(0, len(side.profile) - LAYERS_SHOWN),
            "oxygen": bool(np.isfinite(side.profile.o_contrast).any()),
        }
        for number, side in enumerate(analysis.sides)
        if side.profile is not None
    ]


def layers(analysis: Analysis) -> list[Row]:
    """One row a layer, as text."""
    profile = analysis.profile
    if profile is None:
        return []
    field, edge = analysis.displacement, analysis.interface
    reference: set[int] = set()
    if field is not None and edge is not None:
        reference = set(edge.layers_of(field.offset_cells).tolist())
    strongest = strongest_layer(profile)
    return [
        {
            "layer": int(profile.layer[i]),
            "distance": fixed(profile.distance_nm[i], 2),
            "n": int(profile.n[i]),
            "normal": with_error(profile.normal_pm[i], profile.normal_sem_pm[i]),
            "parallel": with_error(profile.parallel_pm[i], profile.parallel_sem_pm[i]),
            "magnitude": fixed(profile.magnitude_pm[i], 1),
            "polarization": fixed(profile.polarization_uC_cm2[i], 2),
            "coherence": fixed(profile.coherence[i], 2),
            "p": p_value(profile.p_value[i]),
            "displaced": bool(np.nan_to_num(profile.significant[i]) > 0),
            "shift_p": p_value(profile.shift_p_value[i]),
            "oxygen": with_error(profile.o_contrast[i], profile.o_contrast_sem[i]),
            "poor": bool(np.nan_to_num(profile.vacancy_rich[i]) > 0),
            "reference": int(profile.layer[i]) in reference,
            "strongest": i == strongest,
        }
        for i in range(min(len(profile), LAYERS_SHOWN))
    ]


def _check_value(check: Check) -> str:
    """Value of a check with error and unit; counts without decimals."""
    if check.std is None and float(check.value).is_integer():
        return f"{check.value:.0f}{JOIN}{unit_text(check.unit)}".strip()
    return with_error(check.value, check.std, check.unit)


def checks(analysis: Analysis) -> list[Row]:
    """One row a check of quality."""
    found = analysis.quality.checks if analysis.quality else ()
    return [
        {
            "name": check.name.replace("_", " "),
            "value": _check_value(check),
            "moves": "" if check.displacement_pm is None else number(check.displacement_pm, 2),
            "sentence": check.sentence.replace("+-", "±"),
            "warn": check.warn,
        }
        for check in found
    ]


def flags(analysis: Analysis) -> list[Row]:
    """One row a flag that is set anywhere: its name, its sentence, how many columns and cells carry it."""
    bits = {
        "columns": analysis.columns.flags if analysis.columns else np.zeros(0, dtype=np.int64),
        "cells": analysis.cells.flags if analysis.cells else np.zeros(0, dtype=np.int64),
    }
    rows = [
        {
            "name": flag.name,
            "sentence": SENTENCES[flag],
            **{of: int((b & int(flag) > 0).sum()) for of, b in bits.items()},
        }
        for flag in Flag
    ]
    return [row for row in rows if row["columns"] or row["cells"]]


def content(analysis: Analysis, figures: Iterable[Path], record: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the template names."""
    field = analysis.displacement
    return {
        "name": one_line(analysis.micrograph.name, 200),
        "subtitle": subtitle(analysis),
        "paragraph": paragraph(analysis),
        "warnings": [one_line(sentence, 600).replace("+-", "±") for sentence in analysis.warnings],
        "left_out": [one_line(sentence, 600).replace("+-", "±") for sentence in analysis.left_out],
        "key_numbers": key_numbers(analysis),
        "reference": reference_sentence(analysis),
        "assumptions": [
            one.assumption.replace("+-", "±")
            for one in (field, analysis.polarization)
            if one is not None and one.assumption
        ]
        + [
            one.sentence.replace("+-", "±")
            for one in (analysis.dilution, analysis.vacancies, analysis.frame_precision)
            if one is not None
        ]
        + ([EXTERNAL] if any(one.covered.any() for one in analysis.external) else []),
        "pictures": pictures(figures),
        "domains": tables_of_domains(analysis),
        "tables": tables_of_layers(analysis),
        "checks": checks(analysis),
        "flags": flags(analysis),
        "columns": count(len(analysis.columns), "column") if analysis.columns else "no columns",
        "digest": analysis.recipe.digest(),
        "recipe": to_toml(analysis.recipe),
        "provenance": record,
        "seconds": [(stage, f"{value:.2f}") for stage, value in analysis.seconds.items()],
    }
