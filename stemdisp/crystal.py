"""The projection of a crystal along a zone axis: a 2-D motif of columns, their neighbours and their planes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import product
from math import gcd, lcm

import numpy as np
from numpy.typing import NDArray

from .errors import RecipeError
from .materials import ABF_EXPONENT, ATOMIC_NUMBER, HAADF_EXPONENT, Material, Zone, format_indices

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Plane = tuple[int, int, int]
Content = dict[str, float]

SAME_COLUMN_A = 0.6
"""Atoms whose projections are closer than this (angstrom) share a column: no microscope shows them apart."""

ON_TOP_A = 0.05
"""Atoms closer than this project onto one place; farther ones that share a column are said."""

CENTRED = 0.08
"""Largest distance from a column to the centroid of its reference neighbours, in distances to the farthest of them: a
polar structure moves columns by less, and part of a shell lies farther off."""

SURROUNDING = 1.5
"""Columns farther than this times the nearest do not belong to its surroundings."""

FINEST = 24
"""Largest denominator of the fractions of a cell that its columns repeat by: centrings, glides and supercells."""

FEW = 4
"""Columns that a period is tried on first."""

REACHES = (2, 4, 8)
"""Lattice vectors tried, in cells, until the shortest two span the projected lattice."""


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
    indices
        (2, 3) the vectors, in those of the unit cell, that project onto a and b.
    content
        atoms of each column per repeat along the beam, e.g. {"K": 1, "O": 1}.
    repeat_A
        period along the beam, None where it is not known.

    Notes
    -----
        sentences about what the projection had to decide.
    """

    material: Material
    zone: Zone
    sites: tuple[str, ...]
    fractions: Floats
    cell_A: Floats
    indices: Floats
    content: tuple[Content, ...]
    repeat_A: float | None = None
    notes: tuple[str, ...] = ()

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
        """(S,) expected strength of the columns relative to the strongest, from Z^n (n by signal)."""
        strength = np.array([sum(_strength(e, signal) * n for e, n in c.items()) for c in self.content])
        return np.asarray(strength / strength.max())

    def dilution(self, signal: str, site: str | None = None) -> float:
        """By how much the image of a column (of the moving site, or of another) moves when only the atom that it is
        called after does.

        Of the moving site the material's measured value; else the element's part in the Z^n-weighted centroid.
        """
        known = self.measured_dilution(signal) if site in (None, self.material.moving) else None
        if known is not None:
            return known
        content = self.content[self.site(site or self.material.moving)]
        weights = {element: _strength(element, signal) * n for element, n in content.items()}
        return weights[max(content, key=lambda e: ATOMIC_NUMBER[e])] / sum(weights.values())

    def measured_dilution(self, signal: str) -> float | None:
        """The same where the material's table has it."""
        family = sorted(map(abs, self.zone))
        for zone, known in self.material.dilution.items():
            # The materials are cubic: zones of one family show the same columns.
            if sorted(map(abs, zone)) == family and signal in known:
                return known[signal]
        return None

    @cached_property
    def _distances_A(self) -> Floats:
        """(S, S) shortest distance of the columns of two sites, of a site to its own next column in angstrom."""
        offsets = np.array(list(product((-1, 0, 1), repeat=2)))
        apart = (self.fractions[:, None, None] - self.fractions[:, None] + offsets) @ self.cell_A
        lengths = np.linalg.norm(apart, axis=-1)
        itself = np.arange(len(self.sites))
        lengths[itself, itself, (offsets == 0).all(axis=1)] = np.inf
        return np.asarray(lengths.min(axis=2))

    @property
    def shortest_distance_A(self) -> float:
        """Shortest distance of two columns in angstrom."""
        return float(self._distances_A.min())

    @property
    def nearest_A(self) -> Floats:
        """(S,) distance of each site's columns to the nearest column of any, in angstrom."""
        return np.asarray(self._distances_A.min(axis=1))

    @property
    def closest(self) -> tuple[str, str]:
        """The two sites whose columns come closest to each other."""
        one, other = np.unravel_index(int(self._distances_A.argmin()), self._distances_A.shape)
        return self.sites[one], self.sites[other]

    def _shells(self, site: str, other: str) -> list[tuple[Ints, Floats]]:
        """Growing sets of the columns of another site around one: cell offsets (n, 2) and where they stand (n, 2)
        relative to it in angstrom, as long as they belong to its surroundings."""
        start, end = self.fractions[self.site(site)], self.fractions[self.site(other)]
        offsets = np.array(list(product(range(-2, 3), repeat=2)))
        vectors = (offsets + end - start) @ self.cell_A
        distances = np.linalg.norm(vectors, axis=1)
        order = np.argsort(distances, kind="stable")
        distances = distances[order]
        # A column is not among its own neighbours.
        first = int(distances[0] < 1e-6)
        ends = [n for n in range(first + 1, len(order)) if distances[n] - distances[n - 1] > 0.01]
        near = [n for n in ends if distances[n - 1] <= SURROUNDING * distances[first]]
        return [(offsets[order[first:n]], vectors[order[first:n]]) for n in near]

    def neighbours(self, moving: str, reference: str) -> Ints:
        """(R, 2) cell offsets (dh, dk) of the reference columns nearest to a moving column.

        They are the smallest shells whose centroid the moving column stands on in this structure, but for the little
        that a polar structure moves it off.  Raises RecipeError where the nearest columns are no such set.
        """
        for offsets, vectors in self._shells(moving, reference):
            farthest = float(np.linalg.norm(vectors, axis=1).max())
            if np.linalg.norm(vectors.mean(axis=0)) < CENTRED * farthest:
                return np.asarray(offsets)
        raise RecipeError(
            f"no set of {reference} columns is centred on a {moving} column of {self.material.name} along "
            f"{format_indices(self.zone)}; name other sites as moving and reference, or another zone"
        )

    def around(self, site: str, other: str) -> Ints:
        """(R, 2) cell offsets (dh, dk) of the columns of another site that a column is placed by: its neighbours, or
        all that are near where none are centred on it."""
        try:
            return self.neighbours(site, other)
        except RecipeError:
            return np.asarray(self._shells(site, other)[-1][0])

    def rows(self, plane: Plane) -> tuple[int, int]:
        """(p, q) such that p h + q k numbers the planes (hkl) of one site; raises RecipeError if the beam crosses
        them."""
        if np.dot(plane, self.zone) or not any(plane):
            raise RecipeError(
                f"plane {plane} does not contain the zone axis {self.zone}; its indices must satisfy hu + kv + lw = 0"
            )
        steps = [_whole(float(step)) for step in self.indices @ np.array(plane)]
        common = lcm(*(step.denominator for step in steps))
        p, q = (int(step * common) for step in steps)
        common = gcd(p, q)
        return p // common, q // common

    def reciprocal(self, rows: tuple[int, int]) -> Floats:
        """(2,) vector (y up, 1/angstrom) normal to the planes p h + q k = const; its length is 1 / spacing."""
        return np.asarray(np.linalg.inv(self.cell_A) @ np.array(rows, dtype=float))


