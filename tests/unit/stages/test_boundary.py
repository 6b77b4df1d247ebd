"""Where one crystal becomes another in the same lattice: by brightness, by ratio, by the room a cell has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stemdisp.scene import Dose, Edge, Look, Scene, View
from stemdisp.stages.boundary import boundary

VIEW = View(shape=(420, 420))


def scene(direction: float, **edge: Any) -> Scene:
    shown = Scene(
        view=VIEW,
        look=Look(amplitude_scatter=0.02),
        dose=Dose(peak_counts=1000),
        edge=Edge(offset_A=4.0, beyond="crystal", **edge),
    )
    return shown.facing(direction)


def found_in(analysis):
    return boundary(analysis.columns, analysis.cells, analysis.lattice, analysis.micrograph.pixel_size)


@pytest.mark.parametrize(
    ("direction", "edge", "sentence"),
    [
        (90.0, {"step": 0.8}, "intensity falls by "),
        (-140.0, {"beyond_strength": {"K": 1.5}}, "ratio rises by 5"),
        (20.0, {"beyond_strain": 0.02}, "area of the cell rises by 2"),
    ],
)
def test_each_kind_is_found_within_half_a_layer(until, direction, edge, sentence) -> None:
    analysis, truth = until(scene(direction, **edge), "cells")
    found = found_in(analysis)
    assert found is not None and found.kind == "boundary" and sentence in found.sentence
    assert found.normal @ truth.interface_normal > np.cos(np.radians(3))
    away = float((found.points.mean(axis=0) - truth.interface_point) @ truth.interface_normal) * 10
    # A jump of K alone is seen between its own planes, half a layer below the last Ta plane's end.
    assert abs(away + (115 if "K" in str(edge) else 0)) < 115
    assert 0 < found.std_nm < 0.05


def test_a_bent_one_is_a_curve(until) -> None:
    analysis, truth = until(scene(90.0, step=0.7, radius_A=50.0), "cells")
    found = found_in(analysis)
    assert found is not None and len(found.points) > 2
    true = np.interp(found.points[:, 0], *truth.interface_curve.T)
    assert np.abs(found.points[:, 1] - true).max() * 10 < 1.5 * 115


@pytest.mark.parametrize("seed", range(3))
def test_a_uniform_crystal_has_none(until, seed) -> None:
    plain = Scene(view=VIEW, look=Look(amplitude_scatter=0.05), dose=Dose(peak_counts=200), seed=seed)
    assert found_in(until(plain, "cells")[0]) is None


def test_a_gradient_is_no_step(until) -> None:
    """Thickness that rises by 40 % from side to side."""
    analysis, _ = until(Scene(view=VIEW, dose=Dose(peak_counts=1000)), "cells")
    slope = 1 + 0.4 * analysis.columns.xy[:, 0] / 420
    columns = analysis.columns.replace(amplitude=analysis.columns.amplitude * slope)
    assert found_in(analysis.having(columns=columns)) is None


def test_too_few_cells_have_none(until) -> None:
    assert found_in(until(Scene(view=View(shape=(150, 150))), "cells")[0]) is None
