"""Rows by cell: what was put is found, everything else is not there."""

from __future__ import annotations

import numpy as np

from stemdisp.fitting.grid import Grid, distinct, means

CELLS = np.array([[0, 0], [2, -3], [-4, 5], [2, 1]])


def test_rows_are_found_by_their_cells() -> None:
    grid = Grid.of(CELLS)
    np.testing.assert_array_equal(grid.at(CELLS), np.arange(4))
    np.testing.assert_array_equal(grid.at(np.array([[1, 1], [99, 0], [-99, -99]])), -1)
    assert grid.at(np.array([2, 1])) == 3
    assert grid.at(CELLS.reshape(2, 2, 2)).shape == (2, 2)


def test_an_empty_grid_has_nothing_and_grows() -> None:
    grid = Grid.of(np.zeros((0, 2), dtype=np.int64))
    np.testing.assert_array_equal(grid.at(CELLS), -1)
    grid.put(CELLS[:2], np.array([7, 8]))
    grid.put(CELLS[2:], np.array([9, 10]))
    np.testing.assert_array_equal(grid.at(CELLS), [7, 8, 9, 10])


def test_distinct_is_unique_and_means_are_those_of_equal_cells() -> None:
    hk = np.random.default_rng(0).integers(-5, 6, (200, 2))
    cells, index, count = distinct(hk)
    ideal = np.unique(hk, axis=0, return_inverse=True, return_counts=True)
    for one, other in zip((cells, index, count), ideal, strict=True):
        np.testing.assert_array_equal(one, other.reshape(one.shape))
    values = np.random.default_rng(1).random((200, 2, 2))
    found = means(values, index, count)
    np.testing.assert_allclose(found[3], values[index == 3].mean(axis=0))
    nothing = distinct(hk[:0])
    assert [len(part) for part in nothing] == [0, 0, 0]
    assert means(values[:0], *nothing[1:]).shape == (0, 2, 2)
