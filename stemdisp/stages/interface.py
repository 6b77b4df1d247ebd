"""Count the layers of every cell from the edge of its crystal, and measure how far from it the cell lies.

The low-index plane nearest to the edge gives normal and layers. Along an edge that follows it layers are whole planes
of the image; along a curve, or a line at an angle, the crystal ends in steps and each cell counts from the nearest one.
Distances are taken in physical, not pixel, proportions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from ..crystal import Motif, Plane
from ..errors import CalibrationError, RecipeError, StageError
from ..fitting.curve import distance_from, height_over
from ..fitting.groups import members
from ..flags import Flag
from ..materials import parse_zone
from ..model.cells import UnitCells
from ..model.columns import Columns
from ..model.interface import Edge, Interface
from ..model.lattice import Lattice
from ..model.micrograph import Micrograph, PixelSize
from ..recipe import InterfaceSection

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

LOW_INDEX: tuple[Plane, ...] = ((0, 0, 1), (0, 1, 1), (1, 1, 1))
"""Families that edges of a perovskite follow."""

STRAY = 1.75
"""Scatter of a plane's columns about their places over that of a usual plane, above which they are none."""

FULL_PLANE = 0.25
"""A plane with fewer columns than this share of a usual one is a remnant, not the outermost layer."""

LEVEL = 1.0
"""Layers by which an edge may rise from end to end and still follow its plane."""

ONE_PLANE = 0.85
"""Share of the outermost columns, single missing ones filled in, that lie in one plane where an edge follows it."""

BY_HAND_DEG = 5.0
"""Angle to its plane up to which a line drawn through two points is meant to follow it."""

STEEPEST = 4.0
"""Rise over run of an edge against the layers: steeper ones cross them, and there is nothing to count from."""

FEWEST_LAYERS = 3
"""Layers that what lies beyond an edge must have to be a crystal with an interface of its own."""

BINS = 12
"""Parts of a repeat along the edge in which its outermost columns are looked for."""


@dataclass(frozen=True)
class _Crystal:
    """The crystal as planes (p, q) of its lattice cut it: N columns, M cells, heights in planes, places in pm."""

    columns: Columns
    cells: UnitCells
    lattice: Lattice
    pixel_size: PixelSize
    shape: tuple[int, int]
    plane: Plane

    @cached_property
    def rows(self) -> Ints:
        return np.array(self.lattice.motif.rows(self.plane), dtype=np.int64)

    @cached_property
    def reciprocal(self) -> Floats:
        """(2,) normal over spacing (1 / pm)."""
        return np.asarray(np.linalg.inv(self.lattice.cell * self.pixel_size.xy_pm) @ self.rows)

    @cached_property
    def spacing(self) -> float:
        return float(1 / np.linalg.norm(self.reciprocal))

    @cached_property
    def normal(self) -> Floats:
        return self.reciprocal * self.spacing

    @property
    def axes(self) -> Floats:
        """(2, 2) places in pm times this are (along, across)."""
        return np.stack([[-self.normal[1], self.normal[0]], self.normal], axis=1)

    @cached_property
    def places(self) -> Floats:
        """(N, 2) along and across, pm."""
        return np.asarray(self.columns.xy * self.pixel_size.xy_pm @ self.axes)

    @cached_property
    def heights(self) -> Floats:
        """(N,) whole numbers are planes of what stands at the lattice's origin."""
        return np.asarray((self.columns.hk + self.lattice.motif.fractions[self.columns.site]) @ self.rows)

    def in_frame(self, places: Floats) -> Mask:
        """(n,) whether places (n, 2), along and across in pm, lie in the image."""
        xy = places @ self.axes.T / self.pixel_size.xy_pm
        return np.asarray(((xy >= 0) & (xy <= np.array(self.shape[::-1]) - 1)).all(axis=1))

    def rows_of(self, site: str) -> NDArray[np.intp]:
        """Columns of a site that are really there."""
        unsure = int(Flag.WEAK | Flag.EXCLUDED)
        return np.flatnonzero(self.columns.of_site(site) & ((self.columns.flags & unsure) == 0))

    @property
    def cations(self) -> tuple[str, str]:
        material = self.lattice.motif.material
        return material.reference, material.moving

    @property
    def repeat(self) -> float:
        """Distance of equal columns of one plane, in pm."""
        return float(abs(np.linalg.det(self.lattice.cell * self.pixel_size.xy_pm)) / self.spacing)

    def chain(self, edge: Edge) -> Floats:
        """(P, 2) the edge as (along, across), in the order of ``along``."""
        points = edge.points * self.pixel_size.xy_pm @ self.axes
        return points[::-1] if points[-1, 0] < points[0, 0] else points


