"""The projection of a crystal along a zone axis: a 2-D motif of columns, their neighbours and their planes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from math import gcd

import numpy as np
from numpy.typing import NDArray

from .errors import RecipeError
from .materials import ABF_EXPONENT, ATOMIC_NUMBER, HAADF_EXPONENT, Material, Zone

Floats = NDArray[np.float64]
Plane = tuple[int, int, int]

SAME_COLUMN_A = 0.4
"""Atoms whose projections are closer than this (angstrom) share a column."""


@dataclass(frozen=True)
class Motif:
    """Columns of one projected cell.

    sites
        names: the cation that dominates a column, or O1, O2 ... where the oxygen columns are several (O where one).
    fractions
        (S, 2) positions as fractions of the cell vectors.
    cell_A
        (2, 2) rows a and b in angstrom in the frame of the screen with **y up** and the zone axis towards the viewer;
        a points right, b is counter-clockwise of it.
    cell_3d
        (2, 3) the same vectors in crystal (Cartesian) coordinates, angstrom.
    content
        atoms of each column per repeat along the beam, e.g. {"K": 1, "O": 1}.
    repeat_A
        period along the beam.
    """

    material: Material
    zone: Zone
    sites: tuple[str, ...]
    fractions: Floats
    cell_A: Floats
    cell_3d: Floats
    content: tuple[dict[str, int], ...]
    repeat_A: float

    def site(self, name: str) -> int:
        """Index of a site by name; raises RecipeError naming those there are."""
        if name not in self.sites:
            raise RecipeError(f"site {name!r} is not in {self.material.name}; there is {', '.join(self.sites)}")
        return self.sites.index(name)

    @cached_property
    def oxygen(self) -> NDArray[np.bool_]:
        """(S,) columns of oxygen alone."""
        return np.array([set(content) == {"O"} for content in self.content])

    def contrast(self, signal: str) -> Floats:
        """(S,) expected strength of the columns relative to the strongest, from Z^n (n by signal: ABF or like
        HAADF)."""
        exponent = ABF_EXPONENT if signal.upper().endswith("BF") else HAADF_EXPONENT
        strength = np.array([sum(n * ATOMIC_NUMBER[e] ** exponent for e, n in c.items()) for c in self.content])
        return np.asarray(strength / strength.max())

    @cached_property
    def shortest_distance_A(self) -> float:
        """Shortest distance of two columns in angstrom."""
        offsets = np.array(list(product((-1, 0, 1), repeat=2)))
        apart = (self.fractions[:, None, None] - self.fractions[:, None] + offsets) @ self.cell_A
        lengths = np.linalg.norm(apart, axis=-1)
        return float(lengths[lengths > 1e-6].min())

    def neighbours(self, moving: str, reference: str) -> NDArray[np.int64]:
        """(R, 2) cell offsets (dh, dk) of the reference columns nearest to a moving column.

        They are the smallest shells that together are centrosymmetric about it in this structure. Raises RecipeError
        where no such set exists within two cells.
        """
        start, end = self.fractions[self.site(moving)], self.fractions[self.site(reference)]
        offsets = np.array(list(product(range(-2, 3), repeat=2)))
        vectors = (offsets + end - start) @ self.cell_A
        order = np.argsort(np.linalg.norm(vectors, axis=1), kind="stable")
        distances = np.linalg.norm(vectors, axis=1)[order]
        for last in range(1, len(order)):
            if distances[last] - distances[last - 1] > 0.01 and np.allclose(
                vectors[order[:last]].sum(axis=0), 0, atol=1e-6
            ):
                return np.asarray(offsets[order[:last]])
        raise RecipeError(f"{reference} columns are nowhere centrosymmetric about {moving} along {self.zone}")

    def rows(self, plane: Plane) -> tuple[int, int]:
        """(p, q) such that p h + q k numbers the planes (hkl) of one site; raises RecipeError if the beam crosses
        them."""
        if np.dot(plane, self.zone) or not any(plane):
            raise RecipeError(
                f"plane {plane} does not contain the zone axis {self.zone}; its indices must satisfy hu + kv + lw = 0"
            )
        steps = np.rint(self.cell_3d @ np.array(plane) / self.material.lattice_A).astype(int)
        common = gcd(int(steps[0]), int(steps[1]))
        return int(steps[0]) // common, int(steps[1]) // common

    def reciprocal(self, rows: tuple[int, int]) -> Floats:
        """(2,) vector (y up, 1/angstrom) normal to the planes p h + q k = const; its length is 1 / spacing."""
        return np.asarray(np.linalg.inv(self.cell_A) @ np.array(rows, dtype=float))


def _shortest_pair(vectors: Floats) -> tuple[Floats, Floats]:
    """Shortest two vectors of a projected 2-D lattice given many of its vectors as rows."""
    lengths = np.linalg.norm(vectors, axis=1)
    order = [
        i for i in np.lexsort((-vectors[:, 2], -vectors[:, 1], -vectors[:, 0], lengths.round(6))) if lengths[i] > 1e-6
    ]
    first = vectors[order[0]]
    second = next(vectors[i] for i in order if np.linalg.norm(np.cross(first, vectors[i])) > 1e-6)
    return first, second


@lru_cache(maxsize=64)
def _project(lattice_A: float, zone: Zone) -> tuple[Floats, Floats, float]:
    axis = np.array(zone, dtype=float)
    repeat = lattice_A * float(np.linalg.norm(axis)) / gcd(*zone)
    beam = axis / np.linalg.norm(axis)
    triples = lattice_A * np.array(list(product(range(-2, 3), repeat=3)), dtype=float)
    projected = triples - np.outer(triples @ beam, beam)
    first, second = _shortest_pair(projected)
    right = first / np.linalg.norm(first)
    up = np.cross(beam, right)
    if second @ up < 0:
        second = -second
    cell_3d = np.stack([first, second])
    return cell_3d.round(12), (cell_3d @ np.stack([right, up], axis=1)).round(12) + 0.0, repeat


def project(material: Material, zone: Zone) -> Motif:
    """Columns of a crystal seen along a zone axis.

    Atoms whose projections coincide share a column; its name is the heaviest element's.
    """
    cell_3d, cell_A, repeat = _project(material.lattice_A, zone)
    frame = np.linalg.pinv(cell_3d)
    columns: list[tuple[Floats, dict[str, int]]] = []
    for atom in material.atoms:
        fraction = (material.lattice_A * np.array(atom.fraction) @ frame).round(9) % 1.0
        for known, content in columns:
            away = (fraction - known + 0.5) % 1.0 - 0.5
            if np.linalg.norm(away @ cell_A) < SAME_COLUMN_A:
                content[atom.element] = content.get(atom.element, 0) + 1
                break
        else:
            columns.append((fraction, {atom.element: 1}))
    names = [max(content, key=lambda e: ATOMIC_NUMBER[e]) for _, content in columns]
    sites = tuple(f"{n}{names[: i + 1].count(n)}" if names.count(n) > 1 else n for i, n in enumerate(names))
    return Motif(
        material=material,
        zone=zone,
        sites=sites,
        fractions=np.array([fraction for fraction, _ in columns]),
        cell_A=cell_A,
        cell_3d=cell_3d,
        content=tuple(content for _, content in columns),
        repeat_A=repeat,
    )
