"""The column profile: its derivatives are those of its values, its bounds hold, its axes are where it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stemdisp.fitting.profile import MAX_STRETCH, TAIL_RATIO, TAIL_WEIGHT, Shape, evaluate, shape_slopes

STEP = 1e-6
SHAPES = [
    Shape(np.log([3.0]), np.zeros(2)),
    Shape(np.log([3.0]), np.array([0.12, -0.07])),
    Shape(np.log([3.0]), np.array([-0.05, 0.2]), 0.12, float(np.log(2.4))),
]


def value(shape: Shape, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    return evaluate(shape, np.exp(shape.log_sigma[0]), dx, dy, np).value


@pytest.fixture(params=SHAPES, ids=["round", "stretched", "tailed"])
def shape(request: pytest.FixtureRequest) -> Shape:
    return request.param


@pytest.fixture
def place() -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.random.default_rng(1).uniform(-8, 8, (2, 50)))


def test_slope_by_the_centre(shape, place) -> None:
    dx, dy = place
    at = evaluate(shape, np.exp(shape.log_sigma[0]), dx, dy, np)
    # Moving the centre by +step moves the displacement by -step.
    by_x = (value(shape, dx - STEP, dy) - value(shape, dx + STEP, dy)) / (2 * STEP)
    by_y = (value(shape, dx, dy - STEP) - value(shape, dx, dy + STEP)) / (2 * STEP)
    np.testing.assert_allclose(at.q * at.mx, by_x, atol=1e-9)
    np.testing.assert_allclose(at.q * at.my, by_y, atol=1e-9)


@pytest.mark.parametrize("parameter", range(5), ids=["log sigma", "m1", "m2", "w", "log k"])
def test_slope_by_the_shape(shape, place, parameter) -> None:
    dx, dy = place
    sigma = np.exp(shape.log_sigma[0])
    slopes = shape_slopes(shape, evaluate(shape, sigma, dx, dy, np), sigma, dx, dy, np)

    def changed(amount: float) -> Shape:
        vector = np.array([*shape.log_sigma, *shape.stretch, shape.tail, shape.log_ratio])
        vector[parameter] += amount
        return Shape(vector[:1], vector[1:3], float(vector[3]), float(vector[4]))

    difference = (value(changed(STEP), dx, dy) - value(changed(-STEP), dx, dy)) / (2 * STEP)
    np.testing.assert_allclose(slopes[parameter], difference, atol=1e-8)


def test_peak_is_one_and_metric_keeps_area(shape) -> None:
    assert value(shape, np.zeros(1), np.zeros(1)) == pytest.approx([1.0])
    assert np.linalg.det(shape.metric) == pytest.approx(1)


def test_axes_are_where_the_core_falls_to_its_standard_deviation() -> None:
    shape = SHAPES[1]
    (sigma,), angle = shape.axes()
    assert sigma[0] > sigma[1] and sigma[0] * sigma[1] == pytest.approx(9)
    turn = np.radians([angle, angle + 90])
    # Counter-clockwise as seen: y is down.
    np.testing.assert_allclose(value(shape, sigma * np.cos(turn), -sigma * np.sin(turn)), np.exp(-0.5), rtol=1e-12)


@pytest.mark.parametrize("stretch", [(-0.2, 0.0), (0.1, 0.2), (0.0, -0.3)])
def test_axes_say_what_shape_they_came_from(stretch) -> None:
    shape = Shape(np.log([1.7]), np.array(stretch), 0.1, float(np.log(2.0)))
    (sigma,), angle = shape.axes()
    again = Shape.of_axes(*sigma, angle, 0.1, 2.0)
    assert again.distance(shape) < 1e-12


@pytest.mark.parametrize(
    ("stretch", "angle"), [((-0.2, 0.0), 0.0), ((0.2, 0.0), 90.0), ((0.0, 0.2), 45.0), ((0.0, -0.2), 135.0)]
)
def test_angle_of_the_long_axis(stretch, angle) -> None:
    # m1 > 0 makes distances along x count more: the column is short there. m2 > 0 makes it long where x y < 0.
    assert Shape(np.zeros(1), np.array(stretch)).axes()[1] == pytest.approx(angle)


@pytest.mark.parametrize("sign", [1, -1])
def test_steps_end_at_the_bounds(sign) -> None:
    far = SHAPES[2].step(sign * np.full(5, 10.0))
    assert np.linalg.norm(far.stretch) <= MAX_STRETCH + 1e-12
    assert TAIL_WEIGHT[0] <= far.tail <= TAIL_WEIGHT[1]
    assert np.log(TAIL_RATIO[0]) <= far.log_ratio <= np.log(TAIL_RATIO[1])


def test_distance_ignores_the_width_of_a_tail_that_is_not_there() -> None:
    bare = SHAPES[0]
    assert bare.distance(replace(bare, log_ratio=1.2)) == 0
    assert bare.distance(replace(bare, log_sigma=bare.log_sigma + 0.03)) == pytest.approx(0.03)
