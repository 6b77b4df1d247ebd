"""Directions of a projected crystal by name: the nearest one of low indices."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from math import gcd

import numpy as np
from numpy.typing import NDArray

from .crystal import FINEST, Motif, Plane

Floats = NDArray[np.float64]
Indices = tuple[int, int, int]

LARGEST_INDEX = 2
"""With indices up to 2 neighbouring directions are 16 to 35 degrees apart: fewer than an image confuses."""


@dataclass(frozen=True)
class NamedDirection:
    """The direction of low indices nearest to a vector, its angle (degrees) from it, and the outward normal of an
    interface in the same indices, where one was given.  ``exact`` is False where only the projection of [uvw] points
    there, as in crystals that are not cubic."""

    indices: Indices
    off_deg: float
    normal: Indices | None
    exact: bool


def nearest_direction(motif: Motif, vector: Floats, normal: Plane | None = None) -> NamedDirection | None:
    """Name the direction of a vector (2,) given in the frame of ``motif.cell_A`` (y up).

    A cubic crystal looks the same under the rotations and mirrors that keep its beam axis: of the names that these
    exchange, that of the largest numbers is taken, first for the outward ``normal`` of an interface, then for the
    direction, so that an image and its turned or mirrored copy say the same.

    >>> from stemdisp.crystal import project
    >>> from stemdisp.materials import KTaO3
    >>> nearest_direction(project(KTaO3, (0, 0, 1)), np.array([-1.0, 0.05])).indices
    (1, 0, 0)
    """
    if not (np.isfinite(vector).all() and np.linalg.norm(vector) > 0):
        return None
    cubic = motif.material.lattice_A is not None
    named = _cubic(motif) if cubic else _projected(motif)
    if not named:
        return None
    along = np.array(list(named.values()))
    cross = along[:, 0] * vector[1] - along[:, 1] * vector[0]
    off = np.abs(np.degrees(np.arctan2(cross, along @ vector)))
    nearest = int(off.argmin())
    indices = list(named)[nearest]
    if not cubic:
        return NamedDirection(indices, float(off[nearest]), normal, exact=False)
    normal, indices = _canonical(motif, normal, indices)
    return NamedDirection(indices, float(off[nearest]), normal, exact=True)


def _to_screen(motif: Motif) -> Floats:
    """(3, 2) indices times this are vectors on the screen (angstrom, y up)."""
    steps = np.vstack([motif.indices, motif.zone]).astype(float)
    return np.asarray(np.linalg.solve(steps, np.vstack([motif.cell_A, np.zeros(2)])))


def _cubic(motif: Motif) -> dict[Indices, Floats]:
    """Directions across the beam, and how they lie on the screen."""
    screen = _to_screen(motif)
    numbers = range(-LARGEST_INDEX, LARGEST_INDEX + 1)
    every = ((u, v, w) for u, v, w in product(numbers, numbers, numbers) if gcd(u, v, w) == 1)
    return {one: np.array(one) @ screen for one in every if not np.dot(one, motif.zone)}


def _projected(motif: Motif) -> dict[Indices, Floats]:
    """Combinations of the projected cell's vectors, under the lowest whole indices."""
    found: dict[Indices, Floats] = {}
    for m, n in product(range(-LARGEST_INDEX, LARGEST_INDEX + 1), repeat=2):
        if gcd(m, n) != 1:
            continue
        step = np.array([m, n]) @ motif.indices
        whole = next((k for k in range(1, FINEST + 1) if np.allclose(step * k, np.rint(step * k), atol=1e-6)), 0)
        u, v, w = (int(one) for one in np.rint(step * whole))
        common = gcd(u, v, w)
        if common:
            found[u // common, v // common, w // common] = np.array([m, n]) @ motif.cell_A
    return found


def _canonical(motif: Motif, normal: Plane | None, indices: Indices) -> tuple[Indices | None, Indices]:
    """Normal and direction under the cubic operation that keeps the beam axis and gives the largest numbers."""
    zone, best = np.array(motif.zone), None
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):

            def turned(one: Indices, order: tuple[int, ...] = order, signs: tuple[int, ...] = signs) -> Indices:
                u, v, w = (signs[i] * one[order[i]] for i in range(3))
                return u, v, w

            axis = np.array(turned(motif.zone))
            if np.array_equal(axis, zone) or np.array_equal(axis, -zone):
                named = (turned(normal) if normal is not None else (0, 0, 0), turned(indices))
                best = named if best is None else max(best, named)
    assert best is not None
    return (None if normal is None else best[0]), best[1]
