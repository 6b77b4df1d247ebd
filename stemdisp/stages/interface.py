"""Find the straight edge of the crystal, its outward normal, and the layer of every cell.

The crystal is segmented on its own grid: cells whose place lies inside the frame and holds no column are outside. A
line is fitted to the columns that face them (skimage.measure.ransac), and the low-index plane nearest to it gives
normal and layers. Distances are taken in physical, not pixel, proportions.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from ..crystal import Motif, Plane
from ..errors import StageError
from ..flags import Flag
from ..materials import parse_zone
from ..model.cells import UnitCells
from ..model.columns import Columns
from ..model.interface import Interface
from ..model.lattice import Lattice
from ..model.micrograph import Micrograph, PixelSize
from ..recipe import InterfaceSection

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LOW_INDEX: tuple[Plane, ...] = ((0, 0, 1), (0, 1, 1), (1, 1, 1))
"""Families that edges of a perovskite follow."""

FEWEST_FACING = 6
"""Columns that must face the outside, and stand on one line, before an edge is called one."""

LARGE_PIECE = 6
"""Empty cells that must hang together to be the outside and not missing columns."""

ON_LINE = 0.75
"""Largest distance from the edge's line, in shortest lattice vectors: a surface step more or less."""

EDGE_SHARE = 0.5
"""Share of the facing columns that must stand on the line."""

FULL_PLANE = 0.25
"""A plane with fewer columns than this share of a usual one is a remnant, not the outermost layer."""


@dataclass(frozen=True)
class _Line:
    """An edge before it has a plane: a point (2,) in px, outward normal (2,) in physical proportions."""

    point: Floats
    normal: Floats


def interface(
    micrograph: Micrograph,
    columns: Columns,
    cells: UnitCells,
    lattice: Lattice,
    recipe: InterfaceSection,
    drawn: Floats | None = None,
) -> Interface | None:
    """The edge of the crystal and the cells' layers.

    Parameters
    ----------
    micrograph
        For its frame and pixel size; without a pixel size there are no distances and so no interface.
    columns, cells, lattice
        The assigned and refined crystal.
    recipe
        ``mode`` auto, line or none; ``plane``.
    drawn
        (2, 2) two points in px of an edge drawn on this image; it wins over the recipe.

    Returns
    -------
    Interface | None
        None where there is no edge, or the recipe wants none.

    Raises
    ------
    StageError
        The recipe wants a line and gives none, or the line leaves no cell on its inner side.
    """
    pixel_size = micrograph.pixel_size
    if pixel_size is None or (drawn is None and recipe.mode == "none"):
        return None
    if drawn is None and recipe.mode == "line":
        if recipe.line is None:
            raise StageError("[interface] mode = line, but no line is given; set line = [x0, y0, x1, y1] in px")
        drawn = np.array(recipe.line).reshape(2, 2)
    if drawn is not None:
        line: _Line | None = _from_points(drawn, columns, pixel_size)
    else:
        line = _automatic(columns, lattice, pixel_size, micrograph.shape)
    if line is None:
        return None
    planes = _planes(lattice.motif, recipe.plane)
    return _numbered(columns, cells, lattice, pixel_size, line, planes, "automatic" if drawn is None else "recipe")


def _from_points(points: Floats, columns: Columns, pixel_size: PixelSize) -> _Line:
    along = (points[1] - points[0]) * pixel_size.xy_pm
    length = float(np.linalg.norm(along))
    if length == 0:
        raise StageError(
            f"the interface's two points are the same ({points[0, 0]:g}, {points[0, 1]:g}); give two points of the edge"
        )
    normal = np.array([along[1], -along[0]]) / length
    inner = ((columns.xy - points[0]) * pixel_size.xy_pm) @ normal
    return _Line(points.mean(axis=0), normal if (inner < 0).sum() >= (inner > 0).sum() else -normal)


def _automatic(columns: Columns, lattice: Lattice, pixel_size: PixelSize, shape: tuple[int, int]) -> _Line | None:
    """The longest straight edge along which crystal faces empty cells inside the frame."""
    from skimage.measure import LineModelND, ransac

    facing, outside = _facing(columns, lattice, shape)
    if len(facing) < FEWEST_FACING:
        return None
    points = columns.xy[facing] * pixel_size.xy_pm
    reach = ON_LINE * float(np.linalg.norm(lattice.cell * pixel_size.xy_pm, axis=1).min())
    model, on_line = ransac(points, LineModelND, min_samples=2, residual_threshold=reach, max_trials=500, rng=0)
    if model is None or on_line.sum() < max(FEWEST_FACING, EDGE_SHARE * len(facing)):
        return None
    origin, direction = model.origin, model.direction
    normal = np.array([direction[1], -direction[0]])
    if (outside.mean(axis=0) * pixel_size.xy_pm - origin) @ normal < 0:
        normal = -normal
    return _Line(points[on_line].mean(axis=0) / pixel_size.xy_pm, normal)


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


