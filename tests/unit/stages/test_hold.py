"""Oxygen is placed among the columns of another site: the reference, or the brightest."""

from __future__ import annotations

import numpy as np
import pytest

import stemdisp
from stemdisp.crystal import project
from stemdisp.flags import Flag
from stemdisp.materials import MATERIALS
from stemdisp.model.lattice import Lattice
from stemdisp.motion import Motion
from stemdisp.scene import Dose, Scene, View
from stemdisp.stages.hold import hold


@pytest.mark.parametrize("zone", [(0, 0, 1), (1, -1, 0)])
@pytest.mark.parametrize("among", ["Ta", "K"])
def test_in_a_perfect_crystal_oxygen_is_where_it_belongs(crystal, zone, among) -> None:
    lattice, columns = crystal(zone)
    np.testing.assert_allclose(hold(columns, lattice, among), columns.xy, atol=1e-9)


@pytest.mark.parametrize("zone", [(0, 0, 1), (1, -1, 0)])
def test_oxygen_comes_back_wherever_it_stood(crystal, zone) -> None:
    lattice, columns = crystal(zone)
    oxygen = lattice.motif.oxygen[columns.site]
    jolt = np.random.default_rng(0).normal(0, 3, columns.xy.shape)
    moved = columns.replace(xy=columns.xy + np.where(oxygen[:, None], jolt, 0))
    before = moved.xy.copy()
    found = hold(moved, lattice, "Ta")
    np.testing.assert_allclose(found, columns.xy, atol=1e-9)
    np.testing.assert_array_equal(moved.xy, before)


def test_oxygen_goes_with_the_reference_where_the_brightest_moved(crystal) -> None:
    ideal, columns = crystal()
    lattice = Lattice(project(MATERIALS["KNbO3"], ideal.motif.zone), ideal.origin, ideal.a, ideal.b)
    places = lattice.position(columns.hk, columns.site)
    moved = places + np.where(columns.site == lattice.motif.site("K"), 0.0, 2.0)[:, None]
    oxygen = lattice.motif.oxygen[columns.site]
    fitted = columns.replace(sites=lattice.motif.sites, xy=moved)
    found = hold(fitted, lattice, "K")
    np.testing.assert_allclose(found[oxygen], places[oxygen], atol=1e-9)
    np.testing.assert_array_equal(found[~oxygen], moved[~oxygen])
    with_the_brightest = hold(fitted, lattice, "Nb")
    np.testing.assert_allclose(with_the_brightest[oxygen], places[oxygen] + 2.0, atol=1e-9)


def test_oxygen_stands_at_the_mean_of_what_its_neighbours_say(crystal) -> None:
    lattice, columns = crystal()
    motif = lattice.motif
    moved = int(np.flatnonzero(columns.of_site("Ta") & (columns.hk == 2).all(axis=1))[0])
    xy = columns.xy.copy()
    xy[moved] += [1.0, 0.0]
    away = (hold(columns.replace(xy=xy), lattice, "Ta") - columns.xy)[:, 0]
    oxygen = motif.oxygen[columns.site]
    near = oxygen & (np.hypot(*(columns.xy - columns.xy[moved]).T) < 0.51 * np.linalg.norm(lattice.a))
    assert near.sum() == 4
    np.testing.assert_allclose(away[near], 0.5, atol=1e-9)
    np.testing.assert_allclose(away[oxygen & ~near], 0, atol=1e-9)


@pytest.mark.parametrize("flag", [Flag.WEAK, Flag.EXCLUDED, Flag.EDGE, Flag.FAR_FROM_LATTICE])
def test_columns_without_a_position_of_their_own_say_nothing(crystal, flag) -> None:
    lattice, columns = crystal()
    strayed = columns.of_site("Ta") & (columns.hk == 2).all(axis=1)
    xy = columns.xy + np.where(strayed[:, None], 5.0, 0.0)
    found = hold(columns.replace(xy=xy, flags=np.where(strayed, int(flag), 0)), lattice, "Ta")
    np.testing.assert_allclose(found[~strayed], columns.xy[~strayed], atol=1e-9)


def test_oxygen_without_neighbours_keeps_its_place(crystal) -> None:
    lattice, columns = crystal()
    columns = columns.replace(xy=columns.xy + 0.3)
    alone = columns.replace(flags=np.where(columns.of_site("Ta"), int(Flag.WEAK), 0))
    np.testing.assert_array_equal(hold(alone, lattice, "Ta"), columns.xy)


def test_a_bright_site_that_moves_is_measured_right() -> None:
    """Held to the bright columns, oxygen made 28 pm of 25."""
    scene = Scene(
        material=MATERIALS["KNbO3"],
        view=View(shape=(260, 260)),
        dose=Dose(peak_counts=5000),
        motion=Motion(uniform_pm=(25.0, 0.0)),
    )
    found = stemdisp.analyse(stemdisp.simulate(scene)[0], stemdisp.recipe_for("KNbO3", "1-10")).displacement
    assert found is not None
    np.testing.assert_allclose(found.uv[found.valid].mean(axis=0), [25, 0], atol=0.5)
