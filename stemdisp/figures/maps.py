"""Small maps of what the lattice says beside each other: strain, rotation, brightness, ellipticity, c/a, bonds."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..model.analysis import Analysis
from ..model.fields import VectorField
from ..model.maps import Maps
from .components import Colours, draw_values
from .style import DOUBLE_COLUMN_IN, MANY_MARKS, aspect, draw_small_print, draw_title
from .vectors import cell_spacing_px, round_above

Floats = NDArray[np.float64]

PANELS = (
    ("e_parallel_percent", "strain along the interface (%)"),
    ("e_normal_percent", "strain across the interface (%)"),
    ("exx_percent", "strain along x (%)"),
    ("eyy_percent", "strain along y (%)"),
    ("exy_percent", "shear strain xy (%)"),
    ("rotation_deg", "rotation, counter-clockwise (°)"),
    ("moving_intensity", "intensity of {moving} over bulk"),
    ("reference_intensity", "intensity of {reference} over bulk"),
    ("moving_ellipticity", "ellipticity of {moving} off bulk; bars: long axis"),
    ("reference_ellipticity", "ellipticity of {reference} off bulk; bars: long axis"),
    ("c_over_a", "c/a"),
    ("bond_pm", "bonds to O (pm)"),
)
"""Map -> what stands below its colour bar."""

WITH_INTERFACE, WITHOUT = ("e_parallel_percent", "e_normal_percent"), ("exx_percent", "eyy_percent", "exy_percent")
"""Maps of strain that are drawn where there is an interface, and where there is none."""

SMALLEST = 1e-3
"""Smallest range of colours, in the map's unit: below it nothing differs."""

TICKS = 4
"""Steps of a colour bar at most: more do not fit below a small map."""

BAR_IN_CELLS = 0.75
"""Length of the bar along a column's long axis in distances of neighbouring cells."""

BESIDE = 3
"""Maps in a row."""


def _shown(analysis: Analysis, maps: Maps) -> list[tuple[str, str]]:
    """Maps that have values, and their labels."""
    left_out = WITHOUT if analysis.interface is not None else WITH_INTERFACE
    arrays, cells = maps.arrays(), analysis.cells
    names = {} if cells is None else {"moving": cells.moving_site, "reference": cells.reference_site}
    return [
        (name, label.format(**names))
        for name, label in PANELS
        if name not in left_out and np.isfinite(arrays[name]).any()
    ]


def _colours(name: str, label: str, values: Floats, maps: Maps) -> Colours:
    """The middle colour is zero or the bulk's; what has no zero of its own says so."""
    known = np.isfinite(values)
    middle = 1.0 if name.endswith("intensity") else 0.0
    if name in ("c_over_a", "bond_pm"):
        bulk = known & maps.bulk if (known & maps.bulk).any() else known
        middle = float(np.median(values[bulk]))
        label = f"{label}, bulk {middle:.4g}"
    limit = max(round_above(np.abs(values[known] - middle)), SMALLEST)
    return Colours(label, limit, middle, upper=name.endswith("ellipticity"))


def _draw_axes(ax: Axes, analysis: Analysis, field: VectorField, angle_deg: Floats) -> LineCollection:
    """A bar along the long axis (degrees as seen) in every cell that has one."""
    size = analysis.micrograph.pixel_size
    px_per_pm = np.ones(2) if size is None else 1 / size.xy_pm
    known = np.isfinite(angle_deg) & np.isfinite(field.xy).all(axis=1)
    angle = np.radians(angle_deg[known])
    along = np.column_stack([np.cos(angle), -np.sin(angle)]) * px_per_pm
    along *= (BAR_IN_CELLS / 2 * cell_spacing_px(field) / np.linalg.norm(along, axis=1))[:, None]
    middle = field.xy[known]
    bars = LineCollection(
        list(np.stack([middle - along, middle + along], axis=1)),
        colors="black",
        linewidths=0.7,
        zorder=5,
        rasterized=len(field) > MANY_MARKS,
    )
    ax.add_collection(bars, autolim=False)
    return bars


def compose_maps(analysis: Analysis) -> Figure | None:
    """Maps of strain, rotation, intensities, and of ellipticity, c/a and bonds where they exist.

    Bars show which way columns are elliptical, where that is told.
    """
    maps, field = analysis.maps, analysis.displacement
    shown = [] if maps is None or analysis.cells is None else _shown(analysis, maps)
    if maps is None or field is None or not shown:
        return None
    rows = -(-len(shown) // BESIDE)
    figure = Figure(
        figsize=(DOUBLE_COLUMN_IN, rows * (0.29 * DOUBLE_COLUMN_IN * aspect(analysis.micrograph) + 0.75) + 0.7),
        layout="constrained",
    )
    axes = figure.subplots(rows, BESIDE, squeeze=False, sharex=True, sharey=True).ravel()
    for number, (ax, (name, label)) in enumerate(zip(axes, shown, strict=False)):
        values = maps.arrays()[name]
        colours = _colours(name, label, values, maps)
        marks = draw_values(
            ax,
            analysis.micrograph,
            field,
            values,
            colours,
            interface=analysis.interface,
            signal=analysis.position_signal,
        )
        if name.endswith("ellipticity"):
            _draw_axes(ax, analysis, field, maps.arrays()[f"{name}_deg"])
        if marks.colorbar is not None:
            marks.colorbar.locator = MaxNLocator(TICKS)
        ax.label_outer()
        if number + BESIDE >= len(shown):
            ax.tick_params(labelbottom=True)
            ax.set_xlabel("x (px)")
    for ax in axes[len(shown) :]:
        ax.remove()
    draw_title(figure, "Lattice", analysis.micrograph.name)
    draw_small_print(figure, analysis, *(f"{said}." for said in maps.sentences))
    return figure
