"""What each layer says: means with their errors from the interface into the crystal."""

from __future__ import annotations

from textwrap import wrap
from typing import Any, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axes._secondary_axes import SecondaryAxis
from matplotlib.container import ErrorbarContainer
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..model.external import ExternalProfile
from ..model.profile import Profile
from .style import (
    EXTERNAL_COLOUR,
    FAINT,
    INK,
    NORMAL_COLOUR,
    OXYGEN_COLOUR,
    PARALLEL_COLOUR,
    VACANCY_COLOUR,
    plain,
    shorten,
)

BESIDE: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "borderaxespad": 0.0}
"""A legend beside the axes, where it hides no data."""

REFERENCE_COLOUR = "#e9e9e9"

LABEL_CHARACTERS, LEGEND_CHARACTERS, LEGEND_LINE = 16, 70, 34
"""Characters of a foreign label that stand along the axis of a low panel, in a legend, and on one of its lines."""

MOST_POINTS = 60
"""Points of an external profile that can be told apart in one panel."""

Floats = NDArray[np.float64]


def draw_series(
    ax: Axes, layer: Floats, mean: Floats, sem: Floats, *, colour: str, marker: str, label: str
) -> ErrorbarContainer:
    """Means of layers, joined, with bars of their errors."""
    return ax.errorbar(
        layer,
        mean,
        yerr=np.nan_to_num(sem),
        color=colour,
        marker=marker,
        ms=3.5,
        lw=1.0,
        elinewidth=0.9,
        capsize=2.0,
        label=label,
        zorder=4,
    )


def draw_band(ax: Axes, layer: Floats, mean: Floats, sd: Floats, colour: str) -> Artist:
    """The scatter about the means of layers, shaded."""
    return ax.fill_between(layer, mean - sd, mean + sd, color=colour, alpha=0.14, lw=0, zorder=2)


def prepare(ax: Axes, layer: Floats, bulk_from: int | None, *, zero: float | None) -> None:
    """Axis of layers, the line of no change, and the reference region shaded."""
    ax.set_xlim(layer.min() - 0.6, layer.max() + 0.6)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=14, integer=True, min_n_ticks=1))
    if zero is not None:
        ax.axhline(zero, color="black", lw=0.6, zorder=1)
    ax.spines[["right"]].set_visible(False)
    if bulk_from is not None:
        ax.axvspan(bulk_from - 0.5, layer.max() + 0.6, color=REFERENCE_COLOUR, lw=0, zorder=0)


def draw_distance_axis(ax: Axes, profile: Profile) -> SecondaryAxis | None:
    """Distance from the interface on top; none where fewer than two layers have one."""
    line = _distance_line(profile)
    if line is None:
        ax.spines["top"].set_visible(False)
        return None
    start, slope = line
    top = ax.secondary_xaxis("top", functions=(lambda n: start + slope * n, lambda d: (d - start) / slope))
    top.set_xlabel("distance from the interface (nm)")
    return top


def _distance_line(profile: Profile) -> tuple[Any, Any] | None:
    """Distance of layer 0 and of one layer from the next in nm; None where fewer than two layers have one."""
    known = np.isfinite(profile.distance_nm)
    if known.sum() < 2:
        return None
    layer, distance = profile.layer[known].astype(float), profile.distance_nm[known]
    slope = (distance[-1] - distance[0]) / (layer[-1] - layer[0])
    return distance[0] - slope * layer[0], slope


def draw_profile(ax: Axes, profile: Profile, *, bulk_from: int | None = None, labelled: bool = True) -> list[Artist]:
    """Normal and parallel displacement of every layer.

    Bars are the standard error of the mean, bands the scatter of the cells (1 s.d.). ``bulk_from`` is the first layer
    of the reference region, shaded; ``labelled`` writes the axis of layers.
    """
    layer = profile.layer.astype(float)
    prepare(ax, layer, bulk_from, zero=0.0)
    poor = _draw_poor(ax, profile)
    bands = [
        draw_band(ax, layer, profile.parallel_pm, profile.parallel_sd_pm, PARALLEL_COLOUR),
        draw_band(ax, layer, profile.normal_pm, profile.normal_sd_pm, NORMAL_COLOUR),
    ]
    lines = [
        draw_series(
            ax,
            layer,
            profile.parallel_pm,
            profile.parallel_sem_pm,
            colour=PARALLEL_COLOUR,
            marker="o",
            label="parallel to the interface",
        ),
        draw_series(
            ax,
            layer,
            profile.normal_pm,
            profile.normal_sem_pm,
            colour=NORMAL_COLOUR,
            marker="s",
            label="normal to it, outwards",
        ),
    ]
    unsure = _draw_unsure(ax, profile)
    ax.set_ylabel("displacement (pm)")
    if labelled:
        ax.set_xlabel("layer (0 = outermost)")
    ax.legend(handles=[*lines, *unsure, *_explanations(bulk_from is not None), *poor], **BESIDE)
    return [*bands, *(line[0] for line in lines)]


def _draw_poor(ax: Axes, profile: Profile) -> list[Artist]:
    """Shade the layers that are rich in vacancies; the entry of the legend, if there are any."""
    poor = profile.layer[np.nan_to_num(profile.vacancy_rich) > 0]
    for layer in poor:
        ax.axvspan(layer - 0.5, layer + 0.5, color=VACANCY_COLOUR, lw=0, zorder=0)
    return [Patch(color=VACANCY_COLOUR, lw=0, label="vacancy-rich (O contrast)")] if len(poor) else []


