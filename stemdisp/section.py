"""What every section and entry of a recipe has in common: strict keys, and fields that explain themselves."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


def number(default: Any, meaning: str, *, unit: str = "", **limits: Any) -> Any:
    """A field with its meaning, unit and range (pydantic's ge, gt, le, lt, min_length, max_length)."""
    return Field(default=default, description=meaning, json_schema_extra={"unit": unit}, **limits)


class Section(BaseModel):
    """Base of all sections: frozen, strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OfOneImage(Section):
    """Base of entries that act on one image alone, named by the SHA-256 of its file."""

    sha256: str = Field(description="SHA-256 (hex) of the input file.", pattern="^[0-9a-f]{64}$")
