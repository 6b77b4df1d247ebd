"""What must not matter does not, what scales scales, and a second run computes only what has to be computed again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import cKDTree

import stemdisp
from stemdisp.model.analysis import Analysis
from stemdisp.model.columns import Columns
from stemdisp.model.fields import VectorField
from stemdisp.model.micrograph import InputFile, Micrograph, PixelSize, Signal
from stemdisp.motion import Motion
from stemdisp.pipeline import STAGES, steps
from stemdisp.recipe import Recipe
from stemdisp.scene import Dose, Scene, View

Floats = NDArray[np.float64]
Analysed = Callable[..., Any]

SHA, OTHER_SHA = "0" * 64, "1" * 64
FILE = InputFile("image.tif", 1, SHA, "tif")

NAMES = list(STAGES)


def _table(analysis: Analysis) -> Columns:
    assert analysis.columns is not None
    return analysis.columns


def _field(analysis: Analysis) -> VectorField:
    assert analysis.displacement is not None
    return analysis.displacement


def _with_image(micrograph: Micrograph, image: NDArray[Any]) -> Micrograph:
    return replace(micrograph, signals={"HAADF": Signal("HAADF", image)})


def _of(micrograph: Micrograph) -> NDArray[Any]:
    return np.asarray(micrograph.signals["HAADF"].image)


def _same_arrays(one: Any, other: Any, names: tuple[str, ...]) -> None:
    for name in names:
        np.testing.assert_array_equal(getattr(other, name), getattr(one, name), err_msg=name)


def _same_numbers(one: Analysis, other: Analysis) -> None:
    """Bit for bit, sentences included; seconds may differ."""
    _same_arrays(_table(one), _table(other), tuple(_table(one).arrays()))
    assert one.lattice is not None and other.lattice is not None
    _same_arrays(one.lattice, other.lattice, ("origin", "a", "b"))
    assert one.micrograph.pixel_size == other.micrograph.pixel_size
    for name in ("cells", "interface", "displacement", "polarization", "profile"):
        assert (getattr(one, name) is None) == (getattr(other, name) is None), f"{name} is there in one of two"
    _same_arrays(one.cells, other.cells, ("hk", "moving", "reference", "xy", "flags"))
    if one.interface is not None and other.interface is not None:
        _same_arrays(one.interface, other.interface, ("point", "normal", "plane", "layer", "distance_nm", "origin"))
    for a, b in ((one.displacement, other.displacement), (one.polarization, other.polarization)):
        if a is not None and b is not None:
            _same_arrays(a, b, ("xy", "uv", "cov", "offset", "offset_cells", "significant", "assumption"))
    if one.profile is not None and other.profile is not None:
        _same_arrays(one.profile, other.profile, tuple(one.profile.arrays()))
    assert len(one.external) == len(other.external)
    for a, b in zip(one.external, other.external, strict=True):
        _same_arrays(a, b, ("name", "unit", "distance_nm", "value", "error", "at_layers", "at_layers_error"))
        assert repr((a.o_contrast, a.displacement)) == repr((b.o_contrast, b.displacement))
    assert one.quality == other.quality
    assert one.warnings == other.warnings


# Brightness, number type, repetition


@pytest.mark.parametrize("factor", [1e-4, 149.0, 1e4])
def test_brightness_scales_amplitudes_alone(analysed: Analysed, factor: float) -> None:
    shot = analysed()
    before = _table(shot.analysis)
    after = _table(stemdisp.analyse(_with_image(shot.micrograph, _of(shot.micrograph) * factor), shot.recipe))
    np.testing.assert_allclose(after.xy, before.xy, rtol=0, atol=1e-6)
    np.testing.assert_allclose(after.cov, before.cov, rtol=1e-4, atol=1e-12)
    np.testing.assert_array_equal(after.flags, before.flags)
    height = factor * float(np.abs(before.amplitude).max())
    for name in ("amplitude", "amplitude_std", "background"):
        np.testing.assert_allclose(
            getattr(after, name), factor * getattr(before, name), rtol=1e-5, atol=1e-6 * height, err_msg=name
        )


@pytest.mark.parametrize("dtype", ["float32", "uint16", "int32", ">u2"])
def test_the_number_type_does_not_matter(analysed: Analysed, dtype: str) -> None:
    """Whole counts are the same counts, whichever type, byte order and memory order hold them."""
    shot = analysed()
    counts = np.rint(_of(shot.micrograph))
    assert counts.min() >= 0 and counts.max() < 2**16
    recipe = shot.recipe
    before = stemdisp.analyse(_with_image(shot.micrograph, counts), recipe)
    after = stemdisp.analyse(_with_image(shot.micrograph, np.asfortranarray(counts.astype(dtype))), recipe)
    np.testing.assert_allclose(_table(after).xy, _table(before).xy, rtol=0, atol=1e-9)
    np.testing.assert_allclose(_field(after).uv, _field(before).uv, rtol=0, atol=1e-7)


def test_a_second_run_gives_the_same_bits(analysed: Analysed) -> None:
    shot = analysed((1, -1, 0), ("HAADF", "ABF"))
    _same_numbers(shot.analysis, stemdisp.analyse(shot.micrograph, shot.recipe))


# Pixel size


@pytest.mark.parametrize("factor", [0.96, 1.04])
def test_the_pixel_size_scales_pm_and_nm_and_leaves_px(analysed: Analysed, factor: float) -> None:
    shot = analysed()
    larger = shot.micrograph.with_pixel_size(PixelSize(14 * factor, 14 * factor, "file"))
    before, after = shot.analysis, stemdisp.analyse(larger, shot.recipe)
    _same_arrays(_table(before), _table(after), tuple(_table(before).arrays()))
    np.testing.assert_allclose(_field(after).uv, factor * _field(before).uv, rtol=1e-9)
    np.testing.assert_allclose(_field(after).std, factor * _field(before).std, rtol=1e-9)
    np.testing.assert_array_equal(after.interface.layer, before.interface.layer)
    np.testing.assert_allclose(after.interface.distance_nm, factor * before.interface.distance_nm, rtol=1e-9)
    assert after.interface.spacing_pm == pytest.approx(factor * before.interface.spacing_pm, rel=1e-9)
    np.testing.assert_allclose(after.profile.normal_pm, factor * before.profile.normal_pm, rtol=1e-9)
    np.testing.assert_allclose(after.profile.coherence, before.profile.coherence, rtol=1e-9)


def test_without_a_pixel_size_positions_are_the_same_and_pm_are_absent(analysed: Analysed) -> None:
    shot = analysed()
    after = stemdisp.analyse(shot.micrograph.with_pixel_size(None), shot.recipe)
    _same_arrays(_table(shot.analysis), _table(after), tuple(_table(after).arrays()))
    assert after.displacement is None and after.interface is None and after.profile is None
    assert any("no pixel size is known" in sentence for sentence in after.warnings)


def test_the_recipes_pixel_size_counts_like_the_files(analysed: Analysed) -> None:
    """A number in the recipe wins over whatever the file says."""
    shot = analysed()
    recipe = shot.recipe.with_values({"image": {"pixel_size": [14.2, 13.9]}})
    expected = stemdisp.analyse(shot.micrograph.with_pixel_size(PixelSize(14.2, 13.9, "file")), shot.recipe)
    for size in (None, PixelSize(14.0, 14.0, "file"), PixelSize(70.0, 70.0, "file")):
        after = stemdisp.analyse(shot.micrograph.with_pixel_size(size), recipe)
        assert after.micrograph.pixel_size == PixelSize(14.2, 13.9, "user")
        np.testing.assert_array_equal(_field(after).uv, _field(expected).uv)
        np.testing.assert_array_equal(after.interface.distance_nm, expected.interface.distance_nm)


def test_the_lattices_pixel_size_does_not_depend_on_the_files(analysed: Analysed) -> None:
    shot = analysed()
    recipe = shot.recipe.with_values({"image": {"pixel_size_from": "lattice"}})
    found = [
        stemdisp.analyse(shot.micrograph.with_pixel_size(size), recipe)
        for size in (PixelSize(14.0, 14.0, "file"), PixelSize(50.0, 60.0, "file"), None)
    ]
    size = found[0].micrograph.pixel_size
    assert size.origin == "lattice"
    np.testing.assert_allclose(size.xy_pm, 14.0, rtol=2e-3)
    for other in found[1:]:
        _same_numbers(found[0], other)


def test_pixels_that_are_not_square_show_the_same_displacements(analysed: Analysed) -> None:
    """The same crystal on pixels of another width and height: the same pm and nm, up to what sampling leaves."""
    shot = analysed(noise=False)
    view = replace(shot.scene.view, pixel_size_pm=(16.0, 12.5), shape=(273, 236))
    image, _ = stemdisp.simulate(replace(shot.scene, view=view))
    after, before = stemdisp.analyse(image, shot.recipe), shot.analysis
    assert np.degrees(np.arccos(after.interface.normal @ before.interface.normal)) < 0.2

    def places(analysis: Analysis, view: View) -> Floats:
        centre = np.array([view.shape[1] - 1, view.shape[0] - 1]) / 2
        return (_field(analysis).xy - centre) * view.pixel_size_pm

    a, b = np.flatnonzero(_field(before).valid), np.flatnonzero(_field(after).valid)
    distance, row = cKDTree(places(after, view)[b]).query(places(before, shot.scene.view)[a])
    near = distance < 20
    assert near.sum() > 30
    a, b = a[near], b[row[near]]
    np.testing.assert_array_equal(after.interface.layer[b], before.interface.layer[a])
    np.testing.assert_allclose(after.interface.distance_nm[b], before.interface.distance_nm[a], atol=0.01)
    apart = _field(after).uv[b] - _field(before).uv[a]
    assert np.abs(np.median(apart, axis=0)).max() < 0.3
    assert np.quantile(np.abs(apart), 0.9) < 1.0


# Where the frame is


def _plain(zone: tuple[int, int, int], origin_A: tuple[float, float] = (0.0, 0.0)) -> Scene:
    """Bulk without noise whose K are displaced alike; nothing in the image belongs to the frame."""
    return Scene(
        zone=zone,
        view=View(shape=(250, 262), pixel_size_pm=(14.0, 14.0), origin_A=origin_A),
        dose=Dose(peak_counts=2000, noise=False, background_variation=0.0, dtype="float64"),
        motion=Motion(uniform_pm=(12.0, -7.0)),
    )


def _far_inside(columns: Columns, lattice: Any, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(N,) usable columns more than two cells from the frame."""
    margin = 2 * float(np.linalg.norm(lattice.cell, axis=1).max())
    inside = (columns.xy > margin) & (columns.xy < np.array([shape[1], shape[0]]) - 1 - margin)
    return np.asarray(inside.all(axis=1) & columns.usable)


