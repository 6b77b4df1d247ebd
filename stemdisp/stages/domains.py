"""Find domain walls and vortices in the displacement.

Vectors are means over a cell and its eight neighbours, and only those count that stand above what single cells scatter
by: an undisplaced crystal, however noisy, has neither.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..fitting.domains import BLOCK, Crossing, centre, chains, crossings, fit_wall, groups, smoothed, windings
from ..fitting.grid import Grid, scatter
from ..fitting.turns import turns
from ..model.cells import UnitCells
from ..model.domains import Domains, Sense, Vortex, Wall
from ..model.fields import VectorField
from ..model.lattice import Lattice
from ..model.micrograph import PixelSize

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

ABOVE = 4.0
"""Standard errors that the mean of a cell and its neighbours has to be long: by chance one of 3000 is."""

FARTHEST = 6.0
"""Cells on either side of a wall that its width is fitted on."""

NEAR, SHARP = (0.75, 2.25), 0.65
"""Within so many cells of its middle the displacement has turned at a wall by this part of what it turns by farther
out: around a vortex, and in a crystal that is bent, it turns gradually."""

AROUND_VORTEX = 4.0
"""Cells around a vortex in which no turn counts as a wall."""

SURROUNDED = 7
"""Cells of nine that a mean is of where it tells the place of a wall at any angle: at the rim it belongs to a place
beside the row."""

STEEP_ENOUGH = 0.7
"""Rows tell a wall if they cross it at least so steeply in parts of how steeply those along the other index do."""

SAME_WALL, IN_LINE = 2.0, 0.94
"""Cells within which walls that rows along h and along k cross are one, and cosine of the angle up to which pieces of
one wall may stand to each other."""

ROWS_TOGETHER = 3.0
"""Rows that a place on a wall is told by, as each vector is a mean over three."""

CELLS_TOGETHER = 1.5
"""By how much the variance of a mean of 16 cells exceeds that of independent ones, as neighbours share reference
columns: 1.4 where those are as uncertain as the moving one, and the misfit shows less."""

PM_PER_NM = 1000.0

SENTENCE = (
    "walls and vortices are looked for in means over a cell and its eight neighbours, where these are longer than "
    f"{ABOVE:g} standard errors; a uniform displacement that was not subtracted shifts both, and changes by how much "
    "the displacement turns at a wall"
)


def domains(field: VectorField, cells: UnitCells, lattice: Lattice, pixel_size: PixelSize) -> Domains:
    """Walls and vortices of a displacement.

    Parameters
    ----------
    field
        M displacements in pm.
    cells, lattice
        The (h, k) of their cells, and which way h and k run.
    pixel_size
        Width and height of a pixel.

    Returns
    -------
    Domains
        Walls that at least five rows of cells cross, and points that the vectors of twelve cells around them wind
        around, each ordered from left to right.
    """
    known = field.valid
    uv, xy, hk = field.uv[known], field.xy[known], cells.hk[known]
    vectors, count = smoothed(uv, hk)
    spread = float((scatter(uv, hk) ** 2).mean())
    own = smoothed(np.trace(field.cov[known], axis1=1, axis2=2)[:, None] / 2, hk)[0][:, 0]
    variance = np.maximum(own, spread) / np.maximum(count, 1)
    clear = (vectors**2).sum(axis=1) > ABOVE**2 * variance
    component = _component(vectors[clear])
    frame = _Frame(xy * pixel_size.xy_pm, hk, pixel_size, lattice.cell * pixel_size.xy_pm)
    vortices = _vortices(frame, uv, vectors, clear)
    straight = clear & ~_near(frame, [one.xy_px * frame.pm for one in vortices])
    whole = np.where((count >= SURROUNDED)[:, None], vectors, np.nan)
    candidates = [*_opposite(frame, uv, (vectors, clear), component), *_turned(frame, uv, (vectors, whole), straight)]
    walls = _each_once(frame, candidates)
    return Domains(
        tuple(sorted(vortices, key=lambda one: tuple(one.xy_px))),
        tuple(sorted(walls, key=lambda one: tuple(one.point_px))),
        component,
        SENTENCE,
    )


class _Frame:
    """Places (n, 2) of cells in pm and their indices (n, 2)."""

    def __init__(self, xy: Floats, hk: Ints, pixel_size: PixelSize, cell: Floats) -> None:
        self.xy, self.hk, self.cell, self.pm = xy, hk, cell, pixel_size.xy_pm
        self.grid = Grid.of(hk)
        self.size = float(np.sqrt(abs(np.linalg.det(cell))))

    def at(self, hk: Floats) -> Floats:
        """(m, 2) places in pm of fractional indices (m, 2), from the cells on both sides."""
        low = np.floor(hk).astype(np.int64)
        part = hk - low
        step = (part > 0).astype(np.int64)
        one, other = self.grid.at(low), self.grid.at(low + step)
        share = part.max(axis=1, keepdims=True)
        return np.asarray((1 - share) * self.xy[one] + share * self.xy[other])


def _component(vectors: Floats) -> Floats:
    """(2,) unit vector along which vectors (n, 2) are longest, right or down; right where there are none."""
    if not len(vectors):
        return np.array([1.0, 0.0])
    return _upright(np.linalg.eigh(vectors.T @ vectors)[1][:, 1])


def _upright(vector: Floats) -> Floats:
    """A vector or its opposite, as a unit vector to the right."""
    return np.asarray(vector / np.linalg.norm(vector) * (1.0 if vector[0] + 1e-9 * vector[1] >= 0 else -1.0))


def _vortices(frame: _Frame, uv: Floats, vectors: Floats, clear: Mask) -> list[Vortex]:
    plaquettes, number = windings(vectors, clear, frame.hk)
    # From h towards k is clockwise as seen or not: angles of the vectors are counted from x towards y.
    number = number * int(np.sign(np.linalg.det(frame.cell)))
    found = []
    for rows in groups(plaquettes, number):
        middle = plaquettes[rows].mean(axis=0) + 0.5
        near = frame.grid.at(np.rint(middle - 0.5).astype(np.int64) + BLOCK)
        near = near[near >= 0]
        place, std, charge = frame.xy[near].mean(axis=0), np.full(2, np.nan), int(number[rows[0]])
        fitted = centre(frame.xy[near], uv[near])
        sense: Sense = "none"
        if fitted is not None and np.abs((fitted[0] - place) @ np.linalg.inv(frame.cell)).max() < 2:
            place, std = fitted[0], fitted[1] * np.sqrt(CELLS_TOGETHER)
            sense = _sense(fitted[2]) if charge > 0 else "none"
        found.append(Vortex(place / frame.pm, std / frame.pm, charge, sense))
    return found


def _sense(gradient: Floats) -> Sense:
    """Which way a linear field runs around its middle; y points down, so that from x to y is clockwise."""
    curl, growth = gradient[1, 0] - gradient[0, 1], gradient[0, 0] + gradient[1, 1]
    if abs(curl) >= abs(growth):
        return "clockwise" if curl > 0 else "counter-clockwise"
    return "outwards" if growth > 0 else "inwards"


def _near(frame: _Frame, centres: list[Floats]) -> Mask:
    """(n,) cells so near to a vortex that its turning might be taken for a wall."""
    away = [np.abs((frame.xy - one) @ np.linalg.inv(frame.cell)).max(axis=1) < AROUND_VORTEX for one in centres]
    return np.any(away, axis=0) if away else np.zeros(len(frame.xy), dtype=bool)


def _opposite(frame: _Frame, uv: Floats, seen: tuple[Floats, Mask], component: Floats) -> list[Wall | None]:
    """180-degree walls that rows of cells along h or k cross."""
    return [
        _wall(frame, uv, component, chain, along)
        for along in (0, 1)
        for chain in chains(crossings(*seen, frame.hk, component, along))
    ]


def _turned(frame: _Frame, uv: Floats, seen: tuple[Floats, Floats], clear: Mask) -> list[Wall | None]:
    """Walls of smaller angles; of means over cells the second are those that a place may be told from."""
    found = []
    for along in (0, 1):
        for chain in chains(turns(*seen, clear, frame.hk, along)):
            component = _upright(np.mean([one.after - one.before for one in chain], axis=0))
            found.append(_wall(frame, uv, component, chain, along, turns=True))
    return found


def _each_once(frame: _Frame, candidates: list[Wall | None]) -> list[Wall]:
    """Those that are no part of another one; those of most rows first."""
    walls: list[Wall] = []
    for wall in sorted(filter(None, candidates), key=lambda one: -len(one.points_px)):
        if not any(_same(frame, wall, other) for other in walls):
            walls.append(wall)
    return walls


def _same(frame: _Frame, wall: Wall, other: Wall) -> bool:
    """Whether most of a wall's places lie on another one or, between the same domains, in its line."""
    places, own = wall.points_px * frame.pm, other.points_px * frame.pm
    near = SAME_WALL * frame.size
    on_it = np.linalg.norm(places[:, None] - own, axis=2).min(axis=1) < near
    in_line = np.abs((places - own.mean(axis=0)) @ other.normal) < near
    alike = bool(((wall.sides_pm * other.sides_pm).sum(axis=1) > 0).all() and wall.normal @ other.normal > IN_LINE)
    return bool(on_it.mean() > 0.5 or (alike and in_line.mean() > 0.5))