def _whole(step: float) -> Fraction:
    """The fraction of a cell nearest to a number that rounding, or coordinates of few digits, left beside it."""
    return Fraction(step).limit_denominator(FINEST)


def _strength(element: str, signal: str) -> float:
    """Z^n of an element, n by signal: ABF, or like HAADF."""
    return float(ATOMIC_NUMBER[element] ** (ABF_EXPONENT if signal.upper().endswith("BF") else HAADF_EXPONENT))


@dataclass(frozen=True, eq=False)
class Projection:
    """A crystal seen along a zone axis, before anybody says which site moves: fields as in :class:`Motif`."""

    sites: tuple[str, ...]
    fractions: Floats
    cell_A: Floats
    indices: Floats
    content: tuple[Content, ...]
    repeat_A: float
    notes: tuple[str, ...]


def _shortest_pair(vectors: Floats, triples: Ints) -> tuple[int, int]:
    """Which two of many vectors (n, 3) of a projected lattice, given with their indices (n, 3), are the shortest
    independent ones; of those that coincide the one of lowest indices."""
    lengths = np.linalg.norm(vectors, axis=1)
    indices = np.abs(triples).sum(axis=1)
    keys = (indices, -vectors[:, 2], -vectors[:, 1], -vectors[:, 0], lengths.round(6))
    order = [i for i in np.lexsort(keys) if lengths[i] > 1e-6]
    first = order[0]
    return first, next(i for i in order if np.linalg.norm(np.cross(vectors[first], vectors[i])) > 1e-6)


