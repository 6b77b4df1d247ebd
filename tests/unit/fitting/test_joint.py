"""The joint fit, on both engines: its gradient is that of its squares, it finds what was put in, claims what it can."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from joint_scene import BRIGHT, DEVICES, FAINT, SHAPE, TRUE, drawn, found_in, grid, moved, problem_of, state_of

from stemdisp.backend import Device
from stemdisp.fitting.engine import Sums, built, sums
from stemdisp.fitting.joint import fit, initial_state, linear
from stemdisp.fitting.problem import POISSON, UNIFORM, background_at


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Device:
    """Where the compiled kernel computes, and where arrays do."""
    if request.param == "compiled" and not built():
        pytest.skip("the compiled kernel was not built")
    return DEVICES[request.param]


@pytest.fixture(scope="module")
def start() -> np.ndarray:
    xy, _ = grid()
    return xy + np.random.default_rng(5).normal(0, 0.4, xy.shape)


@pytest.mark.parametrize("stride", [1, 3])
def test_gradient_is_that_of_half_the_squares(start, stride, device) -> None:
    _, group = grid()
    image = np.random.default_rng(0).poisson(drawn(*grid())).astype(float)
    problem = problem_of(image, start, group, variance=UNIFORM)
    engine = sums(problem, 2.4, device)
    state = state_of(problem)
    found = engine.gradient(state, stride)
    gradient = np.concatenate([found.columns.ravel(), found.knots, found.shape])
    for i in range(len(gradient)):
        step = np.zeros(len(gradient))
        step[i] = 1e-4
        up, down = (engine.gradient(moved(state, s), stride).squares for s in (step, -step))
        assert gradient[i] == pytest.approx(-0.5 * (up - down) / 2e-4, rel=1e-4, abs=1.0), i


@pytest.mark.parametrize("variance", [UNIFORM, POISSON], ids=["uniform", "poisson"])
def test_without_noise_everything_is_found(start, variance, device) -> None:
    xy, group = grid()
    problem = problem_of(drawn(xy, group), start, group, variance=variance)
    found = found_in(problem, device, 2.8)
    assert not found.moving.any() and not found.runaway.any()
    np.testing.assert_allclose(found.state.xy, xy, atol=2e-3)
    np.testing.assert_allclose(found.state.amplitude, np.where(group == 0, BRIGHT, FAINT), rtol=1e-3)
    np.testing.assert_allclose(np.exp(found.state.shape.log_sigma), np.exp(TRUE.log_sigma), rtol=1e-3)
    assert found.state.shape.tail == pytest.approx(TRUE.tail, abs=2e-3)
    np.testing.assert_allclose(background_at(problem, found.state, xy), 30 + xy @ [0.1, -0.05], atol=0.3)


def test_errors_are_as_large_as_claimed(start, device) -> None:
    xy, group = grid()
    pulls = []
    for seed in range(6):
        image = np.random.default_rng(seed).poisson(drawn(xy, group)).astype(float)
        problem = problem_of(image, start, group, tolerance=np.full(len(xy), 1e-3), spacing=40.0)
        found = found_in(problem, device, max_iterations=60)
        assert found.chi2 == pytest.approx(1, abs=0.1)
        pulls.append((found.state.xy - xy) / np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2)[:, 1:]))
    assert np.mean(np.array(pulls) ** 2) == pytest.approx(1, abs=0.25)


def test_a_mirrored_image_gives_mirrored_places(start, device) -> None:
    xy, group = grid()
    image = np.random.default_rng(2).poisson(drawn(xy, group)).astype(float)
    mirror = np.array([SHAPE[1] - 1, SHAPE[0] - 1])
    places = []
    for picture, begin in ((image, start), (image[::-1, ::-1], mirror - start)):
        problem = problem_of(picture, begin, group, tolerance=np.full(len(xy), 1e-4))
        places.append(found_in(problem, device, max_iterations=60).state.xy)
    np.testing.assert_allclose(places[1], mirror - places[0], atol=1e-4)


def test_missing_pixels_are_left_out(start, device) -> None:
    xy, group = grid()
    image = drawn(xy, group)
    image[np.random.default_rng(8).random(SHAPE) < 0.02] = np.nan
    problem = problem_of(image, start, group)
    found = found_in(problem, device, 2.6)
    np.testing.assert_allclose(found.state.xy, xy, atol=2e-3)
    assert (found.weight[np.isnan(image)] == 0).all()


def test_a_column_that_runs_away_is_put_back_and_held(device) -> None:
    xy, group = grid()
    begin = xy.copy()
    begin[4] += [3.5, 0.5]
    problem = problem_of(drawn(xy, group), begin, group, limit=np.full(len(xy), 2.0), tolerance=np.full(len(xy), 1e-4))
    found = found_in(problem, device)
    assert found.runaway[4] and not found.state.free[4]
    np.testing.assert_array_equal(found.state.xy[4], begin[4])


def test_held_columns_stay_and_tied_ones_take_the_mean_amplitude(start, device) -> None:
    xy, group = grid()
    free, tied = np.ones(len(xy), dtype=bool), np.full((len(xy), 3), -1)
    free[:2] = False
    tied[1] = 5, 6, 7
    problem = problem_of(drawn(xy, group), np.where(free[:, None], start, xy), group, free=free, tied=tied)
    found = found_in(problem, device)
    np.testing.assert_array_equal(found.state.xy[:2], xy[:2])
    assert found.state.amplitude[1] == pytest.approx(found.state.amplitude[5:8].mean())
    assert not found.moving[:2].any()


def test_what_does_not_move_by_itself_moves_with_those_that_lead_it(start, device) -> None:
    xy, group = grid()
    free, led = np.ones(len(xy), dtype=bool), np.full((len(xy), 3), -1)
    free[0] = False
    led[0] = 5, 6, 7
    beside = xy - xy[5:8].mean(axis=0)
    problem = problem_of(drawn(xy, group), start, group, free=free, led=led, beside=beside)
    state = found_in(problem, device).state
    np.testing.assert_allclose(state.xy[0], state.xy[5:8].mean(axis=0) + beside[0], atol=1e-9)


def test_a_place_known_beforehand_counts_by_its_standard_deviation(start, device) -> None:
    xy, group = grid()
    start = np.where(np.arange(len(xy))[:, None] == 9, xy + 0.04, start)
    image = np.random.default_rng(4).poisson(drawn(xy, group)).astype(float)
    alone = found_in(problem_of(image, start, group), device)
    own = float(np.sqrt(0.5 * np.trace(alone.covariance[9, 1:, 1:])))
    for std, share in ((1e-3, 1.0), (own, 0.5), (1e3, 0.0)):
        known = np.full(len(xy), np.inf)
        known[9] = std
        found = found_in(problem_of(image, start, group, known=known), device)
        assert found.beforehand[9] == pytest.approx(share, abs=0.05)
        assert (np.delete(found.beforehand, 9) == 0).all()
        # The image's place and the one known beforehand, each by the inverse of its covariance.
        expected = (np.eye(2) - found.covariance[9, 1:, 1:] / std**2) @ (alone.state.xy[9] - start[9])
        np.testing.assert_allclose(found.state.xy[9] - start[9], expected, atol=0.2 * own)


def test_the_linear_step_finds_heights_and_background(device) -> None:
    xy, group = grid()
    problem = problem_of(drawn(xy, group), xy, group)
    first = replace(initial_state(problem, np.exp(TRUE.log_sigma), TRUE.tail), shape=TRUE)
    state = linear(sums(problem, 2.4, device), linear(sums(problem, 2.4, device), first, 1), 1)
    np.testing.assert_allclose(state.amplitude, np.where(group == 0, BRIGHT, FAINT), rtol=0.01)
    np.testing.assert_array_equal(state.xy, xy)


def holed(image: np.ndarray, begin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.where(np.random.default_rng(0).random(image.shape) < 0.75, np.nan, image), begin


def struck(image: np.ndarray, value: float, step: int) -> np.ndarray:
    """Every ``step``-th pixel has a value."""
    return np.where(np.arange(image.size).reshape(image.shape) % step == step // 2, value, image)


BAD = {
    "negative counts": lambda image, begin: (image - 200, begin),
    "nothing but a constant": lambda image, begin: (np.full_like(image, 30.0), begin),
    "nothing but zeros": lambda image, begin: (np.zeros_like(image), begin),
    "nothing but missing pixels": lambda image, begin: (np.full_like(image, np.nan), begin),
    "two starts on one peak": lambda image, begin: (image, np.concatenate([begin, begin[4:5]])),
    "two starts 0.1 px apart": lambda image, begin: (image, np.concatenate([begin, begin[4:5] + 0.07])),
    "no pixel under a column": lambda image, begin: (masked(image, begin[4]), begin),
    "a column beyond the frame": lambda image, begin: (image, np.concatenate([begin, [[-40.0, -35.0]]])),
    "only a quarter of the pixels": holed,
    "infinite pixels": lambda image, begin: (struck(image, np.inf, 61), begin),
    "one huge pixel": lambda image, begin: (struck(image, 1e7, image.size), begin),
}
"""What is done to an image and to the places the fit starts from."""


LOCAL = {"two starts on one peak", "two starts 0.1 px apart", "no pixel under a column", "a column beyond the frame"}
"""Where the image is what it should be, these change nothing."""


def masked(image: np.ndarray, place: np.ndarray) -> np.ndarray:
    y, x = np.indices(image.shape)
    return np.where(np.hypot(x - place[0], y - place[1]) < 9, np.nan, image)


@pytest.mark.parametrize("variance", [POISSON, UNIFORM], ids=["poisson", "uniform"])
@pytest.mark.parametrize("name", BAD)
def test_bad_input_ends_in_marks_not_in_exceptions(name, variance, device) -> None:
    xy, group = grid()
    image, begin = BAD[name](np.random.default_rng(1).poisson(drawn(xy, group)).astype(float), xy)
    group = np.append(group, group[4:5]) if len(begin) > len(group) else group
    problem = problem_of(image, begin, group, variance=variance)
    found = found_in(problem, device, max_iterations=30)
    assert np.isfinite(found.state.xy).all() and np.isfinite(found.state.amplitude).all()
    assert np.isfinite(found.rest).all() and np.isfinite(found.weight).all() and (found.weight >= 0).all()
    assert (np.hypot(*(found.state.xy - begin).T) <= problem.limit + 1e-9).all()
    claimed = np.diagonal(found.covariance, axis1=1, axis2=2)
    assert not (claimed < 0).any()
    if name in LOCAL:
        apart = np.hypot(*(xy - xy[4]).T) > 15
        assert np.abs(found.state.xy[: len(xy)] - xy)[apart].max() < 0.6
        assert not found.runaway[: len(xy)][apart].any() and np.isfinite(claimed[: len(xy)][apart]).all()
    if name in ("no pixel under a column", "a column beyond the frame"):
        lost = 4 if name == "no pixel under a column" else len(xy)
        # A column of this height has an error of 0.02 px.
        sure = np.isfinite(claimed[lost, 1:]) & (claimed[lost, 1:] < 0.1**2)
        assert found.moving[lost] or found.runaway[lost] or not sure.any()


def test_nothing_free_is_no_error(device) -> None:
    xy, group = grid()
    problem = problem_of(drawn(xy, group), xy, group, free=np.zeros(len(xy), dtype=bool))
    found = found_in(problem, device)
    np.testing.assert_array_equal(found.state.xy, xy)
    assert not found.moving.any() and np.isnan(found.covariance[:, 1:, 1:]).all()
    np.testing.assert_allclose(found.state.amplitude[group == 0], BRIGHT, rtol=0.02)


@pytest.mark.parametrize("columns", [1, 2])
def test_few_columns_are_no_error(columns, device) -> None:
    image = drawn(np.array([[30.2, 30.1], [45.0, 41.3]]), np.zeros(2, dtype=np.int64))
    begin = np.array([[30.0, 30.0], [45.0, 41.0]])[:columns]
    problem = problem_of(image, begin, np.zeros(columns, dtype=np.int64))
    found = fit(problem, initial_state(problem, np.array([2.5]), 0.1), max_iterations=60, device=device)
    assert np.isfinite(found.state.xy).all()
    if columns == 2:
        np.testing.assert_allclose(found.state.xy, [[30.2, 30.1], [45.0, 41.3]], atol=0.02)


def test_single_precision_is_precise_enough(start, device) -> None:
    xy, group = grid()
    image = np.random.default_rng(0).poisson(drawn(xy, group)).astype(float)
    tolerance = np.full(len(xy), 1e-3)
    near = found_in(problem_of(image, start, group, tolerance=tolerance), device).state
    places = []
    for dtype in (np.float32, np.float64):
        problem = problem_of(image.astype(dtype), start, group, tolerance=tolerance)
        places.append(fit(problem, near, max_iterations=60, near=True, device=device).state.xy)
    np.testing.assert_allclose(places[0], places[1], atol=1e-3)


def test_the_engine_says_its_name(start, device) -> None:
    problem = problem_of(drawn(*grid()), start, grid()[1])
    engine: Sums = sums(problem, 2.4, device)
    assert engine.name.startswith("compiled" if device.compiled else "arrays")
    assert found_in(problem, device, max_iterations=2).engine == engine.name
