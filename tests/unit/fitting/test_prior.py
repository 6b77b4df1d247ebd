"""What is known beforehand pulls as its spread says, and does not make columns brighter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from joint_scene import BRIGHT, FAINT, TRUE, grid, noisy, problem_of

from stemdisp.fitting.adapt import _clipped_mean
from stemdisp.fitting.engine import sums
from stemdisp.fitting.joint import initial_state
from stemdisp.fitting.prior import energy, prior, towards_prior
from stemdisp.fitting.problem import Problem, State


def truth(problem: Problem) -> State:
    xy, group = grid()
    state = initial_state(problem, np.exp(TRUE.log_sigma), TRUE.tail)
    return replace(state, xy=xy, amplitude=np.where(group == 0, BRIGHT, FAINT), shape=TRUE)


def test_positions_are_pulled_back_and_amplitudes_down() -> None:
    xy, group = grid()
    problem = problem_of(noisy(), xy, group, expected=xy + np.array([0.1, -0.2]), known=np.full(len(xy), 0.5))
    state = truth(problem)
    known = prior(problem, state, 1.0)
    image = sums(problem, 2.4).gradient(state, 1)
    change = towards_prior(problem, state, image, known).columns - image.columns
    np.testing.assert_allclose(change[:, 1:], np.tile([0.4, -0.8], (len(xy), 1)), rtol=1e-6)
    np.testing.assert_allclose(change[:, 0], -(0.05 / 0.25) / state.amplitude)


def test_only_what_is_known_and_free_pulls() -> None:
    xy, group = grid()
    problem = problem_of(noisy(), xy, group, expected=xy + 0.1)
    free = np.arange(len(xy)) != 3
    problem = replace(problem, known=np.where(np.arange(len(xy)) < 6, 0.1, np.inf))
    state = replace(truth(problem), free=free)
    known = prior(problem, state, 2.0)
    squares = energy(problem, state, known)
    np.testing.assert_allclose(squares[[0, 1, 2, 4, 5]], 2.0 * 2 * 0.1**2 / 0.1**2)
    assert squares[3] == 0 and (squares[6:] == 0).all()


def test_no_amplitude_is_no_error() -> None:
    xy, group = grid()
    problem = problem_of(noisy(), xy, group, expected=xy + 0.1, known=np.full(len(xy), 0.1))
    state = initial_state(problem, np.array([2.4, 2.7]))
    gradient = towards_prior(problem, state, sums(problem, 2.4).gradient(state, 1), prior(problem, state, 1.0))
    assert np.isfinite(gradient.columns).all()


def test_a_few_outliers_leave_a_mean_of_squares() -> None:
    deviates = np.random.default_rng(1).normal(0, 2, (4000, 2))
    assert _clipped_mean(deviates**2) == pytest.approx(4, rel=0.05)
    deviates[:40] = 100
    assert _clipped_mean(deviates**2) == pytest.approx(4, rel=0.15)