@lru_cache(maxsize=64)
def _frame(cell: tuple[tuple[float, ...], ...], zone: Zone) -> tuple[Ints, Floats, Floats, float]:
    """Indices (2, 3) of the projected cell, its vectors on the screen (2, 2), the screen's axes (3, 2) and the period
    along the beam."""
    vectors = np.array(cell)
    along = np.array(zone) @ vectors
    repeat = float(np.linalg.norm(along)) / gcd(*zone)
    beam = along / np.linalg.norm(along)
    area = abs(float(np.linalg.det(vectors))) / repeat
    for reach in REACHES:
        triples = np.array(list(product(range(-reach, reach + 1), repeat=3)))
        lattice = triples @ vectors
        flat = (lattice - np.outer(lattice @ beam, beam)).round(9)
        first, second = _shortest_pair(flat, triples)
        if np.linalg.norm(np.cross(flat[first], flat[second])) < 1.001 * area:
            break
    else:
        raise RecipeError(f"zone {format_indices(zone)} is too far from the crystal's axes; choose lower indices")
    right = flat[first] / np.linalg.norm(flat[first])
    screen = np.stack([right, np.cross(beam, right)], axis=1)
    indices = triples[[first, second]]
    if flat[second] @ screen[:, 1] < 0:
        indices = indices * [[1], [-1]]
    return indices, ((indices @ vectors) @ screen).round(12) + 0.0, screen, repeat


def _merged(places: Floats, cell_A: Floats) -> list[list[int]]:
    """Rows of fractions (n, 2) that share a column, in order of their first atom."""
    columns: list[list[int]] = []
    for i, place in enumerate(places):
        away = (place - places[[column[0] for column in columns]] + 0.5) % 1.0 - 0.5
        near = np.flatnonzero(np.linalg.norm(away @ cell_A, axis=1) < SAME_COLUMN_A)
        if len(near):
            columns[near[0]].append(i)
        else:
            columns.append([i])
    return columns


def _period(centres: Floats, contents: list[Content], cell_A: Floats) -> Floats:
    """(2, 2) shortest vectors, as fractions of the cell, that carry all columns (n, 2) onto equal ones.

    A centred crystal, or one whose glide planes the beam runs along, repeats within its cell.
    """
    steps = [np.eye(2)[0], np.eye(2)[1]]
    for there, same in zip(centres, contents, strict=True):
        step = there - centres[0]
        if same != contents[0] or np.linalg.norm(step @ cell_A) <= SAME_COLUMN_A:
            continue
        # A few columns refuse nearly every step that is no period, before all are compared with all.
        for some in (slice(FEW), slice(None)):
            away = (centres[some] + step - centres[:, None] + 0.5) % 1.0 - 0.5
            partner = np.linalg.norm(away @ cell_A, axis=-1)
            onto = partner.argmin(axis=0)
            if partner.min(axis=0).max() >= ON_TOP_A or [contents[i] for i in onto] != contents[some]:
                break
        else:
            whole = np.array([float(_whole(float(part))) for part in step])
            steps.append(whole if np.linalg.norm((whole - step) @ cell_A) < ON_TOP_A else step)
    if len(steps) == 2:
        return np.eye(2)
    signed = np.array([m * step for step in steps for m in (-1, 0, 1)])
    many = (signed[:, None] + signed).reshape(-1, 2)
    lengths = np.linalg.norm(many @ cell_A, axis=1).round(6)
    order = [i for i in np.lexsort((-many[:, 1], -many[:, 0], lengths)) if lengths[i] > ON_TOP_A]
    first = many[order[0]]
    second = next(many[i] for i in order if abs(np.linalg.det(np.stack([first, many[i]]) @ cell_A)) > ON_TOP_A)
    return np.stack([first, second if np.linalg.det(np.stack([first, second])) > 0 else -second])