def interface(
    columns: Columns,
    cells: UnitCells,
    lattice: Lattice,
    micrograph: Micrograph,
    recipe: InterfaceSection,
    edge: Edge,
) -> tuple[Interface, ...]:
    """The cells' layers and distances, as the crystal on either side of an edge has them.

    Parameters
    ----------
    columns, cells, lattice
        The assigned and refined crystal.
    micrograph
        For its frame and pixel size.
    recipe
        ``plane``.
    edge
        Where the crystal ends or changes.

    Returns
    -------
    tuple[Interface, ...]
        One, or where crystal lies on both sides two, each with its own outward normal and with layer -1 for the cells
        of the other.

    Raises
    ------
    StageError
        The edge leaves no crystal on its inner side, folds back, or crosses the layers.
    CalibrationError
        There is no pixel size.
    RecipeError
        No plane of the family that the recipe names holds the beam.
    """
    if micrograph.pixel_size is None:
        raise CalibrationError("layers need a pixel size; pass one in pm")
    crystal = _Crystal(columns, cells, lattice, micrograph.pixel_size, micrograph.shape, (0, 0, 0))
    planes = [replace(crystal, plane=plane) for plane in _planes(lattice.motif, recipe.plane)]
    first = max(planes, key=lambda one: float(one.normal @ edge.normal))
    sides = [_side(first, edge)]
    if edge.kind != "outline":
        p, q, r = first.plane
        try:
            other = _side(replace(crystal, plane=(-p, -q, -r)), edge)
        except StageError:
            return tuple(sides)
        if len(np.unique(other.layer[other.layer >= 0])) >= FEWEST_LAYERS:
            sides.append(replace(other, sentence=f"as the first side has it, {other.sentence}"))
    return tuple(sides)


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
        raise RecipeError(f"[interface] plane = {wanted}: no plane of this family contains the zone axis {motif.zone}")
    return sorted(found)


def _side(crystal: _Crystal, edge: Edge) -> Interface:
    """The edge as the crystal on its inner side has it."""
    chain = crystal.chain(edge)
    run, rise = np.diff(chain, axis=0).T
    if (run <= 0).any() or (np.abs(rise) > STEEPEST * run).any():
        raise StageError(
            "the interface folds back or crosses the layers it should follow; draw it along the crystal's edge, or set "
            "[interface] plane"
        )
    angle = np.degrees(np.arctan2(abs(rise[0]), run[0]))
    seen = height_over(chain, crystal.places[:, 0])
    by_hand = edge.kind == "drawn" and len(chain) == 2 and angle <= BY_HAND_DEG
    if by_hand or np.ptp(seen) <= LEVEL * crystal.spacing or (edge.kind == "outline" and _on_one_plane(crystal, chain)):
        return _along_plane(crystal, edge, seen)
    return _in_steps(crystal, edge, chain)


def _on_one_plane(crystal: _Crystal, chain: Floats) -> bool:
    """Whether most of the outermost reference columns lie in one plane: single ones may be missing, and the next ones
    are seen in their place."""
    from scipy.ndimage import median_filter

    rows = crystal.rows_of(crystal.cations[0])
    along, across = crystal.places[rows].T
    rows = rows[across < height_over(chain, along) + crystal.spacing]
    if not len(rows):
        return False
    along = crystal.places[rows, 0]
    bins = np.arange(chain[0, 0], chain[-1, 0], crystal.repeat) + 0.5 * crystal.repeat
    tops = _running_top(along, crystal.heights[rows], crystal.repeat, bins).round(3)
    return bool(
        np.unique(median_filter(tops, 3, mode="nearest"), return_counts=True)[1].max(initial=0) >= ONE_PLANE * len(bins)
    )


