"""A step in intensity displaces nothing: what is measured on both sides of it is zero, where other methods see K move.

The Ta columns are 1 on one side and 0.35 on the other, with tails, and K is 0.12 (``scenes.step_scene``).
"""

from __future__ import annotations

import numpy as np
import pytest
from families import ALTERNATIVES, DEFAULT, Step, at_the_step, step_image
from measure import known, positions
from scenes import MARGIN_A, step_scene

import stemdisp
from stemdisp.synthetic import simulate

LIMIT_PM = 0.3

ONE_GAUSSIAN = next(a for a in ALTERNATIVES if a.name == "one Gaussian")


def beyond_limit(step: Step) -> dict[float, float]:
    """Rows (distance from the step in angstrom) whose K seem to move by more than the limit, in pm."""
    wrong = np.abs(step.apparent_pm) > LIMIT_PM
    return dict(zip(step.distance_A[wrong].round(1).tolist(), step.apparent_pm[wrong].round(2).tolist(), strict=True))


@pytest.mark.parametrize("oxygen", [False, True], ids=["without oxygen", "with oxygen"])
def test_nothing_moves_at_a_step(oxygen: bool) -> None:
    step = at_the_step(DEFAULT, oxygen=oxygen)
    assert len(step.distance_A) >= 7 and np.abs(step.distance_A).min() < 0.5
    assert beyond_limit(step) == {}


@pytest.mark.parametrize("oxygen", [False, True], ids=["without oxygen", "with oxygen"])
def test_tantalum_stays_beside_a_step(oxygen: bool) -> None:
    image, truth = step_image(oxygen=oxygen)
    recipe = stemdisp.recipe_for("KTaO3", "001").with_values({"interface": {"mode": "none"}})
    pairs = positions(stemdisp.analyse(image, recipe), truth, "Ta", MARGIN_A)
    assert len(pairs) > 50 and np.abs(pairs.error).max() < LIMIT_PM


@pytest.mark.parametrize("step", [0.6, 0.8])
def test_nothing_moves_at_smaller_steps(step: float) -> None:
    image, truth = simulate(step_scene(oxygen=True, step=step))
    recipe = stemdisp.recipe_for("KTaO3", "001").with_values({"interface": {"mode": "none"}})
    facts = known(truth)
    analysis = stemdisp.analyse(image, recipe)
    for site in ("K", "Ta"):
        assert np.abs(positions(analysis, facts, site, MARGIN_A).error).max() < LIMIT_PM


def test_the_step_is_a_trap() -> None:
    """One Gaussian a column, fitted jointly, sees K at the step move by several pm: the image can tell methods
    apart."""
    step = at_the_step(ONE_GAUSSIAN, oxygen=False)
    at = int(np.abs(step.distance_A).argmin())
    assert step.apparent_pm[at] < -3
