"""Rows of faint spots beside a lattice, and spots that are none of it."""

from __future__ import annotations

import numpy as np

from stemdisp.fitting.onward import onward

CELL = np.array([[20.0, 1.0], [-1.0, 20.0]])
HK = np.array([(h, k) for h in range(12) for k in range(4)])
FRAME = np.array([[0.0, 0.0], [300.0, 300.0]])


def at(hk: np.ndarray) -> np.ndarray:
    return np.array([20.0, 20.0]) + hk @ CELL


def test_whole_rows_are_walked_over() -> None:
    more = np.array([(h, k) for h in range(12) for k in range(4, 11)])
    spots = at(more) + np.random.default_rng(0).normal(0, 0.5, (len(more), 2))
    hk, xy = onward(HK, at(HK), CELL, spots, 3.0, FRAME)
    assert {tuple(one) for one in hk.tolist()} == {tuple(one) for one in more.tolist()}
    assert np.abs(xy - at(hk)).max() < 3


def test_spots_at_random_are_no_rows() -> None:
    for seed in range(20):
        spots = np.random.default_rng(seed).uniform([0, 105], [300, 300], (1500, 2))
        assert len(onward(HK, at(HK), CELL, spots, 2.0, FRAME)[0]) == 0


def test_half_of_a_row_is_none_and_neither_is_nothing() -> None:
    row = np.array([(h, 4) for h in range(0, 12, 2)])
    assert len(onward(HK, at(HK), CELL, at(row), 3.0, FRAME)[0]) == 0
    assert len(onward(HK, at(HK), CELL, np.zeros((0, 2)), 3.0, FRAME)[0]) == 0
