"""The polarization of a projected cell by all of its atoms: what each column's place adds to it.

P = (e / Omega) sum_i Z*_i d_i over the atoms i of a formula unit, seen along the beam: Resta and Vanderbilt, in Physics
of Ferroelectrics, 2007, doi 10.1007/978-3-540-34591-6_2.  Displacements are taken from a centrosymmetric reference with
one origin for all, the lattice of the reference site's columns; which origin drops out as far as the charges add up to
zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .crystal import SAME_COLUMN_A, Motif
from .errors import RecipeError
from .materials import ANIONS, ATOMIC_NUMBER, Atom

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Hidden = Literal["visible", "column"]
Charges = Mapping[str, tuple[float, float]]

UC_CM2_PER_E_A2 = 1602.176634
"""One elementary charge per square angstrom in uC/cm^2 (CODATA 2018, exact)."""

PM_PER_A = 100.0

ROUNDED_E = 0.05
"""Sum of the charges of a cell that rounding a table to 0.01 e an atom may leave."""

SAME = 1e-9


@dataclass(frozen=True)
class Dipole:
    """Polarization as a linear function of where E columns of a cell stand: P = sum_e weights[e] (x_e - ideal_e).

    sites
        (E,) index of each column's site in ``motif.sites``.
    offsets
        (E, 2) its cell, counted from that of the moving column.
    weights
        (E, 2, 2) uC/cm2 per pm in the frame of ``motif.cell_A`` (y up); they add up to zero.
    excess_e
        sum of the charges of a formula unit in e, of which none should be left.
    shift
        (2,) what the polarization gains, uC/cm2, for each pm of right and up by which another origin would stand off.
    sentence
        charges and assumptions.
    """

    sites: Ints
    offsets: Ints
    weights: Floats
    excess_e: float
    shift: Floats
    sentence: str

    @property
    def warning(self) -> str:
        """That the charges do not add up to zero, and what it does; empty where they do."""
        if abs(self.excess_e) <= ROUNDED_E:
            return ""
        return (
            f"the charges of a formula unit add up to {self.excess_e:+.2f} e instead of 0: the polarization depends on "
            f"where its origin lies, by {abs(self.shift).max():.2g} uC/cm2 for each pm; it is that of the reference "
            "site's columns"
        )


@dataclass(frozen=True)
class _Atom:
    """Site of an atom's column, its tensor (2, 2) in e as the projection has it, and its bond (3,) to the nearest
    cation (zero of a cation), of length one."""

    element: str
    site: int
    tensor: Floats
    bond: Floats


def build_dipole(motif: Motif, share: Mapping[str, float], charges: Charges, hidden: Hidden) -> Dipole:
    """What the places of a cell's columns say of its polarization.

    Parameters
    ----------
    motif
        Projected crystal with its atoms; cubic.
    share
        Site -> part of its displacement that the atom a mixed column is called after shows in the column's image, if
        what else the column holds stays.
    charges
        Element -> Born effective charge (e) along and across the bond to the nearest cation; replaces the crystal's.
    hidden
        How atoms move that stand in the column of another element: ``visible`` = as those of their kind whose columns
        are seen move along, and across, their own bonds; ``column`` = as their column.

    Returns
    -------
    Dipole
        In the frame of the motif.

    Raises
    ------
    RecipeError
        Something that the sum needs is not known; the sentence says what.
    """
    material, screen = motif.material, _screen(motif)
    known = _charges(motif, charges)
    if material.volume_A3 is None:
        raise RecipeError(f"{material.name} has no known volume of the unit cell")
    atoms = [_atom(motif, atom, known[atom.element], screen) for atom in material.atoms]
    response = _responses(motif, atoms, share, hidden, screen)
    per_pm = UC_CM2_PER_E_A2 / material.volume_A3 / PM_PER_A
    stencil: dict[tuple[int, int, int], Floats] = {}
    for site in sorted({site for _, moves in response for site in moves}):
        total = sum((atom.tensor @ moves[site] for atom, moves in response if site in moves), np.zeros((2, 2)))
        _add_site(stencil, motif, site, np.asarray(per_pm * total))
    excess = sum((along + 2 * across) / 3 for along, across in (known[atom.element] for atom in material.atoms))
    return Dipole(
        sites=np.array([site for site, _, _ in stencil], dtype=np.int64),
        offsets=np.array([cell for _, *cell in stencil], dtype=np.int64),
        weights=np.array(list(stencil.values())),
        excess_e=float(excess),
        shift=np.diag(per_pm * sum((atom.tensor for atom in atoms), np.zeros((2, 2)))),
        sentence=_sentence(motif, atoms, known, charges, share, hidden),
    )


def _charges(motif: Motif, given: Charges) -> dict[str, tuple[float, float]]:
    material = motif.material
    elements = list(dict.fromkeys(atom.element for atom in material.atoms))
    if not elements:
        raise RecipeError(f"{material.name} is given by its columns alone, without atoms and their charges")
    known: dict[str, tuple[float, float]] = {}
    for atom in material.atoms:
        if atom.element in given:
            known[atom.element] = given[atom.element]
        elif atom.charge_parallel is None or atom.charge_perpendicular is None:
            raise RecipeError(
                f"{material.name} has no known Born effective charge of {atom.element}; give it in [polarization] "
                "born_charges"
            )
        else:
            known[atom.element] = (atom.charge_parallel, atom.charge_perpendicular)
    return known


def _screen(motif: Motif) -> Floats:
    """(3, 2) right and up of the screen in the crystal's Cartesian axes."""
    lattice_A = motif.material.lattice_A
    if lattice_A is None:
        raise RecipeError(f"{motif.material.name} is given by its columns alone, without atoms and their charges")
    steps = np.vstack([motif.indices, motif.zone]).astype(float)
    return np.asarray(np.linalg.solve(steps, np.vstack([motif.cell_A, np.zeros(2)])) / lattice_A)


