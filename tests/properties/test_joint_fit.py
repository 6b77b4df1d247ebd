"""What must not change a joint fit, on both engines: mirrors, turns, whole pixels, and the unit of brightness."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from joint_scene import DEVICES, SHAPE, found_in, grid, noisy, problem_of
from numpy.typing import NDArray

from stemdisp.fitting.joint import JointFit
from stemdisp.fitting.problem import POISSON, UNIFORM

Floats = NDArray[np.float64]

ENGINES = pytest.mark.parametrize("engine", DEVICES)
FEW = settings(max_examples=2, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate))
TOLERANCE = 1e-5

MIRRORED_PX = 1e-4
"""Sums in another order, and a path that is not quite the same."""

SHIFTED_PX = 3e-4
"""The same sums, but for knots of the background that no pixel sees, which lean on those that some do."""


def start() -> Floats:
    xy, _ = grid()
    return xy + np.random.default_rng(5).normal(0, 0.3, xy.shape)


def fitted(engine: str, image: Floats, begin: Floats, variance: tuple[float, float] = POISSON) -> JointFit:
    problem = problem_of(image, begin, grid()[1], variance=variance, tolerance=np.full(len(begin), TOLERANCE))
    return found_in(problem, DEVICES[engine], max_iterations=200)


@cache
def plain(engine: str, seed: int, variance: tuple[float, float] = POISSON) -> JointFit:
    return fitted(engine, noisy(seed), start(), variance)


def spread(found: JointFit, matrix: Floats) -> Floats:
    """(N, 2, 2) covariances of positions in an image turned by ``matrix``."""
    return np.asarray(matrix.T @ found.covariance[:, 1:, 1:] @ matrix)


MIRRORS = {
    "left and right": ((1, -1), False),
    "up and down": ((-1, 1), False),
    "half turn": ((-1, -1), False),
    "transposed": ((1, 1), True),
    "quarter turn": ((1, -1), True),
}
"""Steps along y and x, then whether axes are exchanged."""


@ENGINES
@pytest.mark.parametrize("name", MIRRORS)
@FEW
@given(seed=st.sampled_from([0, 3]))
def test_mirrors_and_turns(engine: str, name: str, seed: int) -> None:
    (along_y, along_x), exchanged = MIRRORS[name]
    image, matrix = noisy(seed)[::along_y, ::along_x], np.diag([float(along_x), float(along_y)])
    last = np.array([SHAPE[1] - 1.0, SHAPE[0] - 1.0])
    offset = np.where(np.array([along_x, along_y]) < 0, last, 0)
    if exchanged:
        image, matrix, offset = image.T, matrix[:, ::-1], offset[::-1]
    before = plain(engine, seed)
    after = fitted(engine, np.ascontiguousarray(image), start() @ matrix + offset)
    assert not before.moving.any() and not after.moving.any()
    np.testing.assert_allclose(after.state.xy, before.state.xy @ matrix + offset, rtol=0, atol=MIRRORED_PX)
    np.testing.assert_allclose(after.state.amplitude, before.state.amplitude, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(after.covariance[:, 1:, 1:], spread(before, matrix), rtol=0.01, atol=1e-6)
    assert after.chi2 == pytest.approx(before.chi2, rel=1e-5)


@ENGINES
@pytest.mark.parametrize(("dx", "dy"), [(60, 0), (0, 60), (60, 60)])
def test_shifts_by_whole_pixels(engine: str, dx: int, dy: int) -> None:
    """By a multiple of the distance of knots and samples, in a frame without data."""
    found = []
    for left, top in ((40, 40), (40 + dx, 40 + dy)):
        image = np.full((SHAPE[0] + 140, SHAPE[1] + 140), np.nan)
        image[top : top + SHAPE[0], left : left + SHAPE[1]] = noisy(0)
        found.append(fitted(engine, image, start() + np.array([left, top])))
    before, after = found
    np.testing.assert_allclose(after.state.xy, before.state.xy + np.array([dx, dy]), rtol=0, atol=SHIFTED_PX)
    np.testing.assert_allclose(after.state.amplitude, before.state.amplitude, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(after.covariance, before.covariance, rtol=1e-2, atol=1e-6)
    assert not after.weight[: 40 + dy].any() and not after.weight[:, : 40 + dx].any()


@ENGINES
@pytest.mark.parametrize("variance", [POISSON, UNIFORM], ids=["poisson", "uniform"])
@FEW
@given(seed=st.sampled_from([0, 3]), factor=st.floats(1e-3, 1e3))
def test_brightness_times_any_number(engine: str, variance: tuple[float, float], seed: int, factor: float) -> None:
    before = plain(engine, seed, variance)
    after = fitted(engine, noisy(seed) * factor, start(), variance)
    np.testing.assert_allclose(after.state.xy, before.state.xy, rtol=0, atol=1e-4)
    np.testing.assert_allclose(after.state.amplitude, before.state.amplitude * factor, rtol=1e-3, atol=1e-2 * factor)
    # A covariance has no unit of brightness but for its first row.
    np.testing.assert_allclose(after.covariance[:, 1:, 1:], before.covariance[:, 1:, 1:], rtol=0.01)
    np.testing.assert_allclose(after.covariance[:, 0, 0], before.covariance[:, 0, 0] * factor**2, rtol=0.01)


@ENGINES
@FEW
@given(seed=st.sampled_from([0, 3]), factor=st.floats(0.01, 100), offset=st.floats(-1000, 1000))
def test_brightness_times_a_number_on_any_level(engine: str, seed: int, factor: float, offset: float) -> None:
    """a * I + b: with equal weights the level is the background's."""
    before = plain(engine, seed, UNIFORM)
    after = fitted(engine, factor * (noisy(seed) + offset), start(), UNIFORM)
    np.testing.assert_allclose(after.state.xy, before.state.xy, rtol=0, atol=1e-4)
    np.testing.assert_allclose(after.state.amplitude, before.state.amplitude * factor, rtol=1e-3, atol=1e-2 * factor)
    np.testing.assert_allclose(
        after.state.background, factor * (before.state.background + offset), rtol=1e-3, atol=0.05 * factor
    )
