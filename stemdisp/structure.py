"""A crystal that is no preset: its projected cell, written by hand in a recipe or taken from a CIF file."""

from __future__ import annotations

import numpy as np
from pydantic import field_validator, model_validator

from . import materials
from .crystal import SAME_COLUMN_A, Motif
from .errors import RecipeError
from .section import Section, number

FLAT = 1e-3
"""Volume of three vectors, in unit cells, below which they lie in one plane."""


class SiteEntry(Section):
    """One column of the projected cell."""

    name: str = number(..., "Name of the site.", pattern="^[A-Za-z][A-Za-z0-9_-]{0,15}$")
    x: float = number(..., "Place along a, as a fraction of it.", ge=-1, le=2)
    y: float = number(..., "Place along b, as a fraction of it.", ge=-1, le=2)
    atoms: dict[str, float] = number(
        ..., "Elements of the column and how many of each a repeat along the beam holds.", min_length=1
    )

    @field_validator("atoms")
    @classmethod
    def _elements(cls, value: dict[str, float]) -> dict[str, float]:
        for element, count in value.items():
            if element not in materials.ATOMIC_NUMBER:
                raise ValueError(f"{element} is not the symbol of an element")
            if not 0 < count <= 1000:
                raise ValueError(f"{element} = {count:g}: must be above 0 and at most 1000")
        return value


class StructureSection(Section):
    """The projected cell of a crystal that is no preset."""

    a: tuple[float, float] = number(..., "First cell vector on the screen, x right and y up.", unit="angstrom")
    b: tuple[float, float] = number(..., "Second cell vector, counter-clockwise of the first.", unit="angstrom")
    sites: tuple[SiteEntry, ...] = number(..., "Columns of the cell.", min_length=2, max_length=100)
    moving: str = number(..., "Site whose displacement is measured.")
    reference: str = number(..., "Site that it is measured against.")
    a_indices: tuple[float, float, float] | None = number(
        None,
        "Vector of the crystal that projects onto a, in those of its unit cell; planes are named by it (unset, and by "
        "a and b alone: as if the beam were along 001).",
    )
    b_indices: tuple[float, float, float] | None = number(None, "The same for b.")
    repeat: float | None = number(None, "Period along the beam.", unit="angstrom", gt=0, le=1000)
    volume: float | None = number(
        None,
        "Volume that a polarization is divided by: that of the unit cell for each moving atom in it.",
        unit="angstrom^3",
        gt=0,
        le=1e6,
    )
    overlaps: tuple[str, ...] = number((), "Sentences on atoms that were taken together.", max_length=20)
    source: str = number("", "Where the structure comes from.", max_length=300)

    @model_validator(mode="after")
    def _possible(self) -> StructureSection:
        area = self.a[0] * self.b[1] - self.a[1] * self.b[0]
        if not 1 <= area <= 1e4:
            raise ValueError(f"a and b span {area:.3g} square angstrom; they must span 1 to 10000, b left of a")
        names = [site.name for site in self.sites]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"site {twice[0]} is listed twice")
        for field in ("moving", "reference"):
            if getattr(self, field) not in names:
                raise ValueError(f"{field} = {getattr(self, field)!r} is not among the sites {', '.join(names)}")
        if (self.a_indices is None) != (self.b_indices is None):
            raise ValueError("a_indices and b_indices belong together; give both or none")
        if self.moving == self.reference:
            raise ValueError(f"moving and reference are both {self.moving}; name two sites")
        return self

    def motif(self, name: str, zone: materials.Zone) -> Motif:
        """The columns as a motif; raises RecipeError where they overlap or surround each other nowhere evenly."""
        indices = np.eye(2, 3)
        if self.a_indices is None or self.b_indices is None:
            zone = (0, 0, 1)
        else:
            indices = np.array([self.a_indices, self.b_indices], dtype=float)
            if abs(np.linalg.det(np.vstack([indices, zone]))) < FLAT:
                raise RecipeError(
                    f"[structure] a_indices, b_indices and zone {materials.format_indices(zone)} lie in one plane; "
                    "give the lattice vectors that this beam projects onto a and b, or none"
                )
        known = materials.Material(name, self.moving, self.reference, volume_A3=self.volume)
        motif = Motif(
            material=known,
            zone=zone,
            sites=tuple(site.name for site in self.sites),
            fractions=np.array([(site.x, site.y) for site in self.sites]) % 1.0,
            cell_A=np.array([self.a, self.b]),
            indices=indices,
            content=tuple(dict(site.atoms) for site in self.sites),
            repeat_A=self.repeat,
            notes=self.overlaps,
        )
        if motif.shortest_distance_A < SAME_COLUMN_A:
            one, other = motif.closest
            raise RecipeError(
                f"[structure] {one} and {other} overlap: {motif.shortest_distance_A:.2f} A apart, at least "
                f"{SAME_COLUMN_A:g} are needed; make one column of them"
            )
        motif.neighbours(self.moving, self.reference)
        return motif
