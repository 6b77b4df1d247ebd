"""What was drawn or changed by hand acts on its own image, and every field of it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import stemdisp
from stemdisp.errors import RecipeError
from stemdisp.flags import Flag
from stemdisp.model.analysis import Analysis
from stemdisp.model.micrograph import InputFile, Micrograph
from stemdisp.profile_entry import ProfileEntry
from stemdisp.recipe import EditEntry, InterfaceEntry, Recipe, RegionEntry

Entries = dict[str, list[dict[str, Any]]]

SHA, OTHER = "a" * 64, "b" * 64

LINE = [0.0, 140.0, 269.0, 92.5]
PROFILE = {
    **{"name": "O K edge", "unit": "counts", "distance_nm": [0.0, 1.0, 3.0]},
    **{"value": [10.0, 20.0, 24.0], "error": [1.0, 1.0, 2.0]},
}
POLYGON = [[40.0, 150.0], [230.0, 150.0], [230.0, 235.0], [40.0, 235.0]]


@pytest.fixture(scope="module")
def shot(analysed: Callable[..., Any]) -> Any:
    """An image that is known to be a file's."""
    return analysed((1, -1, 0))


@pytest.fixture(scope="module")
def image(shot: Any) -> Micrograph:
    """The image, with the digest of its file."""
    return replace(shot.micrograph, inputs=(InputFile("image.tif", 1, SHA, "tifffile"),))


@pytest.fixture(scope="module")
def row(shot: Any) -> int:
    """Row of the K column nearest to the middle of the crystal's visible part."""
    columns = shot.analysis.columns
    away = np.hypot(*(columns.xy - [135.0, 170.0]).T)
    return int(np.where(columns.of_site("K") & columns.usable, away, np.inf).argmin())


def _with(recipe: Recipe, entries: Entries) -> Recipe:
    return Recipe.model_validate(recipe.model_dump(mode="json") | entries)


def _edit(shot: Any, row: int, **changes: Any) -> dict[str, Any]:
    """A move of a column by (2, 1) px, with other values where given."""
    columns = shot.analysis.columns
    x, y = columns.xy[row] + [2.0, 1.0]
    h, k = columns.hk[row].tolist()
    return {"sha256": SHA, "action": "move", "site": "K", "h": h, "k": k, "x": float(x), "y": float(y)} | changes


def _flagged(analysis: Analysis, flag: Flag) -> list[int]:
    assert analysis.columns is not None
    return np.flatnonzero(analysis.columns.flags & int(flag)).tolist()


def test_every_field_of_an_entry_is_tested_here() -> None:
    assert set(EditEntry.model_fields) == {"sha256", "action", "site", "h", "k", "x", "y", "to_site", "to_h", "to_k"}
    assert set(InterfaceEntry.model_fields) == {"sha256", "line"}
    assert set(RegionEntry.model_fields) == {"sha256", "polygon"}
    assert set(ProfileEntry.model_fields) == {"sha256", *PROFILE}


def test_a_moved_column_starts_elsewhere_and_arrives_where_it_was(shot: Any, image: Micrograph, row: int) -> None:
    after = stemdisp.analyse(image, _with(shot.recipe, {"edits": [_edit(shot, row)]}))
    assert _flagged(after, Flag.EDITED) == [row]
    assert not after.notes
    # The pixels that are fitted are those around the start: the end may differ by a part of its error.
    away = np.abs(after.columns.xy[row] - shot.analysis.columns.xy[row])
    assert (away < 0.5 * shot.analysis.columns.xy_std[row]).all()
    assert after.displacement.valid[after.cells.moving == row].all()


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_column_moved_too_far_along_either_axis_does_not_come_back(
    shot: Any, image: Micrograph, row: int, axis: str
) -> None:
    there = float(shot.analysis.columns.xy[row, "xy".index(axis)]) + 12.0
    after = stemdisp.analyse(image, _with(shot.recipe, {"edits": [_edit(shot, row, **{axis: there})]}))
    assert abs(after.columns.xy[row, "xy".index(axis)] - there) < 9
    assert np.abs(after.columns.xy[row] - shot.analysis.columns.xy[row]).max() > 2


def test_a_deleted_column_stays_in_the_table_and_out_of_the_results(shot: Any, image: Micrograph, row: int) -> None:
    delete = _edit(shot, row, action="delete", x=None, y=None)
    after = stemdisp.analyse(image, _with(shot.recipe, {"edits": [delete]}))
    assert _flagged(after, Flag.EXCLUDED) == [row]
    assert len(after.columns) == len(shot.analysis.columns)
    cell = after.cells.moving == row
    assert shot.analysis.displacement.valid[cell].all() and not after.displacement.valid[cell].any()
    assert after.displacement.valid.sum() == shot.analysis.displacement.valid.sum() - 1


