"""Where the crystal is rich in vacancies, on a map: a pale band along the interface and a bracket at the border."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from matplotlib.path import Path
from numpy.typing import NDArray

from ..model.interface import Interface
from ..model.micrograph import Micrograph
from .style import OXYGEN_COLOUR, VACANCY_COLOUR, size_in

Floats = NDArray[np.float64]

Windows = Sequence[tuple[float, float]]
"""Distances (nm) from the interface between which layers are rich in vacancies."""

BRACKET_PT = 2.5
"""Width of the bracket outside of the border in printer's points."""

VEIL = 0.35
"""How much of the image the band covers."""

NOTE = "bars at the border,\npale band: vacancy-rich\nlayers (O contrast)"


def _corners(interface: Interface, micrograph: Micrograph, window: tuple[float, float]) -> Floats:
    """(n, 2) px: a band between two distances from the interface; along a straight one it reaches beyond the image on
    both sides."""
    size = micrograph.pixel_size
    pixel_pm = np.ones(2) if size is None else size.xy_pm
    ny, nx = micrograph.shape
    if not interface.straight:
        upper, lower = (interface.curve - interface.normal * 1000 * depth / pixel_pm for depth in window)
        return np.concatenate([upper, lower[::-1]])
    along = interface.parallel * float(np.hypot(*(np.array([nx, ny]) * pixel_pm)))
    # The point of the interface nearest to the middle of the image.
    middle = (np.array([nx, ny]) / 2 - interface.point) * pixel_pm
    start = interface.point * pixel_pm + interface.parallel * (middle @ interface.parallel)
    outer, inner = (start - interface.normal * 1000 * depth for depth in window)
    return np.array([outer - along, outer + along, inner + along, inner - along]) / pixel_pm


def _border(ax: Axes) -> Path:
    """A frame around the axes, in parts of their width and height."""
    wide, high = (BRACKET_PT / 72 / max(side, 0.1) for side in size_in(ax))
    outer = [(-wide, -high), (1 + wide, -high), (1 + wide, 1 + high), (-wide, 1 + high), (-wide, -high)]
    inner = [(0, 0), (0, 1), (1, 1), (1, 0), (0, 0)]
    codes = [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY]
    return Path([*outer, *inner], codes * 2)


def draw_windows(ax: Axes, interface: Interface, micrograph: Micrograph, windows: Windows) -> list[Artist]:
    """Shade each window on a map, and bracket it where it crosses the border; nothing where there is none."""
    artists: list[Artist] = []
    for window in windows:
        corners = _corners(interface, micrograph, window)
        band = Polygon(corners, fc=VACANCY_COLOUR, ec="none", alpha=VEIL, zorder=2)
        bracket = Polygon(corners, fc=OXYGEN_COLOUR, ec="none", zorder=6)
        for patch in (band, bracket):
            patch.set_in_layout(False)
            ax.add_artist(patch)
        bracket.set_clip_box(None)
        bracket.set_clip_path(_border(ax), ax.transAxes)
        artists += [band, bracket]
    return artists
