"""Oxygen that is held stands among the reference columns."""

from __future__ import annotations

import numpy as np

import stemdisp
from stemdisp.crystal import project
from stemdisp.flags import Flag
from stemdisp.materials import MATERIALS, KTaO3
from stemdisp.model.lattice import Lattice
from stemdisp.scene import Dose, Motion, Scene, View
from stemdisp.stages.hold import hold


def test_nothing_changes_where_the_brightest_is_the_reference(crystal) -> None:
    lattice, columns = crystal()
    assert lattice.motif.material is KTaO3
    assert hold(columns, lattice) is None


def test_oxygen_goes_back_to_the_reference_where_the_brightest_moved(crystal) -> None:
    ideal, columns = crystal()
    lattice = Lattice(project(MATERIALS["KNbO3"], ideal.motif.zone), ideal.origin, ideal.a, ideal.b)
    places = lattice.position(columns.hk, columns.site)
    moved = places + np.where(columns.site == lattice.motif.site("K"), 0.0, 2.0)[:, None]
    oxygen = lattice.motif.oxygen[columns.site]
    fitted = columns.replace(sites=lattice.motif.sites, xy=moved)
    assert hold(fitted, lattice) is None, "nothing was held"
    found = hold(fitted.replace(flags=np.where(oxygen, int(Flag.FIXED_POSITION), 0)), lattice)
    assert found is not None
    np.testing.assert_allclose(found[oxygen], places[oxygen], atol=1e-9)
    np.testing.assert_array_equal(found[~oxygen], moved[~oxygen])


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