@pytest.mark.parametrize("field", ["site", "h", "k"])
def test_an_edit_finds_its_column_by_site_and_cell(shot: Any, image: Micrograph, row: int, field: str) -> None:
    edit = _edit(shot, row, action="delete", x=None, y=None)
    edit[field] = "Ta" if field == "site" else edit[field] + 1
    after = stemdisp.analyse(image, _with(shot.recipe, {"edits": [edit]}))
    (other,) = _flagged(after, Flag.EXCLUDED)
    assert other != row
    assert after.columns.sites[after.columns.site[other]] == edit["site"]
    assert after.columns.hk[other].tolist() == [edit["h"], edit["k"]]


def test_an_edit_of_a_column_that_is_not_there_is_told(shot: Any, image: Micrograph, row: int) -> None:
    after = stemdisp.analyse(image, _with(shot.recipe, {"edits": [_edit(shot, row, h=99)]}))
    assert not _flagged(after, Flag.EDITED)
    assert any("K (99," in sentence for sentence in after.warnings)


def test_a_drawn_interface_wins_over_the_automatic_one(shot: Any, image: Micrograph) -> None:
    after = stemdisp.analyse(image, _with(shot.recipe, {"interfaces": [{"sha256": SHA, "line": LINE}]}))
    assert shot.analysis.interface.origin == "automatic" and after.interface.origin == "recipe"
    assert (after.interface.layer >= 0).sum() < (shot.analysis.interface.layer >= 0).sum()
    deeper = [LINE[0], LINE[1] + 40, LINE[2], LINE[3] + 40]
    below = stemdisp.analyse(image, _with(shot.recipe, {"interfaces": [{"sha256": SHA, "line": deeper}]}))
    assert below.interface.distance_nm[0] < after.interface.distance_nm[0]


@pytest.mark.parametrize(
    "line",
    [
        [0.0, -50.0, 269.0, -50.0],
        [0.0, 1e6, 269.0, 1e6],
        [400.0, 0.0, 400.0, 200.0],
        [-40.0, 200.0, -40.0, 0.0],
        [5.0, 5.0, 5.0, 5.0],
        [5.0, 100.0, 200.0, 100.0, 40.0, 140.0],
    ],
    ids=str,
)
def test_a_line_that_cannot_be_an_edge_loses_the_layers_alone(shot: Any, image: Micrograph, line: list[float]) -> None:
    """Outside of the image, a point, or folded: told once, and no other edge is put in its place."""
    given = _with(shot.recipe, {"interfaces": [{"sha256": SHA, "line": line}]})
    after = stemdisp.analyse(image, given)
    assert after.interface is None and after.profile is None and len(after.columns) == len(shot.analysis.columns)
    assert after.displacement.valid.sum() == shot.analysis.displacement.valid.sum()
    assert sum("no layers are counted" in sentence for sentence in after.warnings) == 1
    by_recipe = _with(shot.recipe, {"interface": {"mode": "line", "line": line}})
    assert stemdisp.analyse(image, by_recipe, start=after).warnings == after.warnings
    again = stemdisp.analyse(image, shot.recipe, start=after)
    assert again.interface is not None and not any("no layers" in sentence for sentence in again.warnings)


def test_a_line_above_the_crystal_counts_from_its_outermost_plane(shot: Any, image: Micrograph) -> None:
    y = float(shot.analysis.interface.point[1])
    x, slope = float(shot.analysis.interface.point[0]), shot.analysis.interface.parallel[1]
    above = [0.0, y - 40 - slope * x, 269.0, y - 40 + slope * (269 - x)]
    after = stemdisp.analyse(image, _with(shot.recipe, {"interfaces": [{"sha256": SHA, "line": above}]}))
    np.testing.assert_array_equal(after.interface.layer, shot.analysis.interface.layer)
    assert "nm beyond the outermost plane" in after.interface.sentence
    level = [0.0, y - 30, 269.0, y - 30]  # at an angle to the planes
    after = stemdisp.analyse(image, _with(shot.recipe, {"interfaces": [{"sha256": SHA, "line": level}]}))
    # Above cells beside the frame's sides, where the planes end is not seen.
    assert (after.interface.layer == shot.analysis.interface.layer).mean() > 0.9