def _wall(
    frame: _Frame, uv: Floats, component: Floats, chain: list[Crossing], along: int, *, turns: bool = False
) -> Wall | None:
    """A wall where a ``component`` changes; None where rows along the other index cross it much more steeply, or where
    the displacement ``turns`` gradually."""
    order = [1, 0] if along else [0, 1]
    places = frame.at(np.array([(one.place, one.row) for one in chain])[:, order])
    tangent = np.linalg.svd(places - places.mean(axis=0), full_matrices=False)[2][0]
    normal = np.array([-tangent[1], tangent[0]])
    steep = np.abs(frame.cell @ normal) / np.linalg.norm(frame.cell, axis=1)
    if steep[along] < STEEP_ENOUGH * steep[1 - along]:
        return None
    rising = sum(float((one.after - one.before) @ component) for one in chain) > 0
    normal = normal if (normal @ frame.cell[along] > 0) == rising else -normal
    x, rows = _beside(frame, places, normal, chain, along)
    y, cell_pm = uv[rows] @ component, float(np.abs(frame.cell[along] @ normal))
    if turns and not _sharp(x / frame.size, y):
        return None
    fitted = fit_wall(x, y, cell_pm)
    width = (np.nan,) * 3 if fitted is None else (fitted.width, fitted.width_std, fitted.amplitude)
    off = (places - places.mean(axis=0)) @ normal
    scatter_pm = float(np.sqrt((off**2).sum() / max(len(off) - 2, 1)))
    sides = [_mean(uv[rows[side]]) for side in (x < -NEAR[1] * frame.size, x > NEAR[1] * frame.size)]
    return Wall(
        points_px=places / frame.pm,
        point_px=places.mean(axis=0) / frame.pm,
        normal=normal,
        position_std_nm=scatter_pm * float(np.sqrt(ROWS_TOGETHER / len(off))) / PM_PER_NM,
        scatter_nm=scatter_pm / PM_PER_NM,
        width_nm=width[0] / PM_PER_NM,
        width_std_nm=width[1] / PM_PER_NM,
        amplitude_pm=width[2],
        sides_pm=np.array([mean for mean, _ in sides]),
        sides_std_pm=np.array([std for _, std in sides]),
    )