def _atom(motif: Motif, atom: Atom, charge: tuple[float, float], screen: Floats) -> _Atom:
    """An atom as the projection has it."""
    along, across = charge
    bond = _bond(motif, atom)
    tensor = across * np.eye(3) + (along - across) * np.outer(bond, bond)
    if not bond.any():
        tensor = (along + 2 * across) / 3 * np.eye(3)
    place = np.array(atom.fraction) * (motif.material.lattice_A or 1.0) @ screen
    away = (place @ np.linalg.inv(motif.cell_A) - motif.fractions + 0.5) % 1.0 - 0.5
    distance = np.linalg.norm(away @ motif.cell_A, axis=1)
    assert distance.min() < SAME_COLUMN_A
    return _Atom(atom.element, int(distance.argmin()), screen.T @ tensor @ screen, bond)


def _bond(motif: Motif, atom: Atom) -> Floats:
    """(3,) direction from an anion to the nearest cation; zero for cations."""
    if atom.element not in ANIONS:
        return np.zeros(3)
    around = np.array(list(product((-1, 0, 1), repeat=3)))
    cations = [np.array(other.fraction) for other in motif.material.atoms if other.element not in ANIONS]
    steps = np.concatenate([cation + around for cation in cations]) - atom.fraction
    lengths = np.linalg.norm(steps, axis=1)
    return np.asarray(steps[lengths.argmin()] / lengths.min())


def _host(motif: Motif, site: int) -> str:
    """The element that a column is called after."""
    return max(motif.content[site], key=lambda element: ATOMIC_NUMBER[element])


def _responses(
    motif: Motif, atoms: list[_Atom], share: Mapping[str, float], hidden: Hidden, screen: Floats
) -> list[tuple[_Atom, dict[int, Floats]]]:
    """Every atom, and the (2, 2) by which its displacement follows that of each site's columns; those of the reference
    site stand still, as everything is measured from them."""
    reference = motif.site(motif.material.reference)
    found: list[tuple[_Atom, dict[int, Floats]]] = []
    for site in range(len(motif.sites)):
        here = [atom for atom in atoms if atom.site == site]
        guests = [atom for atom in here if atom.element != _host(motif, site)]
        own: dict[int, Floats] = {} if site == reference else {site: np.eye(2)}
        moves = [own if hidden == "column" else _as_visible(motif, atoms, guest, screen) for guest in guests]
        found += list(zip(guests, moves, strict=True))
        part = share.get(motif.sites[site], 1.0) if guests and hidden == "visible" else 1.0
        host = {one: matrix / part for one, matrix in own.items()}
        for move in moves if part != 1 else []:
            for one, matrix in move.items():
                host[one] = host.get(one, np.zeros((2, 2))) - (1 - part) / part / len(moves) * matrix
        found += [(atom, host) for atom in here if atom not in guests]
    return found


