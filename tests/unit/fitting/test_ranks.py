"""Rank correlation: SciPy's where it holds, all orders counted where it does not."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from stemdisp.fitting.ranks import spearman


@pytest.mark.parametrize("n", [5, 9, 30, 200])
def test_the_correlation_is_that_of_scipy(n: int) -> None:
    rng = np.random.default_rng(n)
    one = rng.normal(size=n).round(1)  # with ties
    other = one + rng.normal(size=n)
    assert spearman(one, other)[0] == pytest.approx(spearmanr(one, other).statistic, abs=1e-12)


@pytest.mark.parametrize("n", [9, 30, 200])
def test_the_level_of_many_is_students(n: int) -> None:
    rng = np.random.default_rng(n)
    one = rng.normal(size=n)
    other = one + 2 * rng.normal(size=n)
    assert spearman(one, other)[1] == pytest.approx(spearmanr(one, other).pvalue, rel=1e-9)


def test_the_level_of_few_counts_all_orders() -> None:
    one, other = np.arange(5.0), np.array([1.0, 3.0, 2.0, 5.0, 4.0])
    rho, level = spearman(one, other)
    found = [spearmanr(one, np.array(order)).statistic for order in permutations(other)]
    assert level == pytest.approx(np.mean(np.abs(found) >= abs(rho) - 1e-9))


def test_a_perfect_order_is_not_impossible_by_chance() -> None:
    for n in (4, 9, 40):
        rho, level = spearman(np.arange(n), -np.exp(np.arange(n) / 9))
        assert rho == -1 and 0 < level <= 0.0834


def test_no_order_no_number() -> None:
    for one in (np.zeros(6), np.arange(2.0)):
        assert np.isnan(spearman(one, np.arange(len(one)))).all()
