"""Turns of fields that are known."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.fitting.domains import chains
from stemdisp.fitting.turns import turns

HK = np.array([(h, k) for h in range(-10, 11) for k in range(-8, 9)])
ALL = np.ones(len(HK), dtype=bool)


def turned(by_deg: float, place: float, slope: float, width: float = 0.8) -> np.ndarray:
    """Unit vectors that turn by an angle where h = place + slope k."""
    share = 0.5 + 0.5 * np.tanh((HK[:, 0] - place - slope * HK[:, 1]) / width)
    one, other = np.array([1.0, 0.0]), np.array([np.cos(np.radians(by_deg)), np.sin(np.radians(by_deg))])
    return np.outer(1 - share, one) + np.outer(share, other)


@pytest.mark.parametrize("by_deg", [60.0, 90.0, -90.0, 109.0, 120.0])
@pytest.mark.parametrize("slope", [-1.0, 0.0, 0.5])
def test_a_turn_is_where_it_was_made(by_deg, slope) -> None:
    found = turns(*[turned(by_deg, 0.3, slope)] * 2, ALL, HK, 0)
    assert len(found) >= 6
    for one in found:
        assert abs(one.place - 0.3 - slope * one.row) < 0.2
        angle = np.degrees(np.arccos(one.before @ one.after / np.linalg.norm(one.before) / np.linalg.norm(one.after)))
        assert abs(angle - abs(by_deg)) < 4 and one.rising
    (chain,) = chains(found)
    assert len(chain) == len(found)


@pytest.mark.parametrize("by_deg", [0.0, 30.0, 170.0])
def test_smaller_and_larger_turns_are_none(by_deg) -> None:
    assert turns(*[turned(by_deg, 0.3, 0.0)] * 2, ALL, HK, 0) == []


def test_what_is_not_clear_on_both_sides_does_not_count() -> None:
    field = turned(90.0, 0.3, 0.0)
    assert turns(field, field, HK[:, 0] < 3, HK, 0) == [] and turns(field, field, ~ALL, HK, 0) == []


def test_two_turns_share_the_row() -> None:
    share = 0.5 - 0.5 * np.tanh((np.abs(HK[:, :1]) - 5) / 0.8)
    found = turns(*[np.concatenate([1 - share, share], axis=1)] * 2, ALL, HK, 0)
    assert {round(one.place) for one in found} == {-5, 5}
    assert all(one.reach <= 6.1 for one in found)
