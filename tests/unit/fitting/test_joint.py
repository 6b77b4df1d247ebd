"""The joint fit: its gradient is that of its squares, it finds what was put in, and claims what it can."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stemdisp.fitting.joint import JointModel, Problem, State, background_at, fit, initial_state
from stemdisp.fitting.profile import Shape, evaluate

SHAPE = (66, 74)
TRUE = Shape(np.log([2.4, 2.7]), np.array([0.06, -0.03]), 0.12, float(np.log(2.2)))
BRIGHT, FAINT = 400.0, 80.0


def grid() -> tuple[np.ndarray, np.ndarray]:
    """True places (N, 2), displaced at random, and groups (N,) of two interlaced square lattices."""
    rng = np.random.default_rng(3)
    x, y = np.meshgrid(np.arange(10, 66, 13.0), np.arange(8, 60, 13.0))
    xy = np.concatenate([np.stack([x.ravel(), y.ravel()], axis=1), np.stack([x.ravel(), y.ravel()], axis=1) + 6.5])
    xy = xy[(xy < [SHAPE[1] - 7, SHAPE[0] - 7]).all(axis=1)]
    return xy + rng.normal(0, 0.3, xy.shape), (xy[:, 0] % 13 < 5).astype(np.int64)


def drawn(xy: np.ndarray, group: np.ndarray, shape: Shape = TRUE) -> np.ndarray:
    """Expected counts on a background that hats 20 px apart can follow."""
    y, x = np.indices(SHAPE).astype(float)
    image = 30 + 0.1 * x - 0.05 * y
    for place, g in zip(xy, group, strict=True):
        profile = evaluate(shape, np.exp(shape.log_sigma[g]), x - place[0], y - place[1], np).value
        image += np.where(np.hypot(x - place[0], y - place[1]) <= 20, (BRIGHT, FAINT)[g] * profile, 0)
    return image


def problem_of(image: np.ndarray, xy: np.ndarray, group: np.ndarray, **changes) -> Problem:
    n = len(xy)
    values = {
        "image": image,
        "start": xy,
        "group": group,
        "radius": np.full(n, 20.0),
        "inner": np.full(n, 6.0),
        "free": np.ones(n, dtype=bool),
        "tied": np.full((n, 3), -1),
        "spacing": 20.0,
        "limit": np.full(n, 3.0),
        "tolerance": np.full(n, 1e-4),
    }
    return Problem(**(values | changes))


@pytest.fixture(scope="module")
def start() -> np.ndarray:
    xy, _ = grid()
    return xy + np.random.default_rng(5).normal(0, 0.4, xy.shape)


def moved(state: State, vector: np.ndarray) -> State:
    """A state with all parameters in the order of the equations changed."""
    n, g = len(state.xy), len(state.shape.log_sigma)
    columns, knots, shape = np.split(vector, [3 * n, 3 * n + len(state.background)])
    amplitude, x, y = columns.reshape(-1, 3).T
    new = Shape(
        state.shape.log_sigma + shape[:g],
        state.shape.stretch + shape[g : g + 2],
        float(state.shape.tail + shape[-2]),
        float(state.shape.log_ratio + shape[-1]),
    )
    return State(
        state.xy + np.stack([x, y], axis=1), state.amplitude + amplitude, state.background + knots, new, state.free
    )


@pytest.mark.parametrize("stride", [1, 3])
def test_gradient_is_that_of_half_the_squares(start, stride) -> None:
    _, group = grid()
    image = np.random.default_rng(0).poisson(drawn(*grid())).astype(float)
    problem = problem_of(image, start, group, weights="uniform")
    model = JointModel(problem, 2.4)
    first = initial_state(problem, np.array([2.6, 2.6]), 0.1)
    state = replace(
        first, amplitude=np.where(group == 0, 380.0, 90.0), shape=replace(first.shape, stretch=TRUE.stretch)
    )
    found = model.normal(state, stride, curvature=False)
    gradient = np.concatenate([found.gradient, found.border_gradient])
    for i in range(len(gradient)):
        step = np.zeros(len(gradient))
        step[i] = 1e-4
        up, down = (model.normal(moved(state, s), stride, curvature=False).squares for s in (step, -step))
        assert gradient[i] == pytest.approx(-0.5 * (up - down) / 2e-4, rel=1e-4, abs=1.0), i


@pytest.mark.parametrize("weights", ["uniform", "poisson"])
def test_without_noise_everything_is_found(start, weights) -> None:
    xy, group = grid()
    problem = problem_of(drawn(xy, group), start, group, weights=weights)
    found = fit(problem, initial_state(problem, np.array([2.8, 2.8]), 0.1), max_iterations=100)
    assert not found.moving.any() and not found.runaway.any()
    np.testing.assert_allclose(found.state.xy, xy, atol=2e-3)
    np.testing.assert_allclose(found.state.amplitude, np.where(group == 0, BRIGHT, FAINT), rtol=1e-3)
    np.testing.assert_allclose(np.exp(found.state.shape.log_sigma), np.exp(TRUE.log_sigma), rtol=1e-3)
    assert found.state.shape.tail == pytest.approx(TRUE.tail, abs=2e-3)
    np.testing.assert_allclose(background_at(problem, found.state, xy), 30 + xy @ [0.1, -0.05], atol=0.3)


def test_errors_are_as_large_as_claimed(start) -> None:
    xy, group = grid()
    pulls = []
    for seed in range(6):
        image = np.random.default_rng(seed).poisson(drawn(xy, group)).astype(float)
        problem = problem_of(image, start, group, tolerance=np.full(len(xy), 1e-3), spacing=40.0)
        found = fit(problem, initial_state(problem, np.array([2.5, 2.5]), 0.1), max_iterations=60)
        assert found.chi2 == pytest.approx(1, abs=0.1)
        pulls.append((found.state.xy - xy) / np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2)[:, 1:]))
    assert np.mean(np.array(pulls) ** 2) == pytest.approx(1, abs=0.25)


def test_a_mirrored_image_gives_mirrored_places(start) -> None:
    xy, group = grid()
    image = np.random.default_rng(2).poisson(drawn(xy, group)).astype(float)
    mirror = np.array([SHAPE[1] - 1, SHAPE[0] - 1])
    places = []
    for picture, begin in ((image, start), (image[::-1, ::-1], mirror - start)):
        problem = problem_of(picture, begin, group, tolerance=np.full(len(xy), 1e-4))
        places.append(fit(problem, initial_state(problem, np.array([2.5, 2.5]), 0.1), max_iterations=60).state.xy)
    np.testing.assert_allclose(places[1], mirror - places[0], atol=1e-4)


def test_missing_pixels_are_left_out(start) -> None:
    xy, group = grid()
    image = drawn(xy, group)
    image[np.random.default_rng(8).random(SHAPE) < 0.02] = np.nan
    problem = problem_of(image, start, group)
    found = fit(problem, initial_state(problem, np.array([2.6, 2.6]), 0.1), max_iterations=100)
    np.testing.assert_allclose(found.state.xy, xy, atol=2e-3)
    assert (found.weight[np.isnan(image)] == 0).all()


def test_a_column_that_runs_away_is_put_back_and_held() -> None:
    xy, group = grid()
    begin = xy.copy()
    begin[4] += [3.5, 0.5]
    problem = problem_of(drawn(xy, group), begin, group, limit=np.full(len(xy), 2.0), tolerance=np.full(len(xy), 1e-4))
    found = fit(problem, initial_state(problem, np.array([2.5, 2.5]), 0.1), max_iterations=100)
    assert found.runaway[4] and not found.state.free[4]
    np.testing.assert_array_equal(found.state.xy[4], begin[4])


def test_held_columns_stay_and_tied_ones_take_the_mean_amplitude(start) -> None:
    xy, group = grid()
    free, tied = np.ones(len(xy), dtype=bool), np.full((len(xy), 3), -1)
    free[:2] = False
    tied[1] = 5, 6, 7
    problem = problem_of(drawn(xy, group), np.where(free[:, None], start, xy), group, free=free, tied=tied)
    found = fit(problem, initial_state(problem, np.array([2.5, 2.5]), 0.1), max_iterations=100)
    np.testing.assert_array_equal(found.state.xy[:2], xy[:2])
    assert found.state.amplitude[1] == pytest.approx(found.state.amplitude[5:8].mean())
    assert not found.moving[:2].any()
