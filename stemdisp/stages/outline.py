"""Find where the crystal ends inside the frame.

The crystal is segmented on its own grid: cells whose place lies inside the frame and holds no column are outside. A
line (skimage.measure.ransac), or where few columns follow one a smooth curve, is fitted to the columns that face them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from ..fitting.curve import dividing_curve, smooth_curve
from ..model.columns import Columns
from ..model.interface import Edge
from ..model.lattice import Lattice
from ..model.micrograph import PixelSize

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

FEWEST_FACING = 6
"""Columns that must face the outside, and stand on one line, before an edge is called one."""

LARGE_PIECE = 6
"""Empty cells that must hang together to be the outside and not missing columns."""

ON_LINE = 0.75
"""Largest distance from the edge's line, in shortest lattice vectors: a surface step more or less."""

EDGE_SHARE = 0.5
"""Share of the facing columns that must stand on a line."""

CURVE_SHARE, BETTER, STRAIGHT = 0.9, 0.75, 0.15
"""Share of them that must stand on a curve (a corner is none), how far they may be off it in parts of how far they are
off a line, and how far off a line, in parts of what is on it, is straight anyway."""

BESIDE = 2.5
"""Distance from a curve, in parts of what is on it, up to which columns and empty cells place it exactly."""

POINTS = 33
"""Points that a curve is handed on with: an odd number, so that one is its middle."""


def outline(columns: Columns, lattice: Lattice, pixel_size: PixelSize, shape: tuple[int, int]) -> Edge | None:
    """The longest smooth edge along which crystal faces empty cells inside the frame of ``shape`` (ny, nx).

    Returns
    -------
    Edge | None
        Through the outermost columns of the reference site; None where the crystal fills the frame, or ends along no
        smooth line.
    """
    facing, outside = _facing(columns, lattice, shape)
    if len(facing) < FEWEST_FACING:
        return None
    seen = _Seen(
        facing=columns.xy[facing] * pixel_size.xy_pm,
        crystal=columns.xy[columns.of_site(lattice.motif.material.reference)] * pixel_size.xy_pm,
        outside=outside * pixel_size.xy_pm,
        reach=ON_LINE * float(np.linalg.norm(lattice.cell * pixel_size.xy_pm, axis=1).min()),
    )
    edge = _edge(seen)
    if edge is None:
        return None
    points, normal = edge
    return Edge(points / pixel_size.xy_pm, normal, "outline", sentence="the crystal ends there")


@dataclass(frozen=True)
class _Seen:
    """Places in pm of columns that face the outside, of all of their site, and of the outside's empty cells; how near
    to a line is on it."""

    facing: Floats
    crystal: Floats
    outside: Floats
    reach: float


def _edge(seen: _Seen) -> tuple[Floats, Floats] | None:
    """Points (P, 2) of a line or a curve half-way between the last columns and the first empty cells, its normal."""
    from skimage.measure import LineModelND, ransac

    points = seen.facing
    model, on_line = ransac(points, LineModelND, min_samples=2, residual_threshold=seen.reach, max_trials=500, rng=0)
    curve = _curve(seen)
    if model is not None and on_line.sum() >= max(FEWEST_FACING, EDGE_SHARE * len(points)):
        off = float(np.sqrt((np.minimum(model.residuals(points), seen.reach) ** 2).mean()))
        if curve is None or off < STRAIGHT * seen.reach or curve.off > BETTER * off:
            curve = _line(seen, points[on_line], model.direction)
    return None if curve is None else curve.placed(seen)