@pytest.mark.parametrize("of", ["cations", "oxygen"])
@pytest.mark.parametrize("zone", [(0, 0, 1), (1, -1, 0)])
def test_a_crop_sees_what_the_whole_image_sees(analysed: Analysed, zone: tuple[int, int, int], of: str) -> None:
    scene = replace(_plain(zone), motion=Motion(jitter_pm=3.0), seed=4)
    micrograph, recipe = stemdisp.simulate(scene)[0], analysed(zone).recipe
    whole = _table(stemdisp.analyse(micrograph, recipe))
    top, left = 7, 11
    image = _of(micrograph)[top:, left:]
    cut = stemdisp.analyse(_with_image(micrograph, image), recipe)
    inner = np.flatnonzero(_far_inside(_table(cut), cut.lattice, (image.shape[0], image.shape[1])))
    distance, row = cKDTree(whole.xy - [left, top]).query(_table(cut).xy[inner])
    assert len(inner) > 15
    np.testing.assert_array_equal(_table(cut).site[inner], whole.site[row])
    oxygen = np.array([name.startswith("O") for name in whole.sites])[whole.site[row]]
    assert distance[oxygen == (of == "oxygen")].max() < 0.02


@settings(max_examples=2, deadline=None, derandomize=True)
@given(x=st.floats(-0.07, 0.07), y=st.floats(-0.07, 0.07))
@pytest.mark.parametrize("zone", [(0, 0, 1), (1, -1, 0)])
def test_columns_follow_a_shift_of_the_crystal_by_less_than_a_pixel(
    analysed: Analysed, zone: tuple[int, int, int], x: float, y: float
) -> None:
    recipe = analysed(zone).recipe
    here, there = (
        stemdisp.analyse(stemdisp.simulate(_plain(zone, origin))[0], recipe) for origin in ((0.0, 0.0), (x, y))
    )
    shift = np.array([x, y]) @ _plain(zone).to_px
    inner = _far_inside(_table(here), here.lattice, (250, 262))
    distance, row = cKDTree(_table(there).xy).query(_table(here).xy[inner] + shift)
    assert inner.sum() > 20
    np.testing.assert_array_equal(_table(there).site[row], _table(here).site[inner])
    assert distance.max() < 0.01