def test_a_line_needs_pairs_of_numbers_and_mode_line_a_line(shot: Any, image: Micrograph) -> None:
    for line in ([0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 1.0], [0.0, 1.0, 2.0, float("nan")]):
        with pytest.raises(RecipeError, match="line"):
            stemdisp.recipe.parse(shot.recipe.model_dump(mode="json") | {"interfaces": [{"sha256": SHA, "line": line}]})
    with pytest.raises(RecipeError, match="no line is given"):
        stemdisp.analyse(image, _with(shot.recipe, {"interface": {"mode": "line"}}))


def test_a_drawn_region_is_the_zero(shot: Any, image: Micrograph) -> None:
    after = stemdisp.analyse(image, _with(shot.recipe, {"regions": [{"sha256": SHA, "polygon": POLYGON}]}))
    inside = after.displacement.offset_cells
    corners = np.array(POLYGON)
    within = ((after.cells.xy > corners.min(axis=0)) & (after.cells.xy < corners.max(axis=0))).all(axis=1)
    np.testing.assert_array_equal(inside, within & after.displacement.valid)
    assert inside.sum() > 10
    np.testing.assert_allclose(after.displacement.uv[inside].mean(axis=0), 0, atol=1e-9)
    assert "region" in after.displacement.assumption
    smaller = [[x, min(y, 195.0)] for x, y in POLYGON]
    other = stemdisp.analyse(image, _with(shot.recipe, {"regions": [{"sha256": SHA, "polygon": smaller}]}))
    assert 0 < other.displacement.offset_cells.sum() < inside.sum()


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"name": "another"},
        {"unit": "%"},
        {"distance_nm": [0.0, 1.5, 3.0]},
        {"value": [10.0, 20.0, 25.0]},
        {"error": [1.0, 1.0, 3.0]},
        {"error": []},
    ],
    ids=str,
)
def test_every_field_of_a_profile_arrives_and_nothing_else_changes(
    shot: Any, image: Micrograph, change: dict[str, Any]
) -> None:
    values = PROFILE | change
    recipe = _with(shot.recipe, {"profiles": [{"sha256": SHA, **values}]})
    after = stemdisp.analyse(image, recipe, stemdisp.analyse(image, shot.recipe))
    (found,) = after.external
    assert (found.name, found.unit) == (values["name"], values["unit"])
    np.testing.assert_array_equal(found.distance_nm, values["distance_nm"])
    np.testing.assert_array_equal(found.value, values["value"])
    np.testing.assert_array_equal(found.error, values["error"] or [np.nan] * 3)
    depth = shot.analysis.profile.distance_nm
    expected = np.interp(depth, values["distance_nm"], values["value"], left=np.nan, right=np.nan)
    np.testing.assert_allclose(found.at_layers, expected)
    assert np.isfinite(found.at_layers_error).any() == bool(values["error"])
    np.testing.assert_array_equal(after.profile.magnitude_pm, shot.analysis.profile.magnitude_pm)


def test_a_profile_of_an_image_without_layers_is_kept_and_told(shot: Any, image: Micrograph) -> None:
    recipe = _with(shot.recipe, {"profiles": [{"sha256": SHA, **PROFILE}]})
    after = stemdisp.analyse(image, recipe.with_values({"interface": {"mode": "none"}}))
    (found,) = after.external
    assert len(found.at_layers) == 0 and len(found.value) == 3
    assert any("no layers to compare it with" in sentence for sentence in after.warnings)
    assert after.displacement.valid.sum() == shot.analysis.displacement.valid.sum()


@pytest.mark.parametrize("kind", ["edits", "interfaces", "regions", "profiles"])
def test_what_belongs_to_another_image_changes_no_number(shot: Any, image: Micrograph, row: int, kind: str) -> None:
    entries: Entries = {
        "edits": [_edit(shot, row, action="delete", sha256=OTHER)],
        "interfaces": [{"sha256": OTHER, "line": LINE}],
        "regions": [{"sha256": OTHER, "polygon": POLYGON}],
        "profiles": [{"sha256": OTHER, **PROFILE}],
    }
    after = stemdisp.analyse(image, _with(shot.recipe, {kind: entries[kind]}))
    np.testing.assert_array_equal(after.columns.flags, shot.analysis.columns.flags)
    np.testing.assert_array_equal(after.displacement.uv, shot.analysis.displacement.uv)
    np.testing.assert_array_equal(after.interface.layer, shot.analysis.interface.layer)
    assert not after.external
    assert f"1 {kind[:-1]} of the recipe belongs to another image and was ignored" in after.warnings


def test_the_format_of_a_recipe_is_checked(shot: Any) -> None:
    with pytest.raises(RecipeError, match="format"):
        stemdisp.recipe.parse(shot.recipe.model_dump(mode="json") | {"format": 2})
