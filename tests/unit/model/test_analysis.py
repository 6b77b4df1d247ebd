"""What an analysis says of itself as a whole."""

from dataclasses import replace

import numpy as np
import pytest
from sides import on_side

from stemdisp.model.vacancies import Vacancies


def test_each_run_of_poor_layers_has_its_window(kto):
    depth, half = kto.profile.distance_nm, kto.interface.spacing_pm / 2000
    ((start, end),) = kto.vacancy_windows_nm
    assert (start, end) == pytest.approx((depth[0] - half, depth[2] + half))
    rich = np.zeros(len(kto.profile))
    rich[[1, 2, 5]] = 1
    rich[8] = np.nan
    apart = on_side(kto, profile=replace(kto.profile, vacancy_rich=rich)).vacancy_windows_nm
    np.testing.assert_allclose(apart, [(depth[1] - half, depth[2] + half), (depth[5] - half, depth[5] + half)])


def test_a_layer_without_cells_is_where_the_others_say(kto):
    depth = kto.profile.distance_nm.copy()
    depth[0] = np.nan
    ((start, _),) = on_side(kto, profile=replace(kto.profile, distance_nm=depth)).vacancy_windows_nm
    assert start == pytest.approx(kto.vacancy_windows_nm[0][0], abs=0.02)
    depth[:] = np.nan
    assert on_side(kto, profile=replace(kto.profile, distance_nm=depth)).vacancy_windows_nm == ()


def test_no_layers_no_window(kto):
    assert on_side(kto, profile=None).vacancy_windows_nm == () == kto.having(sides=()).vacancy_windows_nm


def test_profiles_of_this_and_of_other_images_are_told(eels):
    (warning,) = [sentence for sentence in eels.warnings if "external profile" in sentence]
    assert warning == eels.external[0].warning
    foreign = eels.having(micrograph=replace(eels.micrograph, inputs=eels.micrograph.inputs[1:]), external=())
    assert "1 profile of the recipe belongs to another image and was ignored" in foreign.warnings


@pytest.fixture
def whole(kto):
    """The analysis with three cells or more in every layer."""
    return on_side(kto, profile=replace(kto.profile, n=kto.profile.n + 3))


def test_what_is_left_out_is_said_with_its_reason(whole):
    nothing = np.full(len(whole.profile), np.nan)
    assert whole.left_out == ()
    few = replace(whole.profile, n=np.where(whole.profile.layer % 5 == 4, 2, whole.profile.n))
    (sentence,) = on_side(whole, profile=few).left_out
    assert sentence.endswith("fewer than 3 cells with a displacement: layers 4 and 9")
    dark = on_side(
        whole, profile=replace(whole.profile, o_contrast=nothing), vacancies=Vacancies(*(nothing,) * 6, "no ABF image")
    )
    assert dark.left_out == ("no ABF image",)
    seen = whole.profile.o_contrast.copy()
    seen[3] = np.nan
    (sentence,) = on_side(whole, profile=replace(whole.profile, o_contrast=seen)).left_out
    assert sentence.endswith("too few oxygen columns are seen: layer 3")
    (sentence,) = whole.having(displacement=replace(whole.displacement, offset=None, assumption="too shallow")).left_out
    assert sentence == "the reference is left out: too shallow"
    (sentence,) = whole.having(sides=()).left_out
    assert "no interface" in sentence


def test_the_other_side_has_its_own_words(whole):
    few = replace(whole.sides[0], profile=replace(whole.profile, n=np.where(whole.profile.layer == 2, 1, 5)))
    both = whole.having(sides=(whole.sides[0], few), displacement=replace(whole.displacement, beyond=None))
    assert both.left_out[0].startswith("beyond the interface the reference is left out")
    assert both.left_out[1].startswith("beyond the interface means are left out") and len(both.left_out) == 2
    assert both.of_side(1).profile is few.profile and both.of_side(1).external == ()
