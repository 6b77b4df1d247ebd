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
    lattice, columns = crystal()
    found, notes = edit(columns, [entry("move", x=12.5, y=-3.0)], [OWN], lattice)
    row = row_of(columns)
    np.testing.assert_array_equal(found.xy[row], [12.5, -3.0])
    assert found.flags[row] == Flag.EDITED and notes == ()
    others = np.arange(len(columns)) != row
    np.testing.assert_array_equal(found.xy[others], columns.xy[others])
    assert (found.flags[others] == 0).all() and (columns.flags == 0).all()


def test_delete_keeps_the_row(crystal) -> None:
    lattice, columns = crystal()
    found, _ = edit(columns, [entry("delete")], [OTHER, OWN], lattice)
    assert len(found) == len(columns) and found.flags[row_of(columns)] == Flag.EXCLUDED
    assert not found.usable[row_of(columns)]


def test_edits_follow_each_other(crystal) -> None:
    lattice, columns = crystal()
    found, _ = edit(columns, [entry("move", x=1, y=2), entry("delete"), entry("move", x=5, y=6)], [OWN], lattice)
    np.testing.assert_array_equal(found.xy[row_of(columns)], [5, 6])
    assert found.flags[row_of(columns)] == Flag.EDITED | Flag.EXCLUDED


def test_edits_of_other_images_change_nothing(crystal) -> None:
    lattice, columns = crystal()
    found, notes = edit(columns, [entry("delete", OTHER), entry("move", OTHER, x=1, y=1)], [OWN], lattice)
    np.testing.assert_array_equal(found.flags, columns.flags)
    np.testing.assert_array_equal(found.xy, columns.xy)
    assert notes == ()


def test_a_column_that_is_not_there_is_named(crystal) -> None:
    lattice, columns = crystal()
    found, notes = edit(columns, [entry("delete", h=70), entry("delete", site="La")], [OWN], lattice)
    np.testing.assert_array_equal(found.flags, columns.flags)
    assert len(notes) == 1 and "K (70, 3)" in notes[0] and "La (2, 3)" in notes[0]


def test_no_edits_change_nothing(crystal) -> None:
    lattice, columns = crystal()
    assert edit(columns, [], [OWN], lattice) == (columns, ())


def test_add_lists_a_column_in_its_row(crystal) -> None:
    lattice, columns = crystal()
    row = row_of(columns)
    x, y = columns.xy[row] + [1.0, -2.0]
    part = columns.take(np.arange(len(columns)) != row)
    found, notes = edit(part, [entry("add", x=x, y=y)], [OWN], lattice)
    assert not notes and found.flags[row] == Flag.EDITED
    np.testing.assert_array_equal(found.hk, columns.hk)
    np.testing.assert_array_equal(found.site, columns.site)
    np.testing.assert_array_equal(found.xy[row], [x, y])
    assert np.isnan(found.amplitude[row])


def test_add_says_why_not(crystal) -> None:
    lattice, columns = crystal()
    row = row_of(columns)
    x, y = columns.xy[row]
    part = columns.take(np.arange(len(columns)) != row)
    for table, place, said in ((columns, (x, y), "listed already"), (part, (x + 15, y), "half the shortest distance")):
        found, notes = edit(table, [entry("add", x=place[0], y=place[1])], [OWN], lattice)
        assert found is table and len(notes) == 1 and "K (2, 3) cannot be added" in notes[0] and said in notes[0]


def test_reassigned_columns_change_places(crystal) -> None:
    lattice, columns = crystal()
    one, other = row_of(columns), int(np.flatnonzero(columns.of_site("Ta") & (columns.hk == (2, 3)).all(axis=1))[0])
    xy = columns.xy.copy()
    xy[[one, other]] = xy[[other, one]]
    swap = entry("reassign", to_site="Ta", to_h=2, to_k=3)
    found, notes = edit(columns.replace(xy=xy), [swap], [OWN], lattice)
    assert not notes and (found.flags[[one, other]] == Flag.EDITED).all()
    np.testing.assert_array_equal(found.xy, columns.xy)


def test_reassigned_to_a_place_that_is_free(crystal) -> None:
    lattice, columns = crystal()
    row = row_of(columns)
    names = columns.hk.copy()
    names[row] = (9, 9)
    wrong = columns.replace(hk=names)
    wrong = wrong.take(np.lexsort((wrong.hk[:, 1], wrong.hk[:, 0], wrong.site)))
    found, notes = edit(wrong, [entry("reassign", h=9, k=9, to_site="K", to_h=2, to_k=3)], [OWN], lattice)
    assert not notes
    np.testing.assert_array_equal(found.hk, columns.hk)
    np.testing.assert_array_equal(found.xy, columns.xy)


def test_reassign_says_why_not(crystal) -> None:
    lattice, columns = crystal()
    for to, said in (
        ({"to_site": "La", "to_h": 2, "to_k": 3}, "no such site"),
        ({"to_site": "K", "to_h": 2, "to_k": 3}, "that is what it is"),
        ({"to_site": "K", "to_h": 4, "to_k": 3}, "half the shortest distance"),
    ):
        found, notes = edit(columns, [entry("reassign", **to)], [OWN], lattice)
        assert found is columns and len(notes) == 1 and said in notes[0]
