"""Rows by their number."""

import numpy as np

from stemdisp.fitting.groups import members


def test_members_are_what_masks_choose() -> None:
    draw = np.random.default_rng(0)
    number, chosen = draw.integers(-1, 9, 200), draw.random(200) < 0.5
    number[number == 4] = -1
    found = members(number, chosen)
    assert len(found) == number.max() + 1
    for n, rows in enumerate(found):
        np.testing.assert_array_equal(rows, np.flatnonzero(chosen & (number == n)))


def test_nothing_has_no_members() -> None:
    assert members(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)) == []
    assert members(np.full(3, -1), np.ones(3, dtype=bool)) == []
