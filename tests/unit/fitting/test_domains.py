"""Windings and walls of fields that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemdisp.fitting.domains import (
    FEWEST_ROWS,
    centre,
    chains,
    crossings,
    fit_wall,
    groups,
    smoothed,
    windings,
)

HK = np.array([(h, k) for h in range(-8, 9) for k in range(-7, 8)])
ALL = np.ones(len(HK), dtype=bool)


def around(x: float, y: float, charge: int = 1, turn: float = 0.0) -> np.ndarray:
    """Vectors of length 1 that wind ``charge`` times around a place."""
    away = HK - np.array([x, y])
    angle = charge * np.arctan2(away[:, 1], away[:, 0]) + turn
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@settings(deadline=None, max_examples=40)
@given(st.floats(-3.9, 3.9), st.floats(-3.9, 3.9), st.sampled_from([-1, 1]), st.floats(0, 6.3))
def test_a_field_winds_as_often_as_it_was_made_to(x, y, charge, turn) -> None:
    vectors = around(x, y, charge, turn)
    plaquettes, number = windings(vectors, ALL, HK)
    assert len(number) and (number == charge).all()
    (one,) = groups(plaquettes, number)
    assert np.abs(plaquettes[one].mean(axis=0) + 0.5 - [x, y]).max() < 1
    # Turning all vectors, or moving the origin, changes nothing; a mirror changes the sign.
    other, again = windings(vectors * [-1, 1], ALL, HK + 5)
    np.testing.assert_array_equal(other, plaquettes + 5)
    np.testing.assert_array_equal(again, -number)


def test_two_vortices_are_two() -> None:
    away = [HK - np.array([x, 0.3]) for x in (-4.2, 4.3)]
    angle = sum(np.arctan2(one[:, 1], one[:, 0]) for one in away)
    plaquettes, number = windings(np.stack([np.cos(angle), np.sin(angle)], axis=1), ALL, HK)
    assert len(groups(plaquettes, number)) == 2


def test_what_is_not_clear_all_around_does_not_count() -> None:
    vectors = around(0.5, 0.5)
    assert len(windings(vectors, ALL, HK)[1])
    # The plaquette in the middle has twelve cells around it; without any of them it is not told.
    plaquettes, _ = windings(vectors, ~(np.abs(HK) == 2).any(axis=1), HK)
    assert not (plaquettes == 0).all(axis=1).any()
    assert windings(vectors, np.zeros(len(HK), dtype=bool), HK)[0].shape == (0, 2)


def test_a_uniform_field_and_a_wall_wind_around_nothing() -> None:
    draw = np.random.default_rng(0)
    for field in (np.ones((len(HK), 2)), np.where(HK[:, :1] > 0.5, 1.0, -1.0) * [0.0, 1.0]):
        assert not len(windings(field + draw.normal(0, 0.1, field.shape), ALL, HK)[1])


def test_a_smoothed_linear_field_is_itself_inside() -> None:
    values = np.stack([HK @ [1.0, 2.0], HK @ [-3.0, 0.5]], axis=1)
    means, count = smoothed(values, HK)
    inside = count == 9
    assert inside.sum() == 15 * 13
    np.testing.assert_allclose(means[inside], values[inside], atol=1e-12)
    values[0] = np.nan
    means, count = smoothed(values, HK)
    assert np.isnan(means[0]).all() and count[0] == 0 and np.isfinite(means[1:]).all()


@settings(deadline=None, max_examples=40)
@given(st.floats(-4, 4), st.floats(-0.9, 0.9), st.sampled_from([0, 1]), st.sampled_from([-1.0, 1.0]))
def test_a_wall_is_crossed_where_it_stands(place, slope, along, sign) -> None:
    wall = place + slope * HK[:, 1 - along]
    vectors = sign * np.tanh((HK[:, along] - wall) / 1.5)[:, None] * [0.6, 0.8]
    found = crossings(vectors, np.abs(vectors[:, 0]) > 0.2, HK, np.array([0.6, 0.8]), along)
    for one in found:
        assert one.rising == (sign > 0)
        assert abs(one.place - place - slope * one.row) < 0.15
    assert all(len(chain) >= FEWEST_ROWS for chain in chains(found))
    assert sum(map(len, chains(found))) >= min(len(found), FEWEST_ROWS)


def test_a_vortex_is_no_wall() -> None:
    for along, component in ((0, (0.0, 1.0)), (1, (1.0, 0.0))):
        assert chains(crossings(around(0.3, 0.2, turn=np.pi / 2), ALL, HK, np.array(component), along)) == []


def test_vectors_that_turn_gradually_are_no_wall() -> None:
    angle = HK[:, 0] * 0.3
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert crossings(vectors, ALL, HK, np.array([1.0, 0.0]), 0) == []


@pytest.mark.parametrize("width", [2.0, 5.0, 15.0])
def test_the_width_of_a_wall_comes_back(width) -> None:
    x = np.tile(np.linspace(-25, 25, 13), 15)
    y = 12 * np.tanh((x - 1.0) / width) + 0.5 + np.random.default_rng(2).normal(0, 0.5, len(x))
    found = fit_wall(x, y, 4.0)
    assert found is not None and abs(found.width - width) < 4 * found.width_std and found.width_std < 0.2 * width
    assert abs(found.place - 1) < 4 * found.place_std


def test_noise_has_no_width() -> None:
    draw = np.random.default_rng(4)
    assert sum(fit_wall(np.linspace(-25, 25, 200), draw.normal(0, 1, 200), 4.0) is not None for _ in range(20)) == 0


def test_the_middle_of_a_linear_field() -> None:
    gradient = np.array([[0.1, -0.7], [0.8, 0.2]])
    noise = np.random.default_rng(1).normal(0, 0.05, (len(HK), 2))
    found = centre(HK + 0.0, (HK - [0.3, 1.2]) @ gradient.T + noise)
    assert found is not None
    np.testing.assert_allclose(found[0], [0.3, 1.2], atol=0.05)
    np.testing.assert_allclose(found[2], gradient, atol=0.01)
    assert (np.abs(found[0] - [0.3, 1.2]) < 4 * found[1]).all()
    assert centre(HK[:2] + 0.0, noise[:2]) is None and centre(HK + 0.0, np.ones((len(HK), 2))) is None
