"""Displacement or polarization as arrows coloured by direction, their error ellipses, and their length as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image, Vectors
from numpy.typing import NDArray
from scipy.spatial import KDTree

from stemdisp import Analysis, Micrograph, VectorField
from stemdisp.figures.vectors import LONG_IN_CELLS, UNITS, cell_spacing_px, long_vector
from stemdisp.figures.wheel import direction_colours
from stemdisp.flags import each_named

from .drawing import at
from .layers import Keeper, give, grid_of, place

Floats = NDArray[np.float64]

FAINT = 0.4
"""Opacity of arrows that do not stand above their error."""

THICK = 0.12
"""Width of an arrow in distances of neighbouring cells."""

AROUND = 24
"""Corners of an error ellipse."""

MOST_ELLIPSES = 4000
"""Ellipses beyond which they are too small to be seen, and slow."""

PER_CELL = 3
"""Pixels of the picture of lengths from one cell to the next."""

REACH = 0.8
"""Distance from a cell, in those of neighbouring cells, up to which the picture of lengths is filled."""


@dataclass(frozen=True)
class Scale:
    """How arrows are drawn: the length ``full`` (in ``unit``) that has the purest colour, and px per unit along x."""

    full: float
    unit: str
    px_per_unit: float


def field_of(analysis: Analysis, what: str) -> VectorField | None:
    """The field that arrows show: displacement or polarization."""
    return analysis.polarization if what == "polarization" else analysis.displacement


def scale_of(field: VectorField, length: float = 1.0) -> Scale:
    """The scale at which long vectors reach the next cell, or ``length`` times that."""
    full = long_vector(field)
    return Scale(full, UNITS[field.unit], length * LONG_IN_CELLS * cell_spacing_px(field) / full)


def _proportions(micrograph: Micrograph) -> Floats:
    size = micrograph.pixel_size
    return np.ones(2) if size is None else size.xy_pm / size.x_pm


def arrow_features(analysis: Analysis, field: VectorField, rows: NDArray[np.intp]) -> dict[str, Any]:
    """What a table beside the arrows says of each."""
    cells, found = analysis.cells, analysis.interface
    assert cells is not None
    unit = field.unit.replace("/", "_")
    features: dict[str, Any] = {
        "cell": rows,
        "h": cells.hk[rows, 0],
        "k": cells.hk[rows, 1],
        f"dx_{unit}": field.uv[rows, 0],
        f"dy_{unit}": field.uv[rows, 1],
        f"dx_std_{unit}": field.std[rows, 0],
        f"dy_std_{unit}": field.std[rows, 1],
        f"magnitude_{unit}": field.magnitude[rows],
        "angle_deg": field.angle_deg[rows],
        "flags": each_named(cells.flags[rows]),
    }
    if found is not None:
        features |= {"layer": found.layer[rows], "distance_nm": found.distance_nm[rows]}
    return features


def draw_arrows(keeper: Keeper, analysis: Analysis, what: str, length: float = 1.0) -> Scale | None:
    """One arrow a cell; returns its scale, None where there is nothing to draw."""
    field = field_of(analysis, what)
    if field is None or not field.valid.any():
        for gone in ("displacement", "errors", "magnitude"):
            keeper.hide(gone)
        return None
    scale = scale_of(field, length)
    rows = np.flatnonzero(field.valid)
    uv_px = field.uv[rows] * scale.px_per_unit / _proportions(analysis.micrograph)
    colours = direction_colours(field.uv[rows], scale.full)
    if len(field.significant) == len(field):
        colours[:, 3] = np.where(field.significant[rows], 1.0, FAINT)

    def make() -> Vectors:
        return Vectors(
            np.zeros((0, 2, 2)), ndim=2, vector_style="arrow", name="displacement", **grid_of(analysis.micrograph)
        )

    def update(layer: Vectors) -> None:
        # Another number of vectors keeps its colours only if they are given after the data and the features.
        place(layer, np.stack([at(field.xy[rows]), at(uv_px)], axis=1))
        layer.features = arrow_features(analysis, field, rows)
        layer.edge_color = colours
        give(layer, edge_width=THICK * cell_spacing_px(field), length=1.0)

    keeper.put("displacement", make, update)
    return scale


def draw_errors(keeper: Keeper, analysis: Analysis, what: str, scale: Scale | None, *, shown: bool) -> None:
    """Ellipses of one standard deviation around the tips of the arrows, on the arrows' scale."""
    field = field_of(analysis, what)
    if field is None or scale is None or not shown:
        return keeper.hide("errors")
    rows = np.flatnonzero(field.valid & np.isfinite(field.cov).all(axis=(1, 2)))[:MOST_ELLIPSES]
    turns = np.linspace(0, 2 * np.pi, AROUND + 1)
    circle = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    size, axes = np.linalg.eigh(field.cov[rows])
    rim = np.einsum("nij,nj,pj->npi", axes, np.sqrt(np.maximum(size, 0)), circle)
    rim = field.xy[rows, None] + (field.uv[rows, None] + rim) * scale.px_per_unit / _proportions(analysis.micrograph)
    start, step = rim[:, :-1].reshape(-1, 2), np.diff(rim, axis=1).reshape(-1, 2)

    def make() -> Vectors:
        grid = grid_of(analysis.micrograph)
        return Vectors(np.zeros((0, 2, 2)), ndim=2, vector_style="line", name="errors (1 std)", **grid)

    def update(layer: Vectors) -> None:
        place(layer, np.stack([at(start), at(step)], axis=1))
        layer.edge_color = "white"
        layer.edge_width = THICK * cell_spacing_px(field) / 3
        layer.visible = True

    keeper.put("errors", make, update)
    return None


def draw_lengths(keeper: Keeper, analysis: Analysis, what: str, scale: Scale | None, *, shown: bool) -> None:
    """Length of the vectors as a picture, each cell's around it."""
    field = field_of(analysis, what)
    if field is None or scale is None or not shown:
        return keeper.hide("magnitude")
    step = max(cell_spacing_px(field) / PER_CELL, 1.0)
    ny, nx = analysis.micrograph.shape
    y, x = np.arange(0, ny, step), np.arange(0, nx, step)
    rows = np.flatnonzero(field.valid)
    pixels = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    away, nearest = (np.asarray(found) for found in KDTree(field.xy[rows]).query(pixels))
    reached = away <= REACH * cell_spacing_px(field)
    lengths = np.where(reached, field.magnitude[rows][nearest], np.nan)
    picture = lengths.astype(np.float32).reshape(len(y), len(x))
    grid = grid_of(analysis.micrograph)

    def make() -> Image:
        return Image(picture, name="magnitude", colormap="magma", blending="translucent", opacity=0.7, **grid)

    def update(layer: Image) -> None:
        layer.data = picture
        layer.contrast_limits = (0.0, scale.full)
        layer.scale = tuple(step * one for one in grid["scale"])
        layer.visible = True

    keeper.put("magnitude", make, update)
    return None
