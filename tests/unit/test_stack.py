"""A superlattice as the scene describes it: which columns are which, how far apart, and how they are displaced."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.errors import RecipeError
from stemdisp.materials import MATERIALS
from stemdisp.motion import Motion
from stemdisp.scene import Dose, Edge, Look, Scene, Stack, View
from stemdisp.specimen import build_specimen, displacement_pm
from stemdisp.synthetic import simulate

LEAD = MATERIALS["PbTiO3"]
CELL_A = 3.985


def stacked(motion: Motion | None = None, **stack) -> Scene:
    return Scene(
        material=LEAD,
        zone=(0, 0, 1),
        view=View(shape=(400, 400), pixel_size_pm=(15.0, 15.0), rotation_deg=0.0),
        look=Look(),
        dose=Dose(noise=False),
        motion=motion or Motion(),
        stack=Stack(**({"cells": (4, 6), "strength": {"Pb": 0.27}} | stack)),
    )


def test_rows_of_both_crystals_take_turns() -> None:
    """Four bright rows around the middle, six faint ones, with the spacing that the strain gives."""
    shown = stacked(strain=0.05)
    truth = simulate(shown)[1]
    lead = truth.site == "Pb"
    height = -(truth.xy[lead, 1] - shown.centre[1]) * 0.15 / CELL_A
    bright = truth.amplitude["HAADF"][lead] > 250
    rows = np.unique(height[bright & (np.abs(height) < 3)].round(3))
    np.testing.assert_allclose(rows, [-1.5, -0.5, 0.5, 1.5], atol=0.01)
    above = np.unique(height[~bright & (height > 0)].round(3))
    np.testing.assert_allclose(above[:2], [2 + 0.5 * 1.05, 2 + 1.5 * 1.05], atol=0.01)
    faint = truth.amplitude["HAADF"][lead][~bright]
    np.testing.assert_allclose(faint / truth.amplitude["HAADF"][lead][bright].max(), 0.27, atol=1e-9)


def test_each_crystal_is_displaced_by_its_own_vector_and_the_plane_between_stays() -> None:
    shown = stacked(moved_pm=((10.0, 4.0), (-3.0, 0.0)))
    truth = simulate(shown)[1]
    titanium = truth.site == "Ti"
    height = -(truth.ideal_xy[titanium, 1] - shown.centre[1]) * 0.15 / CELL_A
    moved = truth.displacement_pm[titanium]
    # The normal points up, and what is parallel to it to the right.
    np.testing.assert_allclose(
        moved[np.abs(height) < 1.5], [[4.0, -10.0]] * int((np.abs(height) < 1.5).sum()), atol=1e-9
    )
    np.testing.assert_allclose(moved[np.abs(np.abs(height) - 2) < 0.1], 0.0, atol=1e-9)
    outer = (np.abs(height) > 2.5) & (np.abs(height) < 7.5)
    np.testing.assert_allclose(moved[outer], [[0.0, 3.0]] * int(outer.sum()), atol=1e-9)


def test_vortices_turn_alternately_around_their_places() -> None:
    motion = Motion(pattern="vortices", pattern_pm=20.0, pattern_width_A=24.0, pattern_at_A=(3.0, 0.0))
    shown = stacked(motion, cells=(8, 8))
    columns = build_specimen(shown)
    moved = displacement_pm(shown, columns) @ np.linalg.inv(shown.turn)
    titanium = columns.site == shown.motif.site("Ti")
    for core, sense in ((3.0, 1), (27.0, -1), (-21.0, -1)):
        away = columns.ideal - [core, 0.0]
        near = titanium & (np.hypot(*away.T) < 8)
        torque = away[near, 0] * moved[near, 1] - away[near, 1] * moved[near, 0]
        assert near.sum() > 4 and (np.sign(torque[np.abs(torque) > 1e-6]) == sense).all()
    inside = titanium & (np.abs(columns.ideal[:, 1]) < 3.6 * CELL_A)
    assert np.abs(moved[inside, 1]).max() == pytest.approx(20, rel=0.05)
    assert (
        np.abs(
            moved[titanium & (np.abs(columns.ideal[:, 1]) > 4.4 * CELL_A) & (np.abs(columns.ideal[:, 1]) < 30)]
        ).max()
        == 0
    )


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(RecipeError, match="give stack=Stack"):
        Scene(motion=Motion(pattern="vortices"))
    with pytest.raises(RecipeError, match="goes with no edge"):
        Scene(stack=Stack(), edge=Edge())
    with pytest.raises(RecipeError, match="at least one cell"):
        stacked(cells=(0, 4))
    with pytest.raises(RecipeError, match="Xx"):
        stacked(strength={"Xx": 1.0})
