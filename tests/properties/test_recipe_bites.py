"""A parameter that changes nothing is a rumour: every field of the recipe changes the result of some image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import stemdisp
from stemdisp.errors import RecipeError, StemdispError
from stemdisp.model.analysis import Analysis
from stemdisp.model.micrograph import InputFile, Micrograph, PixelSize
from stemdisp.motion import Motion
from stemdisp.recipe import Recipe
from stemdisp.scene import Dose, Edge, Scene, View
from stemdisp.synthetic import simulate

SHA = "ab" * 32
START = stemdisp.recipe_for("KTaO3", "1-10")


@cache
def image() -> Micrograph:
    """HAADF and ABF of an interface under a cap, with a pixel size 1 % off the lattice's."""
    scene = Scene(
        signals=("HAADF", "ABF"),
        view=View(shape=(240, 340), pixel_size_pm=(14.0, 14.0)),
        motion=Motion(normal_pm=9, parallel_pm=20),
        dose=Dose(peak_counts=2000),
        edge=Edge(offset_A=4.0),
    )
    micrograph, _ = simulate(scene.facing(90))
    named = replace(micrograph, inputs=(InputFile("image.tif", 1, SHA, "tifffile"),))
    return named.with_pixel_size(PixelSize(14.14, 14.14, "file"))


@cache
def badly_calibrated() -> Micrograph:
    """The same with a pixel size 15 % too large."""
    return image().with_pixel_size(PixelSize(16.1, 16.1, "file"))


@cache
def faint() -> Micrograph:
    """So few counts that the lattice stands only some ten times above chance."""
    scene = Scene(
        view=View(shape=(240, 340), pixel_size_pm=(14.0, 14.0)), dose=Dose(peak_counts=8.0, background_counts=12.0)
    )
    return simulate(scene)[0]


IMAGES: dict[str, Callable[[], Micrograph]] = {"basis.scale_tolerance": badly_calibrated, "basis.significance": faint}
"""Fields that act only on special images; all others act on :func:`image`."""

_COLUMNS = [
    {"name": "K", "x": 0.0, "y": 0.0, "atoms": {"K": 1.0, "O": 1.0}},
    {"name": "Ta", "x": 0.0, "y": 0.5, "atoms": {"Ta": 1.0}},
    {"name": "O", "x": 0.5, "y": 0.5, "atoms": {"O": 2.0}},
]
BY_HAND = {
    "structure": {
        "a": [2.8201, 0.0],
        "b": [0.0, 3.9883],
        "a_indices": [0, 1, 0],
        "b_indices": [0, 0, 1],
        "volume": 63.44,
        "moving": "K",
        "reference": "Ta",
        "sites": _COLUMNS,
    },
    "polarization": {"model": "moving_site", "charge": 1.156},
}
"""KTaO3 along [1-10] as a table."""

CHANGES: dict[str, tuple[Any, ...]] = {
    "image.pixel_size": ([14.3, 13.9],),
    "image.pixel_size_from": ("lattice",),
    "image.position_signal": ("ABF",),
    "image.oxygen_signal": ("HAADF",),
    "image.frames": ("average", "single"),
    "image.single_frame": (2,),
    "image.haadf_title": ("second",),
    "image.abf_title": ("second",),
    "image.bf_title": ("second",),
    "material.name": ("BaTiO3", "PbTiO3"),
    "material.zone": ("001",),
    "structure.a": ([2.88, 0.0],),
    "structure.b": ([0.0, 3.94],),
    "structure.sites": (_COLUMNS[:2],),
    "structure.moving": ("O",),
    "structure.reference": ("O",),
    "structure.a_indices": ([0.0, 2.0, 0.0],),
    "structure.b_indices": ([0.0, 0.0, 2.0],),
    "structure.volume": (127.0,),
    "find.separation": (30.0,),
    "find.threshold": (0.95,),
    "basis.scale_tolerance": (0.2,),
    "basis.significance": (100.0,),
    "assign.tolerance": (0.021,),
    "assign.minimum_cells": (10000,),
    "refine.weights": ("uniform",),
    "refine.profile": ("gaussian",),
    "refine.oxygen_in_haadf": ("fixed", "free"),
    "refine.oxygen_spread": (1.0,),
    "refine.background_spacing": (8.0,),
    "refine.weak_window": (2.2,),
    "refine.tolerance": (0.05,),
    "refine.max_iterations": (2,),
    "interface.mode": ("none",),
    "interface.line": ([0.0, 120.0, 339.0, 120.0],),
    "interface.plane": ("001",),
    "displacement.reference": ("none",),
    "displacement.bulk_from_layer": (1,),
    "displacement.correct": ("affine",),
    "polarization.model": ("reference_site", "full", "none"),
    "polarization.kappa": (2.0,),
    "polarization.charge": (2.0,),
    "polarization.born_charges": ({"K": [2.0, 2.0]}, {"O": [-6.408, -1.0]}),
    "polarization.hidden_oxygen": ("column",),
    "polarization.dilution": (0.5,),
    "layers.minimum_cells": (1000,),
    "edits": ([{"sha256": SHA, "action": "delete", "site": "Ta", "h": 0, "k": 0}],),
    "interfaces": ([{"sha256": SHA, "line": [0.0, 120.0, 339.0, 120.0]}],),
    "regions": ([{"sha256": SHA, "polygon": [[30, 150], [300, 150], [300, 230], [30, 230]]}],),
    "profiles": ([{"sha256": SHA, "name": "EELS", "distance_nm": [-9.0, 9.0], "value": [1.0, 2.0]}],),
}
"""Field -> values that must each change something."""