def _as_visible(motif: Motif, atoms: list[_Atom], guest: _Atom, screen: Floats) -> dict[int, Floats]:
    """(2, 2) by which a hidden atom follows the columns that hold its kind alone.

    Along each axis it moves as a column of atoms would whose bonds make the same angle with that axis: linear between
    the columns seen, or as their mean where they do not tell.
    """
    seen = [site for site, content in enumerate(motif.content) if set(content) == {guest.element}]
    if not seen:
        raise RecipeError(
            f"along this zone no column holds {guest.element} alone, and the crystal's own places are not seen"
        )
    bonds = [[atom.bond for atom in atoms if atom.site == site] for site in seen]
    spread = screen.T @ np.mean([np.outer(bond, bond) for bond in bonds[0]], axis=0) @ screen
    axes = np.linalg.eigh(spread)[1].T if np.ptp(np.linalg.eigvalsh(spread)) > SAME else np.eye(2)
    moves = {site: np.zeros((2, 2)) for site in seen}
    for axis in axes:
        wanted = float((guest.bond @ screen @ axis) ** 2)
        given = np.array([np.mean([(bond @ screen @ axis) ** 2 for bond in of]) for of in bonds])
        weight = np.full(len(seen), 1 / len(seen))
        off = given - given.mean()
        if off @ off > SAME and given.min() - SAME <= wanted <= given.max() + SAME:
            weight = weight + (wanted - given.mean()) * off / (off @ off)
        for site, one in zip(seen, weight, strict=True):
            moves[site] += one * np.outer(axis, axis)
    return moves


def _add_site(stencil: dict[tuple[int, int, int], Floats], motif: Motif, site: int, tensor: Floats) -> None:
    """Add a site's displacement times ``tensor``: its columns around the moving one, each against the columns of the
    reference site around it."""
    material = motif.material
    moving, reference = motif.site(material.moving), motif.site(material.reference)
    columns = np.zeros((1, 2), dtype=np.int64) if site == moving else motif.around(material.moving, motif.sites[site])
    near = motif.around(motif.sites[site], material.reference)
    for column in columns:
        places = [(site, column, tensor)] + [(reference, column + step, -tensor / len(near)) for step in near]
        for which, cell, weight in places:
            key = (which, int(cell[0]), int(cell[1]))
            stencil[key] = stencil.get(key, np.zeros((2, 2))) + weight / len(columns)


def _sentence(
    motif: Motif,
    atoms: list[_Atom],
    known: Mapping[str, tuple[float, float]],
    given: Charges,
    share: Mapping[str, float],
    hidden: Hidden,
) -> str:
    """Charges and assumptions in words."""
    material = motif.material
    listed = ", ".join(
        f"{element} {along:+g}" if along == across else f"{element} {along:+g} along and {across:+g} across its bond"
        for element, (along, across) in known.items()
    )
    source = "recipe" if set(given) >= set(known) else material.charge_source + ("; recipe" if given else "")
    said = [f"all atoms of the cell, each against the {material.reference} columns, Z* = {listed} e ({source})"]
    for site in sorted({atom.site for atom in atoms}):
        guests = sorted({atom.element for atom in atoms if atom.site == site} - {_host(motif, site)})
        if guests:
            name, inside, host = motif.sites[site], " and ".join(guests), _host(motif, site)
            as_what = "its column" if hidden == "column" else "that in columns of its own, by its bonds"
            part = share.get(name, 1.0)
            shown = (
                f", and {host} to make up the rest of what the column shows (share {part:.3g})"
                if hidden == "visible" and part != 1
                else ""
            )
            said.append(f"{inside} hidden in the {name} columns is taken to move as {as_what}{shown}")
    said.append("polarization along the beam is not seen")
    return "; ".join([*said, material.charge_note] if material.charge_note and not given else said)
