"""Only vectors that swing are slowed, each by itself, and they recover."""

from __future__ import annotations

import numpy as np

from stemdisp.fitting.pace import Pace


def test_steady_steps_keep_their_length() -> None:
    pace = Pace(np.full(2, 2.0))
    step = np.array([[1.0, 0.5], [0.0, 0.3]])
    for _ in range(4):
        np.testing.assert_array_equal(pace.limited(step), step)
        step = 0.8 * step


def test_nothing_exceeds_the_longest() -> None:
    pace = Pace(np.array([2.0, 0.5]))
    for _ in range(5):
        short = pace.limited(np.full((2, 2), 30.0))
        np.testing.assert_allclose(np.linalg.norm(short, axis=1), [2.0, 0.5])
        np.testing.assert_allclose(short[:, 0], short[:, 1])


def test_a_swing_dies_out_without_slowing_the_others() -> None:
    pace = Pace(np.full(2, 1.0))
    lengths = []
    for turn in range(8):
        short = pace.limited(np.array([[(-1.0) ** turn, 0.0], [0.6, 0.0]]))
        lengths.append(np.linalg.norm(short[0]))
        np.testing.assert_array_equal(short[1], [0.6, 0.0])
    np.testing.assert_allclose(lengths, 0.5 ** np.arange(8))


def test_turning_back_by_less_is_convergence_not_a_swing() -> None:
    pace = Pace(np.ones(1))
    for turn in range(6):
        step = np.array([[(-0.5) ** turn, 0.0]])
        np.testing.assert_array_equal(pace.limited(step), step)


def test_a_corner_is_no_swing_and_reach_comes_back() -> None:
    pace = Pace(np.ones(1))
    pace.limited(np.array([[1.0, 0.0]]))
    np.testing.assert_array_equal(pace.limited(np.array([[0.0, 1.0]])), [[0.0, 1.0]])
    assert np.linalg.norm(pace.limited(np.array([[0.0, -1.0]]))) == 0.5
    for _ in range(3):
        last = pace.limited(np.array([[0.0, -1.0]]))
    assert np.linalg.norm(last) == 1.0
