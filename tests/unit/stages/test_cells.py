"""Cells: every K with all its Ta neighbours, and none with fewer."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.errors import StageError
from stemdisp.flags import Flag
from stemdisp.materials import ZONES
from stemdisp.stages.cells import cells

NEIGHBOURS = {(0, 0, 1): 4, (1, -1, 0): 2, (1, 1, -2): 2}


@pytest.mark.parametrize("zone", ZONES)
def test_neighbours_surround_the_moving_column(crystal, zone) -> None:
    lattice, columns = crystal(zone)
    found = cells(columns, lattice)
    assert found.reference.shape == (25, NEIGHBOURS[zone])
    np.testing.assert_array_equal(found.hk, columns.hk[found.moving])
    assert columns.of_site("Ta")[found.reference[found.reference >= 0]].all()
    complete = (found.reference >= 0).all(axis=1)
    np.testing.assert_array_equal(complete, found.complete)
    np.testing.assert_array_equal(complete, (found.flags & int(Flag.INCOMPLETE)) == 0)
    assert 0 < complete.sum() < 25
    # In the ideal crystal the centroid is where the moving column stands.
    np.testing.assert_allclose(found.xy[complete], columns.xy[found.moving[complete]], atol=1e-9)


@pytest.mark.parametrize("flag", [Flag.WEAK, Flag.EDGE, Flag.EXCLUDED, Flag.FAR_FROM_LATTICE, Flag.UNRESOLVED])
def test_an_unusable_neighbour_empties_the_cell(crystal, flag) -> None:
    lattice, columns = crystal()
    usual = cells(columns, lattice)
    whole = np.flatnonzero(usual.complete)[5]
    flags = columns.flags.copy()
    flags[usual.reference[whole, 0]] = int(flag)
    found = cells(columns.replace(flags=flags), lattice)
    assert np.isnan(found.xy[whole]).all() and found.flags[whole] & Flag.INCOMPLETE
    assert (usual.complete & ~found.complete).sum() <= 4


def test_an_unusable_moving_column_keeps_its_flags(crystal) -> None:
    lattice, columns = crystal()
    usual = cells(columns, lattice)
    whole = np.flatnonzero(usual.complete)[5]
    flags = columns.flags.copy()
    flags[usual.moving[whole]] = int(Flag.EXCLUDED)
    found = cells(columns.replace(flags=flags), lattice)
    assert found.flags[whole] == Flag.EXCLUDED | Flag.INCOMPLETE
    assert found.complete.sum() == usual.complete.sum()


def test_a_missing_row_is_minus_one_and_gathers_nan(crystal) -> None:
    lattice, columns = crystal()
    usual = cells(columns, lattice)
    lost = usual.reference[np.flatnonzero(usual.complete)[5], 0]
    found = cells(columns.take(np.arange(len(columns)) != lost), lattice)
    assert (found.reference == -1).sum() == (usual.reference == -1).sum() + 4
    gathered = found.gather(np.arange(len(columns) - 1.0))
    np.testing.assert_array_equal(np.isnan(gathered), found.reference == -1)


def test_negative_indices_are_no_wrapping(crystal) -> None:
    lattice, columns = crystal()
    shifted = cells(columns.replace(hk=columns.hk - 7), lattice)
    np.testing.assert_array_equal(shifted.reference, cells(columns, lattice).reference)


def test_nothing_measurable_is_refused(crystal) -> None:
    lattice, columns = crystal()
    with pytest.raises(StageError, match="25 K columns"):
        cells(columns.replace(flags=np.full(len(columns), int(Flag.WEAK))), lattice)


def test_columns_that_are_not_resolved_leave_all_cells_empty_and_no_error(crystal) -> None:
    lattice, columns = crystal((1, 1, -2))
    flags = np.where(columns.of_site("K"), int(Flag.UNRESOLVED), 0)
    found = cells(columns.replace(flags=flags), lattice)
    assert (found.flags == int(Flag.UNRESOLVED | Flag.INCOMPLETE)).all()
