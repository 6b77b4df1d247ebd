"""Polarization by hand: P = e Z* d / Omega, with the sign of who moves."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from stemdisp.crystal import project
from stemdisp.errors import RecipeError
from stemdisp.materials import MATERIALS, ZONES, KTaO3
from stemdisp.model.fields import Offset, VectorField
from stemdisp.polarization_section import PolarizationSection
from stemdisp.recipe import parse
from stemdisp.stages.polarization import alternatives, polarization

ALONG_001 = project(KTaO3, (0, 0, 1))
ALONG_110 = project(KTaO3, (1, -1, 0))
PER_PM = 0.2920
"""uC/cm2 per pm of K alone: 1.156 e in 63.44 A3."""


@pytest.fixture
def field() -> VectorField:
    uv = np.array([[1.0, 0.0], [-3.0, 4.0], [np.nan, np.nan]])
    cov = np.stack([np.eye(2), np.diag([4.0, 1.0]), np.full((2, 2), np.nan)])
    return VectorField("pm", np.zeros((3, 2)), uv, cov, significant=np.array([True, False, False]))


def test_k_alone_in_rigid_tao3(field) -> None:
    assert KTaO3.volume_A3 == pytest.approx(63.44, abs=0.01)
    found = polarization(field, ALONG_001, "HAADF", PolarizationSection())
    assert found is not None and found.unit == "uC/cm2"
    np.testing.assert_allclose(found.uv[:2], np.array([[1, 0], [-3, 4]]) * PER_PM, rtol=1e-3)
    np.testing.assert_allclose(found.std[1], [2 * PER_PM, PER_PM], rtol=1e-3)
    assert np.isnan(found.uv[2]).all()
    np.testing.assert_array_equal(found.significant, field.significant)
    assert "K moves in a rigid rest" in found.assumption and "+1.156" in found.assumption


def test_the_reference_site_moves_the_other_way(field) -> None:
    found = polarization(field, ALONG_001, "HAADF", PolarizationSection(model="reference_site"))
    assert found is not None
    np.testing.assert_allclose(found.uv[0], [-PER_PM * 8.624 / 1.156, 0], rtol=1e-3)
    assert "Ta moves in a rigid K and O" in found.assumption


@pytest.mark.parametrize("signal", ["HAADF", "ABF"])
def test_a_shared_column_shows_part_of_what_k_moves(field, signal) -> None:
    share = KTaO3.dilution[(1, -1, 0)][signal]
    found = polarization(field, ALONG_110, signal, PolarizationSection())
    assert found is not None and share < 1
    np.testing.assert_allclose(found.uv[0, 0], PER_PM / share, rtol=1e-3)
    assert f"column displacement / {share:g}" in found.assumption


def test_recipe_wins(field) -> None:
    found = polarization(field, ALONG_110, "HAADF", PolarizationSection(charge=2.312, dilution=0.5))
    assert found is not None
    np.testing.assert_allclose(found.uv[0, 0], 4 * PER_PM, rtol=1e-3)
    assert "+2.312 e (recipe)" in found.assumption and "/ 0.5" in found.assumption


def test_none_is_none(field) -> None:
    assert polarization(field, ALONG_110, "HAADF", PolarizationSection(model="none")) is None


def test_a_signal_without_measured_dilution_gets_that_of_the_columns_weights(field) -> None:
    found = polarization(field, ALONG_110, "DF4", PolarizationSection())
    assert found is not None
    np.testing.assert_allclose(found.uv[0, 0], PER_PM * (1 + (8 / 19) ** 1.7), rtol=1e-3)
    given = polarization(field, ALONG_110, "DF4", PolarizationSection(dilution=0.8))
    assert given is not None
    np.testing.assert_allclose(given.uv[0, 0], PER_PM / 0.8, rtol=1e-3)


@pytest.mark.parametrize(("name", "kappa", "sign"), [("PbTiO3", -4.8, -1), ("BiFeO3", -2.5, -1)])
@pytest.mark.parametrize("zone", ZONES)
def test_lead_and_bismuth_crystals_are_polarized_against_the_displacement(field, name, kappa, sign, zone) -> None:
    crystal = MATERIALS[name]
    found = polarization(field, project(crystal, zone), "HAADF", PolarizationSection())
    assert found is not None
    np.testing.assert_allclose(found.uv[:2], kappa * field.uv[:2])
    assert (np.sign(found.uv[:2]) == sign * np.sign(field.uv[:2])).all()
    np.testing.assert_allclose(found.cov[:2], kappa**2 * field.cov[:2])
    assert f"kappa: {kappa:+g} uC/cm2 per pm of {crystal.moving} against {crystal.reference}" in found.assumption
    assert crystal.kappa_source in found.assumption


def test_lead_titanate_has_its_known_polarization() -> None:
    """Ti stands 16 pm off the centre of Pb in the bulk, which has 75 to 81 uC/cm2."""
    bulk = VectorField("pm", np.zeros((1, 2)), np.array([[0.0, 16.0]]), np.eye(2)[None], significant=np.array([True]))
    found = polarization(bulk, project(MATERIALS["PbTiO3"], (1, 0, 0)), "HAADF", PolarizationSection())
    assert found is not None and -81 <= found.uv[0, 1] <= -75


@pytest.mark.parametrize(("name", "zone"), [(n, z) for n in ("BaTiO3", "SrTiO3", "KNbO3") for z in ZONES])
def test_titanates_and_niobates_are_polarized_along_it(field, name, zone) -> None:
    crystal = MATERIALS[name]
    motif = project(crystal, zone)
    found = polarization(field, motif, "HAADF", PolarizationSection())
    assert found is not None
    factor = 16.02176634 * crystal.charge(crystal.moving) / crystal.volume_A3 / motif.dilution("HAADF")
    np.testing.assert_allclose(found.uv[:2], factor * field.uv[:2])
    assert factor > 1 and f"{crystal.moving} moves in a rigid rest" in found.assumption


def test_a_kappa_of_the_recipe_wins_and_is_said(field) -> None:
    found = polarization(field, project(MATERIALS["PbTiO3"], (0, 0, 1)), "HAADF", PolarizationSection(kappa=2.0))
    assert found is not None
    np.testing.assert_allclose(found.uv[:2], 2 * field.uv[:2])
    assert "kappa: +2 uC/cm2 per pm of Ti against Pb (recipe)" in found.assumption


def _asked(field, motif, recipe) -> str:
    """What is said of a polarization that is empty for want of a number."""
    found = polarization(field, motif, "HAADF", recipe)
    assert found is not None and not found.significant.any()
    assert np.isnan(found.uv).all() and np.isnan(found.cov).all()
    return found.assumption


def test_numbers_that_nobody_knows_are_asked_for(field) -> None:
    bismuth = project(MATERIALS["BiFeO3"], (0, 0, 1))
    for model, site in (("moving_site", "Fe"), ("reference_site", "Bi")):
        asked = rf"BiFeO3 has no Born effective charge of {site}; set \[polarization\] charge or .* model = none"
        assert re.search(asked, _asked(field, bismuth, PolarizationSection(model=model)))
        given = polarization(field, bismuth, "HAADF", PolarizationSection(model=model, charge=3.0))
        assert given is not None and given.valid.any()
    said = _asked(field, ALONG_001, PolarizationSection(model="kappa"))
    assert "KTaO3 has no known polarization per displacement; set [polarization] kappa" in said
    bare = replace(ALONG_001, material=replace(KTaO3, volume_A3=None))
    assert "no volume of the unit cell; set [structure] volume" in _asked(field, bare, PolarizationSection())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model": "full", "kappa": 2.0}, "kappa is given, which belongs to model = kappa, but model = full"),
        ({"model": "full", "charge": 2.0}, "charge is given, .* moving_site or reference_site, but model = full"),
        ({"model": "kappa", "charge": 2.0}, "charge is given, .* but model = kappa"),
        ({"model": "moving_site", "kappa": 2.0}, "kappa is given, .* but model = moving_site"),
        (
            {"model": "moving_site", "born_charges": {"O": [-5, -2]}},
            "born_charges is given, .* model = full, but model = moving",
        ),
        ({"model": "full", "born_charges": {"Zr": [5, 5]}}, r"born_charges: KTaO3 holds no Zr; there is K, O, Ta"),
        ({"model": "full", "born_charges": {"O2": [5, 5]}}, "O2 is not the symbol of an element"),
        ({"model": "full", "born_charges": {"O": [50, 5]}}, "O: charges must lie between -20 and 20 e"),
    ],
)
def test_contradictions_are_refused(values, said) -> None:
    with pytest.raises(RecipeError, match=said):
        parse({"polarization": values})


def test_what_was_subtracted_is_turned_into_polarization_too(field) -> None:
    here = np.array([True, False, False])
    moved = replace(
        field,
        offset=np.array([2.0, -1.0]),
        offset_std=np.array([0.3, 0.1]),
        offset_cells=here,
        beyond=Offset(np.array([1.0, 0.0]), np.array([0.2, 0.2]), ~here),
    )
    found = polarization(moved, project(MATERIALS["PbTiO3"], (0, 0, 1)), "HAADF", PolarizationSection())
    assert found is not None and found.beyond is not None
    np.testing.assert_allclose(found.offset, -4.8 * moved.offset)
    np.testing.assert_allclose(found.offset_std, 4.8 * moved.offset_std)
    np.testing.assert_allclose(found.of_side(1).offset, [-4.8, 0])
    np.testing.assert_allclose(found.of_side(1).offset_std, [0.96, 0.96])


def test_every_model_whose_numbers_are_known_stands_beside_the_one_asked_for(field) -> None:
    lead = project(MATERIALS["PbTiO3"], (0, 0, 1))
    beside = alternatives(field, lead, "HAADF", PolarizationSection(kappa=-5.0))
    assert list(beside) == ["moving_site", "reference_site", "kappa"]
    np.testing.assert_allclose(beside["kappa"].uv[0], [-5.0, 0])
    assert beside["moving_site"].uv[0, 0] > 0 > beside["reference_site"].uv[0, 0]
    given = alternatives(field, ALONG_001, "HAADF", PolarizationSection(charge=3.0))
    np.testing.assert_allclose(given["moving_site"].uv[0, 0], PER_PM * 3 / 1.156, rtol=1e-3)
    np.testing.assert_allclose(given["reference_site"].uv[0, 0], -PER_PM * 8.624 / 1.156, rtol=1e-3)
    assert alternatives(field, lead, "HAADF", PolarizationSection(model="none")) == {}
    assert list(alternatives(field, project(MATERIALS["BiFeO3"], (0, 0, 1)), "HAADF", PolarizationSection())) == [
        "kappa"
    ]


POLAR = {
    "PbTiO3": (415.2, 0.038, 0.117, (3.9, 2.9, -2.27), 78),
    "BaTiO3": (403.52, 0.0215, -0.0145, (2.7, 5.8, -2.83), 26),
    "KNbO3": (406.3, -0.023, 0.018, (1.1, 8.0, -3.03), 37),
    "BiFeO3": (1387.0, 0.2212 - 0.25, 0.9543 - 1, (4.37, 3.49, -2.62), 100),
}
"""Polar axis of the tetragonal (BiFeO3: hexagonal) cell in pm; by how much of it the B site and oxygen stand off their
middle places among the A site (mean over oxygen; from memory: Nelmes and Kuhs 1985, Kwei et al. 1993, Hewat 1973, Kubel
and Schmid 1990); rough charges that add up to zero; the polarization measured, in uC/cm2."""


@pytest.mark.parametrize("name", POLAR)
@pytest.mark.parametrize("zone", [(1, 0, 0), (1, -1, 0)])
def test_the_sign_is_that_of_the_known_polar_cell(name, zone) -> None:
    """By the model of the preset; the size within a factor of two."""
    c, off, oxygen, (_, b_charge, o_charge), measured = POLAR[name]
    sign = np.sign(b_charge * off + 3 * o_charge * oxygen) * np.sign(off)
    assert sign == (-1 if name in ("PbTiO3", "BiFeO3") else 1)
    motif = project(MATERIALS[name], zone)
    shown = motif.dilution("HAADF")
    bulk = VectorField("pm", np.zeros((1, 2)), np.array([[0.0, shown * abs(off) * c]]), np.eye(2)[None])
    found = polarization(replace(bulk, significant=np.array([True])), motif, "HAADF", PolarizationSection())
    assert found is not None and np.sign(found.uv[0, 1]) == sign
    assert measured / 2 < abs(found.uv[0, 1]) < measured * 2


def test_displacements_stay_as_they_were(field) -> None:
    before = replace(field, uv=field.uv.copy())
    polarization(field, ALONG_110, "HAADF", PolarizationSection())
    np.testing.assert_array_equal(field.uv, before.uv)


def test_dilution_of_the_shared_column_applies_only_where_k_moves(field) -> None:
    # Ta shares its [1-10] column with nothing: were it the one that moved, its column would show all of it.
    found = polarization(field, ALONG_110, "HAADF", PolarizationSection(model="reference_site"))
    assert found is not None
    np.testing.assert_allclose(found.uv[0, 0], -PER_PM * 8.624 / 1.156, rtol=1e-3)
