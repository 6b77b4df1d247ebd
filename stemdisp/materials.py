"""Crystals as data: atoms, lattice parameter, charges and signal weights, each with its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .errors import RecipeError

Zone = tuple[int, int, int]
PolarizationModel = Literal["moving_site", "reference_site"]

HAADF_EXPONENT = 1.7
"""Contrast ~ Z^1.7: within the measured 1.6 to 2 (Nanoscale Res. Lett. 6, 194, 2011, doi 10.1186/1556-276X-6-194)."""

ABF_EXPONENT = 0.6
"""Column depth ~ Z^0.6 per atom: reproduces Ta : K-O : O = 1 : 0.7 : 0.5 in a 4.5 nm KTaO3 multislice (sample_data)."""

ATOMIC_NUMBER = {"O": 8, "K": 19, "Ta": 73}


@dataclass(frozen=True)
class Atom:
    """An atom of the centrosymmetric reference structure: fractions of the cell and Born effective charge along/across
    the bond to the reference cation in units of e (equal numbers where the site is isotropic)."""

    element: str
    fraction: tuple[float, float, float]
    charge_parallel: float
    charge_perpendicular: float


@dataclass(frozen=True)
class Material:
    """A cubic crystal and how its columns move.

    ``moving`` and ``reference`` name the sites whose relative displacement is measured; ``brightest`` is the site that
    HAADF shows brightest. ``dilution`` gives, per signal, by how much a column image moves when only its moving atom
    moves and the oxygen it shares the column with stays.
    """

    name: str
    lattice_A: float
    atoms: tuple[Atom, ...]
    moving: str
    reference: str
    zones: tuple[Zone, ...]
    polarization: PolarizationModel
    charge_source: str
    lattice_source: str
    dilution: dict[Zone, dict[str, float]]
    dilution_source: str

    @property
    def volume_A3(self) -> float:
        """Volume of the unit cell in cubic angstrom."""
        return self.lattice_A**3

    def charge(self, element: str) -> float:
        """Born effective charge of a cation in units of e."""
        return next(atom.charge_parallel for atom in self.atoms if atom.element == element)


KTaO3 = Material(
    name="KTaO3",
    lattice_A=3.9883,
    lattice_source="Zhurova et al., Acta Cryst. B56, 594 (2000), 298 K",
    atoms=(
        Atom("K", (0.0, 0.0, 0.0), 1.156, 1.156),
        Atom("Ta", (0.5, 0.5, 0.5), 8.624, 8.624),
        Atom("O", (0.5, 0.5, 0.0), -6.408, -1.684),
        Atom("O", (0.5, 0.0, 0.5), -6.408, -1.684),
        Atom("O", (0.0, 0.5, 0.5), -6.408, -1.684),
    ),
    moving="K",
    reference="Ta",
    zones=((0, 0, 1), (1, -1, 0)),
    polarization="moving_site",
    charge_source="Quantum ESPRESSO at a = 3.9865 A, github.com/JameH125/ktao3_thinfilms; sum 0.004 e",
    dilution={(1, -1, 0): {"HAADF": 0.76, "ABF": 0.69}, (0, 0, 1): {"HAADF": 1.0, "ABF": 1.0}},
    dilution_source="rigid-shift multislice of 4.5 nm, 200 kV, 25 mrad (sample_data); oxygen in the column stays",
)

MATERIALS = {material.name: material for material in (KTaO3,)}


def material(name: str) -> Material:
    """The material of that name; raises RecipeError naming those there are."""
    try:
        return MATERIALS[name]
    except KeyError:
        raise RecipeError(f"material {name!r} is not known; there is {', '.join(sorted(MATERIALS))}") from None


def parse_zone(text: str) -> Zone:
    """A zone axis written as three indices: ``001``, ``1-10``, ``[1 -1 0]``.

    >>> parse_zone("1-10")
    (1, -1, 0)
    """
    indices: list[int] = []
    sign = 1
    for letter in text.strip().strip("[]()").replace(",", " "):
        if letter == "-":
            sign = -1
        elif letter in "0123456789":
            indices.append(sign * int(letter))
            sign = 1
        elif letter != " ":
            raise RecipeError(f"zone {text!r} is not three indices; write 001, 1-10 or [1 -1 0]")
    if len(indices) != 3 or not any(indices):
        raise RecipeError(f"zone {text!r} is not three indices; write 001, 1-10 or [1 -1 0]")
    return indices[0], indices[1], indices[2]


def format_indices(indices: tuple[int, int, int]) -> str:
    """Indices as a recipe writes them: ``1-10``."""
    return "".join(str(i) for i in indices)


def check_zone(of: Material, zone: Zone) -> Zone:
    """``zone`` if the material can be analysed along it; raises RecipeError naming those that can."""
    if zone not in of.zones:
        known = ", ".join(format_indices(z) for z in of.zones)
        raise RecipeError(
            f"zone {format_indices(zone)} of {of.name} is not among the zones it can be analysed along: {known}"
        )
    return zone