# A second run that starts from the first

KTO_BY_HAND = {
    "a": [2.82, 0.0],
    "b": [0.0, 3.99],
    "sites": [
        {"name": "K", "x": 0.0, "y": 0.0, "atoms": {"K": 1.0, "O": 1.0}},
        {"name": "Ta", "x": 0.0, "y": 0.5, "atoms": {"Ta": 1.0}},
        {"name": "O", "x": 0.5, "y": 0.5, "atoms": {"O": 2.0}},
    ],
    "moving": "K",
    "reference": "Ta",
}
"""The projection of KTaO3 along [1-10] as a user would write it."""

CHANGES: dict[str, tuple[str, Any]] = {
    "image": ("find", {"pixel_size": [14.1, 14.1]}),
    "find": ("find", {"threshold": 0.3}),
    "material": ("basis", {"zone": "001"}),
    "structure": ("basis", KTO_BY_HAND),
    "basis": ("basis", {"significance": 2.0}),
    "assign": ("assign", {"minimum_cells": 12}),
    "edits": ("assign", [{"sha256": OTHER_SHA, "action": "delete", "site": "K", "h": 0, "k": 0}]),
    "refine": ("refine", {"profile": "gaussian"}),
    "interface": ("interface", {"mode": "none"}),
    "interfaces": ("interface", [{"sha256": SHA, "line": [0.0, 120.0, 260.0, 90.0]}]),
    "displacement": ("displacement", {"reference": "none"}),
    "regions": ("displacement", [{"sha256": SHA, "polygon": [[0, 150], [270, 150], [270, 244], [0, 244]]}]),
    "polarization": ("polarization", {"model": "none"}),
    "layers": ("vacancies", {"minimum_cells": 6}),
    "profiles": ("external", [{"sha256": SHA, "name": "O", "distance_nm": [0.5, 1.5], "value": [1.0, 2.0]}]),
}
"""Section -> the first stage that has to run again, and a change."""


