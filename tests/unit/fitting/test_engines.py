"""The engines of the joint fit against each other; and threads and the order of columns, which change nothing."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from joint_scene import DEVICES, found_in, grid, noisy, problem_of, state_of

from stemdisp.backend import CPU, Device, choose
from stemdisp.fitting.engine import Known, Steps, Sums, built, sums
from stemdisp.fitting.joint import JointFit, fit
from stemdisp.fitting.problem import POISSON, UNIFORM, Problem

pytestmark = pytest.mark.skipif(not built(), reason="the compiled kernel was not built")

VARIANCES = pytest.mark.parametrize("variance", [POISSON, UNIFORM], ids=["poisson", "uniform"])
STRIDES = pytest.mark.parametrize("stride", [1, 3])


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Columns 0.4 px off, one held, one tied, one known beforehand; some pixels are missing."""
    xy, group = grid()
    start = xy + np.random.default_rng(5).normal(0, 0.4, xy.shape)
    free, tied, known = np.ones(len(xy), dtype=bool), np.full((len(xy), 3), -1), np.full(len(xy), np.inf)
    free[[2, 23]] = False
    tied[2] = 5, 6, 7
    known[30] = 0.1
    image = noisy()
    image[np.random.default_rng(8).random(image.shape) < 0.01] = np.nan
    return problem_of(image, start, group, free=free, tied=tied, known=known)


def both(problem: Problem) -> tuple[Sums, Sums]:
    return sums(problem, 2.4, DEVICES["compiled"]), sums(problem, 2.4, DEVICES["arrays"])


def same(one: np.ndarray, other: np.ndarray, share: float) -> None:
    """Equal up to a share of the largest value."""
    np.testing.assert_allclose(one, other, rtol=0, atol=share * float(np.abs(other).max()))


@pytest.mark.parametrize(("dtype", "share"), [(np.float64, 1e-9), (np.float32, 1e-4)])
@STRIDES
@VARIANCES
def test_gradients_are_the_same(problem, variance, stride, dtype, share) -> None:
    problem = replace(problem, variance=variance, image=problem.image.astype(dtype))
    one, other = (engine.gradient(state_of(problem), stride) for engine in both(problem))
    for axis in range(3):
        same(one.columns[:, axis], other.columns[:, axis], share)
    same(one.knots, other.knots, share)
    # Sums over the whole image in which large terms cancel: relative to what single columns give.
    scale = float(np.abs(other.columns[:, 1]).max() * len(problem.start))
    np.testing.assert_allclose(one.shape, other.shape, rtol=share, atol=share * scale)
    assert one.squares == pytest.approx(other.squares, rel=share)
    assert one.pixels == other.pixels


@VARIANCES
def test_residuals_and_weights_are_the_same(problem, variance) -> None:
    problem = replace(problem, variance=variance)
    (rest, weight), (other, other_weight) = (engine.rest(state_of(problem)) for engine in both(problem))
    np.testing.assert_array_equal(weight > 0, other_weight > 0)
    same(rest, other, 1e-9)
    same(weight, other_weight, 1e-9)
    assert (rest[weight == 0] == 0).all()


def steps_of(engine: Sums, problem: Problem, stride: int, damping: float, shape_free: np.ndarray) -> Steps:
    state = state_of(problem)
    known = Known(np.where(np.isfinite(problem.known), 1 / problem.known**2, 0.0), np.diag(np.full(6, 3.0)))
    factor = engine.curvature(state, stride).factorise(state, shape_free, known, damping)
    return factor.step(engine.gradient(state, stride), state.background)


@pytest.mark.parametrize("damping", [0.0, 0.1])
@pytest.mark.parametrize("shapes", [0, 4, 6])
@STRIDES
@VARIANCES
def test_steps_solve_the_same_equations(problem, variance, stride, shapes, damping, monkeypatch) -> None:
    monkeypatch.setattr("stemdisp.fitting.joint_compiled.PRECISION", {np.float64: 1e-10})
    monkeypatch.setattr("stemdisp.fitting.joint_compiled.MOST_ITERATIONS", 20_000)
    # A tied column's share of the diagonal is damped before it is tied, or after.
    tied = problem.tied if damping == 0 else np.full_like(problem.tied, -1)
    problem, shape_free = replace(problem, variance=variance, tied=tied), np.arange(6) < shapes
    one, other = (steps_of(engine, problem, stride, damping, shape_free) for engine in both(problem))
    # The kernel solves in single precision.
    for axis in range(3):
        same(one.columns[:, axis], other.columns[:, axis], 3e-4)
    same(one.knots, other.knots, 3e-4)
    np.testing.assert_allclose(one.shape, other.shape, rtol=3e-3, atol=1e-5)
    if damping == 0:
        assert one.columns[2, 0] == pytest.approx(one.columns[5:8, 0].mean())
    assert (one.columns[[2, 23], 1:] == 0).all() and (one.shape[~shape_free] == 0).all()


