"""Materials: the numbers are the literature's, and zone axes survive writing and reading."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemdisp.crystal import project
from stemdisp.errors import RecipeError
from stemdisp.materials import ATOMIC_NUMBER, MATERIALS, ZONES, KTaO3, Material, format_indices, material, parse_zone

digits = st.integers(-9, 9)
zones = st.tuples(digits, digits, digits).filter(any)
every = pytest.mark.parametrize("crystal", MATERIALS.values(), ids=str)


def oxygen(crystal: Material):
    return next(atom for atom in crystal.atoms if atom.element == "O")


@given(zones)
def test_a_zone_axis_survives_writing_and_reading(zone: tuple[int, int, int]) -> None:
    assert parse_zone(format_indices(zone)) == zone


@given(zones, st.sampled_from(["[{} {} {}]", "({},{},{})", " {} {} {} "]))
def test_brackets_commas_and_spaces_do_not_matter(zone: tuple[int, int, int], form: str) -> None:
    assert parse_zone(form.format(*zone)) == zone


@pytest.mark.parametrize("text", ["", "000", "11", "1-101", "1x0", "abc", "--", "1.5 0 0"])
def test_nonsense_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(RecipeError, match=r"write 001, 1-10 or \[1 -1 0\]"):
        parse_zone(text)


@given(st.text(max_size=8))
def test_any_text_is_a_zone_or_a_recipe_error(text: str) -> None:
    try:
        assert any(parse_zone(text))
    except RecipeError:
        pass


def test_six_perovskites_are_there() -> None:
    assert set(MATERIALS) == {"SrTiO3", "BaTiO3", "PbTiO3", "BiFeO3", "KNbO3", "KTaO3"}
    assert all(crystal.name == name for name, crystal in MATERIALS.items())


def test_atomic_numbers() -> None:
    """Elements of every row of the periodic table."""
    known = {"H": 1, "O": 8, "K": 19, "Ti": 22, "Fe": 26, "Sr": 38, "Nb": 41, "Ba": 56, "Lu": 71, "Ta": 73, "Bi": 83}
    assert {element: ATOMIC_NUMBER[element] for element in known} == known
    assert len(ATOMIC_NUMBER) == ATOMIC_NUMBER["Cm"] == 96


@every
def test_charges_obey_the_acoustic_sum_rule(crystal) -> None:
    """Each oxygen has one bond along and two across any Cartesian direction; tables are rounded to 0.01 e an atom."""
    a, b = (crystal.charge(site) for site in (crystal.moving, crystal.reference))
    if a is None:
        assert b is None and oxygen(crystal).charge_parallel is None and crystal.polarization == "kappa"
        return
    total = a + b + oxygen(crystal).charge_parallel + 2 * oxygen(crystal).charge_perpendicular
    assert total == pytest.approx(0, abs=0.05)
    if crystal is KTaO3:
        assert total == pytest.approx(0.004, abs=1e-9)
    # The charges of the transition metal and of oxygen along its bond are anomalous, and of opposite sign.
    assert max(a, b) > 6 and oxygen(crystal).charge_parallel < -5 < oxygen(crystal).charge_perpendicular < 0


@every
def test_every_number_has_a_source(crystal) -> None:
    assert crystal.lattice_source
    assert crystal.charge_source or all(atom.charge_parallel is None for atom in crystal.atoms)
    assert (crystal.kappa is None) == (not crystal.kappa_source)
    assert (not crystal.dilution) == (not crystal.dilution_source)
    assert crystal.polarization != "kappa" or crystal.kappa is not None


@every
def test_cells_are_perovskites(crystal) -> None:
    at = {atom.fraction: atom.element for atom in crystal.atoms}
    assert len(at) == 5 and f"{at[0, 0, 0]}{at[0.5, 0.5, 0.5]}O3" == crystal.name
    assert {crystal.moving, crystal.reference} == {at[0, 0, 0], at[0.5, 0.5, 0.5]}
    assert 3.9 < crystal.lattice_A < 4.1 and crystal.volume_A3 == pytest.approx(crystal.lattice_A**3)
    assert crystal.strain[0] <= 0 <= crystal.strain[1] < 0.05


def test_lattice_parameters_keep_the_volume_of_the_real_cell() -> None:
    assert KTaO3.volume_A3 == pytest.approx(63.44, abs=0.005)
    for name, volume in (("PbTiO3", 3.904**2 * 4.152), ("BaTiO3", 3.991**2 * 4.0352), ("KNbO3", 3.973 * 4.027 * 4.045)):
        crystal = MATERIALS[name]
        assert crystal.volume_A3 == pytest.approx(volume, rel=1e-4)
    real = MATERIALS["PbTiO3"].lattice_A * (1 + np.array(MATERIALS["PbTiO3"].strain))
    np.testing.assert_allclose(real, [3.904, 4.152], atol=1e-6)


def test_the_site_that_moves_is_the_one_that_makes_the_polarization() -> None:
    assert {name: (m.moving, m.reference) for name, m in MATERIALS.items()} == {
        "KTaO3": ("K", "Ta"),
        "SrTiO3": ("Ti", "Sr"),
        "BaTiO3": ("Ti", "Ba"),
        "PbTiO3": ("Ti", "Pb"),
        "BiFeO3": ("Fe", "Bi"),
        "KNbO3": ("Nb", "K"),
    }


@every
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("signal", ["HAADF", "ABF"])
def test_every_zone_of_a_material_can_be_projected_and_diluted(crystal, zone, signal) -> None:
    motif = project(crystal, zone)
    assert {crystal.moving, crystal.reference} <= set(motif.sites)
    share = motif.dilution(signal)
    pure = set(motif.content[motif.site(crystal.moving)]) == {crystal.moving}
    assert (share == 1) == pure and 0.5 < share <= 1


def test_unknown_names_are_errors_that_list_what_there_is() -> None:
    with pytest.raises(RecipeError, match=r"'NaCl' is not known; there is BaTiO3, .*SrTiO3; .* CIF file or a \[struct"):
        material("NaCl")
    assert material("KTaO3") is KTaO3