def _changed(recipe: Recipe, section: str) -> Recipe:
    values = recipe.model_dump(mode="json")
    change = CHANGES[section][1]
    values[section] = (values[section] or {}) | change if isinstance(change, dict) else change
    return Recipe.model_validate(values)


def _file(shot: Any) -> Micrograph:
    return replace(shot.micrograph, inputs=(FILE,))


def _run(micrograph: Micrograph, recipe: Recipe, start: Analysis | None = None) -> tuple[list[str], Analysis]:
    names, analysis = [], start
    for name, analysis in steps(micrograph, recipe, start):  # noqa: B007
        names.append(name)
    assert analysis is not None
    return names, analysis


@pytest.fixture(scope="module")
def finished(analysed: Analysed) -> Analysis:
    """The analysis of an image that is known to be a file's."""
    shot = analysed()
    return stemdisp.analyse(_file(shot), shot.recipe)


def test_every_section_is_changed_once() -> None:
    assert set(CHANGES) == set(Recipe.model_fields) - {"format"}
    assert {section for _, sections in STAGES.values() for section in sections} == set(CHANGES)


def test_nothing_runs_again_where_nothing_changed(finished: Analysis) -> None:
    assert list(steps(finished.micrograph, finished.recipe, finished)) == []
    again = stemdisp.analyse(finished.micrograph, finished.recipe, finished)
    _same_numbers(finished, again)
    copied = _with_image(finished.micrograph, _of(finished.micrograph).copy())
    assert list(steps(copied, finished.recipe, finished)) == []