def _beside(frame: _Frame, places: Floats, normal: Floats, chain: list[Crossing], along: int) -> tuple[Floats, Ints]:
    """Distances (n,) in pm along the normal from where its row crosses a wall, of the cells (n,) of these rows."""
    x, rows = [], []
    for one, place in zip(chain, places, strict=True):
        cells = frame.hk[:, 1 - along] == one.row
        cells &= np.abs(frame.hk[:, along] - one.place) <= min(one.reach, FARTHEST)
        x.append((frame.xy[cells] - place) @ normal)
        rows.append(np.flatnonzero(cells))
    return np.concatenate(x), np.concatenate(rows)


def _mean(uv: Floats) -> tuple[Floats, Floats]:
    """Of vectors (n, 2) of neighbouring cells, with its standard error; NaN of fewer than two."""
    if len(uv) < 2:
        return np.full(2, np.nan), np.full(2, np.nan)
    return uv.mean(axis=0), uv.std(axis=0, ddof=1) * np.sqrt(CELLS_TOGETHER / len(uv))


def _sharp(x: Floats, y: Floats) -> bool:
    """Whether a component (n,) changes within two cells of the wall: at distances (n,), in cells."""
    rings = (np.abs(x) > NEAR[0]) & (np.abs(x) <= NEAR[1]), (np.abs(x) > NEAR[1]) & (np.abs(x) <= FARTHEST)
    steps = []
    for ring in rings:
        if not ((x[ring] < 0).any() and (x[ring] > 0).any()):
            return False
        steps.append(y[ring & (x > 0)].mean() - y[ring & (x < 0)].mean())
    return bool(steps[0] > SHARP * steps[1] > 0)
