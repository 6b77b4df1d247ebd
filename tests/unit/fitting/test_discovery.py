"""False discoveries are held."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stemdisp.fitting.discovery import discoveries, in_sequence


def test_by_hand() -> None:
    level = np.array([0.04, 0.001, np.nan, 0.02, 0.9])
    np.testing.assert_array_equal(discoveries(level, 0.05), [False, True, False, True, False])


@given(st.lists(st.floats(0, 1), max_size=20), st.randoms())
def test_order_does_not_matter(levels, random) -> None:
    order = list(range(len(levels)))
    random.shuffle(order)
    found = discoveries(np.array(levels), 0.05)
    np.testing.assert_array_equal(discoveries(np.array(levels)[order], 0.05), found[order])


def test_none_made_none_believed() -> None:
    assert not discoveries(np.full(4, np.nan), 0.05).any() and len(discoveries(np.zeros(0), 0.05)) == 0


def test_a_sequence_ends_where_it_fails() -> None:
    level = np.array([np.nan, 0.03, 0.05, 0.06, 0.0])
    np.testing.assert_array_equal(in_sequence(level, 0.05), [False, True, True, False, False])
    assert in_sequence(np.zeros(3), 0.05).all() and not in_sequence(np.full(3, np.nan), 0.05).any()
