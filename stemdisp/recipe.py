"""Every choice that can change the numbers: one frozen, validated model with a section per stage.

Each field carries its unit, range and one sentence of meaning; the commented TOML, the error messages, the JSON schema
and the forms of graphical programs are all made from them. What cannot change the numbers is not here.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from . import crystal, materials
from .errors import RecipeError
from .polarization_section import PolarizationSection
from .profile_entry import ProfileEntry
from .section import OfOneImage, Section, number
from .structure import StructureSection


class ImageSection(Section):
    """Which signals are read and how large a pixel is."""

    pixel_size: tuple[float, float] | None = number(
        None, "Pixel width and height where the file does not say or is wrong.", unit="pm"
    )
    pixel_size_from: Literal["file", "lattice"] = number(
        "file", "Take the pixel size from the file, or from the known lattice parameter (the file's is then ignored)."
    )
    position_signal: Literal["auto", "HAADF", "ABF"] = number(
        "auto", "Signal that positions of cations come from; auto = HAADF where there is one."
    )
    oxygen_signal: Literal["auto", "HAADF", "ABF"] = number(
        "auto", "Signal that positions of oxygen columns come from; auto = ABF where there is one."
    )
    frames: Literal["align", "average", "single"] = number(
        "align", "What is made of a stack of frames: aligned and averaged, averaged as they are, or one of them."
    )
    single_frame: int = number(1, "Frame that is taken where frames = single, counted from 1.", ge=1, le=100000)
    haadf_title: str | None = number(
        None, "Title or file name of the HAADF image where names do not tell; #2 = the second in the file."
    )
    abf_title: str | None = number(None, "The same of the ABF image.")
    bf_title: str | None = number(None, "The same of the BF image.")

    @property
    def taken(self) -> Literal["align", "average"] | int:
        """What is made of a stack: how it is averaged, or the number of the frame to take."""
        return self.single_frame if self.frames == "single" else self.frames

    @property
    def titles(self) -> dict[str, str]:
        """Signal -> what the user calls its image."""
        named = {"HAADF": self.haadf_title, "ABF": self.abf_title, "BF": self.bf_title}
        return {signal: title for signal, title in named.items() if title is not None}

    @field_validator("pixel_size")
    @classmethod
    def _in_range(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not all(0.5 <= v <= 200 for v in value):
            raise ValueError("each of the two must lie between 0.5 and 200 pm")
        return value


class MaterialSection(Section):
    """The crystal and the direction it is seen along."""

    name: str = number("KTaO3", "Crystal to look for: a preset, or a name for the one that [structure] describes.")
    zone: str = number("1-10", "Zone axis along the beam, three indices.")

    @field_validator("zone")
    @classmethod
    def _readable(cls, value: str) -> str:
        materials.parse_zone(value)
        return value


class FindSection(Section):
    """Peaks of the image."""

    separation: float | None = number(
        None,
        "Smallest distance between two peaks; unset = half of the shortest lattice spacing seen.",
        unit="px",
        gt=1,
        le=500,
    )
    threshold: float = number(
        0.25, "Height a peak must have above its surroundings, as a fraction of the tallest peaks.", ge=0.01, le=0.95
    )


class BasisSection(Section):
    """The average lattice."""

    scale_tolerance: float = number(
        0.08, "How far the lattice in the image may be off the one that material and pixel size give.", ge=0.01, le=0.3
    )
    significance: float = number(
        3.0,
        "How many times above the highest chance peak the lattice's Fourier peaks must stand, or no lattice is found.",
        ge=1.0,
        le=100,
    )


class AssignSection(Section):
    """Which peak is which column."""

    tolerance: float = number(
        0.3,
        "How far a peak may lie from where its neighbours predict it, in shortest column distances.",
        gt=0.02,
        le=0.5,
    )
    minimum_cells: int = number(9, "Smallest number of unit cells that counts as a crystal.", ge=4, le=10000)


class RefineSection(Section):
    """The sub-pixel fit."""

    weights: Literal["auto", "poisson", "uniform"] = number(
        "auto",
        "Weight of a pixel: 1 / expected counts (raw images) or equal (filtered or interpolated images); auto = as the "
        "noise of the image itself says.",
    )
    profile: Literal["tailed", "gaussian"] = number(
        "tailed", "Column profile: a Gaussian with a wider tail shared by all columns, or one Gaussian."
    )
    oxygen_in_haadf: Literal["near", "fixed", "free"] = number(
        "near",
        "Whether oxygen columns may move in HAADF, where they stand under the tails of far brighter ones: near their "
        "place among the others, as far as the image demands; not at all; or wherever the fit takes them.",
    )
    oxygen_spread: float = number(
        10.0,
        "Where oxygen_in_haadf = near: the largest standard deviation of oxygen about its place among the others; less "
        "where the image shows less.",
        unit="pm",
        ge=1,
        le=100,
    )
    background_spacing: float = number(
        3.0, "Distance between the knots of the smooth background, in shortest lattice spacings.", ge=1.5, le=20
    )
    weak_window: float = number(
        1.3,
        "Radius of the window in which weak columns are fitted a second time on a plane.",
        unit="angstrom",
        ge=0.6,
        le=3,
    )
    tolerance: float = number(
        1e-3, "Largest movement at which the fit counts as converged.", unit="px", ge=1e-6, le=0.05
    )
    max_iterations: int = number(30, "Iterations after which a column that still moves is flagged.", ge=2, le=200)


def _in_pairs(value: tuple[float, ...] | None) -> tuple[float, ...] | None:
    """Coordinates of points, which come as x and y."""
    if value is not None and (len(value) % 2 or not all(map(math.isfinite, value))):
        raise ValueError("give finite x and y of every point")
    return value


class InterfaceSection(Section):
    """The edge of the crystal."""

    mode: Literal["auto", "line", "none"] = number(
        "auto", "Find the edge automatically, take the line below (or one drawn for this image), or use none."
    )
    line: tuple[float, ...] | None = number(
        None,
        "Two or more points x0, y0, x1, y1 ... along the edge; the crystal is on the side with more columns.",
        unit="px",
        min_length=4,
    )
    plane: str = number("auto", "Miller indices of the layers; auto = the low-index plane nearest to the edge.")

    @field_validator("line")
    @classmethod
    def _points(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        return _in_pairs(value)

    @model_validator(mode="after")
    def _line_given(self) -> InterfaceSection:
        if self.plane != "auto":
            materials.parse_zone(self.plane)
        return self


class DisplacementSection(Section):
    """The zero of the displacement."""

    reference: Literal["auto", "none"] = number(
        "auto",
        "Subtract the mean of the bulk where an interface exists (or of a region drawn on the image), or nothing.",
    )
    bulk_from_layer: int | None = number(
        None, "First layer of the bulk; unset = found from where the profile is flat.", ge=1, le=10000
    )
    correct: Literal["none", "affine"] = number(
        "none",
        "What of the scan is taken out of displacements: nothing, or the affine distortion that the lattice shows "
        "against the ideal one (of a crystal that is no cube, its own strain with it).",
    )


class LayersSection(Section):
    """Statistics per layer."""

    minimum_cells: int = number(3, "Layers with fewer cells get no mean.", ge=2, le=1000)


class InterfaceEntry(OfOneImage):
    """An interface drawn on one image."""

    line: tuple[float, ...] = number(
        ..., "Two or more points x0, y0, x1, y1 ... along the edge.", unit="px", min_length=4
    )

    @field_validator("line")
    @classmethod
    def _points(cls, value: tuple[float, ...]) -> tuple[float, ...] | None:
        return _in_pairs(value)


class RegionEntry(OfOneImage):
    """A reference region drawn on one image."""

    polygon: tuple[tuple[float, float], ...] = number(..., "Corners (x, y) of the region.", unit="px", min_length=3)


MOST_CELLS = 1_000_000
"""No image shows more cells in a row."""


class EditEntry(OfOneImage):
    """A column changed by hand."""

    action: Literal["move", "delete", "add", "reassign"] = Field(
        description="Start the fit from another place, take the column out, list one that was missed, or give it the "
        "site and cell that it belongs to."
    )
    site: str = Field(description="Site of the column.")
    h: int = number(..., "First cell index of the column.", ge=-MOST_CELLS, le=MOST_CELLS)
    k: int = number(..., "Second cell index of the column.", ge=-MOST_CELLS, le=MOST_CELLS)
    x: float | None = number(None, "Start position of a column that is moved or added.", unit="px")
    y: float | None = number(None, "Start position of a column that is moved or added.", unit="px")
    to_site: str | None = number(None, "Site that a reassigned column belongs to.")
    to_h: int | None = number(
        None, "First index of the cell that a reassigned column belongs to.", ge=-MOST_CELLS, le=MOST_CELLS
    )
    to_k: int | None = number(
        None, "Second index of the cell that a reassigned column belongs to.", ge=-MOST_CELLS, le=MOST_CELLS
    )

    @model_validator(mode="after")
    def _complete(self) -> EditEntry:
        needed = {"move": ("x", "y"), "add": ("x", "y"), "reassign": ("to_site", "to_h", "to_k")}
        names = needed.get(self.action, ())
        if any(getattr(self, name) is None for name in names):
            article = "an" if self.action == "add" else "a"
            raise ValueError(f"{article} {self.action} needs {', '.join(names[:-1])} and {names[-1]}")
        if not all(math.isfinite(place) for place in (self.x, self.y) if place is not None):
            raise ValueError("x and y must be finite")
        return self


OF_ONE_IMAGE = ("edits", "interfaces", "regions", "profiles")
"""Sections of entries that act on one image alone."""


class Recipe(BaseModel):
    """All sections.  Raises RecipeError (through :func:`parse`) for unknown keys and values out of range."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    image: ImageSection = ImageSection()
    material: MaterialSection = MaterialSection()
    structure: StructureSection | None = None
    find: FindSection = FindSection()
    basis: BasisSection = BasisSection()
    assign: AssignSection = AssignSection()
    refine: RefineSection = RefineSection()
    interface: InterfaceSection = InterfaceSection()
    displacement: DisplacementSection = DisplacementSection()
    polarization: PolarizationSection = PolarizationSection()
    layers: LayersSection = LayersSection()
    edits: tuple[EditEntry, ...] = ()
    interfaces: tuple[InterfaceEntry, ...] = ()
    regions: tuple[RegionEntry, ...] = ()
    profiles: tuple[ProfileEntry, ...] = ()

    @model_validator(mode="after")
    def _crystal_known(self) -> Recipe:
        elements = list(dict.fromkeys(element for content in self.motif().content for element in content))
        for other in sorted(set(self.polarization.born_charges or {}) - set(elements)):
            raise RecipeError(
                f"[polarization] born_charges: {self.material.name} holds no {other}; there is {', '.join(elements)}"
            )
        return self

    def motif(self) -> crystal.Motif:
        """The columns to look for; raises RecipeError where material, zone and [structure] name none."""
        zone = materials.parse_zone(self.material.zone)
        if self.structure is None:
            return crystal.project(materials.material(self.material.name), zone)
        return self.structure.motif(self.material.name, zone)

    def digest(self) -> str:
        """First 12 hex digits of the SHA-256 of every value: the recipe's name on figures and in results."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]

    def with_values(self, changes: dict[str, dict[str, Any]]) -> Recipe:
        """A validated copy with some values exchanged, given as {section: {field: value}}."""
        values = self.model_dump(mode="json")
        for section, fields in changes.items():
            values[section] = (values.get(section) or {}) | fields
        return parse(values)

    def acting_on(self, inputs: Collection[str]) -> Recipe:
        """Itself, or a copy without the entries that belong to other images than those with these SHA-256."""
        entries = {name: getattr(self, name) for name in OF_ONE_IMAGE}
        own = {name: tuple(one for one in found if one.sha256 in inputs) for name, found in entries.items()}
        return self if own == entries else self.model_copy(update=own)

    def with_profile(self, entry: ProfileEntry) -> Recipe:
        """A copy with an external profile: in the place of that of the same image and name, or beside the others."""
        others = (one for one in self.profiles if (one.sha256, one.name) != (entry.sha256, entry.name))
        return self.model_copy(update={"profiles": (*others, entry)})


def _nearest(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _known_keys(path: tuple[str | int, ...]) -> list[str]:
    model: Any = Recipe
    for part in path:
        if isinstance(part, str):
            model = model.model_fields[part].annotation
            model = getattr(model, "__args__", (model,))[0]
    return list(model.model_fields)


def _sentence(error: Any, source: str) -> str:
    place, kind = error["loc"], error["type"]
    where = "".join(f"[{p}] " if i == 0 and len(place) > 1 else f"{p} " for i, p in enumerate(place)).strip()
    if kind == "extra_forbidden":
        return _one_line(f"{source}: unknown key {where}{_nearest(str(place[-1]), _known_keys(place[:-1]))}")
    value = error.get("input")
    shown = "" if isinstance(value, dict) else f" = {str(value)[:80]!r}"
    said = error["msg"].removeprefix("Value error, ")
    return _one_line(f"{source}: {where}{shown}: {said}" if where else f"{source}: {said}")


def _one_line(text: str) -> str:
    """A message on one line, whatever a hostile key holds."""
    return " ".join(text.split())


def parse(values: dict[str, Any], source: str = "recipe") -> Recipe:
    """A recipe from nested values; raises RecipeError with one sentence for the first thing that is wrong."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(_sentence(error.errors()[0], source)) from None
    except RecipeError as error:
        raise RecipeError(f"{source}: {error}") from None


def load(path: str | Path) -> Recipe:
    """The recipe in a TOML file; raises RecipeError with one sentence."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RecipeError(f"recipe {path}: {reason}; make one with: stemdisp recipe KTaO3 --zone 1-10") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {path}: not TOML: {error}") from None
    return parse(values, f"recipe {path.name}")


def for_material(name: str, zone: str) -> Recipe:
    """The recipe of a crystal and zone with every other value at its default."""
    return parse({"material": {"name": name, "zone": zone}})
