"""Rows by cell: what was put is found, everything else is not there."""

from __future__ import annotations

import numpy as np

from stemdisp.fitting.grid import Grid, distinct, means, usual

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


def test_what_is_usual_is_the_median_or_that_of_a_fainter_part() -> None:
    hk = np.array([(h, k) for h in range(20) for k in range(20)])
    values = np.where(hk[:, 1] < 7, 0.27, 1.0) * np.random.default_rng(0).normal(1, 0.03, len(hk))
    single = np.flatnonzero((hk == [10, 15]).all(axis=1))[0]
    values[single] = 0.2
    found = usual(values, hk, 1.0)
    np.testing.assert_allclose(found[hk[:, 1] < 6], 0.27, rtol=0.1)
    np.testing.assert_array_equal(found[hk[:, 1] >= 7], 1.0)
