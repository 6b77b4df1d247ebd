"""Hand edits: replayed on their image, counted elsewhere, never dropping a row."""

from __future__ import annotations

import numpy as np

from stemdisp.flags import Flag
from stemdisp.model.micrograph import InputFile
from stemdisp.recipe import EditEntry
from stemdisp.stages.edit import edit

OWN = InputFile("a.tif", 1, "aa" * 32, "tifffile")
OTHER = InputFile("b.tif", 1, "bb" * 32, "tifffile")


def entry(action: str, source: InputFile = OWN, **values) -> EditEntry:
    return EditEntry(**({"sha256": source.sha256, "action": action, "site": "K", "h": 2, "k": 3} | values))


def row_of(columns) -> int:
    return int(np.flatnonzero(columns.of_site("K") & (columns.hk == (2, 3)).all(axis=1))[0])


def test_move(crystal) -> None:
    _, columns = crystal()
    found, notes = edit(columns, [entry("move", x=12.5, y=-3.0)], [OWN])
    row = row_of(columns)
    np.testing.assert_array_equal(found.xy[row], [12.5, -3.0])
    assert found.flags[row] == Flag.EDITED and notes == ()
    others = np.arange(len(columns)) != row
    np.testing.assert_array_equal(found.xy[others], columns.xy[others])
    assert (found.flags[others] == 0).all() and (columns.flags == 0).all()


def test_delete_keeps_the_row(crystal) -> None:
    _, columns = crystal()
    found, _ = edit(columns, [entry("delete")], [OTHER, OWN])
    assert len(found) == len(columns) and found.flags[row_of(columns)] == Flag.EXCLUDED
    assert not found.usable[row_of(columns)]


def test_edits_follow_each_other(crystal) -> None:
    _, columns = crystal()
    found, _ = edit(columns, [entry("move", x=1, y=2), entry("delete"), entry("move", x=5, y=6)], [OWN])
    np.testing.assert_array_equal(found.xy[row_of(columns)], [5, 6])
    assert found.flags[row_of(columns)] == Flag.EDITED | Flag.EXCLUDED


def test_edits_of_other_images_change_nothing(crystal) -> None:
    _, columns = crystal()
    found, notes = edit(columns, [entry("delete", OTHER), entry("move", OTHER, x=1, y=1)], [OWN])
    np.testing.assert_array_equal(found.flags, columns.flags)
    np.testing.assert_array_equal(found.xy, columns.xy)
    assert notes == ()


def test_a_column_that_is_not_there_is_named(crystal) -> None:
    _, columns = crystal()
    found, notes = edit(columns, [entry("delete", h=70), entry("delete", site="La")], [OWN])
    np.testing.assert_array_equal(found.flags, columns.flags)
    assert len(notes) == 1 and "K (70, 3)" in notes[0] and "La (2, 3)" in notes[0]


def test_no_edits_change_nothing(crystal) -> None:
    _, columns = crystal()
    assert edit(columns, [], [OWN]) == (columns, ())
