"""One number a cell as coloured marks: a component of a vector field, or a map of the lattice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from cmcrameri import cm
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.colors import ListedColormap
from numpy.typing import NDArray

from ..model.fields import VectorField
from ..model.interface import Interface
from ..model.micrograph import Micrograph
from .image import draw_image
from .scalebar import draw_scalebar
from .style import MANY_MARKS
from .vectors import UNITS, cell_spacing_px, draw_interface, long_vector
from .window import Windows, draw_windows

Floats = NDArray[np.float64]
Direction = NDArray[np.float64]

MARK_IN_CELLS = 0.82
"""Diameter of a mark in distances of neighbouring cells."""

UPPER = ListedColormap(cm.vik(np.linspace(0.5, 1.0, 128)))
"""From white, as the bulk is in the other maps, to the colour of large values."""


@dataclass(frozen=True)
class Colours:
    """What the colour bar says, the value of its middle colour, and how far from there its ends are; what is never
    below its middle has the upper half alone."""

    label: str
    limit: float
    middle: float = 0.0
    upper: bool = False


def draw_values(
    ax: Axes,
    micrograph: Micrograph,
    field: VectorField,
    values: Floats,
    colours: Colours,
    *,
    interface: Interface | None = None,
    signal: str | None = None,
    windows: Windows = (),
) -> EllipseCollection:
    """One of ``values`` (M,) at every cell of ``field``; cells without one are left out.

    ``windows`` are the vacancy-rich layers: distances (nm) from the interface at which they begin and end.
    """
    draw_image(ax, micrograph, signal=signal, dimmed=True)
    draw_scalebar(ax, micrograph)
    known = np.isfinite(values) & np.isfinite(field.xy).all(axis=1)
    size = np.full(int(known.sum()), MARK_IN_CELLS * cell_spacing_px(field))
    marks = EllipseCollection(
        size,
        size,
        np.zeros_like(size),
        units="x",
        offsets=field.xy[known],
        offset_transform=ax.transData,
        array=values[known],
        cmap=UPPER if colours.upper else cm.vik,
        clim=(colours.middle - (0 if colours.upper else colours.limit), colours.middle + colours.limit),
        linewidths=0.2,
        edgecolors="#00000066",
        zorder=4,
        rasterized=len(field) > MANY_MARKS,
    )
    ax.add_collection(marks, autolim=False)
    if interface is not None:
        draw_interface(ax, interface, micrograph)
        draw_windows(ax, interface, micrograph, windows)
    bar = ax.figure.colorbar(
        marks,
        ax=ax,
        orientation="horizontal",
        shrink=0.8,
        aspect=28,
        pad=0.03,
        extend="max" if colours.upper else "both",
    )
    bar.set_label(colours.label)
    bar.outline.set_linewidth(0.5)
    return marks


def draw_component(
    ax: Axes,
    micrograph: Micrograph,
    field: VectorField,
    direction: Direction,
    label: str,
    *,
    interface: Interface | None = None,
    signal: str | None = None,
    windows: Windows = (),
) -> EllipseCollection:
    """The component of ``field`` along a unit vector (x right, y down) at every cell; zero is the middle colour.

    ``label`` names the component on the colour bar. Cells without a vector are left out. ``windows`` are the
    vacancy-rich layers: distances (nm) from the interface at which they begin and end.
    """
    colours = Colours(f"{label} ({UNITS[field.unit]})", long_vector(field))
    values = field.along(direction)
    return draw_values(ax, micrograph, field, values, colours, interface=interface, signal=signal, windows=windows)
