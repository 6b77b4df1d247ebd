"""A bar of known length on an image."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from ..model.micrograph import Micrograph

PART_OF_WIDTH = 0.22
"""The bar is the longest round length up to this part of the image's width."""


def round_length(at_most: float) -> float:
    """The largest 1, 2 or 5 times a power of ten that does not exceed ``at_most``.

    >>> round_length(0.37), round_length(7.0)
    (0.2, 5.0)
    """
    power = 10.0 ** math.floor(math.log10(at_most))
    return next(round(step * power, 12) for step in (5.0, 2.0, 1.0) if step * power <= at_most * (1 + 1e-9))


def draw_scalebar(ax: Axes, micrograph: Micrograph) -> AnchoredSizeBar | None:
    """A scale bar in nm in the lower right corner; none where the pixel size is not known."""
    if micrograph.pixel_size is None:
        return None
    ny, nx = micrograph.shape
    pixel_nm = micrograph.pixel_size.x_pm / 1000
    length_nm = round_length(PART_OF_WIDTH * nx * pixel_nm)
    bar = AnchoredSizeBar(
        ax.transData,
        length_nm / pixel_nm,
        f"{length_nm:g} nm",
        loc="lower right",
        pad=0.35,
        borderpad=0.5,
        sep=2,
        size_vertical=0.006 * ny,
        color="#000000",
        fontproperties=FontProperties(size="small"),
    )
    bar.patch.set(facecolor="white", edgecolor="none", alpha=0.85)
    bar.set_zorder(6)
    ax.add_artist(bar)
    return bar
