"""One component of a vector field as coloured marks."""

from __future__ import annotations

import numpy as np
from cmcrameri import cm
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from numpy.typing import NDArray

from ..model.fields import VectorField
from ..model.interface import Interface
from ..model.micrograph import Micrograph
from .image import draw_image
from .scalebar import draw_scalebar
from .style import MANY_MARKS
from .vectors import UNITS, cell_spacing_px, draw_interface, long_vector
from .window import Windows, draw_windows

Direction = NDArray[np.float64]

MARK_IN_CELLS = 0.82
"""Diameter of a mark in distances of neighbouring cells."""


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
    draw_image(ax, micrograph, signal=signal, dimmed=True)
    draw_scalebar(ax, micrograph)
    valid = field.valid
    size = np.full(int(valid.sum()), MARK_IN_CELLS * cell_spacing_px(field))
    limit = long_vector(field)
    marks = EllipseCollection(
        size,
        size,
        np.zeros_like(size),
        units="x",
        offsets=field.xy[valid],
        offset_transform=ax.transData,
        array=field.along(direction)[valid],
        cmap=cm.vik,
        clim=(-limit, limit),
        linewidths=0.2,
        edgecolors="#00000066",
        zorder=4,
        rasterized=len(field) > MANY_MARKS,
    )
    ax.add_collection(marks, autolim=False)
    if interface is not None:
        draw_interface(ax, interface, micrograph)
        draw_windows(ax, interface, micrograph, windows)
    bar = ax.figure.colorbar(marks, ax=ax, orientation="horizontal", shrink=0.8, aspect=28, pad=0.03, extend="both")
    bar.set_label(f"{label} ({UNITS[field.unit]})")
    bar.outline.set_linewidth(0.5)
    return marks