@pytest.mark.parametrize("section", [name for name in CHANGES if name != "material"])
def test_only_what_changed_runs_again_and_gives_the_numbers_of_a_fresh_run(finished: Analysis, section: str) -> None:
    recipe = _changed(finished.recipe, section)
    names, restarted = _run(finished.micrograph, recipe, finished)
    assert names == NAMES[NAMES.index(CHANGES[section][0]) :]
    assert restarted.recipe == recipe
    _same_numbers(stemdisp.analyse(finished.micrograph, recipe), restarted)


@pytest.mark.parametrize("section", ["find", "edits", "refine", "interface", "interfaces", "polarization", "profiles"])
def test_a_change_taken_back_gives_the_first_numbers(finished: Analysis, section: str) -> None:
    changed = stemdisp.analyse(finished.micrograph, _changed(finished.recipe, section), finished)
    _same_numbers(finished, stemdisp.analyse(finished.micrograph, finished.recipe, changed))


def test_another_crystal_starts_at_its_lattice(finished: Analysis) -> None:
    """The peaks of the image are the same for every crystal."""
    seen = []
    with pytest.raises(stemdisp.StemdispError, match="no lattice found"):
        seen.extend(name for name, _ in steps(finished.micrograph, _changed(finished.recipe, "material"), finished))
    assert "find" not in seen


def test_another_image_is_analysed_afresh(finished: Analysis) -> None:
    image = _of(finished.micrograph).copy()
    image[0, 0] += 1
    names, _ = _run(_with_image(finished.micrograph, image), finished.recipe, finished)
    assert names == NAMES


@pytest.mark.parametrize("size", [None, PixelSize(14.3, 14.3, "file")])
def test_another_pixel_size_is_analysed_afresh(finished: Analysis, size: PixelSize | None) -> None:
    _, restarted = _run(finished.micrograph.with_pixel_size(size), finished.recipe, finished)
    _same_numbers(stemdisp.analyse(finished.micrograph.with_pixel_size(size), finished.recipe), restarted)


def test_a_pixel_size_that_comes_to_be_known_is_used(finished: Analysis) -> None:
    unknown = stemdisp.analyse(finished.micrograph.with_pixel_size(None), finished.recipe)
    _, restarted = _run(finished.micrograph, finished.recipe, unknown)
    _same_numbers(finished, restarted)


def test_an_unfinished_start_is_gone_on_from(finished: Analysis) -> None:
    partly = next(analysis for name, analysis in steps(finished.micrograph, finished.recipe) if name == "assign")
    names, restarted = _run(finished.micrograph, finished.recipe, partly)
    assert names == NAMES[NAMES.index("assign") + 1 :]
    _same_numbers(finished, restarted)
