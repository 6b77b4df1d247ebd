"""The sparse normal equations against the dense ones of a small random problem."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from stemdisp.fitting.engine import Known
from stemdisp.fitting.normal import Normal, NormalEquations

N, GROUPS, KNOTS = 6, 2, (2, 3)
GROUP = np.array([0, 1, 0, 1, 1, 0])
SHAPES = GROUPS + 4
SIZE = 3 * N + KNOTS[0] * KNOTS[1]
LISTED = [np.array([[0, 1, 2], [3, 4, 5]]), np.array([[1, 3, -1, -1], [0, 2, 4, 5], [5, -1, -1, -1]])]
NODES = [np.array([[0, 1, 3, 4], [1, 2, 4, 5]]), np.array([[0, 1, 3, 4], [1, 2, 4, 5], [0, 1, 3, 4]])]
PIXELS = 30
NOTHING = Known(np.zeros(N), np.zeros((SHAPES, SHAPES)))


@dataclass(frozen=True)
class Small:
    """Accumulated equations, and what they should hold: dense Jacobian (pixels, parameters) and residual."""

    equations: NormalEquations
    total: Normal
    jacobian: np.ndarray
    residual: np.ndarray


@pytest.fixture(scope="module")
def small() -> Small:
    rng = np.random.default_rng(2)
    equations = NormalEquations(LISTED, GROUP, KNOTS)
    total, dense, residuals = equations.empty(), [], []
    for number, (columns, nodes) in enumerate(zip(LISTED, NODES, strict=True)):
        tiles, length = columns.shape
        own = rng.normal(size=(tiles, 3 * length + nodes.shape[1], PIXELS))
        # What stands in the slots of absent columns must not matter.
        each = rng.normal(size=(tiles, length, 5, PIXELS))
        pull = rng.normal(size=(tiles, PIXELS))
        real = columns >= 0
        border = np.zeros((tiles, SHAPES, PIXELS))
        for group in range(GROUPS):
            border[:, group] = (each[:, :, 0] * (real & (GROUP[columns] == group))[:, :, None]).sum(axis=1)
        border[:, GROUPS:] = (each[:, :, 1:] * real[:, :, None, None]).sum(axis=1)
        jacobian = np.concatenate([own, border], axis=1)
        equations.add_curvature(total, number, columns, nodes, jacobian @ jacobian.transpose(0, 2, 1))
        slopes = (own[:, : 3 * length] @ pull[:, :, None]).reshape(tiles, 3, length).transpose(0, 2, 1)
        knots = (own[:, 3 * length :] @ pull[:, :, None])[:, :, 0]
        equations.add_gradient(total, columns, slopes, (each @ pull[:, None, :, None])[..., 0], nodes, knots)
        for t in range(tiles):
            full = np.zeros((PIXELS, SIZE + SHAPES))
            for slot in np.flatnonzero(real[t]):
                for i in range(3):
                    full[:, 3 * columns[t, slot] + i] = own[t, i * length + slot]
            full[:, 3 * N + nodes[t]] = own[t, 3 * length :].T
            full[:, SIZE:] = border[t].T
            dense.append(full)
            residuals.append(pull[t])
    return Small(equations, total, np.concatenate(dense), np.concatenate(residuals))


def test_curvature(small) -> None:
    expected = small.jacobian.T @ small.jacobian
    np.testing.assert_allclose(small.equations.matrix(small.total)[0].toarray(), expected[:SIZE, :SIZE], atol=1e-10)
    np.testing.assert_allclose(small.total.border, expected[:SIZE, SIZE:], atol=1e-10)
    np.testing.assert_allclose(small.total.corner, expected[SIZE:, SIZE:], atol=1e-10)


def test_gradient(small) -> None:
    expected = small.jacobian.T @ small.residual
    np.testing.assert_allclose(small.total.gradient, expected[:SIZE], atol=1e-10)
    np.testing.assert_allclose(small.total.border_gradient, expected[SIZE:], atol=1e-10)


def test_stiffness_costs_nothing_on_a_level_background(small) -> None:
    stiff = small.equations.matrix(small.total)[1].toarray()
    np.testing.assert_array_equal(stiff, stiff.T)
    assert np.linalg.eigvalsh(stiff).min() > -1e-12
    level = np.concatenate([np.zeros(3 * N), np.ones(SIZE - 3 * N)])
    np.testing.assert_allclose(stiff @ level, 0, atol=1e-12)
    assert level @ np.abs(stiff) @ level > 0


def test_selection_ties_and_fixes(small) -> None:
    free = np.ones((N, 2), dtype=bool)
    free[2] = False  # tied, held
    free[4, 1] = False  # held
    tied = np.full((N, 3), -1)
    tied[2] = 0, 1, 3
    selection = small.equations.selection(free, tied)
    assert selection.shape == (SIZE, SIZE - 3 - 2)
    full = selection @ np.arange(1.0, selection.shape[1] + 1)
    assert full[6] == pytest.approx((full[0] + full[3] + full[9]) / 3)
    assert (full[[7, 8, 13, 14]] == 0).all()
    assert full[12] != 0


@pytest.mark.parametrize("free_shapes", [0, 3, SHAPES])
def test_step_solves_the_dense_equations(small, free_shapes) -> None:
    free, tied = np.ones((N, 2), dtype=bool), np.full((N, 3), -1)
    free[1] = False
    tied[1] = 0, 2, 2
    chosen = np.arange(SHAPES) < free_shapes
    selection = small.equations.selection(free, tied)
    background = np.linspace(1, 2, SIZE - 3 * N)
    factor = small.equations.factorise(small.total, selection, chosen, NOTHING, 0.0)
    own, shape = factor.step(small.total.gradient, small.total.border_gradient, background)

    inner, stiff = (matrix.toarray() for matrix in small.equations.matrix(small.total))
    choose = selection.toarray()
    some = np.flatnonzero(chosen)
    matrix = np.block(
        [
            [choose.T @ (inner + stiff) @ choose, choose.T @ small.total.border[:, some]],
            [small.total.border[:, some].T @ choose, small.total.corner[np.ix_(some, some)]],
        ]
    )
    pull = small.total.gradient - stiff[:, 3 * N :] @ background
    solved = np.linalg.solve(matrix, np.concatenate([choose.T @ pull, small.total.border_gradient[some]]))
    np.testing.assert_allclose(own, choose @ solved[: choose.shape[1]], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(shape[some], solved[choose.shape[1] :], rtol=1e-5, atol=1e-7)
    assert (shape[~chosen] == 0).all()


def test_damping_shortens_the_step(small) -> None:
    selection = small.equations.selection(np.ones((N, 2), dtype=bool), np.full((N, 3), -1))
    lengths = []
    for damping in (0.0, 1.0, 100.0):
        factor = small.equations.factorise(small.total, selection, np.zeros(SHAPES, dtype=bool), NOTHING, damping)
        lengths.append(
            np.linalg.norm(factor.step(small.total.gradient, small.total.border_gradient, np.zeros(SIZE - 3 * N))[0])
        )
    assert lengths[0] > lengths[1] > lengths[2]


def test_covariance_is_the_inverse_curvature_of_the_columns(small) -> None:
    place = np.random.default_rng(0).uniform(0, 9, (N, 2))
    free = np.ones((N, 2), dtype=bool)
    inverse = np.linalg.inv((small.jacobian.T @ small.jacobian)[: 3 * N, : 3 * N])
    found = small.equations.covariance(small.total, place, free, NOTHING.position)
    for i in range(N):
        np.testing.assert_allclose(found[i], inverse[3 * i : 3 * i + 3, 3 * i : 3 * i + 3], rtol=1e-6, atol=1e-9)


def test_what_is_held_has_no_covariance_and_costs_its_neighbours_nothing(small) -> None:
    place = np.random.default_rng(0).uniform(0, 9, (N, 2))
    free = np.ones((N, 2), dtype=bool)
    free[3, 1] = False
    found = small.equations.covariance(small.total, place, free, NOTHING.position)
    kept = [i for i in range(3 * N) if i not in (10, 11)]
    inverse = np.linalg.inv((small.jacobian.T @ small.jacobian)[np.ix_(kept, kept)])
    np.testing.assert_allclose(found[0], inverse[:3, :3], rtol=1e-6, atol=1e-9)
    assert np.isfinite(found[3, 0, 0]) and np.isnan(found[3, 1:]).all() and np.isnan(found[3, :, 1:]).all()


def test_what_is_known_beforehand_adds_to_the_curvature(small) -> None:
    place, free = np.random.default_rng(0).uniform(0, 9, (N, 2)), np.ones((N, 2), dtype=bool)
    known = np.array([0.0, 30.0, 0.0, 1e12, 0.0, 2.0])
    dense = (small.jacobian.T @ small.jacobian)[: 3 * N, : 3 * N] + np.diag(
        np.stack([0 * known, known, known], axis=1).ravel()
    )
    inverse = np.linalg.inv(dense)
    found = small.equations.covariance(small.total, place, free, known)
    for i in range(N):
        np.testing.assert_allclose(found[i], inverse[3 * i : 3 * i + 3, 3 * i : 3 * i + 3], rtol=1e-5, atol=1e-9)


def test_steps_feel_what_is_known_beforehand(small) -> None:
    selection = small.equations.selection(np.ones((N, 2), dtype=bool), np.full((N, 3), -1))
    position, shape = np.array([0.0, 30.0, 0.0, 1e15, 0.0, 2.0]), np.linspace(0, 50, SHAPES)
    chosen = np.ones(SHAPES, dtype=bool)
    factor = small.equations.factorise(small.total, selection, chosen, Known(position, np.diag(shape)), 0.0)
    own, border = factor.step(small.total.gradient, small.total.border_gradient, np.zeros(SIZE - 3 * N))
    inner, stiff = (matrix.toarray() for matrix in small.equations.matrix(small.total))
    known = np.zeros(SIZE)
    known[1 : 3 * N : 3] = known[2 : 3 * N : 3] = position
    matrix = np.block(
        [
            [inner + stiff + np.diag(known), small.total.border],
            [small.total.border.T, small.total.corner + np.diag(shape)],
        ]
    )
    solved = np.linalg.solve(matrix, np.concatenate([small.total.gradient, small.total.border_gradient]))
    np.testing.assert_allclose(own, solved[:SIZE], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(border, solved[SIZE:], rtol=1e-4, atol=1e-7)
    assert np.abs(own[[10, 11]]).max() < 1e-10
