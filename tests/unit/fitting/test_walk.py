"""Walking a lattice: distortions are followed, strangers are left, nothing is claimed twice."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from stemdisp.fitting.walk import walk

CELL = np.array([[20.0, 2.0], [-3.0, 28.0]])
CELLS = np.array(list(product(range(-8, 9), repeat=2)))
SEEDS = np.array(list(product(range(-1, 2), repeat=2)))


def bent(hk: np.ndarray, amount: float = 0.03) -> np.ndarray:
    """Places on a lattice whose vectors change by ``amount`` of themselves per cell."""
    flat = hk @ CELL
    return flat + amount * np.stack([hk[:, 1] ** 2, hk[:, 0] * hk[:, 1]], axis=1) * 5


def found_by(spots: np.ndarray, tolerance: float = 5.0):
    return walk(spots, SEEDS @ CELL, SEEDS, CELL, tolerance)


@pytest.mark.parametrize("jitter", [0.0, 0.6])
def test_a_distorted_lattice_is_indexed_whole(jitter) -> None:
    rng = np.random.default_rng(1)
    order = rng.permutation(len(CELLS))
    spots = bent(CELLS)[order] + rng.normal(0, jitter, (len(CELLS), 2))
    # A lattice with fixed vectors would be lost: the corner stands more than half a cell from where they lead.
    assert np.abs(bent(CELLS) - CELLS @ CELL).max() > 9
    found = found_by(spots)
    assert len(found.row) == len(CELLS)
    np.testing.assert_array_equal(found.hk, CELLS[order][found.row])


def test_strangers_are_left() -> None:
    rng = np.random.default_rng(2)
    strangers = CELLS[::5] @ CELL + 0.5 * CELL.sum(axis=0) + rng.normal(0, 0.5, (len(CELLS[::5]), 2))
    found = found_by(np.concatenate([strangers, CELLS @ CELL]))
    assert (found.row >= len(strangers)).all()
    assert len(found.row) == len(CELLS)


def test_every_spot_and_every_cell_once() -> None:
    rng = np.random.default_rng(3)
    spots = np.concatenate([CELLS @ CELL, rng.uniform(-150, 150, (400, 2))])
    found = found_by(spots, 6.0)
    assert len(np.unique(found.row)) == len(found.row)
    assert len(np.unique(found.hk, axis=0)) == len(found.hk)


def test_holes_are_walked_round_and_left_empty() -> None:
    there = np.ones(len(CELLS), dtype=bool)
    there[np.random.default_rng(4).choice(len(CELLS), 40, replace=False)] = False
    there[(CELLS == 0).all(axis=1)] = False
    found = found_by((CELLS @ CELL)[there])
    np.testing.assert_array_equal(found.hk, CELLS[there][found.row])
    assert len(found.row) >= there.sum() - 2


def test_the_walk_stops_at_a_gap() -> None:
    near = np.abs(CELLS[:, 0]) <= 4
    there = near & ~(CELLS[:, 0] == 3)
    found = found_by((CELLS @ CELL)[there])
    assert found.hk[:, 0].max() == 2 and found.hk[:, 0].min() == -4


def test_local_vectors_follow_the_lattice() -> None:
    found = found_by(bent(CELLS))
    far = np.flatnonzero((found.hk == (0, 8)).all(axis=1))[0]
    true = bent(np.array([[0, 8]])) - bent(np.array([[0, 7]]))
    assert np.linalg.norm(found.cell[far, 1] - true) < 0.5 * np.linalg.norm(CELL[1] - true)


def test_seeds_without_a_spot_find_nothing() -> None:
    assert len(found_by(CELLS @ CELL + [900.0, 0.0]).row) == 0