def _along_plane(crystal: _Crystal, edge: Edge, seen: Floats) -> Interface:
    """Layers from a straight edge along the planes, whose height (N,) every column has ``seen``."""
    motif, across = crystal.lattice.motif, crystal.places[:, 1]
    limit = None if edge.kind == "outline" else float(seen.mean())
    tops: dict[str, float] = {}
    outer = []
    for site in crystal.cations:
        rows = _without_strays(crystal, crystal.rows_of(site), max(tops.values(), default=np.inf))
        tops[site], members = _outermost(crystal.heights[rows], across[rows], limit)
        outer.append((tops[site], rows[members]))
    top, members = max(outer, key=lambda pair: pair[0])
    half_gap = 0.5 * _gap(crystal, top) * crystal.spacing
    height = float(across[members].mean()) + half_gap
    if edge.kind == "boundary" and limit is not None:
        height = limit
    layer = np.rint(tops[motif.material.moving] - crystal.heights[crystal.cells.moving]).astype(np.int64)
    ends = np.stack([crystal.places[:, 0][[0, 0]], [height, height]], axis=1)
    ends[:, 0] = crystal.places[:, 0].min(), crystal.places[:, 0].max()
    own = float(across[members].std() / np.sqrt(len(members))) / 1000
    if limit is not None and limit - height > crystal.spacing:
        away = f"{edge.sentence}, {(limit - height) / 1000:.2f} nm beyond the outermost plane, from where layers count"
        edge = replace(edge, sentence=away)
    return _interface(crystal, edge, ends, layer, height - across[crystal.cells.moving], own)


def _without_strays(crystal: _Crystal, rows: NDArray[np.intp], above: float) -> NDArray[np.intp]:
    """Columns without planes ``above`` a height whose columns stand about as no crystal's do: what a fit makes of the
    bright spots of an amorphous cap where a faint column might have been."""
    off = (crystal.columns.xy - crystal.lattice.position(crystal.columns.hk, crystal.columns.site))[rows]
    values, plane = np.unique(crystal.heights[rows].round(3), return_inverse=True)
    plane = plane.ravel()
    spread = np.array([np.hypot(*off[own].std(axis=0)) for own in members(plane, np.ones(len(plane), dtype=bool))])
    stray = (values > above) & (spread > STRAY * np.median(spread))
    return np.asarray(rows[~stray[plane]])


def _gap(crystal: _Crystal, top: float) -> float:
    """Planes from the outermost one to the next of either cation, had the crystal gone on."""
    motif = crystal.lattice.motif
    steps = {
        round(float((motif.fractions[motif.site(site)] @ crystal.rows - top) % 1.0), 6) for site in crystal.cations
    }
    return min([step for step in steps if step > 1e-3] or [1.0])


def _outermost(height: Floats, across: Floats, limit: float | None) -> tuple[float, NDArray[np.intp]]:
    """Height (in planes) of the outermost plane of a site and its members; a ``limit`` (pm) ends the crystal there."""
    values, index, counts = np.unique(height.round(3), return_inverse=True, return_counts=True)
    index = index.ravel()
    full = counts >= max(2, FULL_PLANE * float(np.median(counts)))
    if limit is not None:
        full &= np.bincount(index, across, len(values)) / counts <= limit
    chosen = np.flatnonzero(full)
    if not len(chosen):
        raise StageError("the interface leaves no atomic plane on its inner side; check [interface] line")
    return float(values[chosen[-1]]), np.flatnonzero(index == chosen[-1])