def _draw_unsure(ax: Axes, profile: Profile) -> list[Artist]:
    """Hollow marks where the mean vector does not stand above its error."""
    unsure = profile.significant == 0
    hollow: dict[str, Any] = {"s": 9, "facecolors": "white", "linewidths": 0.8, "zorder": 5}
    for mean, colour, marker in (
        (profile.parallel_pm, PARALLEL_COLOUR, "o"),
        (profile.normal_pm, NORMAL_COLOUR, "s"),
    ):
        ax.scatter(profile.layer[unsure], mean[unsure], edgecolors=colour, marker=marker, **hollow)
    if not unsure.any():
        return []
    return [Line2D([], [], color=FAINT, marker="o", mfc="white", ms=3.5, ls="", label="hollow: not significant (5 %)")]


def _explanations(reference: bool) -> list[Artist]:
    """What bars, bands and shading stand for, as entries of the legend."""
    entries: list[Artist] = [
        Line2D([], [], color=FAINT, marker="|", ms=9, ls="", label="bars: standard error of the mean"),
        Patch(color=FAINT, alpha=0.3, lw=0, label="bands: scatter of the cells (1 s.d.)"),
    ]
    return [*entries, Patch(color=REFERENCE_COLOUR, lw=0, label="reference (bulk)")] if reference else entries


def draw_oxygen_contrast(
    ax: Axes, profile: Profile, *, bulk_from: int | None = None, labelled: bool = True
) -> list[Artist]:
    """Contrast of the oxygen columns of every layer relative to bulk: a proxy of vacancies, not an occupancy."""
    layer = profile.layer.astype(float)
    prepare(ax, layer, bulk_from, zero=1.0)
    _draw_poor(ax, profile)
    ax.spines["top"].set_visible(False)
    line = draw_series(
        ax, layer, profile.o_contrast, profile.o_contrast_sem, colour=OXYGEN_COLOUR, marker="^", label="oxygen columns"
    )
    handles: list[Any] = [line]
    poor = np.nan_to_num(profile.vacancy_rich) > 0
    if poor.any():
        ring: dict[str, Any] = {"s": 42, "facecolors": "none", "edgecolors": INK, "linewidths": 0.8, "zorder": 5}
        handles.append(ax.scatter(layer[poor], profile.o_contrast[poor], label="vacancy-rich", **ring))
    ax.legend(handles=handles, **BESIDE)
    ax.set_ylabel("O contrast\n(bulk = 1)")
    if labelled:
        ax.set_xlabel("layer (0 = outermost)")
    return [line[0], *handles[1:]]


def draw_external(
    ax: Axes, external: ExternalProfile, profile: Profile, *, bulk_from: int | None = None, labelled: bool = True
) -> list[Artist]:
    """A profile measured elsewhere, each point at its own distance on the axis of the layers; nothing is drawn where
    layers have no distances."""
    line = _distance_line(profile)
    if line is None or not line[1] > 0:
        return []
    start, slope = line
    prepare(ax, profile.layer.astype(float), bulk_from, zero=None)
    _draw_poor(ax, profile)
    ax.spines["top"].set_visible(False)
    low, high = ax.get_xlim()
    place = (external.distance_nm - start) / slope
    # Also the nearest points beyond both ends, so that the line leaves the panel where it should.
    near = np.arange(np.searchsorted(place, low) - 1, np.searchsorted(place, high) + 1)
    near = near[(near >= 0) & (near < len(place))]
    drawn, known = _draw_measured(ax, place[near], external.value[near], external.error[near])
    ax.margins(y=0.12)
    name, unit = plain(external.name), plain(external.unit)
    lines = [shorten(name, LABEL_CHARACTERS, end=True), f"({shorten(unit, LABEL_CHARACTERS, end=True)})"]
    ax.set_ylabel("\n".join(lines if unit else lines[:1]), parse_math=False)
    shown = "\n".join(wrap(f"{shorten(name, LEGEND_CHARACTERS)}, measured elsewhere", LEGEND_LINE))
    drawn.set_label(shown)
    handles: list[Any] = [drawn]
    if known == "bars":
        handles.append(Line2D([], [], color=FAINT, marker="|", ms=9, ls="", label="bars: its standard error"))
    elif known:
        handles.append(Patch(color=EXTERNAL_COLOUR, alpha=0.2, lw=0, label="band: its standard error"))
    for text in ax.legend(handles=handles, **BESIDE).get_texts():
        text.set_parse_math(False)
    if labelled:
        ax.set_xlabel("layer (0 = outermost)")
    return [drawn]


def _draw_measured(ax: Axes, place: Floats, value: Floats, error: Floats) -> tuple[Line2D, Literal["bars", "band", ""]]:
    """Points with bars, or a line with a band where points would run into each other; and how errors are shown."""
    known = bool((error > 0).any())
    dense = len(place) > MOST_POINTS
    (line,) = ax.plot(place, value, color=EXTERNAL_COLOUR, lw=0.8, marker="" if dense else "D", ms=3.0, zorder=4)
    if not known:
        return line, ""
    sem = np.nan_to_num(error)
    if dense:
        ax.fill_between(place, value - sem, value + sem, color=EXTERNAL_COLOUR, alpha=0.2, lw=0, zorder=3)
        return line, "band"
    ax.errorbar(place, value, yerr=sem, fmt="none", ecolor=EXTERNAL_COLOUR, elinewidth=0.9, capsize=2.0, zorder=4)
    return line, "bars"
