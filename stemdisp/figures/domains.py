"""Domain walls and vortices on a map: thin lines through the rows that cross a wall, and rings with the sense."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from ..model.domains import Domains, Sense, Vortex, Wall
from ..model.micrograph import Micrograph
from .style import DOMAIN_COLOUR

Floats = NDArray[np.float64]

RING = 0.75
"""Radius of a vortex's ring in distances of neighbouring cells."""

HALF_BAR = 0.6
"""Half of the bar across a wall at its mean position, in the same; a larger standard error is drawn as large as it is.
"""

HEAD = 0.5
"""Size of the ring's arrow head in radii."""


def note(domains: Domains) -> str:
    """What the marks are, with the standard error of each wall's mean position."""
    said = []
    if domains.walls:
        errors = [f"W{n} ±{one.position_std_nm:.2g} nm" for n, one in enumerate(domains.walls, 1)]
        lines = [", ".join(errors[first : first + 2]) for first in range(0, len(errors), 2)]
        said.append("\n".join(["lines W: domain walls,", "bar: mean position", *lines]))
    if domains.vortices:
        said.append("rings: vortices, sense\nand winding number")
    return "\n\n".join(said)


def draw_domains(ax: Axes, micrograph: Micrograph, domains: Domains, spacing_px: float) -> list[Artist]:
    """Every wall and every vortex; ``spacing_px`` is the distance of neighbouring cells, by which marks are sized."""
    size = micrograph.pixel_size
    pixel_pm = np.ones(2) if size is None else size.xy_pm
    artists: list[Artist] = []
    for number, wall in enumerate(domains.walls, 1):
        artists += _draw_wall(ax, wall, f"W{number}", pixel_pm, spacing_px)
    for vortex in domains.vortices:
        artists += _draw_vortex(ax, vortex, pixel_pm / pixel_pm[0], spacing_px)
    return artists


def _line(ax: Axes, points: Floats, width: float) -> Artist:
    """Points (n, 2) px as a line with a white rim, which leaves the axes' limits as they are."""
    (line,) = ax.plot(*points.T, color=DOMAIN_COLOUR, lw=width, scalex=False, scaley=False, zorder=5)
    line.set_path_effects([withStroke(linewidth=width + 1.0, foreground="white")])
    return line


def _label(ax: Axes, place: Floats, text: str) -> Artist:
    style: dict[str, Any] = {"fontsize": "x-small", "color": DOMAIN_COLOUR, "ha": "center", "va": "center"}
    label = ax.text(place[0], place[1], text, **style, fontweight="bold", clip_on=True, zorder=7)
    label.set_path_effects([withStroke(linewidth=1.8, foreground="white")])
    return label


def _draw_wall(ax: Axes, wall: Wall, name: str, pixel_pm: Floats, spacing_px: float) -> list[Artist]:
    across_px = wall.normal / pixel_pm
    half = max(HALF_BAR * spacing_px / float(np.linalg.norm(across_px)), 1000 * wall.position_std_nm) * across_px
    beside = wall.points_px[0] + 1.5 * half
    return [
        _line(ax, wall.points_px, 1.1),
        _line(ax, np.stack([wall.point_px - half, wall.point_px + half]), 1.1),
        _label(ax, beside, name),
    ]


def _draw_vortex(ax: Axes, vortex: Vortex, proportions: Floats, spacing_px: float) -> list[Artist]:
    radius = RING * spacing_px
    strokes = [vortex.xy_px + radius * stroke / proportions for stroke in _strokes(vortex.sense, vortex.charge)]
    place = vortex.xy_px + radius * np.array([0.0, -1.9]) / proportions
    number = f"{vortex.charge:+d}".replace("-", "−")
    return [*(_line(ax, stroke, 0.9) for stroke in strokes), _label(ax, place, number)]


def _strokes(sense: Sense, charge: int) -> list[Floats]:
    """Lines (n, 2) in radii, x right and y down: a ring whose heads point along the vortex's field, and in a ring
    without a sense a cross for an antivortex."""
    angle = np.linspace(0, 2 * np.pi, 49)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    crossed = [np.array([[-0.5, -0.5], [0.5, 0.5]]), np.array([[-0.5, 0.5], [0.5, -0.5]])]
    if sense == "none":
        return [ring, *(crossed if charge < 0 else [])]
    along = {"clockwise": (0.0, 1.0), "counter-clockwise": (0.0, -1.0), "outwards": (1.0, 0.0), "inwards": (-1.0, 0.0)}
    strokes = [ring]
    for side in (1.0, -1.0):
        tip, forwards = side * np.array([1.0, 0.0]), side * np.array(along[sense])
        aside = np.array([-forwards[1], forwards[0]])
        start = tip + HEAD / 2 * forwards
        wings = [start - HEAD * forwards + sign * HEAD * 0.7 * aside for sign in (1, -1)]
        strokes.append(np.array([wings[0], start, wings[1]]))
    return strokes
