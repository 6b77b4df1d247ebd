"""A step of 1 % in strain within 0.1 % on both sides, no rotation where there is none, with honest errors."""

from __future__ import annotations

import numpy as np
import pytest
from measure import sample_image
from strained import STRAIN_PERCENT, measured, scene

import stemdisp
from stemdisp.materials import KTaO3, Zone

ZONES_SEEN: tuple[Zone, ...] = ((0, 0, 1), (1, -1, 0))


@pytest.mark.parametrize("direction", [75.0, 200.0])
@pytest.mark.parametrize("zone", ZONES_SEEN)
def test_a_step_in_strain(zone: Zone, direction: float) -> None:
    found = measured(scene(zone, seed=3, direction_deg=direction))
    assert found.sides == 2
    # The side below is the larger, and so the bulk.
    below, above = (found.maps.e_normal_percent[found.beside(above=side)].mean() for side in (False, True))
    print(f"normal {below:+.3f} % below, {above:+.3f} % above the step, pull variance {found.pull_variance():.2f}")
    assert abs(below) < 0.1 and abs(above - STRAIN_PERCENT) < 0.1
    for side in (False, True):
        rows = found.beside(above=side)
        assert rows.sum() > 60
        single = found.maps.e_normal_percent[rows]
        assert np.abs(single - single.mean()).max() < 0.3
        assert abs(found.maps.e_parallel_percent[rows].mean()) < 0.03
        assert abs(found.maps.rotation_deg[rows].mean()) < 0.01
        assert np.sqrt((found.maps.rotation_deg[rows] ** 2).mean()) < 0.05


def test_errors_of_single_cells_are_honest() -> None:
    assert (
        0.8 < np.mean([measured(scene(zone, seed)).pull_variance() for zone in ZONES_SEEN for seed in (11, 12)]) < 1.25
    )


def test_a_multislice_image_without_strain() -> None:
    """Only K moves in it: oxygen stands where it belongs, and the lattice is unstrained but for what a cap does."""
    found = stemdisp.analyse(sample_image("KTO111_1e5", "HAADF", "ABF"), stemdisp.recipe_for("KTaO3", "1-10"))
    maps, profile = found.maps, found.profile
    assert maps is not None and profile is not None and KTaO3.lattice_A is not None
    print("strain across the interface by layer (%)", profile.strain_normal_percent.round(2))
    assert np.nanmax(np.abs(profile.strain_normal_percent[:2])) < 0.6
    assert np.nanmax(np.abs(profile.strain_normal_percent[2:])) < 0.2
    assert abs(np.nanmedian(maps.rotation_deg)) < 0.02
    assert abs(np.nanmean(maps.bond_pm) - 50 * KTaO3.lattice_A / np.sqrt(2)) < 0.7
    assert np.hypot(np.nanmean(maps.oxygen_dx_pm), np.nanmean(maps.oxygen_dy_pm)) < 1
    assert found.domains is not None and found.domains.walls == () and found.domains.vortices == ()