def _columns(
    elements: tuple[str, ...], places: Floats, cell_A: Floats, along: str
) -> tuple[list[Floats], list[Content], list[str]]:
    """Centres (2,), contents and notes of the columns that atoms at fractions (n, 2) form."""
    centres, contents, notes = [], [], []
    for column in _merged(places, cell_A):
        weight = np.array([_strength(elements[i], "HAADF") for i in column])
        away = (places[column] - places[column[0]] + 0.5) % 1.0 - 0.5
        centres.append((places[column[0]] + weight @ away / weight.sum()) % 1.0)
        inside = [elements[i] for i in column]
        contents.append({e: float(inside.count(e)) for e in dict.fromkeys(inside)})
        apart = float(np.linalg.norm(away @ cell_A, axis=1).max())
        if apart > ON_TOP_A:
            shared = " and ".join(contents[-1])
            notes.append(f"along {along} {shared} overlap ({apart:.2f} A apart): taken as one column")
    return centres, contents, notes


def project_atoms(cell_A: Floats, elements: tuple[str, ...], fractions: Floats, zone: Zone) -> Projection:
    """Columns of any crystal along a zone axis.

    ``cell_A`` (3, 3) has the lattice vectors as rows, ``fractions`` (n, 3) all atoms of one cell.  Atoms whose
    projections are closer than 0.6 A share a column, at their Z^1.7-weighted centroid; it is called after the heaviest
    of them.  The projected cell is the smallest that repeats.  Raises RecipeError for a zone of too high indices.
    """
    indices, flat, screen, repeat = _frame(tuple(map(tuple, cell_A.tolist())), zone)
    places = (fractions @ cell_A @ screen @ np.linalg.inv(flat)).round(9) % 1.0
    centres, contents, notes = _columns(elements, places, flat, format_indices(zone))
    period = _period(np.array(centres), contents, flat)
    small = period @ flat
    right = small[0] / np.linalg.norm(small[0])
    kept: list[int] = []
    inside = (np.array(centres) @ np.linalg.inv(period)).round(9) % 1.0
    for i, place in enumerate(inside):
        away = (place - inside[kept] + 0.5) % 1.0 - 0.5
        if not kept or np.linalg.norm(away @ small, axis=1).min() > ON_TOP_A:
            kept.append(i)
    names = [max(contents[i], key=lambda e: ATOMIC_NUMBER[e]) for i in kept]
    return Projection(
        sites=tuple(f"{n}{names[: i + 1].count(n)}" if names.count(n) > 1 else n for i, n in enumerate(names)),
        fractions=inside[kept],
        cell_A=(small @ np.array([[right[0], -right[1]], [right[1], right[0]]])).round(12) + 0.0,
        indices=period @ indices,
        content=tuple(contents[i] for i in kept),
        repeat_A=repeat,
        notes=tuple(dict.fromkeys(notes)),
    )


def project(material: Material, zone: Zone) -> Motif:
    """Columns of a cubic material seen along a zone axis.

    Raises
    ------
    RecipeError
        Along this zone the moving and the reference site cannot be told apart, or surround each other nowhere
        symmetrically.
    """
    if material.lattice_A is None:
        raise RecipeError(f"{material.name} has no lattice parameter to project it with")
    atoms = material.atoms
    seen = project_atoms(
        np.eye(3) * material.lattice_A,
        tuple(atom.element for atom in atoms),
        np.array([atom.fraction for atom in atoms]),
        zone,
    )
    for name in (material.moving, material.reference):
        if name not in seen.sites:
            other = next(s for s, c in zip(seen.sites, seen.content, strict=True) if name in c)
            raise RecipeError(
                f"along {format_indices(zone)} the {name} columns of {material.name} stand on its {other} columns: no "
                "displacement between them can be seen; choose another zone"
            )
    motif = Motif(material, zone, **vars(seen))
    motif.neighbours(material.moving, material.reference)
    return motif