def _in_steps(crystal: _Crystal, edge: Edge, chain: Floats) -> Interface:
    """Layers from an edge that climbs: each cell counts from the outermost column above it."""
    reference, moving = (crystal.rows_of(site) for site in crystal.cations)
    along, across = crystal.places.T
    slope, start = np.polyfit(crystal.heights[reference], across[reference], 1)
    fraction = float(crystal.heights[moving[0]] % 1.0) if len(moving) else 0.0
    std = crystal.spacing / np.sqrt(12) / 1000
    if edge.kind == "outline":
        lift, std = _lift(crystal, chain)
        chain = chain + np.array([0.0, lift])
    top = (height_over(chain, along) - start) / slope
    beyond = 1.0 if edge.kind == "outline" else 0.0
    # A column of the outermost plane within half a repeat may stand above the edge where that falls.
    slack = 1.0 + 0.5 * STEEPEST * crystal.repeat / crystal.spacing if edge.kind != "outline" else beyond
    inner = moving[crystal.heights[moving] <= top[moving] + slack + 1e-6]
    if not len(inner):
        raise StageError("the interface leaves no atomic plane on its inner side; check [interface] line")
    cells = crystal.cells.moving
    whole = fraction + np.floor(top[cells] - fraction + 1e-6)
    # Planes that end below the edge are counted from where they end, unless it is the frame that ends them.
    there = _running_top(along[inner], crystal.heights[inner], crystal.repeat, along[cells])
    ended = crystal.in_frame(np.stack([along[cells], start + slope * (there + 1)], axis=1))
    outermost = np.where(ended, np.minimum(whole + beyond, there), whole)
    layer = np.rint(outermost - crystal.heights[cells]).astype(np.int64)
    chain = _to_the_ends(chain, along)
    above = height_over(chain, along[cells]) - across[cells]
    away = np.sign(above) * distance_from(chain, crystal.places[cells])
    return _interface(crystal, edge, chain, layer, away, std)


def _lift(crystal: _Crystal, chain: Floats) -> tuple[float, float]:
    """How far (pm) the middle of the gap outside of the outermost columns lies above a curve half-way from the last
    reference columns to where the next would be, and its standard error (nm)."""
    along, across = crystal.places.T
    above = {}
    for site in crystal.cations:
        rows = crystal.rows_of(site)
        above[site] = (across[rows] - height_over(chain, along[rows])) / crystal.spacing
    reference, moving = crystal.cations
    motif = crystal.lattice.motif
    gap = float((motif.fractions[motif.site(moving)] - motif.fractions[motif.site(reference)]) @ crystal.rows % 1.0)
    gap = gap if gap > 1e-3 else 1.0
    near = {
        reference: np.abs(above[reference] + 0.5) < 0.5,
        moving: np.abs(above[moving] + 0.5 - gap) < 0.5,
    }
    ends_with_moving = gap < 1 and near[moving].sum() > 0.5 * near[reference].sum()
    count = max(int(near[reference].sum()), 1)
    std = crystal.spacing * float(above[reference][near[reference]].std()) / np.sqrt(count)
    return crystal.spacing * 0.5 * (gap if ends_with_moving else gap - 1), std / 1000


def _running_top(along: Floats, height: Floats, repeat: float, at: Floats) -> Floats:
    """(M,) greatest ``height`` of columns within half a repeat of places ``at`` (M,) along the edge."""
    from scipy.ndimage import maximum_filter1d

    low, step = min(along.min(), at.min()) - repeat, repeat / BINS
    number = lambda place: np.floor((place - low) / step).astype(np.int64)  # noqa: E731
    highest = np.full(int(number(np.array(max(along.max(), at.max()) + repeat))) + 1, -np.inf)
    np.maximum.at(highest, number(along), height)
    return np.asarray(maximum_filter1d(highest, BINS + 1)[number(at)])


def _to_the_ends(chain: Floats, along: Floats) -> Floats:
    """The chain, its first and last piece carried on to the ends of the crystal."""
    ends = np.array([min(along.min(), chain[0, 0]), max(along.max(), chain[-1, 0])])
    carried = np.stack([ends, height_over(chain, ends)], axis=1)
    inner = chain[1:-1] if len(chain) > 2 else (carried.mean(axis=0))[None]
    return np.concatenate([carried[:1], inner, carried[1:]])


def _interface(
    crystal: _Crystal, edge: Edge, chain: Floats, layer: Ints, distance_pm: Floats, std_nm: float
) -> Interface:
    """With what all edges have in common; ``chain`` (P, 2) is (along, across) in pm."""
    if not (layer >= 0).any():
        raise StageError("the interface leaves no unit cell on its inner side; check [interface] line and plane")
    return Interface(
        curve=chain @ crystal.axes.T / crystal.pixel_size.xy_pm,
        normal=crystal.normal,
        plane=crystal.plane,
        spacing_pm=crystal.spacing,
        layer=np.where(layer >= 0, layer, -1),
        distance_nm=distance_pm / 1000,
        position_std_nm=std_nm if edge.std_nm is None else edge.std_nm,
        origin="recipe" if edge.kind == "drawn" else "automatic",
        sentence=edge.sentence,
    )
