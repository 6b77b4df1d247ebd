"""What layers say of multislice interfaces: K moved in the plane, out of it, nowhere, oxygen missing, at three doses.

Truth is the centroid of each column's image, a share w(q) of the K displacement where the share q of the column's
oxygen is present (``sample_data/SOURCES.md``).  The table of it is printed by ``make bench``.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from measure import fabricated, misnumbered
from multislice_layers import (
    ATOM_CHANCE,
    CASES,
    CHANCE,
    CLEAN_PM,
    DISPLACED_PM,
    DOSES,
    POOR,
    SEEDS,
    SEMS,
    analysed,
    facts,
    said,
)

COUNTED = [dose for dose in DOSES if dose is not None]
every_case = pytest.mark.parametrize("case", CASES)
every_dose = pytest.mark.parametrize("dose", DOSES, ids=lambda dose: "no-noise" if dose is None else f"{dose:.0e}")
every_counted = pytest.mark.parametrize("dose", COUNTED, ids=lambda dose: f"{dose:.0e}")


@every_case
@every_dose
def test_layers_are_numbered_right(case: str, dose: float | None) -> None:
    for seed in SEEDS if dose else (0,):
        analysis, true = analysed(case, dose, seed), facts(case).column
        assert misnumbered(analysis, true) == [], f"seed {seed}"
        assert fabricated(analysis, true) == [], f"seed {seed}"


@every_case
def test_layer_means_without_noise(case: str) -> None:
    found = said(case, None)
    assert len(found.layer) >= 12
    wrong = np.abs(found.error) > CLEAN_PM
    assert not wrong.any(), [(int(n), e.round(2).tolist()) for n, e in zip(found.layer, found.error, strict=True)]


@every_case
@every_counted
def test_layer_means_lie_within_their_errors(case: str, dose: float) -> None:
    found = said(case, dose)
    within = float((np.abs(found.pull) < SEMS).mean())
    print(f"{within:.3f} of {found.pull.size} means within {SEMS:g} standard errors, rms {found.error.std():.2f} pm")
    assert within >= CHANCE


@pytest.mark.parametrize("case", ["along", "outward"])
@every_dose
def test_atoms_move_as_they_were_moved(case: str, dose: float | None) -> None:
    """K itself, of which its column with O shows three quarters and, where O is missing, more."""
    found = said(case, dose)
    found = found.at(found.judged)
    assert len(found.layer) >= 3
    for n, off, atom, error, true in zip(
        found.layer, found.atom_off, found.atom, found.atom_sem, found.atom_true, strict=True
    ):
        print(f"layer {n}: {atom.round(1)} +- {error.round(1)} pm, true {true.round(1)}, {off.round(2)} of the limit")
    assert (found.atom_off < 1).mean() >= (ATOM_CHANCE if dose else 1)


@every_case
@every_dose
def test_layers_rich_in_vacancies_are_named(case: str, dose: float | None) -> None:
    found = said(case, dose)
    named = found.rich[found.missing >= POOR]
    print(f"{named.sum():.0f} of {len(named)} named")
    assert (named == 1).all()


@every_case
@every_dose
def test_layers_without_vacancies_are_not_named(case: str, dose: float | None) -> None:
    found = said(case, dose)
    named = found.rich[found.missing == 0]
    print(f"{named.sum():.0f} of {len(named)} named")
    assert (named == 0).all()


@pytest.mark.parametrize("case", ["along", "outward"])
@every_dose
def test_displaced_layers_are_significant(case: str, dose: float | None) -> None:
    found = said(case, dose)
    assert found.certain.sum() >= 2
    assert (found.significant[found.certain] == 1).mean() >= CHANCE


@every_dose
def test_undisplaced_layers_are_not_significant(dose: float | None) -> None:
    found = said("still", dose)
    assert (np.abs(found.atom_true) < DISPLACED_PM).all()
    assert (found.significant == 1).mean() <= 1 - CHANCE


def test_cases_are_what_they_are_called() -> None:
    """In the plane to the right, out of it along the normal, nowhere; in each some layers lack oxygen."""
    for case, direction in product(CASES, ("normal", "parallel")):
        true = facts(case).atom
        first = np.nanmean(true.cell_pm[true.layer == 0], axis=0)
        along = float(first @ (true.normal if direction == "normal" else [-true.normal[1], true.normal[0]]))
        expected = 25.0 if (case, direction) in (("along", "parallel"), ("outward", "normal")) else 0.0
        assert along == pytest.approx(expected, abs=0.01)
        missing = facts(case).missing
        assert (missing >= POOR).any() and (missing == 0).sum() >= 10
