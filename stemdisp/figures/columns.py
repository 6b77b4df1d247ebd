"""Every column on the image, by site."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from ..flags import Flag, usable
from ..model.columns import Columns
from ..model.micrograph import Micrograph
from .image import draw_image
from .scalebar import draw_scalebar
from .style import INK, MANY_MARKS, SITE_COLOURS, SITE_MARKERS, size_in

FIXED_OR_WEAK = int(Flag.FIXED_POSITION | Flag.WEAK)
"""A column that is only looked at, not placed, may be as weak as it is."""


def marker_area(ax: Axes, columns: Columns, micrograph: Micrograph) -> float:
    """Area in points^2 of markers a quarter as wide as columns are apart: the column stays visible around them."""
    ny, nx = micrograph.shape
    apart_in = size_in(ax)[0] * float(np.sqrt(nx * ny / max(len(columns), 1))) / nx
    return float(np.clip((0.27 * 72 * apart_in) ** 2, 1.2, 24.0))


def _draw_marks(
    ax: Axes, columns: Columns, rows: NDArray[np.bool_], area: float, *, hollow: bool, index: int
) -> PathCollection:
    """Marks of one site: filled where the position was fitted, hollow where it is the lattice's."""
    colour = SITE_COLOURS[index % len(SITE_COLOURS)]
    thin = min(0.35, 0.08 * area**0.5)
    site, n = columns.sites[index], int(rows.sum())
    return ax.scatter(
        columns.xy[rows, 0],
        columns.xy[rows, 1],
        s=area,
        marker=SITE_MARKERS[index % len(SITE_MARKERS)],
        facecolors="none" if hollow else colour,
        edgecolors=colour if hollow else INK,
        linewidths=2 * thin if hollow else thin,
        label=f"{site}, not fitted ({n})" if hollow else f"{site} ({n})",
        rasterized=len(columns) > MANY_MARKS,
    )


def draw_columns(
    ax: Axes, micrograph: Micrograph, columns: Columns, *, signal: str | None = None, legend: bool = True
) -> list[PathCollection]:
    """Columns coloured by site on the image.

    Hollow marks are columns whose position is the lattice's by choice of the recipe, crosses those without a usable
    position for another reason. Columns that were not assigned to a site are left out. Returns one artist per mark.
    """
    draw_image(ax, micrograph, signal=signal)
    draw_scalebar(ax, micrograph)
    area = marker_area(ax, columns, micrograph)
    fixed = (columns.flags & int(Flag.FIXED_POSITION) != 0) & usable(columns.flags & ~FIXED_OR_WEAK)
    artists = []
    for index in range(len(columns.sites)):
        of_site = columns.site == index
        for rows, hollow in ((of_site & columns.usable, False), (of_site & fixed, True)):
            if rows.any():
                artists.append(_draw_marks(ax, columns, rows, area, hollow=hollow, index=index))
    rest = (columns.site >= 0) & ~columns.usable & ~fixed
    if rest.any():
        label = f"no usable position ({int(rest.sum())})"
        x, y = columns.xy[rest].T
        crosses = ax.scatter(x, y, s=1.6 * area, marker="x", color=INK, linewidths=0.7, label=label)
        crosses.set(path_effects=[withStroke(linewidth=1.9, foreground="white")], rasterized=len(columns) > MANY_MARKS)
        artists.append(crosses)
    if legend and artists:
        handles = ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, handletextpad=0.3)
        for handle in handles.legend_handles:
            if isinstance(handle, PathCollection):
                handle.set_sizes([22.0])
    return artists
