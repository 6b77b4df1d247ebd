"""Columns changed by hand: fitted again alone as with all others, and taken back without a trace."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stemdisp
from stemdisp import positions
from stemdisp.errors import RecipeError, StageError
from stemdisp.flags import Flag
from stemdisp.model.analysis import Analysis
from stemdisp.model.columns import Columns
from stemdisp.model.micrograph import InputFile, Micrograph
from stemdisp.pipeline import STAGES
from stemdisp.recipe import EditEntry, Recipe
from stemdisp.scene import Edge, Look, Motion, Scene, View
from stemdisp.synthetic import simulate

RECIPE = stemdisp.recipe_for("KTaO3", "1-10")

AGREES = 0.3
"""Standard deviations by which a column may differ from where the fit of the whole image has it."""


@cache
def image() -> Micrograph:
    """A small interface, as if read from a file."""
    scene = Scene(
        view=View(shape=(230, 300), pixel_size_pm=(14.0, 14.0)),
        edge=Edge(offset_A=4.0),
        motion=Motion(parallel_pm=20, jitter_pm=3),
        look=Look(tail=0.1),
    )
    return replace(simulate(scene.facing(90))[0], inputs=(InputFile("a.tif", 1, "a" * 64, "tifffile"),))


@cache
def finished() -> Analysis:
    """Its analysis."""
    return stemdisp.analyse(image(), RECIPE)


def columns_of(analysis: Analysis) -> Columns:
    """They are there."""
    assert analysis.columns is not None
    return analysis.columns


def with_edits(*edits: EditEntry) -> Recipe:
    """The recipe with these edits alone."""
    return RECIPE.model_copy(update={"edits": edits})


def row_of(site: str, number: int = 0) -> int:
    """One of the usable columns of a site, those nearest to the middle of the crystal first."""
    columns = columns_of(finished())
    rows = np.flatnonzero(columns.of_site(site) & columns.usable)
    away = np.hypot(*(columns.xy[rows] - columns.xy.mean(axis=0)).T)
    return int(rows[np.argsort(away)[number % len(rows)]])


def move(row: int, by: tuple[float, float]) -> EditEntry:
    """A column dragged by so many px."""
    x, y = columns_of(finished()).xy[row] + by
    return stemdisp.entry_for(finished(), "move", row=row, xy=(x, y))


def assert_same(one: Analysis, other: Analysis) -> None:
    """All numbers are, bit for bit."""
    for name, array in columns_of(one).arrays().items():
        np.testing.assert_array_equal(getattr(columns_of(other), name), array)
    assert one.displacement is not None and other.displacement is not None
    np.testing.assert_array_equal(one.displacement.uv, other.displacement.uv)
    assert one.notes == other.notes and one.provisional == other.provisional


@pytest.mark.parametrize("site", ["Ta", "K"])
def test_a_moved_column_ends_where_the_whole_fit_has_it(site: str) -> None:
    row, before = row_of(site), columns_of(finished())
    recipe = with_edits(move(row, (0.7, -0.5)))
    found = stemdisp.retouch(finished(), recipe)
    now, whole = columns_of(found), columns_of(stemdisp.analyse(image(), recipe))
    assert (np.abs(now.xy - whole.xy)[row] < AGREES * whole.xy_std[row]).all()
    assert (np.abs(now.xy - before.xy)[row] < AGREES * before.xy_std[row]).all()
    np.testing.assert_allclose(now.xy_std[row], whole.xy_std[row], rtol=0.05)
    np.testing.assert_allclose(now.amplitude[row], whole.amplitude[row], rtol=0.03)
    assert now.flags[row] & Flag.EDITED
    changed = (now.xy != before.xy).any(axis=1)
    away = np.hypot(*(now.xy - before.xy[row]).T)
    assert changed[row] and away[changed].max() < 2 * 4.0 / 0.14
    off = np.abs((now.xy - whole.xy) / whole.xy_std)[changed & whole.usable]
    print(f"{site}: {np.median(off):.3f} standard deviations, at most {off.max():.3f}")
    assert np.median(off) < AGREES


def test_it_is_provisional_and_never_built_upon() -> None:
    found = stemdisp.retouch(finished(), with_edits(move(row_of("K"), (0.5, 0.0))))
    assert found.provisional and positions.PROVISIONAL in found.warnings
    order = list(STAGES)
    assert [name for name, _ in stemdisp.steps(image(), found.recipe, start=found)] == order[order.index("assign") :]
    assert_same(stemdisp.analyse(image(), found.recipe, start=found), stemdisp.analyse(image(), found.recipe))


def test_a_deleted_column_is_in_no_result() -> None:
    row = row_of("Ta")
    found = stemdisp.retouch(finished(), with_edits(stemdisp.entry_for(finished(), "delete", row=row)))
    assert columns_of(found).flags[row] & Flag.EXCLUDED
    assert found.cells is not None and finished().cells is not None
    assert found.cells.complete.sum() < finished().cells.complete.sum()


@settings(max_examples=8, deadline=None)
@given(
    site=st.sampled_from(["Ta", "K", "O"]),
    number=st.integers(0, 20),
    by=st.tuples(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6)),
)
def test_an_edit_and_its_undo_leave_everything_as_it_was(site: str, number: int, by: tuple[float, float]) -> None:
    """Two edits, the second one taken back, then the first one too."""
    row = row_of(site, number)
    first, second = stemdisp.entry_for(finished(), "delete", row=row_of("K", 3)), move(row, by)
    once = stemdisp.retouch(finished(), with_edits(first))
    twice = stemdisp.retouch(once, with_edits(first, second))
    if site != "O":
        before = columns_of(finished())
        off = np.abs(columns_of(twice).xy - before.xy)[row]
        assert (off < np.maximum(AGREES * before.xy_std[row], RECIPE.refine.tolerance)).all()
    assert_same(stemdisp.retouch(twice, with_edits(first)), once)
    assert_same(stemdisp.retouch(twice, RECIPE), finished())


def test_a_column_that_was_missed_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its row stands where it would have stood."""
    row, whole = row_of("K"), columns_of(finished())
    assign = positions.assign
    site, hk = whole.site[row], whole.hk[row]

    def without(*args: object) -> Columns:
        listed = assign(*args)
        return listed.take((listed.site != site) | (listed.hk != hk).any(axis=1))

    monkeypatch.setattr(positions, "assign", without)
    part = stemdisp.analyse(image(), RECIPE)
    assert len(columns_of(part)) == len(whole) - 1
    x, y = whole.xy[row] + [1.5, -1.0]
    entry = stemdisp.entry_for(part, "add", xy=(x, y))
    assert (entry.site, entry.h, entry.k) == ("K", *hk.tolist())
    found = columns_of(stemdisp.retouch(part, with_edits(entry)))
    np.testing.assert_array_equal(found.hk, whole.hk)
    np.testing.assert_array_equal(found.site, whole.site)
    assert found.flags[row] & Flag.EDITED and found.usable[row]
    assert (np.abs(found.xy - whole.xy)[row] < AGREES * whole.xy_std[row]).all()


