"""The recipe that the options of a command ask for."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import RecipeError
from .io.pairs import ImageSet
from .io.text import one_line
from .recipe import Recipe, for_material, load


def numbers(text: str, option: str) -> tuple[float, float]:
    """One number or two with a comma between them; one stands for both."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 2):
        raise RecipeError(f"{option} {text!r}: must be one number, or two with a comma between them")
    return values[0], values[-1]


def of_crystal(material: str, zone: str, moving: str | None = None, reference: str | None = None) -> Recipe:
    """The recipe of a preset, or of a CIF file."""
    if material.lower().endswith(".cif"):
        from .io.cif import recipe_from_cif

        return recipe_from_cif(material, zone, moving=moving, reference=reference)
    if moving or reference:
        raise RecipeError(f"--moving and --reference name sites of a CIF file; {material} brings its own")
    return for_material(material, zone)


def _assigned(text: str) -> dict[str, dict[str, Any]]:
    """What SECTION.KEY=VALUE sets; the value is TOML, or else a plain word."""
    place, sign, value = text.partition("=")
    section, dot, field = place.strip().partition(".")
    if not (sign and dot and section and field):
        raise RecipeError(f"--set {text!r}: must be SECTION.KEY=VALUE, such as refine.radius=4")
    try:
        found = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        found = {"value": value.strip()}
    if list(found) != ["value"]:
        raise RecipeError(f"--set {text!r}: one value at a time")
    return {section: {field: found["value"]}}


def of_run(
    path: Path | None, material: str | None, zone: str | None, pixel_size: str | None, values: Sequence[str] = ()
) -> Recipe:
    """The recipe that the options of ``run`` ask for."""
    if path is not None and (material or zone):
        raise RecipeError("--recipe and --material say the same thing twice; pass one of them")
    if path is None and not (material and zone):
        raise RecipeError("no recipe: pass --recipe FILE, or --material NAME and --zone Z")
    found = load(path) if path is not None else of_crystal(material or "", zone or "")
    for text in values:
        found = found.with_values(_assigned(text))
    if pixel_size is None:
        return found
    if pixel_size.strip().lower() == "lattice":
        return found.with_values({"image": {"pixel_size_from": "lattice"}})
    size = list(numbers(pixel_size, "--pixel-size"))
    return found.with_values({"image": {"pixel_size": size, "pixel_size_from": "file"}})


def with_profiles(recipe: Recipe, files: Sequence[Path], sets: Sequence[ImageSet]) -> Recipe:
    """A recipe with the profiles in CSV files, which belong to the one image set there is.

    Raises RecipeError where there are several image sets, or a file holds no profile.
    """
    from .io.external import read_profile

    for file in files:
        if len(sets) > 1:
            names = ", ".join(one_line(one.name, 40) for one in sets[:3]) + (" ..." if len(sets) > 3 else "")
            raise RecipeError(
                f"--profile {one_line(file)} belongs to one image, and {len(sets)} are given ({names}); give that one, "
                "or NAME_HAADF with its NAME_ABF, and run the others apart"
            )
        recipe = recipe.with_profile(read_profile(file, sets[0].paths[0]))
    return recipe
