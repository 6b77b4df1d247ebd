"""The recipe's choices on the way from displacement to polarization."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator, model_validator

from . import materials
from .section import Section, number


class PolarizationSection(Section):
    """From displacement to polarization."""

    model: Literal["material", "moving_site", "reference_site", "kappa", "full", "none"] = number(
        "material",
        "Which site is taken to have moved in a rigid rest; kappa = a known polarization per displacement; full = all "
        "atoms as they are measured, oxygen too; material = the preset of the crystal.",
    )
    kappa: float | None = number(
        None,
        "Signed polarization per displacement of the moving site; unset = the crystal's table.",
        unit="uC/cm2 per pm",
        ge=-100,
        le=100,
    )
    charge: float | None = number(
        None, "Born effective charge of the site that moved; unset = the crystal's table.", unit="e", ge=-20, le=20
    )
    born_charges: dict[str, tuple[float, float]] | None = number(
        None,
        "Where model = full: Born effective charges by element, along and across the bond to the nearest cation, as "
        "{ O = [-5.8, -2.6] }; elements that are not named have the crystal's.",
        unit="e",
    )
    hidden_oxygen: Literal["visible", "column"] = number(
        "visible",
        "Where model = full: oxygen in the columns of a cation moves as the oxygen columns seen do along and across "
        "their bonds, or as the column it stands in.",
    )
    dilution: float | None = number(
        None,
        "Part of the moving atom's displacement that its column image shows; unset = the crystal's table.",
        gt=0.1,
        le=1.5,
    )

    def model_of(
        self, material: materials.Material
    ) -> Literal["moving_site", "reference_site", "kappa", "full", "none"]:
        """The model that is named, or the preset of the crystal."""
        return material.polarization if self.model == "material" else self.model

    @field_validator("born_charges")
    @classmethod
    def _plausible(cls, value: dict[str, tuple[float, float]] | None) -> dict[str, tuple[float, float]] | None:
        for element, pair in (value or {}).items():
            if element not in materials.ATOMIC_NUMBER:
                raise ValueError(f"{element} is not the symbol of an element")
            if not all(-20 <= one <= 20 for one in pair):
                raise ValueError(f"{element}: charges must lie between -20 and 20 e")
        return value

    @model_validator(mode="after")
    def _no_contradiction(self) -> PolarizationSection:
        used = {"kappa": ("kappa",), "charge": ("moving_site", "reference_site"), "born_charges": ("full",)}
        for field, models in used.items():
            if getattr(self, field) is not None and self.model not in ("material", "none", *models):
                raise ValueError(
                    f"{field} is given, which belongs to model = {' or '.join(models)}, but model = {self.model}; "
                    "leave out one of the two"
                )
        return self
