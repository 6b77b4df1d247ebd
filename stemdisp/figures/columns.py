"""Every column on the image, by site."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.patheffects import withStroke

from ..model.columns import Columns
from ..model.micrograph import Micrograph
from .image import draw_image
from .scalebar import draw_scalebar
from .style import INK, MANY_MARKS, SITE_COLOURS, SITE_MARKERS, size_in


def marker_area(ax: Axes, columns: Columns, micrograph: Micrograph) -> float:
    """Area in points^2 of markers a quarter as wide as columns are apart: the column stays visible around them."""
    ny, nx = micrograph.shape
    apart_in = size_in(ax)[0] * float(np.sqrt(nx * ny / max(len(columns), 1))) / nx
    return float(np.clip((0.27 * 72 * apart_in) ** 2, 1.2, 24.0))


def draw_columns(
    ax: Axes, micrograph: Micrograph, columns: Columns, *, signal: str | None = None, legend: bool = True
) -> list[PathCollection]:
    """Columns coloured by site on the image; crosses are columns without a usable position of their own.

    Columns that were not assigned to a site are left out. Returns one artist per site, then the crosses.
    """
    draw_image(ax, micrograph, signal=signal)
    draw_scalebar(ax, micrograph)
    area = marker_area(ax, columns, micrograph)
    rasterized = len(columns) > MANY_MARKS
    usable = columns.usable
    artists = []
    for index, site in enumerate(columns.sites):
        rows = (columns.site == index) & usable
        artists.append(
            ax.scatter(
                columns.xy[rows, 0],
                columns.xy[rows, 1],
                s=area,
                marker=SITE_MARKERS[index % len(SITE_MARKERS)],
                facecolors=SITE_COLOURS[index % len(SITE_COLOURS)],
                edgecolors=INK,
                linewidths=min(0.35, 0.08 * area**0.5),
                label=f"{site} ({int(rows.sum())})",
                rasterized=rasterized,
            )
        )
    rest = (columns.site >= 0) & ~usable
    if rest.any():
        label = f"no usable position ({int(rest.sum())})"
        x, y = columns.xy[rest].T
        crosses = ax.scatter(x, y, s=1.6 * area, marker="x", color=INK, linewidths=0.7, label=label)
        crosses.set(path_effects=[withStroke(linewidth=1.9, foreground="white")], rasterized=rasterized)
        artists.append(crosses)
    if legend:
        handles = ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, handletextpad=0.3)
        for handle in handles.legend_handles:
            if isinstance(handle, PathCollection):
                handle.set_sizes([22.0])
    return artists
