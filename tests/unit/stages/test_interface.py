"""The edge of the crystal: its normal at any direction, its plane, the layers, and when there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from measure import interface_error, known, misnumbered
from scenes import interface_scene

from stemdisp.errors import StageError
from stemdisp.materials import ZONES, KTaO3
from stemdisp.recipe import InterfaceSection
from stemdisp.scene import Scene, View
from stemdisp.stages.displacement import displacement
from stemdisp.stages.interface import interface

VIEW = View(shape=(240, 250), pixel_size_pm=(12.5, 12.5))


def found_in(analysis, recipe: InterfaceSection | None = None, drawn=None):
    return interface(
        analysis.micrograph,
        analysis.columns,
        analysis.cells,
        analysis.lattice,
        recipe or InterfaceSection(),
        drawn,
    )


def with_displacement(analysis):
    """Unrefined places will do to compare layers."""
    size = analysis.micrograph.pixel_size
    field = displacement(analysis.columns, analysis.cells, analysis.interface, size, analysis.recipe.displacement)
    return analysis.having(displacement=field)


@pytest.fixture(scope="module")
def edge(until):
    """An analysis up to the cells, and its truth, below an edge that faces up."""
    return until(interface_scene(90.0, view=VIEW), "cells")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("direction", [90.0, 0.0, -63.0, 147.0])
def test_automatic_at_several_directions(until, zone, direction) -> None:
    analysis, truth = until(interface_scene(direction, zone=zone, view=VIEW), "interface")
    found = analysis.interface
    assert found is not None and found.origin == "automatic"
    away, turned = interface_error(analysis, known(truth))
    assert abs(away) < 0.5 * found.spacing_pm and turned < 1
    assert misnumbered(with_displacement(analysis), known(truth)) == []


def test_layers_count_inwards_at_the_spacing_of_the_plane(edge) -> None:
    analysis, _ = edge
    found = found_in(analysis)
    assert found.plane == (1, 1, 1) or sorted(map(abs, found.plane)) == [1, 1, 1]
    assert found.spacing_pm == pytest.approx(KTaO3.lattice_A * 100 / 3**0.5, rel=0.01)
    assert found.layer.min() == 0 and set(np.diff(np.unique(found.layer))) == {1}
    steps = np.polyfit(found.layer, found.distance_nm * 1000, 1)
    assert steps[0] == pytest.approx(found.spacing_pm, rel=0.01)
    assert (found.distance_nm > 0).all()
    np.testing.assert_allclose(found.normal @ found.parallel, 0, atol=1e-12)
    # Normal up: parallel right.
    assert found.normal[1] < -0.9 and found.parallel[0] > 0.9


def test_a_full_frame_has_none(until) -> None:
    assert until(Scene(view=VIEW), "interface")[0].interface is None


def test_the_recipe_can_want_none_and_no_pixel_size_gives_none(edge) -> None:
    analysis, _ = edge
    assert found_in(analysis, InterfaceSection(mode="none")) is None
    bare = replace(analysis, micrograph=analysis.micrograph.with_pixel_size(None))
    assert found_in(bare) is None


def test_a_line_in_the_recipe(edge) -> None:
    analysis, truth = edge
    y = float(truth.interface_point[1])
    found = found_in(analysis, InterfaceSection(mode="line", line=(20, y, 220, y)))
    automatic = found_in(analysis)
    assert found.origin == "recipe" and automatic.origin == "automatic"
    np.testing.assert_allclose(found.normal, automatic.normal)
    np.testing.assert_array_equal(found.layer, automatic.layer)
    assert found.distance_nm == pytest.approx(automatic.distance_nm, abs=1e-6)


@pytest.mark.parametrize("order", [1, -1])
def test_a_drawn_line_wins_and_cuts_layers_off(edge, order) -> None:
    analysis, truth = edge
    automatic = found_in(analysis)
    y = float(truth.interface_point[1]) + 2.2 * automatic.spacing_pm / 12.5
    drawn = np.array([[20.0, y], [220.0, y]])[::order]
    found = found_in(analysis, InterfaceSection(mode="none"), drawn)
    assert found.normal[1] < -0.9
    np.testing.assert_array_equal(found.layer, np.where(automatic.layer >= 2, automatic.layer - 2, -1))


def test_the_plane_may_be_given(edge) -> None:
    analysis, _ = edge
    found = found_in(analysis, InterfaceSection(plane="001"))
    assert sorted(map(abs, found.plane)) == [0, 0, 1]
    assert found.spacing_pm == pytest.approx(KTaO3.lattice_A * 100, rel=0.01)
    angle = np.degrees(np.arccos(found.normal @ found_in(analysis).normal))
    assert angle == pytest.approx(54.7, abs=0.5)


def test_a_plane_that_the_beam_crosses_is_refused(until) -> None:
    analysis, _ = until(interface_scene(90.0, zone=(0, 0, 1), view=VIEW), "cells")
    with pytest.raises(StageError, match="plane = 111"):
        found_in(analysis, InterfaceSection(plane="111"))


def test_lines_that_cannot_be_are_refused(edge) -> None:
    analysis, _ = edge
    with pytest.raises(StageError, match="no line is given"):
        found_in(analysis, InterfaceSection(mode="line"))
    with pytest.raises(StageError, match="two points"):
        found_in(analysis, drawn=np.array([[5.0, 5.0], [5.0, 5.0]]))
