"""Crystals as data: atoms, lattice parameter, charges and signal weights, each with its source."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .errors import RecipeError

Zone = tuple[int, int, int]
PolarizationModel = Literal["moving_site", "reference_site", "kappa", "full", "none"]

HAADF_EXPONENT = 1.7
"""Contrast ~ Z^1.7: within the measured 1.6 to 2 (Nanoscale Res. Lett. 6, 194, 2011, doi 10.1186/1556-276X-6-194)."""

ABF_EXPONENT = 0.6
"""Column depth ~ Z^0.6 per atom: reproduces Ta : K-O : O = 1 : 0.7 : 0.5 in a 4.5 nm KTaO3 multislice (sample_data)."""

SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb "
    "Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au "
    "Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm"
)

ATOMIC_NUMBER = {symbol: number for number, symbol in enumerate(SYMBOLS.split(), start=1)}

ANIONS = frozenset({"N", "O", "F", "S", "Cl", "Se", "Br", "Te", "I"})
"""Elements that are not looked for as the site that a displacement is measured of or against."""


@dataclass(frozen=True)
class Atom:
    """An atom of the centrosymmetric reference structure: fractions of the cell and Born effective charge along/across
    the bond to the nearest cation in units of e (equal numbers where the site is isotropic, None where unknown)."""

    element: str
    fraction: tuple[float, float, float]
    charge_parallel: float | None = None
    charge_perpendicular: float | None = None


@dataclass(frozen=True)
class Material:
    """What a crystal is made of, how its columns move and what that means.

    ``moving`` and ``reference`` name the sites whose relative displacement is measured.  ``atoms`` and ``lattice_A``
    describe a cubic crystal; both are missing where a recipe describes the projection itself.  ``strain`` are the
    smallest and the largest relative departure of the real crystal's axes from ``lattice_A``.  ``kappa`` is the
    polarization per displacement in uC cm^-2 pm^-1, with its sign.  ``charge_note`` says by how much the charges are
    known to mislead.  ``dilution`` gives, per zone and signal, by how much a column image moves when only its moving
    atom moves and what it shares the column with stays.
    """

    name: str
    moving: str
    reference: str
    atoms: tuple[Atom, ...] = ()
    lattice_A: float | None = None
    lattice_source: str = ""
    strain: tuple[float, float] = (0.0, 0.0)
    volume_A3: float | None = None
    polarization: PolarizationModel = "none"
    charge_source: str = ""
    charge_note: str = ""
    kappa: float | None = None
    kappa_source: str = ""
    dilution: Mapping[Zone, Mapping[str, float]] = field(default_factory=dict)
    dilution_source: str = ""

    def charge(self, element: str) -> float | None:
        """Born effective charge of a cation in units of e; None where it is not known."""
        return next((atom.charge_parallel for atom in self.atoms if atom.element == element), None)


def _perovskite(
    a_site: str, b_site: str, axes_A: tuple[float, float, float], charges: tuple[float, ...] | None, **rest: Any
) -> Material:
    """A cubic perovskite ABO3 of the volume of a cell with three axes (angstrom), and the charges of A, B, O along
    and O across its bond to B."""
    lattice_A = round(math.prod(axes_A) ** (1 / 3), 4)
    a, b, along, across = charges or (None,) * 4
    faces = ((0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5))
    return Material(
        name=f"{a_site}{b_site}O3",
        atoms=(
            Atom(a_site, (0.0, 0.0, 0.0), a, a),
            Atom(b_site, (0.5, 0.5, 0.5), b, b),
            *(Atom("O", face, along, across) for face in faces),
        ),
        lattice_A=lattice_A,
        strain=(min(axes_A) / lattice_A - 1, max(axes_A) / lattice_A - 1),
        volume_A3=lattice_A**3,
        **{"moving": b_site, "reference": a_site} | rest,
    )


CUBIC_LDA = (
    "cubic LDA, after King-Smith and Vanderbilt, PRB 49, 5828 (1994), and Zhong, King-Smith and Vanderbilt, PRL 72, "
    "3618 (1994); quoted from memory, not checked"
)

CUBIC_NOTE = (
    "charges of the cubic phase are too large for the tetragonal one: with the coordinates of the bulk all atoms "
    "together give {given} uC/cm2 where {measured} are measured"
)
"""Anomalous charges shrink as bonds become unequal: in tetragonal PbTiO3 by about a quarter."""

KTaO3 = _perovskite(
    "K",
    "Ta",
    (3.9883, 3.9883, 3.9883),
    (1.156, 8.624, -6.408, -1.684),
    moving="K",
    reference="Ta",
    lattice_source="Zhurova et al., Acta Cryst. B56, 594 (2000), 298 K",
    polarization="moving_site",
    charge_source="Quantum ESPRESSO at a = 3.9865 A, github.com/JameH125/ktao3_thinfilms; sum 0.004 e",
    dilution={(1, -1, 0): {"HAADF": 0.76, "ABF": 0.69}},
    dilution_source="rigid-shift multislice of 4.5 nm, 200 kV, 25 mrad (sample_data); oxygen in the column stays",
)

SrTiO3 = _perovskite(
    "Sr",
    "Ti",
    (3.9053, 3.9053, 3.9053),
    (2.54, 7.12, -5.66, -2.00),
    lattice_source="Okazaki and Kawaminami, Mater. Res. Bull. 8, 545 (1973), 296 K",
    polarization="moving_site",
    charge_source=CUBIC_LDA,
)

BaTiO3 = _perovskite(
    "Ba",
    "Ti",
    (3.9910, 3.9910, 4.0352),
    (2.75, 7.16, -5.69, -2.11),
    lattice_source="tetragonal, Kwei et al., J. Phys. Chem. 97, 2368 (1993), 280 K",
    polarization="moving_site",
    charge_source=CUBIC_LDA,
    charge_note=CUBIC_NOTE.format(given="33 to 34", measured="26"),
)

PbTiO3 = _perovskite(
    "Pb",
    "Ti",
    (3.904, 3.904, 4.152),
    (3.90, 7.06, -5.83, -2.56),
    lattice_source="tetragonal, Nelmes and Kuhs, Solid State Commun. 54, 721 (1985), room temperature",
    polarization="kappa",
    charge_source=CUBIC_LDA,
    charge_note=CUBIC_NOTE.format(given="106", measured="75 to 80"),
    kappa=-4.8,
    kappa_source="76 uC/cm2 over the 16 pm by which Ti stands off Pb, against P, in the tetragonal bulk",
)

BiFeO3 = _perovskite(
    "Bi",
    "Fe",
    (3.965, 3.965, 3.965),
    None,
    lattice_source="pseudocubic, Kubel and Schmid, Acta Cryst. B46, 698 (1990)",
    polarization="kappa",
    kappa=-2.5,
    kappa_source="Nelson et al., Nano Lett. 11, 828 (2011); Fe stands off Bi against P",
)

KNbO3 = _perovskite(
    "K",
    "Nb",
    (3.973, 4.027, 4.045),
    (1.14, 9.23, -7.01, -1.68),
    lattice_source="orthorhombic in pseudocubic axes, Hewat, J. Phys. C 6, 2559 (1973), 270 K",
    polarization="moving_site",
    charge_source=CUBIC_LDA,
)

MATERIALS = {material.name: material for material in (KTaO3, SrTiO3, BaTiO3, PbTiO3, BiFeO3, KNbO3)}

ZONES: tuple[Zone, ...] = ((0, 0, 1), (1, -1, 0), (1, 1, -2))
"""Zone axes of a perovskite that are tested; interfaces (111) are seen edge-on along the last two."""


def material(name: str) -> Material:
    """The material of that name; raises RecipeError naming those there are."""
    try:
        return MATERIALS[name]
    except KeyError:
        raise RecipeError(
            f"material {name!r} is not known; there is {', '.join(sorted(MATERIALS))}; describe another one in a CIF "
            "file or a [structure] table"
        ) from None


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
