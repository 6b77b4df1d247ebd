"""A profile measured elsewhere at the layers: between its points, never beyond them, and what is missing is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stemdisp.profile_entry import ProfileEntry
from stemdisp.stages.external import external

SHA = "a" * 64


def entry(distance, value, error=(), name="O K edge") -> ProfileEntry:
    return ProfileEntry(
        sha256=SHA, name=name, unit="counts", distance_nm=tuple(distance), value=tuple(value), error=tuple(error)
    )


def test_a_line_is_met_everywhere_with_the_errors_of_two_points(kto) -> None:
    depth = kto.profile.distance_nm
    found = external(entry([-1.0, 9.0], [10.0, 30.0], [1.0, 3.0]), kto.profile)
    np.testing.assert_allclose(found.at_layers, 12 + 2 * depth)
    weight = (depth + 1) / 10
    np.testing.assert_allclose(found.at_layers_error, np.hypot(1 - weight, 3 * weight))
    assert found.covered.all() and found.warning == ""


def test_points_at_layers_are_taken_as_they_are(kto) -> None:
    depth = kto.profile.distance_nm
    value, error = np.sin(9 * depth), 0.1 + depth
    found = external(entry(depth, value, error), kto.profile)
    np.testing.assert_allclose(found.at_layers, value)
    np.testing.assert_allclose(found.at_layers_error, error)


def test_without_errors_there_are_none(kto) -> None:
    found = external(entry([-1.0, 9.0], [1.0, 2.0]), kto.profile)
    assert np.isfinite(found.at_layers).all() and np.isnan(found.at_layers_error).all() and np.isnan(found.error).all()


def test_it_is_compared_with_oxygen_and_displacement(kto) -> None:
    depth = kto.profile.distance_nm
    found = external(entry(depth, depth), kto.profile)
    # In the layers made by hand oxygen comes back with the depth and the displacement dies away.
    assert found.o_contrast.rho == pytest.approx(1) and found.o_contrast.n == len(depth)
    assert found.displacement.rho < -0.7 and found.displacement.p_value < 0.01
    blind = replace(kto.profile, o_contrast=np.full(len(depth), np.nan))
    without = external(entry(depth, depth), blind)
    assert np.isnan([without.o_contrast.rho, without.o_contrast.p_value]).all() and without.o_contrast.n == 0
    assert without.displacement == found.displacement


def test_layers_that_are_not_covered_stay_empty_and_are_named(kto) -> None:
    depth = kto.profile.distance_nm
    found = external(entry([depth[2], depth[8]], [1.0, 2.0]), kto.profile)
    np.testing.assert_array_equal(found.covered, (np.arange(len(depth)) >= 2) & (np.arange(len(depth)) <= 8))
    assert f"does not cover layers 0, 1 and 9 to {len(depth) - 1}, which" in found.warning
    assert found.o_contrast.n == 7


def test_too_few_layers_have_no_correlation(kto) -> None:
    depth = kto.profile.distance_nm
    found = external(entry([depth[3], depth[5]], [1.0, 2.0]), kto.profile)
    assert found.displacement.n == 3 and np.isnan(found.displacement.rho)


def test_what_covers_nothing_or_has_no_layers_is_told(kto) -> None:
    away = external(entry([50.0, 60.0], [1.0, 2.0]), kto.profile)
    assert "covers none of the layers" in away.warning and np.isnan(away.at_layers).all()
    alone = external(entry([0.0, 6.0], [1.0, 2.0]), None)
    assert "no layers" in alone.warning and len(alone.at_layers) == 0
    np.testing.assert_array_equal(alone.value, [1, 2])


def test_a_layer_without_a_distance_has_no_value(kto) -> None:
    depth = kto.profile.distance_nm.copy()
    depth[4] = np.nan
    found = external(entry([-1.0, 9.0], [1.0, 2.0]), replace(kto.profile, distance_nm=depth))
    np.testing.assert_array_equal(np.flatnonzero(~found.covered), [4])
    assert "layer 4" in found.warning


def test_names_cannot_break_a_sentence(kto) -> None:
    assert "\n" not in external(entry([50.0, 60.0], [1.0, 2.0], name="a\nb"), kto.profile).warning
