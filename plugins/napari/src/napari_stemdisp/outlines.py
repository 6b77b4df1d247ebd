"""Lines that a user may drag: the interface, and the region that displacements are counted from."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Shapes
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from stemdisp import Analysis, Micrograph

from .drawing import at
from .layers import Keeper, grid_of

Floats = NDArray[np.float64]

INTERFACE_COLOUR, REGION_COLOUR = "#FF3D81", "#00C2A8"

WIDTH = 0.004
"""Width of a line in parts of the image's width."""

MOST_HANDLES = 12
"""Points of a curved interface that can be dragged."""


def _interface(analysis: Analysis) -> Floats | None:
    """(P, 2) px (x, y) of the interface, thinned to what a hand can drag."""
    found = analysis.interface
    if found is None:
        return None
    curve = found.curve
    if len(curve) <= MOST_HANDLES:
        return curve
    return np.asarray(curve[np.linspace(0, len(curve) - 1, MOST_HANDLES).round().astype(int)])


def _region(analysis: Analysis) -> Floats | None:
    """(P, 2) px (x, y) corners of the region that the reference was measured in."""
    drawn = [one for one in analysis.recipe.regions if analysis.micrograph.was_read_from(one.sha256)]
    if drawn:
        return np.array(drawn[-1].polygon)
    field = analysis.displacement
    if field is None or not field.offset_cells.any():
        return None
    xy = field.xy[field.offset_cells & field.valid]
    try:
        return np.asarray(xy[ConvexHull(xy).vertices])
    except (QhullError, ValueError):
        return None


def _put(
    keeper: Keeper, role: str, micrograph: Micrograph, *, name: str, kind: str, shapes: list[Floats], **style: Any
) -> None:
    """Draw shapes of one kind in place of what is there; nothing where they are there already."""
    # napari keeps no more digits.
    shapes = [shape.astype(np.float32) for shape in shapes]

    def dressed(layer: Shapes) -> Shapes:
        for part, value in style.items():
            setattr(layer, f"current_{part}", value)
        return layer

    def make() -> Shapes:
        return dressed(Shapes(name=name, ndim=2, **grid_of(micrograph)))

    def update(layer: Shapes) -> None:
        if len(layer.data) == len(shapes) and all(map(np.array_equal, layer.data, shapes)):
            return
        layer.data = []
        if shapes:
            layer.add(shapes, shape_type=kind, **style)
        dressed(layer)

    keeper.put(role, make, update)


def draw_interface(keeper: Keeper, analysis: Analysis) -> None:
    """The interface as a line (or chain of points) that can be dragged."""
    points = _interface(analysis)
    _put(
        keeper,
        "interface",
        analysis.micrograph,
        name="interface",
        kind="line" if points is not None and len(points) == 2 else "path",
        shapes=[] if points is None else [at(points)],
        edge_color=INTERFACE_COLOUR,
        edge_width=WIDTH * analysis.micrograph.shape[1],
    )


def draw_region(keeper: Keeper, analysis: Analysis) -> None:
    """The region that the reference was measured in."""
    corners = _region(analysis)
    _put(
        keeper,
        "region",
        analysis.micrograph,
        name="reference region",
        kind="polygon",
        shapes=[] if corners is None else [at(corners)],
        edge_color=REGION_COLOUR,
        face_color="transparent",
        edge_width=WIDTH / 2 * analysis.micrograph.shape[1],
    )


def points_of(layer: Shapes) -> Floats | None:
    """(P, 2) px (x, y) of the last shape that a user left on a layer; None where it is empty."""
    if not len(layer.data):
        return None
    return np.asarray(layer.data[-1], dtype=float)[:, -2:][:, ::-1]
