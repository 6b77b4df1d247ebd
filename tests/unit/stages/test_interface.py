"""Layers counted from an edge: along a plane, at an angle, along a curve, at any direction and on both sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from measure import interface_error, known, misnumbered
from scenes import interface_scene

from stemdisp.errors import RecipeError, StageError
from stemdisp.materials import ZONES, KTaO3
from stemdisp.model.interface import Edge
from stemdisp.recipe import InterfaceSection
from stemdisp.scene import View
from stemdisp.stages.displacement import displacement
from stemdisp.stages.interface import interface

VIEW = View(shape=(240, 250), pixel_size_pm=(12.5, 12.5))


def sides_in(analysis, edge: Edge, recipe: InterfaceSection | None = None):
    return interface(
        analysis.columns,
        analysis.cells,
        analysis.lattice,
        analysis.micrograph,
        recipe or InterfaceSection(),
        edge,
    )


def drawn(*points, normal=(0.0, -1.0)) -> Edge:
    return Edge(np.array(points, dtype=float), np.array(normal), "drawn")


def with_displacement(analysis):
    """Unrefined places will do to compare layers."""
    size = analysis.micrograph.pixel_size
    interfaces = tuple(side.interface for side in analysis.sides)
    field = displacement(analysis.columns, analysis.cells, interfaces, size, analysis.recipe.displacement)
    return analysis.having(displacement=field)


@pytest.fixture(scope="module")
def edge(until):
    """An analysis up to the interface, and its truth, below an edge that faces up."""
    return until(interface_scene(90.0, view=VIEW), "interface")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("direction", [90.0, 0.0, -63.0, 147.0])
def test_automatic_at_several_directions(until, zone, direction) -> None:
    analysis, truth = until(interface_scene(direction, zone=zone, view=VIEW), "interface")
    found = analysis.interface
    assert found is not None and found.origin == "automatic" and found.straight and len(analysis.sides) == 1
    away, turned = interface_error(analysis, known(truth))
    assert abs(away) < 0.5 * found.spacing_pm and turned < 1
    assert misnumbered(with_displacement(analysis), known(truth)) == []


def test_layers_count_inwards_at_the_spacing_of_the_plane(edge) -> None:
    found = edge[0].interface
    assert found.plane == (1, 1, 1) or sorted(map(abs, found.plane)) == [1, 1, 1]
    assert found.spacing_pm == pytest.approx(KTaO3.lattice_A * 100 / 3**0.5, rel=0.01)
    assert found.layer.min() == 0 and set(np.diff(np.unique(found.layer))) == {1}
    steps = np.polyfit(found.layer, found.distance_nm * 1000, 1)
    assert steps[0] == pytest.approx(found.spacing_pm, rel=0.01)
    assert (found.distance_nm > 0).all()
    np.testing.assert_allclose(found.normal @ found.parallel, 0, atol=1e-12)
    # Normal up: parallel right.
    assert found.normal[1] < -0.9 and found.parallel[0] > 0.9


def test_a_drawn_line_along_the_edge_gives_the_same_layers(edge) -> None:
    analysis, truth = edge
    y = float(truth.interface_point[1])
    (found,) = sides_in(analysis, drawn([20, y], [220, y]))
    assert found.origin == "recipe"
    np.testing.assert_allclose(found.normal, analysis.interface.normal)
    np.testing.assert_array_equal(found.layer, analysis.interface.layer)
    assert found.distance_nm == pytest.approx(analysis.interface.distance_nm, abs=1e-6)


@pytest.mark.parametrize("order", [1, -1])
def test_a_drawn_line_cuts_layers_off(edge, order) -> None:
    analysis, truth = edge
    whole = analysis.interface
    y = float(truth.interface_point[1]) + 2.2 * whole.spacing_pm / 12.5
    (found,) = sides_in(analysis, drawn(*[[20.0, y], [220.0, y]][::order]))
    np.testing.assert_array_equal(found.layer, np.where(whole.layer >= 2, whole.layer - 2, -1))


def test_crystal_on_both_sides_of_a_line_is_two_blocks(edge) -> None:
    """Each with its own outward normal, layers from the line outwards, and no cell in both."""
    analysis, truth = edge
    whole = analysis.interface
    y = float(truth.interface_point[1]) + 4.2 * whole.spacing_pm / 12.5
    below, above = sides_in(analysis, drawn([20.0, y], [220.0, y]))
    np.testing.assert_allclose(above.normal, -below.normal)
    np.testing.assert_array_equal(below.layer, np.where(whole.layer >= 4, whole.layer - 4, -1))
    np.testing.assert_array_equal(above.layer, np.where(whole.layer < 4, 3 - whole.layer, -1))
    np.testing.assert_allclose(above.distance_nm, -below.distance_nm, atol=0.01)


def test_a_line_at_an_angle_counts_each_cell_from_its_nearest_step(edge) -> None:
    """11 degrees off the planes: one layer less for each layer that the line falls."""
    analysis, truth = edge
    whole, slope = analysis.interface, 0.2
    middle = truth.interface_point + np.array([0.0, 3 * whole.spacing_pm / 12.5])
    ends = [middle + t * np.array([1.0, slope]) for t in (-100, 100)]
    found = sides_in(analysis, drawn(*ends))[0]
    assert not found.straight and found.normal == pytest.approx(whole.normal)
    xy = analysis.columns.xy[analysis.cells.moving]
    below = (xy - middle) @ [-slope, 1.0] * 12.5  # pm along y below the line
    expected = np.floor(below / whole.spacing_pm)
    sure = np.abs(below / whole.spacing_pm - expected - 0.5) < 0.35
    np.testing.assert_array_equal(found.layer[sure], np.maximum(expected, -1)[sure])
    assert found.distance_nm == pytest.approx(below / 1000 / np.hypot(1, slope), abs=0.02)


def test_a_chain_of_points_is_followed(edge) -> None:
    analysis, truth = edge
    whole = analysis.interface
    step = whole.spacing_pm / 12.5
    x, y = truth.interface_point
    chain = [[0, y + 6 * step], [x, y + 1.1 * step], [249, y + 6 * step]]
    found = sides_in(analysis, drawn(*chain))[0]
    xy = analysis.columns.xy[analysis.cells.moving]
    line = np.interp(xy[:, 0], [0, x, 249], [y + 6 * step, y + 1.1 * step, y + 6 * step])
    away = (xy[:, 1] - line) * 12.5 / whole.spacing_pm
    sure = np.abs(away - np.floor(away) - 0.5) < 0.3
    np.testing.assert_array_equal(found.layer[sure], np.maximum(np.floor(away), -1)[sure])
    backwards = sides_in(analysis, drawn(*chain[::-1]))[0]
    np.testing.assert_array_equal(backwards.layer, found.layer)


@pytest.mark.parametrize(("slope", "radius_A"), [(0.15, None), (0.0, 50.0), (0.0, -50.0)])
def test_an_edge_that_climbs_or_bends_is_found_within_half_a_layer(until, slope, radius_A) -> None:
    scene = interface_scene(90.0, view=VIEW)
    assert scene.edge is not None
    scene = replace(scene, edge=replace(scene.edge, slope=slope, radius_A=radius_A))
    analysis, truth = until(scene, "interface")
    found = analysis.interface
    assert found is not None and not found.straight
    true = np.interp(found.curve[:, 0], *truth.interface_curve.T)
    inside = (found.curve[:, 0] > 0) & (found.curve[:, 0] < 249)
    # The truth's line lies half a layer above the last Ta plane, the gap to the next K plane ends there.
    off = (found.curve[:, 1] - true)[inside] * 12.5 / found.spacing_pm - 0.25
    assert np.abs(off).max() < 0.5
    layers = truth.layer[truth.nearest(analysis.columns.xy[analysis.cells.moving])]
    assert (np.abs(found.layer - layers) <= 1).all() and (found.layer == layers).mean() > 0.8


def test_the_plane_may_be_given(edge) -> None:
    analysis, _ = edge
    line = analysis.interface.curve
    found = sides_in(analysis, Edge(line, analysis.interface.normal, "outline"), InterfaceSection(plane="001"))[0]
    assert sorted(map(abs, found.plane)) == [0, 0, 1]
    assert found.spacing_pm == pytest.approx(KTaO3.lattice_A * 100, rel=0.01)
    angle = np.degrees(np.arccos(found.normal @ analysis.interface.normal))
    assert angle == pytest.approx(54.7, abs=0.5)


def test_a_plane_that_the_beam_crosses_is_refused(until) -> None:
    analysis, _ = until(interface_scene(90.0, zone=(0, 0, 1), view=VIEW), "cells")
    with pytest.raises(RecipeError, match="plane = 111"):
        sides_in(analysis, drawn([0, 60], [200, 60]), InterfaceSection(plane="111"))


def test_lines_that_leave_nothing_or_fold_back_are_refused(edge) -> None:
    analysis, _ = edge
    with pytest.raises(StageError, match="no atomic plane"):
        sides_in(analysis, drawn([0, 239], [249, 239]))
    with pytest.raises(StageError, match="folds back"):
        sides_in(analysis, drawn([0, 100], [200, 100], [100, 140]))
