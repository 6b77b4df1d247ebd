"""What is assumed of mixed columns, and what follows from it."""

from __future__ import annotations

import numpy as np
import pytest

import stemdisp
from stemdisp.crystal import project
from stemdisp.materials import MATERIALS
from stemdisp.model.fields import VectorField
from stemdisp.recipe import PolarizationSection
from stemdisp.stages.dilution import dilution

KTO = MATERIALS["KTaO3"]


def test_a_measured_share_is_used_where_there_is_one() -> None:
    found = dilution(project(KTO, (1, -1, 0)), "HAADF", PolarizationSection())
    assert found.share == 0.76 and found.std == pytest.approx(0.03, abs=0.002)
    assert "O in it stays" in found.sentence and "HAADF" in found.sentence


def test_atoms_that_are_alone_move_with_their_column() -> None:
    found = dilution(project(KTO, (0, 0, 1)), "HAADF", PolarizationSection())
    assert (found.share, found.std) == (1, 0) and "alone" in found.sentence


def test_elsewhere_the_scattering_says_it_and_less_surely() -> None:
    found = dilution(project(KTO, (1, 1, -2)), "HAADF", PolarizationSection())
    assert 0.7 < found.share < 0.9 and found.std == pytest.approx(0.1 * found.share)


def test_the_recipe_wins() -> None:
    found = dilution(project(KTO, (1, -1, 0)), "HAADF", PolarizationSection(dilution=0.5))
    assert (found.share, found.std) == (0.5, 0) and "recipe" in found.sentence


def test_vectors_grow_with_their_errors() -> None:
    found = dilution(project(KTO, (1, -1, 0)), "HAADF", PolarizationSection())
    uv = np.array([[10.0, 0.0], [np.nan, np.nan]])
    field = VectorField("pm", np.zeros((2, 2)), uv, np.array([np.eye(2), np.full((2, 2), np.nan)]))
    atoms = found.undone(field)
    assert atoms.uv[0] == pytest.approx([10 / 0.76, 0])
    assert atoms.std[0, 0] == pytest.approx(np.hypot(1 / 0.76, 0.04 * 10 / 0.76))
    assert atoms.std[0, 1] == pytest.approx(1 / 0.76)
    assert np.isnan(atoms.uv[1]).all() and np.isnan(atoms.std[1]).all()


def test_tables_have_both() -> None:
    from stemdisp.io.tables import cells_table
    from stemdisp.synthetic import simulate

    analysis = stemdisp.analyse(simulate(stemdisp.Scene())[0], stemdisp.recipe_for("KTaO3", "1-10"))
    table = cells_table(analysis)
    np.testing.assert_allclose(table["atom_dx_pm"], table["dx_pm"] / 0.76)
    assert (table["atom_dx_std_pm"] > table["dx_std_pm"]).sum() == np.isfinite(table["dx_pm"]).sum()