@dataclass(frozen=True)
class _Curve:
    """A polynomial over a line through ``middle`` along ``axes[0]``, rising along the outward normal ``axes[1]``, from
    end to end of the columns on it, and how far (rms) these are off."""

    middle: Floats
    axes: Floats
    shape: Polynomial
    ends: tuple[float, float]
    off: float

    def placed(self, seen: _Seen) -> tuple[Floats, Floats]:
        """Points and normal, where the curve divides columns from empty cells best."""
        beside, shape = [], self.shape
        for places in (seen.crystal, seen.outside):
            own = (places - self.middle) @ self.axes.T
            close = np.abs(own[:, 1] - shape(own[:, 0])) < BESIDE * seen.reach
            beside.append(own[close & (own[:, 0] >= self.ends[0]) & (own[:, 0] <= self.ends[1])])
        if min(map(len, beside)) >= FEWEST_FACING:
            shape = dividing_curve(shape, beside[0], beside[1], 0.25 * seen.reach)
        along = np.linspace(*self.ends, 2 if shape.degree() == 1 else POINTS)
        return self.middle + np.stack([along, shape(along)], axis=1) @ self.axes, self.axes[1]


def _line(seen: _Seen, points: Floats, along: Floats) -> _Curve:
    """Through ``points`` (n, 2)."""
    middle = points.mean(axis=0)
    axes = _axes(along, seen.outside.mean(axis=0) - middle)
    ends = (points - middle) @ axes[0]
    bounds = (float(ends.min()), float(ends.max()))
    return _Curve(middle, axes, Polynomial([0.0, 0.0], bounds, [-1.0, 1.0]), bounds, 0.0)


def _curve(seen: _Seen) -> _Curve | None:
    """Through most of the columns that face the outside."""
    middle = seen.facing.mean(axis=0)
    along = np.linalg.svd(seen.facing - middle, full_matrices=False)[2][0]
    axes = _axes(along, seen.outside.mean(axis=0) - middle)
    places = (seen.facing - middle) @ axes.T
    shape, near = smooth_curve(places[:, 0], places[:, 1], seen.reach)
    if near.mean() < CURVE_SHARE:
        return None
    off = np.minimum(np.abs(places[:, 1] - shape(places[:, 0])), seen.reach)
    bounds = (float(places[near, 0].min()), float(places[near, 0].max()))
    return _Curve(middle, axes, shape, bounds, float(np.sqrt((off**2).mean())))


def _axes(along: Floats, outside: Floats) -> Floats:
    normal = np.array([along[1], -along[0]])
    return np.stack([along, normal if outside @ normal > 0 else -normal])


def _facing(columns: Columns, lattice: Lattice, shape: tuple[int, int]) -> tuple[Ints, Floats]:
    """Rows of reference columns beside the outside, and the places (n, 2) px of the outside's cells.

    The frame is filled with the cells of the lattice; empty ones that hang together in a large enough piece are outside
    (scipy.ndimage.label), single ones are missing columns.
    """
    from scipy.ndimage import label

    rows = np.flatnonzero(columns.of_site(lattice.motif.material.reference))
    corners = np.array([[0, 0], [shape[1], 0], [0, shape[0]], [shape[1], shape[0]]], dtype=float)
    reach = np.concatenate([lattice.fractional(corners), columns.hk[rows]])
    low, high = np.floor(reach.min(axis=0)).astype(int) - 1, np.ceil(reach.max(axis=0)).astype(int) + 2
    grid = np.stack(np.meshgrid(*(np.arange(*ends) for ends in zip(low, high, strict=True)), indexing="ij"), axis=-1)
    site = np.full(grid[..., 0].size, lattice.motif.site(lattice.motif.material.reference))
    places = lattice.position(grid.reshape(-1, 2), site).reshape(grid.shape)
    margin = 0.25 * float(np.linalg.norm(lattice.cell, axis=1).min())
    inside = ((places > margin) & (places < np.array([shape[1], shape[0]]) - 1 - margin)).all(axis=-1)
    occupied = np.zeros(inside.shape, dtype=bool)
    occupied[tuple((columns.hk[rows] - low).T)] = True
    pieces = np.asarray(label(inside & ~occupied)[0])
    large = np.bincount(pieces.ravel()) >= LARGE_PIECE
    large[0] = False
    outside = large[pieces]
    h, k = (columns.hk[rows] - low).T
    beside = outside[h + 1, k] | outside[h - 1, k] | outside[h, k + 1] | outside[h, k - 1]
    return rows[beside], places[outside]