def _planes(motif: Motif, wanted: str) -> list[Plane]:
    """All planes of a family (or of the low-index ones) that contain the beam."""
    families = LOW_INDEX if wanted == "auto" else (parse_zone(wanted),)
    found = set()
    for family in families:
        for order in permutations(family):
            for signs in product((1, -1), repeat=3):
                plane = (order[0] * signs[0], order[1] * signs[1], order[2] * signs[2])
                if not np.dot(plane, motif.zone):
                    found.add(plane)
    if not found:
        raise StageError(f"[interface] plane = {wanted}: no plane of this family contains the zone axis {motif.zone}")
    return sorted(found)


def _numbered(
    columns: Columns,
    cells: UnitCells,
    lattice: Lattice,
    pixel_size: PixelSize,
    line: _Line,
    planes: list[Plane],
    origin: str,
) -> Interface:
    """Planes, layers and distances for a line."""
    motif = lattice.motif
    physical = lattice.cell * pixel_size.xy_pm
    normals = np.array([np.linalg.inv(physical) @ motif.rows(plane) for plane in planes])
    spacings = 1 / np.linalg.norm(normals, axis=1)
    normals *= spacings[:, None]
    best = int((normals @ line.normal).argmax())
    normal, spacing, (p, q) = normals[best], float(spacings[best]), motif.rows(planes[best])
    height = lambda rows: (columns.hk[rows] + motif.fractions[columns.site[rows]]) @ np.array([p, q])  # noqa: E731
    across = (columns.xy * pixel_size.xy_pm) @ normal
    limit = float(line.point * pixel_size.xy_pm @ normal) if origin == "recipe" else None
    tops, outer = {}, []
    for site in (motif.material.reference, motif.material.moving):
        rows = np.flatnonzero(columns.of_site(site) & ((columns.flags & int(Flag.WEAK | Flag.EXCLUDED)) == 0))
        tops[site], members = _outermost(height(rows), across[rows], limit)
        outer.append((tops[site], rows[members]))
    top, members = max(outer, key=lambda pair: pair[0])
    # The next plane of either cation, had the crystal gone on, is half a gap beyond the edge.
    steps = {round(float((motif.fractions[motif.site(s)] @ [p, q] - top) % 1.0), 6) for s in tops}
    gap = min([step for step in steps if step > 1e-3] or [1.0])
    edge = across[members].mean() + 0.5 * gap * spacing
    distance = edge - across[cells.moving]
    layer = np.rint(tops[motif.material.moving] - height(cells.moving)).astype(np.int64)
    if not (layer >= 0).any():
        raise StageError("the interface leaves no unit cell on its inner side; check [interface] line and plane")
    return Interface(
        point=line.point + normal * (edge - (line.point * pixel_size.xy_pm) @ normal) / pixel_size.xy_pm,
        normal=normal,
        plane=planes[best],
        spacing_pm=spacing,
        layer=np.where(layer >= 0, layer, -1),
        distance_nm=distance / 1000,
        position_std_nm=float(across[members].std() / np.sqrt(len(members))) / 1000,
        origin="automatic" if origin == "automatic" else "recipe",
    )


def _outermost(height: Floats, across: Floats, limit: float | None) -> tuple[float, NDArray[np.intp]]:
    """Height (in planes) of the outermost plane of a site and its members; a drawn ``limit`` (pm) ends the crystal
    there."""
    values, index, counts = np.unique(height.round(3), return_inverse=True, return_counts=True)
    index = index.ravel()
    full = counts >= max(2, FULL_PLANE * float(np.median(counts)))
    if limit is not None:
        full &= np.bincount(index, across, len(values)) / counts <= limit
    chosen = np.flatnonzero(full)
    if not len(chosen):
        raise StageError("the interface leaves no atomic plane on its inner side; check [interface] line")
    return float(values[chosen[-1]]), np.flatnonzero(index == chosen[-1])
