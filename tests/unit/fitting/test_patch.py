"""A few columns fitted again end where the fit of all columns has them, and claim the same errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from joint_scene import DEVICES, found_in, grid, noisy, problem_of

from stemdisp.fitting.joint import JointFit
from stemdisp.fitting.patch import Patch, box, fit_patch
from stemdisp.fitting.problem import Problem


@pytest.fixture(scope="module")
def whole() -> tuple[Problem, JointFit]:
    """All columns, on profiles centred where they ended."""
    problem = problem_of(noisy(), *grid())
    joint = found_in(problem, DEVICES["arrays"])
    return replace(problem, centre=joint.state.xy), joint


def again(problem: Problem, joint: JointFit, rows: np.ndarray, off: tuple[float, float]) -> Patch:
    """Some columns, the first of them started elsewhere."""
    xy = joint.state.xy.copy()
    xy[rows[0]] += off
    part = box(problem, xy, rows, 8.0)
    return fit_patch(
        problem,
        replace(joint.state, xy=xy),
        problem.image[part],
        rows,
        part,
        chi2=joint.chi2,
        faintest=joint.faintest,
        max_iterations=30,
    )


@pytest.mark.parametrize("row", [12, 25])
def test_a_column_comes_back(whole: tuple[Problem, JointFit], row: int) -> None:
    problem, joint = whole
    near = np.argsort(np.hypot(*(joint.state.xy - joint.state.xy[row]).T))[:9]
    found = again(problem, joint, near, (0.8, -0.6))
    off = found.joint.state.xy + found.corner - joint.state.xy[near]
    std = np.sqrt(joint.covariance[near][:, [1, 2], [1, 2]])
    print(f"at most {np.abs(off / std).max():.3f} standard deviations off")
    # Which pixels are used depends on where a column started.
    assert (np.abs(off) < 0.3 * std).all()
    np.testing.assert_allclose(found.joint.state.amplitude, joint.state.amplitude[near], rtol=0.01)
    np.testing.assert_allclose(found.joint.covariance[0], joint.covariance[row], rtol=0.1, atol=0.1 * std[0].min())
    assert not found.joint.moving.any() and not found.joint.runaway.any()


def test_a_column_that_is_held_keeps_its_place(whole: tuple[Problem, JointFit]) -> None:
    problem, joint = whole
    rows = np.array([12, 13])
    free = problem.free.copy()
    free[12] = False
    found = again(replace(problem, free=free), joint, rows, (0.5, 0.0))
    np.testing.assert_allclose(found.joint.state.xy[0] + found.corner, joint.state.xy[12] + [0.5, 0.0], atol=1e-12)
    assert np.isnan(found.joint.covariance[0, 1, 1]) and np.isfinite(found.joint.covariance[0, 0, 0])


def test_a_column_that_runs_away_is_put_back(whole: tuple[Problem, JointFit]) -> None:
    problem, joint = whole
    start = problem.start.copy()
    start[12] = joint.state.xy[12] + [2.0, 0.0]
    limit = problem.limit.copy()
    limit[12] = 1.0
    found = again(replace(problem, start=start, limit=limit), joint, np.array([12, 13]), (2.0, 0.0))
    assert found.joint.runaway[0]
    np.testing.assert_allclose(found.joint.state.xy[0] + found.corner, start[12])
