"""A profile measured elsewhere, as by EELS, as an entry of the recipe: with its numbers, its file is needed no more."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field, model_validator

from .section import OfOneImage, number

LARGEST = 1e100
"""Largest size of a number: differences and squares of such are numbers still."""

MOST_ROWS = 10000

Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]


class ProfileEntry(OfOneImage):
    """A profile across the interface of one image that was measured elsewhere, as by EELS."""

    name: str = Field(description="What was measured, e.g. O K edge, EELS.", min_length=1, max_length=200)
    unit: str = Field(default="", description="Unit of the values.", max_length=60)
    distance_nm: tuple[Number, ...] = number(
        ...,
        "Distances from the interface, rising: 0 at it and positive into the crystal.",
        unit="nm",
        min_length=2,
        max_length=MOST_ROWS,
    )
    value: tuple[Number, ...] = number(..., "What was measured at each distance.")
    error: tuple[Number, ...] = number((), "Standard error of each value; empty = unknown.")

    @model_validator(mode="after")
    def _rows(self) -> ProfileEntry:
        n, values, errors = len(self.distance_nm), len(self.value), len(self.error)
        if values != n or errors not in (0, n):
            known = f", {errors} errors" if errors else ""
            raise ValueError(f"columns of unequal length: {n} distances, {values} values{known}")
        for row, (before, after) in enumerate(pairwise(self.distance_nm), start=2):
            if after <= before:
                raise ValueError(
                    f"distances do not rise: {after:g} nm in row {row} follows {before:g} nm; sort the rows, each "
                    "distance once, 0 at the interface and positive into the crystal"
                )
        for row, error in enumerate(self.error, start=1):
            if error < 0:
                raise ValueError(f"the error in row {row} is negative ({error:g}); give standard errors of 0 or more")
        return self