@VARIANCES
def test_covariances_are_the_same(problem, variance) -> None:
    problem = replace(problem, variance=variance)
    state = state_of(problem)
    known = Known(np.where(np.isfinite(problem.known), 1 / problem.known**2, 0.0), np.zeros((6, 6)))
    one, other = (engine.curvature(state, 1).covariance(state, known) for engine in both(problem))
    np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
    # The neighbourhoods that are left free hold 16 columns and 24.
    scale = np.sqrt(np.einsum("nii,njj->nij", other, other))
    assert np.nanmax(np.abs(one - other) / scale) < 0.02


@VARIANCES
def test_fits_from_near_end_at_the_same_place(problem, variance) -> None:
    problem = replace(problem, variance=variance, tolerance=np.full(len(problem.start), 1e-5))
    near = found_in(problem, DEVICES["arrays"]).state
    one, other = (fit(problem, near, max_iterations=60, near=True, device=device) for device in DEVICES.values())
    np.testing.assert_allclose(one.state.xy, other.state.xy, rtol=0, atol=1e-4)
    np.testing.assert_allclose(one.state.amplitude, other.state.amplitude, rtol=1e-4, atol=0.01)
    assert one.chi2 == pytest.approx(other.chi2, rel=1e-5)


@VARIANCES
def test_fits_end_at_the_same_place(problem, variance) -> None:
    problem = replace(problem, variance=variance)
    one, other = (found_in(problem, device) for device in DEVICES.values())
    np.testing.assert_allclose(one.state.xy, other.state.xy, rtol=0, atol=1e-3)
    np.testing.assert_allclose(one.state.amplitude, other.state.amplitude, rtol=1e-3, atol=0.05)
    np.testing.assert_allclose(one.state.shape.log_sigma, other.state.shape.log_sigma, atol=1e-3)
    assert one.chi2 == pytest.approx(other.chi2, rel=1e-4)
    np.testing.assert_array_equal(one.moving, other.moving)
    np.testing.assert_array_equal(one.runaway, other.runaway)
    np.testing.assert_allclose(one.beforehand, other.beforehand, atol=0.01)
    np.testing.assert_allclose(one.rest, other.rest, atol=0.2)


@pytest.mark.gpu
def test_on_a_gpu_fits_end_at_the_same_place(problem) -> None:
    gpu, cpu = choose("gpu"), found_in(problem, DEVICES["compiled"])
    arrays = found_in(problem, replace(gpu, compiled=False))
    assert arrays.engine == f"arrays, {gpu.name}"
    np.testing.assert_allclose(arrays.state.xy, cpu.state.xy, rtol=0, atol=1e-3)
    np.testing.assert_allclose(arrays.state.amplitude, cpu.state.amplitude, rtol=1e-3, atol=0.05)
    beside = bits(found_in(problem, gpu))
    for name, values in bits(cpu).items():
        np.testing.assert_array_equal(values, beside[name], err_msg=name)


def test_beside_a_gpu_the_kernel_computes_where_it_was_built(problem) -> None:
    gpu = Device("gpu: any", None)
    assert sums(problem, 2.4, gpu).name.startswith("compiled")


def bits(found: JointFit) -> dict[str, np.ndarray]:
    """Everything that was found."""
    state = found.state
    arrays = {name: getattr(state, name) for name in ("xy", "amplitude", "background", "free")}
    arrays |= {field.name: np.asarray(getattr(state.shape, field.name)) for field in fields(state.shape)}
    names = ("covariance", "chi2", "rest", "weight", "moving", "runaway", "beforehand", "iterations")
    return arrays | {name: np.asarray(getattr(found, name)) for name in names}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_no_bit(problem, threads, dtype) -> None:
    problem = replace(problem, image=problem.image.astype(dtype))
    one, other = (bits(found_in(problem, replace(CPU, threads=n))) for n in (1, threads))
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


def reordered(problem: Problem, order: np.ndarray) -> Problem:
    """The same columns in another order."""
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    names = ("start", "expected", "centre", "beside", "group", "radius", "inner", "free", "limit", "known", "tolerance")
    rows = {name: getattr(problem, name)[order] for name in names}
    for name in ("tied", "led"):
        of = getattr(problem, name)[order]
        rows[name] = np.where(of >= 0, place[of], -1)
    return replace(problem, **rows)


@pytest.mark.parametrize("order", ["backwards", "at random", "by x"])
@pytest.mark.parametrize("name", DEVICES)
def test_the_order_of_columns_changes_no_bit(problem, name, order) -> None:
    n = len(problem.start)
    orders = {
        "backwards": np.arange(n)[::-1],
        "at random": np.random.default_rng(1).permutation(n),
        "by x": np.argsort(problem.start[:, 0]),
    }
    one = bits(found_in(problem, DEVICES[name]))
    other = bits(found_in(reordered(problem, orders[order]), DEVICES[name]))
    for what, values in one.items():
        mine = values[orders[order]] if values.shape[:1] == (n,) else values
        np.testing.assert_array_equal(mine, other[what], err_msg=what)


@pytest.mark.parametrize("name", DEVICES)
def test_the_same_twice(problem, name) -> None:
    one, other = (bits(found_in(problem, DEVICES[name])) for _ in range(2))
    for what, values in one.items():
        np.testing.assert_array_equal(values, other[what], err_msg=what)
