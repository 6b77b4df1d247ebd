"""The polar histogram of directions, and whether they agree."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.projections.polar import PolarAxes
from numpy.typing import NDArray

from ..fitting.directions import coherence
from .style import INK
from .wheel import direction_colours

Floats = NDArray[np.float64]

PETALS = 24
"""Sectors of 15 degrees: a few cells in each of those that count, in a layer or two."""


def draw_rose(ax: PolarAxes, uv: Floats, *, title: str) -> list[Artist]:
    """Directions of vectors (n, 2), x right and y down, as petals whose area is the number of cells.

    Angles are as seen, counter-clockwise from the right, and have the colours of the maps.  The line is the mean
    direction, as long as the directions agree (rim = all alike).
    """
    angle = np.arctan2(-uv[:, 1], uv[:, 0])
    width = 2 * np.pi / PETALS
    # The first petal lies about 0, not beside it.
    number = np.bincount(np.floor(angle / width + 0.5).astype(np.int64) % PETALS, minlength=PETALS)
    middle = width * np.arange(PETALS)
    colours = direction_colours(np.stack([np.cos(middle), -np.sin(middle)], axis=1), 1.0)
    radius = np.sqrt(number / max(int(number.max(initial=0)), 1))
    petals = ax.bar(middle, radius, width=width, color=colours, edgecolor="white", linewidth=0.4, zorder=2)
    drawn: list[Artist] = [*petals]
    agreement, level = coherence(uv)
    if np.isfinite(agreement):
        direction = uv[np.hypot(*uv.T) > 0]
        direction = (direction / np.hypot(*direction.T)[:, None]).mean(axis=0)
        towards = float(np.arctan2(-direction[1], direction[0]))
        line: dict[str, Any] = {"color": INK, "lw": 1.2, "zorder": 3, "solid_capstyle": "round"}
        drawn += ax.plot([towards, towards], [0.0, agreement], **line)
    ax.set_rlim(0, 1)
    ax.set_yticks([])
    ax.set_xticks(np.radians([0, 90, 180, 270]), ["0°", "90°", "180°", "−90°"])
    ax.grid(visible=False)
    ax.spines["polar"].set_linewidth(0.6)
    chance = "p < 0.001" if level < 0.001 else f"p = {level:.2g}"
    told = "" if not np.isfinite(agreement) else f"\ncoherence {agreement:.2f}, {chance}"
    ax.set_title(f"{title}, n = {len(uv)}{told}", loc="center", pad=8)
    return drawn