def test_columns_that_were_taken_for_each_other_change_places(monkeypatch: pytest.MonkeyPatch) -> None:
    row, whole = row_of("K"), columns_of(finished())
    oxygen = np.flatnonzero(whole.of_site("O"))
    other = int(oxygen[np.hypot(*(whole.xy[oxygen] - whole.xy[row]).T).argmin()])
    assign = positions.assign

    def confused(*args: object) -> Columns:
        listed = assign(*args)
        xy = listed.xy.copy()
        xy[[row, other]] = xy[[other, row]]
        return listed.replace(xy=xy)

    monkeypatch.setattr(positions, "assign", confused)
    wrong = stemdisp.analyse(image(), RECIPE)
    entry = stemdisp.entry_for(wrong, "reassign", row=row, xy=tuple(whole.xy[other]))
    assert (entry.to_site, entry.to_h, entry.to_k) == ("O", *whole.hk[other].tolist())
    found = columns_of(stemdisp.retouch(wrong, with_edits(entry)))
    assert (np.abs(found.xy - whole.xy)[row] < AGREES * whole.xy_std[row]).all()
    assert (found.flags[[row, other]] & Flag.EDITED).all()


def test_no_other_change_is_made() -> None:
    recipe = with_edits(move(row_of("K"), (0.5, 0.0))).with_values({"refine": {"weak_window": 1.2}})
    with pytest.raises(RecipeError, match=r"differs in refine too, which asks for a fit of the whole image"):
        stemdisp.retouch(finished(), recipe)


def test_a_result_from_a_file_has_nothing_to_go_by(tmp_path: Path) -> None:
    found = stemdisp.retouch(finished(), with_edits(move(row_of("K"), (0.5, 0.0))))
    stemdisp.save(found, tmp_path / "one")
    read = stemdisp.load(tmp_path / "one")
    assert read.provisional and read.kept is None
    with pytest.raises(StageError, match="analyse the image again"):
        stemdisp.retouch(read, RECIPE)
