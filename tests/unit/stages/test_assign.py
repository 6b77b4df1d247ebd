"""Every column gets its site and cell: none is lost, none is invented beyond the crystal."""

from __future__ import annotations

import numpy as np
import pytest
from measure import invented, known, match, missed

from stemdisp.errors import StageError
from stemdisp.flags import Flag
from stemdisp.materials import ZONES
from stemdisp.motion import Motion
from stemdisp.scene import Dose, Edge, Scene, View
from stemdisp.stages.assign import assign

VIEW = View(shape=(208, 220), pixel_size_pm=(12.5, 12.5))
CATIONS = ("K", "Ta")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("rotation", [3.0, 40.0, 97.0])
def test_all_columns_of_a_full_frame(until, zone, rotation) -> None:
    view = View(shape=VIEW.shape, pixel_size_pm=VIEW.pixel_size_pm, rotation_deg=rotation)
    analysis, truth = until(Scene(zone=zone, view=view, motion=Motion(jitter_pm=6)), "assign")
    assert missed(analysis, known(truth), CATIONS) == []
    assert invented(analysis, known(truth), tuple(truth.motif.sites)) == []
    # O1 and O2 of [001] are equivalent: which is which is a matter of the cell vectors.
    row = match(analysis.columns, known(truth))
    assert (row[known(truth).inside(0.6)] >= 0).all()
    oxygen = truth.motif.oxygen
    seen = row >= 0
    assert (oxygen[analysis.columns.site[row[seen]]] == oxygen[truth.site_index[seen]]).all()


def test_cells_are_those_of_the_truth_up_to_one_shift(until) -> None:
    analysis, truth = until(Scene(zone=(1, -1, 0), view=VIEW), "assign")
    row = match(analysis.columns, known(truth))
    turned = analysis.lattice.cell @ np.linalg.inv(truth.lattice.cell)
    shift = analysis.columns.hk[row[row >= 0]] @ np.rint(turned) - truth.hk[row >= 0]
    assert (shift == shift[0]).all()
    key = np.column_stack([analysis.columns.site, analysis.columns.hk])
    assert len(np.unique(key, axis=0)) == len(key)
    assert (np.lexsort(key[:, ::-1].T) == np.arange(len(key))).all()


def test_holes_are_predicted(until) -> None:
    analysis, truth = until(Scene(zone=(1, -1, 0), view=VIEW, missing=0.08, seed=3), "assign")
    holes = ~truth.present & known_inside(truth, 4.0)
    assert holes.sum() >= 3
    away = np.linalg.norm(truth.xy[holes, None] - analysis.columns.xy, axis=2)
    assert away.min(axis=1).max() < 3
    assert (analysis.columns.flags[away.argmin(axis=1)] & int(Flag.PREDICTED) > 0).all()


def known_inside(truth, margin_A: float) -> np.ndarray:
    margin, (nx, ny) = margin_A * 8, VIEW.shape[::-1]
    return ((truth.xy > margin) & (truth.xy < [nx - margin, ny - margin])).all(axis=1)


@pytest.mark.parametrize("beyond", ["amorphous", "vacuum"])
@pytest.mark.parametrize("direction", [90.0, 200.0])
def test_nothing_is_listed_beyond_the_crystal(until, beyond, direction) -> None:
    scene = Scene(
        zone=(1, -1, 0), view=VIEW, dose=Dose(peak_counts=2000), edge=Edge(plane=(1, 1, 1), offset_A=3.0, beyond=beyond)
    )
    analysis, truth = until(scene.facing(direction), "assign")
    assert missed(analysis, known(truth), CATIONS) == []
    assert invented(analysis, known(truth), CATIONS) == []


@pytest.mark.parametrize(("zone", "plane"), [((0, 0, 1), (1, 0, 0)), ((1, -1, 0), (1, 1, 1))])
def test_a_rim_of_k_in_vacuum_is_listed(until, zone, plane) -> None:
    edge = Edge(plane=plane, offset_A=3.0, beyond="vacuum", termination="K", clearance_A=1.0)
    analysis, truth = until(Scene(zone=zone, view=VIEW, dose=Dose(peak_counts=5000), edge=edge).facing(90), "assign")
    assert missed(analysis, known(truth), ("K",)) == []


def test_too_small_a_crystal_is_refused(until) -> None:
    analysis, _ = until(Scene(view=VIEW), "basis")
    recipe = analysis.recipe.assign.model_copy(update={"minimum_cells": 5000})
    with pytest.raises(StageError, match="5000 are needed"):
        assign(analysis.peaks, analysis.lattice, analysis.micrograph.signals["HAADF"], recipe)


def test_tolerance_bites(until) -> None:
    analysis, _ = until(Scene(view=VIEW, motion=Motion(jitter_pm=8)), "basis")
    signal = analysis.micrograph.signals["HAADF"]
    claimed = []
    for tolerance in (0.1, 0.3):
        columns = assign(
            analysis.peaks, analysis.lattice, signal, analysis.recipe.assign.model_copy(update={"tolerance": tolerance})
        )
        claimed.append((columns.flags[columns.of_site("Ta")] & int(Flag.PREDICTED) == 0).mean())
    assert claimed[0] < 0.9 * claimed[1]
