"""Whole figures of an analysis: panels, titles and small print."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..model.analysis import Analysis
from ..model.external import ExternalProfile
from ..model.interface import Interface
from .columns import draw_columns
from .components import draw_component
from .layers import draw_distance_axis, draw_external, draw_oxygen_contrast, draw_profile
from .polarization import draw_polarization
from .rose import draw_rose
from .style import DOUBLE_COLUMN_IN, aspect, draw_small_print, draw_title, plain
from .vectors import draw_vectors
from .window import NOTE, Windows

MOST_EXTERNAL = 4
"""External profiles that one figure has room for."""


def _figure(width_in: float, height_in: float) -> Figure:
    return Figure(figsize=(width_in, height_in), layout="constrained")


def _map_height_in(analysis: Analysis) -> float:
    """Height of a figure with one map and its explanations beside it."""
    return max(4.9 * aspect(analysis.micrograph), 3.1) + 0.95


def bulk_from(analysis: Analysis) -> int | None:
    """First layer of the region whose mean was subtracted, None where nothing was."""
    field, interface = analysis.displacement, analysis.interface
    if field is None or interface is None:
        return None
    layers = interface.layers_of(field.offset_cells)
    return int(layers[0]) if len(layers) else None


def compose_columns(analysis: Analysis) -> Figure | None:
    """All columns by site, one panel per signal; one in all where there is no image."""
    columns = analysis.columns
    if columns is None or not (columns.site >= 0).any():
        return None
    blank = analysis.micrograph.blank
    signals = list(analysis.micrograph.signals)[: 1 if blank else 2]
    panel_in = 4.9 if len(signals) == 1 else (DOUBLE_COLUMN_IN - 2.0) / 2
    figure = _figure(
        6.6 if len(signals) == 1 else DOUBLE_COLUMN_IN, max(panel_in * aspect(analysis.micrograph), 1.0) + 0.95
    )
    axes = figure.subplots(1, len(signals), squeeze=False, sharey=True)[0]
    for ax, signal in zip(axes, signals, strict=True):
        # where a signal shows the column, but what became of it in the end: a site may be measured in the other signal
        shown = columns if blank else analysis.by_signal.get(signal, columns).replace(flags=columns.flags)
        draw_columns(ax, analysis.micrograph, shown, signal=signal, legend=ax is axes[-1])
        ax.set_title("" if blank else plain(signal), parse_math=False)
        ax.label_outer()
    draw_title(figure, "Columns by site", analysis.micrograph.name)
    draw_small_print(figure, analysis)
    return figure


def compose_displacement(analysis: Analysis) -> Figure | None:
    """Displacement vectors over the image."""
    if analysis.displacement is None or not analysis.displacement.valid.any():
        return None
    figure = _figure(DOUBLE_COLUMN_IN, _map_height_in(analysis))
    ax = figure.subplots()
    draw_vectors(
        ax,
        analysis.micrograph,
        analysis.displacement,
        interfaces=_interfaces(analysis),
        signal=analysis.position_signal,
        windows=_windows(analysis),
        domains=analysis.domains,
    )
    draw_title(figure, f"Displacement of {_sites(analysis)}", analysis.micrograph.name)
    draw_small_print(figure, analysis, analysis.displacement.assumption)
    return figure


def _interfaces(analysis: Analysis) -> tuple[Interface, ...]:
    """The edge as the crystal on each of its sides has it."""
    return tuple(side.interface for side in analysis.sides)


def _windows(analysis: Analysis) -> tuple[Windows, ...]:
    """The vacancy-rich layers of each side."""
    return tuple(analysis.of_side(number).vacancy_windows_nm for number in range(len(analysis.sides)))


def _sites(analysis: Analysis) -> str:
    cells = analysis.cells
    return f"{cells.moving_site} against {cells.reference_site}" if cells else "cells"


def compose_components(analysis: Analysis) -> Figure | None:
    """Two maps of components: normal and parallel to the interface, or x and y without one."""
    field, interface = analysis.displacement, analysis.interface
    if field is None or not field.valid.any():
        return None
    if interface is not None:
        panels = [(interface.parallel, "parallel to the interface"), (interface.normal, "normal, outwards")]
    else:
        panels = [(np.array([1.0, 0.0]), "x component, right"), (np.array([0.0, 1.0]), "y component, down")]
    figure = _figure(DOUBLE_COLUMN_IN, 0.45 * DOUBLE_COLUMN_IN * aspect(analysis.micrograph) + 1.45)
    axes = figure.subplots(1, 2, sharey=True)
    for ax, (direction, label) in zip(axes, panels, strict=True):
        draw_component(
            ax,
            analysis.micrograph,
            field,
            direction,
            label,
            interface=interface,
            signal=analysis.position_signal,
            windows=analysis.vacancy_windows_nm,
        )
        ax.label_outer()
    draw_title(figure, f"Displacement of {_sites(analysis)}", analysis.micrograph.name)
    bracketed = f"{' '.join(NOTE.split())}." if analysis.vacancy_windows_nm else ""
    draw_small_print(figure, analysis, field.assumption, bracketed)
    return figure


def compose_directions(analysis: Analysis) -> Figure | None:
    """Directions of the displacements: of displaced layers beside those of the reference, or of all cells."""
    field, interface, profile = analysis.displacement, analysis.interface, analysis.profile
    if field is None or not field.valid.any():
        return None
    shown = [("all cells", field.valid)]
    if interface is not None and profile is not None and (profile.significant == 1).any():
        displaced = np.isin(interface.layer, profile.layer[profile.significant == 1])
        shown = [("displaced layers", field.valid & displaced)]
        if field.offset_cells.any():
            shown.append(("reference", field.valid & field.offset_cells))
        else:
            shown.append(("other layers", field.valid & ~displaced))
    shown = [(name, cells) for name, cells in shown if cells.any()]
    figure = _figure(3.4 * len(shown), 3.9)
    axes = figure.subplots(1, len(shown), squeeze=False, subplot_kw={"projection": "polar"})[0]
    for ax, (name, cells) in zip(axes, shown, strict=True):
        draw_rose(ax, field.uv[cells], title=name)
    draw_title(figure, f"Directions of {_sites(analysis)}", analysis.micrograph.name)
    draw_small_print(figure, analysis, field.assumption)
    return figure


def draw_layers(figure: Figure, analysis: Analysis) -> list[Axes]:
    """Displacement per layer, below it the contrast of oxygen where it was measured, and what was measured elsewhere;
    the axes, uppermost first, none where no layer has a displacement."""
    profile = analysis.profile
    if profile is None or not np.isfinite(profile.parallel_pm).any():
        return []
    first = bulk_from(analysis)
    lower: list[Callable[..., object]] = []
    if np.isfinite(profile.o_contrast).any():
        lower.append(partial(draw_oxygen_contrast, profile=profile))
    lower += [partial(draw_external, external=one, profile=profile) for one in _covering(analysis)[:MOST_EXTERNAL]]
    axes: list[Axes] = list(
        figure.subplots(1 + len(lower), 1, sharex=True, squeeze=False, height_ratios=(2.2, *(1 for _ in lower)))[:, 0]
    )
    draw_profile(axes[0], profile, bulk_from=first, labelled=not lower)
    for ax, draw in zip(axes[1:], lower, strict=True):
        draw(ax, bulk_from=first, labelled=ax is axes[-1])
    draw_distance_axis(axes[0], profile)
    return axes


def _covering(analysis: Analysis) -> list[ExternalProfile]:
    """Profiles measured elsewhere that cover some of the layers."""
    return [one for one in analysis.external if one.covered.any()]


def compose_layers(analysis: Analysis, *, where: str = "") -> Figure | None:
    """What each layer says, as a figure of its own."""
    figure = _figure(DOUBLE_COLUMN_IN, 3.3)
    axes = draw_layers(figure, analysis)
    if not axes:
        return None
    figure.set_figheight(3.3 + 1.1 * (len(axes) - 1))
    draw_title(figure, f"{_sites(analysis)} by layer{where}", analysis.micrograph.name)
    sentences = [analysis.displacement.assumption if analysis.displacement else ""]
    more = len(_covering(analysis)) - MOST_EXTERNAL
    if more > 0:
        sentences.append(f"{more} more external profiles stand in the table of layers.")
    draw_small_print(figure, analysis, *sentences)
    return figure


def compose_layers_beyond(analysis: Analysis) -> Figure | None:
    """The same of the crystal on the other side of the interface."""
    if len(analysis.sides) < 2:
        return None
    return compose_layers(analysis.of_side(1), where=" beyond the interface")


def compose_polarization(analysis: Analysis) -> Figure | None:
    """Polarization vectors over the image, with model and charges."""
    field = analysis.polarization
    if field is None or not field.valid.any():
        return None
    figure = _figure(DOUBLE_COLUMN_IN, _map_height_in(analysis))
    ax = figure.subplots()
    draw_polarization(
        ax,
        analysis.micrograph,
        field,
        interfaces=_interfaces(analysis),
        signal=analysis.position_signal,
        windows=_windows(analysis),
        domains=analysis.domains_of_polarization,
    )
    draw_title(figure, f"Polarization, model {analysis.polarization_model}", analysis.micrograph.name)
    draw_small_print(figure, analysis, field.assumption)
    return figure
