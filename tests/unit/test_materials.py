"""Materials: the numbers are the literature's, and zone axes survive writing and reading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemdisp.crystal import project
from stemdisp.errors import RecipeError
from stemdisp.materials import KTaO3, check_zone, format_indices, material, parse_zone

digits = st.integers(-9, 9)
zones = st.tuples(digits, digits, digits).filter(any)


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


def test_charges_obey_the_acoustic_sum_rule() -> None:
    """Each oxygen has one bond along and two across any Cartesian direction; the source states a sum of 0.004 e."""
    total = KTaO3.charge("K") + KTaO3.charge("Ta")
    oxygen = next(atom for atom in KTaO3.atoms if atom.element == "O")
    total += oxygen.charge_parallel + 2 * oxygen.charge_perpendicular
    assert total == pytest.approx(0.004, abs=1e-9)


def test_cell_of_ktao3() -> None:
    assert KTaO3.volume_A3 == pytest.approx(63.44, abs=0.005)
    assert {atom.element for atom in KTaO3.atoms if atom.fraction == (0.5, 0.5, 0.5)} == {"Ta"}


def test_every_zone_of_a_material_can_be_projected_and_diluted() -> None:
    for zone in KTaO3.zones:
        motif = project(KTaO3, zone)
        assert {KTaO3.moving, KTaO3.reference} <= set(motif.sites)
        assert set(KTaO3.dilution[zone]) == {"HAADF", "ABF"}


def test_a_pure_potassium_column_is_not_diluted() -> None:
    for zone in KTaO3.zones:
        motif = project(KTaO3, zone)
        pure = motif.content[motif.site("K")] == {"K": 1}
        assert (KTaO3.dilution[zone]["HAADF"] == 1) == pure


def test_unknown_names_are_errors_that_list_what_there_is() -> None:
    with pytest.raises(RecipeError, match="'BaTiO3' is not known; there is KTaO3"):
        material("BaTiO3")
    with pytest.raises(RecipeError, match="zone 111 of KTaO3 .*: 001, 1-10"):
        check_zone(KTaO3, (1, 1, 1))
    assert material("KTaO3") is KTaO3
    assert check_zone(KTaO3, (1, -1, 0)) == (1, -1, 0)
