"""Where a field of vectors on a grid winds around a point, and where it turns into its opposite."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .grid import Grid

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

AROUND = np.array([(h, k) for h in (-1, 0, 1) for k in (-1, 0, 1)])
"""Cells that a smoothed vector is the mean of."""

RING = np.array(
    [(h, -1) for h in (-1, 0, 1)]
    + [(2, k) for k in (-1, 0, 1)]
    + [(h, 2) for h in (2, 1, 0)]
    + [(-1, 2), (-1, 1), (-1, 0)]
)
"""The twelve cells one step outside of the four of a plaquette, from h towards k: where vectors of a vortex are long
enough to have a direction."""

BLOCK = np.array([(h, k) for h in (-1, 0, 1, 2) for k in (-1, 0, 1, 2)])
"""The cells within that ring."""

WIDEST_TURN = np.radians(110)
"""Angle from one cell of the ring to the next: across a 180-degree wall noise alone decides which way it is."""

WIDEST_GAP = 6
"""Cells without a clear sign that a wall may have in a row."""

OPPOSITE = -0.7
"""Cosine of the angle (134 degrees) between the vectors on the two sides of a 180-degree wall, at most."""

STEEPEST = 1.5
"""Cells that a wall may shift by from row to row."""

FEWEST_ROWS = 5
"""Rows that a wall crosses at least: a vortex looks like a wall in the two or three through its middle."""


def smoothed(values: Floats, hk: Ints) -> tuple[Floats, Ints]:
    """Means (n, F) over each cell (n, 2) and those of its eight neighbours that have values, and of how many (n,); NaN
    where the cell itself has none."""
    known = np.asarray(np.isfinite(values).all(axis=1))
    rows = Grid.of(hk[known], np.flatnonzero(known)).at(hk[:, None] + AROUND)
    there = (rows >= 0) & known[:, None]
    count = there.sum(axis=1)
    sums = np.where(there[..., None], values[rows], 0.0).sum(axis=1)
    return np.where(known[:, None], sums / np.maximum(count, 1)[:, None], np.nan), count


def windings(vectors: Floats, clear: Mask, hk: Ints) -> tuple[Ints, Ints]:
    """Plaquettes (m, 2) of four cells, by their lowest h and k, around which the vectors (n, 2) of the cells (n, 2)
    wind, and how often (m,) they do, counted from h towards k.

    The winding number is the sum of the angles from vector to vector around a closed path over 2 pi (Mermin, Rev. Mod.
    Phys. 51, 591 (1979), doi 10.1103/RevModPhys.51.591); here around the twelve cells next to the plaquette, all of
    which have to be ``clear`` (n,), and none of which may turn so far that it might as well have turned the other way.
    """
    rows = Grid.of(hk[clear], np.flatnonzero(clear)).at(hk[:, None] + RING)
    closed = (rows >= 0).all(axis=1)
    ring = vectors[rows[closed]]
    angle = np.arctan2(ring[..., 1], ring[..., 0])
    turn = (np.roll(angle, -1, axis=1) - angle + np.pi) % (2 * np.pi) - np.pi
    number = np.rint(turn.sum(axis=1) / (2 * np.pi)).astype(np.int64)
    told = (number != 0) & (np.abs(turn).max(axis=1, initial=0.0) < WIDEST_TURN)
    return hk[closed][told], number[told]


def groups(hk: Ints, kind: Ints) -> list[Ints]:
    """Rows of the cells (n, 2) that touch each other, corners included, and are of one kind (n,); each sorted."""
    grid, left, found = Grid.of(hk), set(range(len(hk))), []
    while left:
        members, edge = [], [min(left)]
        left.discard(edge[0])
        while edge:
            row = edge.pop()
            members.append(row)
            near = grid.at(hk[row] + AROUND)
            new = [int(one) for one in near if one in left and kind[one] == kind[row]]
            left.difference_update(new)
            edge += new
        found.append(np.array(sorted(members)))
    return found


@dataclass(frozen=True)
class Crossing:
    """Where a row of cells crosses a wall.

    row
        number of the row, along which the other index runs.
    place
        index at which the component is zero, a fraction.
    rising
        whether it goes from negative to positive.
    reach
        how many cells on either side belong to no other crossing.
    before, after
        (2,) the vectors on its two sides.
    """

    row: int
    place: float
    rising: bool
    reach: float
    before: Floats
    after: Floats

    def continues(self, other: Crossing) -> bool:
        """Whether both may be of one wall, of which this one stands one or two rows farther on."""
        rows = self.row - other.row
        alike = self.before @ other.before > 0 and self.after @ other.after > 0
        near = 1 <= rows <= 2 and abs(self.place - other.place) <= STEEPEST * rows
        return bool(near and self.rising == other.rising and alike)


def crossings(vectors: Floats, clear: Mask, hk: Ints, component: Floats, along: int) -> list[Crossing]:
    """Where ``vectors`` (n, 2) turn into their opposite along rows of cells (n, 2): index ``along`` (0 = h, 1 = k) runs
    in a row.

    From one ``clear`` cell to the next the ``component`` (2,) has to change its sign, and the vector to turn by about
    180 degrees; the place is where the component is zero between them, by linear interpolation.
    """
    values, found = vectors @ component, []
    for row in np.unique(hk[:, 1 - along]):
        own = np.flatnonzero(hk[:, 1 - along] == row)
        own = own[np.argsort(hk[own, along], kind="stable")]
        strong = np.flatnonzero(clear[own])
        places = []
        for i, j in pairwise(strong):
            one, other = own[i], own[j]
            gap = hk[other, along] - hk[one, along]
            between = own[i : j + 1]
            if values[one] * values[other] >= 0 or gap > WIDEST_GAP or gap != j - i:
                continue
            lengths = float(np.linalg.norm(vectors[one]) * np.linalg.norm(vectors[other]))
            if vectors[one] @ vectors[other] < OPPOSITE * lengths and np.isfinite(values[between]).all():
                places.append((float(hk[one, along]) + zero_of(values[between]), one, other))
        where = [hk[own[0], along] - 1.0, *(place for place, _, _ in places), hk[own[-1], along] + 1.0]
        for n, (place, one, other) in enumerate(places):
            ends = [(place - where[n]) / (1 + (n > 0)), (where[n + 2] - place) / (1 + (n + 1 < len(places)))]
            found.append(Crossing(int(row), place, bool(values[other] > 0), min(ends), vectors[one], vectors[other]))
    return found


def zero_of(values: Floats) -> float:
    """Index at which values of opposite sign at their ends are zero: the middle of the first and the last change."""
    changes = np.flatnonzero(np.sign(values[:-1]) != np.sign(values[1:]))
    first, last = (n + values[n] / (values[n] - values[n + 1]) for n in (changes[0], changes[-1]))
    return float((first + last) / 2)


def chains(found: list[Crossing]) -> list[list[Crossing]]:
    """Crossings that continue each other from row to row, one row may be left out; those of five rows and more."""
    walls: list[list[Crossing]] = []
    for one in sorted(found, key=lambda crossing: (crossing.row, crossing.place)):
        near = [
            (abs(wall[-1].place - one.place), number) for number, wall in enumerate(walls) if one.continues(wall[-1])
        ]
        if near:
            walls[min(near)[1]].append(one)
        else:
            walls.append([one])
    return [wall for wall in walls if len(wall) >= FEWEST_ROWS]


@dataclass(frozen=True)
class Profile:
    """amplitude tanh((x - place) / width) + level, with standard errors of place and width."""

    amplitude: float
    place: float
    place_std: float
    width: float
    width_std: float


def fit_wall(x: Floats, y: Floats, unit: float) -> Profile | None:
    """The tanh that a component (n,) follows across a wall at distances (n,); ``unit`` is that of two cells. None where
    it follows none: a width outside a tenth to ten units or not known to a half, an amplitude below five errors."""
    from scipy.optimize import curve_fit

    def shape(x: Floats, amplitude: float, place: float, width: float, level: float) -> Floats:
        return np.asarray(amplitude * np.tanh((x - place) / width) + level)

    size = float(np.median(np.abs(y)))
    low, high = [0.0, -2 * unit, 0.1 * unit, -np.inf], [np.inf, 2 * unit, 10 * unit, np.inf]
    try:
        best, covariance = curve_fit(shape, x, y, p0=[size, 0.0, unit, 0.0], bounds=(low, high))
    except (RuntimeError, ValueError):
        return None
    std = np.sqrt(np.diag(covariance))
    clear = np.isfinite(std).all() and best[0] > 5 * std[0] and std[2] < 0.5 * best[2]
    if not (clear and 0.1 * unit < best[2] < 10 * unit):
        return None
    return Profile(float(best[0]), float(best[1]), float(std[1]), float(best[2]), float(std[2]))


def centre(places: Floats, vectors: Floats) -> tuple[Floats, Floats, Floats] | None:
    """Where a field that is linear over places (n, 2) is zero (2,), its standard error (2,), and the field's gradient
    (2, 2): vector = gradient (place - centre). None where it is zero nowhere in particular."""
    middle = places.mean(axis=0)
    design = np.column_stack([places - middle, np.ones(len(places))])
    if len(places) < 4 or np.linalg.matrix_rank(design) < 3:
        return None
    solved = np.linalg.lstsq(design, vectors, rcond=None)[0]
    gradient, level = solved[:2].T, solved[2]
    misfit = vectors - design @ solved
    if np.linalg.cond(gradient) > 1e6:
        return None
    variance = (misfit**2).sum() / (2 * (len(places) - 3)) if len(places) > 3 else np.nan
    back = np.linalg.inv(gradient)
    std = np.sqrt(np.diag(back @ back.T) * variance / len(places))
    return middle - back @ level, std, gradient
