"""Colours for directions, and the wheel that explains them."""

from __future__ import annotations

import numpy as np
from cmcrameri import cm
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from numpy.typing import NDArray

from .style import INK

Floats = NDArray[np.float64]

NEUTRAL = np.array([0.78, 0.78, 0.78])
"""Grey that the colours of short vectors lean to."""

FAINTEST = 0.55
"""Part of the pure hue that the shortest vector keeps."""

WHEEL_PX = 201
DIRECTIONS = (("0°", 1.0, 0.0), ("90°", 0.0, -1.0), ("180°", -1.0, 0.0), ("−90°", 0.0, 1.0))
"""Labels of the rim and where they stand (x right, y down): angles as seen, as in the tables."""


def direction_colours(uv: Floats, full: float) -> Floats:
    """(N, 4) colours of vectors (N, 2), x right and y down: hue by direction as seen, greyer the shorter.

    The hues are romaO, cyclic, even to the eye and readable with every colour vision (Crameri,
    doi 10.5281/zenodo.1243862); vectors of length ``full`` and longer have the pure hue.
    """
    turns = np.arctan2(-uv[:, 1], uv[:, 0]) / (2 * np.pi) % 1.0
    pure = np.asarray(cm.romaO(turns))
    strength = FAINTEST + (1 - FAINTEST) * np.clip(np.hypot(uv[:, 0], uv[:, 1]) / full, 0, 1)[:, None]
    mixed = strength * pure[:, :3] + (1 - strength) * NEUTRAL
    return np.concatenate([mixed, np.ones((len(uv), 1))], axis=1)


def draw_wheel(ax: Axes, full: float, unit: str) -> list[Artist]:
    """The colour of every direction where it points: a vector to the right has the colour at the wheel's right.

    The rim is a vector of length ``full`` in ``unit``, the inner circle half of it.
    """
    axis = np.linspace(-1, 1, WHEEL_PX)
    right, down = np.meshgrid(axis, axis)
    radius = np.hypot(right, down)
    colours = direction_colours(np.stack([right.ravel(), down.ravel()], axis=1), 1.0).reshape(WHEEL_PX, WHEEL_PX, 4)
    colours[..., 3] = radius <= 1
    artists: list[Artist] = [
        ax.imshow(colours, extent=(-1, 1, 1, -1), interpolation="bilinear"),
        ax.add_patch(Circle((0, 0), 1.0, fill=False, color=INK, lw=0.6)),
        ax.add_patch(Circle((0, 0), 0.5, fill=False, color="white", lw=0.5, ls=(0, (3, 2)))),
    ]
    for label, x, y in DIRECTIONS:
        sides = {1.0: "left", 0.0: "center", -1.0: "right"}
        heights = {1.0: "top", 0.0: "center", -1.0: "bottom"}
        artists.append(ax.text(1.08 * x, 1.08 * y, label, ha=sides[x], va=heights[y], fontsize="x-small"))
    artists.append(ax.set_title(f"rim {full:g} {unit}", fontsize="x-small", loc="center", pad=11))
    ax.set(xlim=(-1.02, 1.02), ylim=(1.02, -1.02), aspect="equal")
    ax.set_axis_off()
    return artists