NEEDS = {
    "image.single_frame": {"image": {"frames": "single"}},
    "image.abf_title": {"image": {"haadf_title": "first"}},
    "image.bf_title": {"image": {"haadf_title": "first"}},
    **{field: BY_HAND for field in CHANGES if field.startswith("structure.")},
    "polarization.born_charges": {"polarization": {"model": "full"}},
    "polarization.hidden_oxygen": {"polarization": {"model": "full"}},
    "polarization.kappa": {"polarization": {"model": "kappa", "kappa": 1.0}},
    "interface.line": {"interface": {"mode": "line", "line": [0.0, 150.0, 339.0, 150.0]}},
}
"""Fields that act only together with others."""

NO_CHOICE = {"format", "structure.repeat", "structure.overlaps", "structure.source"}
"""The version of the format, and what a structure tells the reader about itself."""


OF_READING = {"image.frames", "image.single_frame", "image.haadf_title", "image.abf_title", "image.bf_title"}
"""Fields that act before the stages: on what is read from files."""


def fields() -> set[str]:
    """Every field of the recipe as section.field; entries of single images as a whole."""
    found = set()
    for name, section in Recipe.model_fields.items():
        # A section that may be missing is a union with None.
        kinds = get_args(section.annotation) if get_origin(section.annotation) is UnionType else (section.annotation,)
        inner = getattr(kinds[0], "model_fields", None)
        found |= {f"{name}.{field}" for field in inner} if inner else {name}
    return found


def numbers(analysis: Analysis) -> list[NDArray[Any]]:
    """All that an analysis measured."""
    assert analysis.peaks is not None and analysis.columns is not None
    found = [analysis.peaks.xy, *analysis.columns.arrays().values()]
    for field in (analysis.displacement, analysis.polarization):
        found += [] if field is None else [field.uv, field.cov]
    if analysis.interface is not None:
        found += [analysis.interface.point, analysis.interface.normal, analysis.interface.layer]
    if analysis.profile is not None:
        found += list(analysis.profile.arrays().values())
    for one in analysis.external:
        found += [one.distance_nm, one.value, one.at_layers]
    return found


def _outcome(recipe: Recipe, of: Callable[[], Micrograph]) -> list[NDArray[Any]] | str:
    return _outcome_of(recipe.model_dump_json(), of)


@cache
def _outcome_of(recipe: str, of: Callable[[], Micrograph]) -> list[NDArray[Any]] | str:
    try:
        return numbers(stemdisp.analyse(of(), Recipe.model_validate_json(recipe)))
    except StemdispError as error:
        return str(error)


def _read(recipe: Recipe, folder: Path) -> list[NDArray[Any]] | str:
    """What is read from a stack that drifts, and from two images whose names tell nothing."""
    rng, found = np.random.default_rng(0), []
    still = gaussian_filter(rng.random((80, 80)), 2)
    stack = np.array([still[i : i + 64, 2 * i : 2 * i + 64] for i in range(3)], dtype=np.float32)
    tifffile.imwrite(folder / "stack_HAADF.tif", stack, imagej=True, metadata={"axes": "TYX"})
    for name in ("first", "second"):
        np.save(folder / f"{name}.npy", rng.random((64, 64)))
    for sources, given in (
        (["stack_HAADF.tif"], {"frames": recipe.image.taken}),
        (["first.npy", "second.npy"], {"titles": recipe.image.titles}),
    ):
        try:
            image = stemdisp.read(*(folder / name for name in sources), **given)
            found += [np.frombuffer(" ".join(image.signals).encode(), np.uint8)]
            found += [one.image for one in image.signals.values()]
        except StemdispError as error:
            found.append(np.frombuffer(str(error).encode(), np.uint8))
    return found


def _same(one: list[NDArray[Any]] | str, other: list[NDArray[Any]] | str) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return len(one) == len(other) and all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))


def _changed(start: Recipe, field: str, value: Any) -> Recipe:
    section, _, name = field.partition(".")
    if name:
        return start.with_values({section: {name: value}})
    return Recipe.model_validate(start.model_dump(mode="json") | {section: value})


def test_the_table_is_complete() -> None:
    """No field without a change."""
    assert set(CHANGES) | NO_CHOICE == fields()


@pytest.mark.parametrize("field", CHANGES)
def test_field_bites(field: str, tmp_path: Path) -> None:
    """Another value, another result; ranges and choices are those of the recipe."""
    start = START.with_values(NEEDS.get(field, {}))
    if field in OF_READING:
        for value in CHANGES[field]:
            assert not _same(_read(_changed(start, field, value), tmp_path), _read(start, tmp_path))
        return
    of = IMAGES.get(field, image)
    before = _outcome(start, of)
    for value in CHANGES[field]:
        assert not _same(_outcome(_changed(start, field, value), of), before), f"{field} = {value} changes nothing"


def test_unknown_crystal_is_refused() -> None:
    """The only choice of a name that there is."""
    with pytest.raises(RecipeError, match="NaCl"):
        stemdisp.recipe_for("NaCl", "001")
