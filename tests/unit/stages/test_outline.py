"""Where the crystal ends inside the frame, and where it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import interface_scene

from stemdisp.scene import Scene, View
from stemdisp.stages.outline import outline

VIEW = View(shape=(240, 250), pixel_size_pm=(12.5, 12.5))


def found_in(analysis):
    return outline(analysis.columns, analysis.lattice, analysis.micrograph.pixel_size, analysis.micrograph.shape)


@pytest.mark.parametrize("direction", [90.0, -30.0])
def test_a_straight_edge_is_a_line_with_its_normal_outwards(until, direction) -> None:
    analysis, truth = until(interface_scene(direction, view=VIEW), "assign")
    edge = found_in(analysis)
    assert edge is not None and edge.kind == "outline" and len(edge.points) == 2
    assert edge.normal @ truth.interface_normal > 0.999


def test_a_bent_edge_is_a_curve(until) -> None:
    scene = interface_scene(90.0, view=VIEW)
    assert scene.edge is not None
    analysis, truth = until(replace(scene, edge=replace(scene.edge, radius_A=40.0)), "assign")
    edge = found_in(analysis)
    assert edge is not None and len(edge.points) > 2
    true = np.interp(edge.points[:, 0], *truth.interface_curve.T)
    assert np.abs(edge.points[:, 1] - true).max() * 12.5 < 115


def test_a_full_frame_has_none(until) -> None:
    assert found_in(until(Scene(view=VIEW), "assign")[0]) is None


def test_missing_columns_are_no_edge(until) -> None:
    assert found_in(until(Scene(view=VIEW, missing=0.05), "assign")[0]) is None
