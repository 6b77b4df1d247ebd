"""Distortion of the scan: measured against what was put in, and what it does to displacements before and after it is
taken out.

Under an affine distortion the true displacement is the physical one, off the ideal lattice, turned by the rotation that
is part of the distortion (of a shear of the scan, half of it): one image cannot tell that from how the crystal lies.
"""

from __future__ import annotations

import numpy as np
import pytest
from distorted import AFFINE, JITTER_PM, ZONES_SEEN, measured, scene

from stemdisp.materials import Zone, format_indices

SHARP = 2e4
"""Counts at which the mean over the cells of one image is known to about 0.1 pm."""

ABSOLUTE_PERCENT, BIAS_PM, JITTER_SHARE = 0.1, 0.5, 0.2

zones = pytest.mark.parametrize("zone", ZONES_SEEN, ids=format_indices)


@zones
@pytest.mark.parametrize("name", AFFINE)
def test_an_affine_distortion_is_known_to_a_tenth_of_a_percent(zone: Zone, name: str) -> None:
    found = measured(scene(zone, 1, affine=AFFINE[name]))
    print(found.distortion_error_percent.round(3).tolist())
    assert np.abs(found.distortion_error_percent).max() < ABSOLUTE_PERCENT


@zones
@pytest.mark.parametrize("name", AFFINE)
def test_displacements_have_no_bias_once_it_is_taken_out(zone: Zone, name: str) -> None:
    found = measured(scene(zone, 1, affine=AFFINE[name], counts=SHARP), correct="affine")
    print(found.bias_pm.round(2).tolist())
    assert np.hypot(*found.bias_pm) < BIAS_PM


@zones
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_jitter_of_1_pm_is_known_to_a_fifth(zone: Zone, seed: int) -> None:
    found = measured(scene(zone, seed, jitter_pm=JITTER_PM)).check("row_jitter")
    print(f"{found.value:.2f} +- {found.std:.2f} pm")
    assert found.value == pytest.approx(JITTER_PM, rel=JITTER_SHARE)
    assert found.std is not None and abs(found.value - JITTER_PM) < 3 * found.std


@zones
@pytest.mark.parametrize("rotation_deg", [0.0, 3.0])
def test_where_there_is_no_jitter_none_is_claimed(zone: Zone, rotation_deg: float) -> None:
    for seed in range(10, 13):
        found = measured(scene(zone, seed, rotation_deg=rotation_deg)).check("row_jitter")
        assert "at random by below" in found.sentence and found.value + (found.std or 0) < 0.35


@zones
@pytest.mark.parametrize("jitter_pm", [0.0, JITTER_PM])
def test_a_decay_at_an_interface_along_the_rows_is_no_jitter(zone: Zone, jitter_pm: float) -> None:
    """Moving columns displaced by 26 pm that decays from layer to layer, and reference columns that are crystal beyond
    the edge, 1 % farther apart: columns of one row move together."""
    for strained in (False, True):
        found = measured(scene(zone, 1, jitter_pm=jitter_pm, edge=True, strained=strained)).check("row_jitter")
        print(f"{found.value:.2f} +- {found.std:.2f} pm")
        if jitter_pm:
            assert found.value == pytest.approx(jitter_pm, rel=JITTER_SHARE)
        else:
            assert "below" in found.sentence


@zones
def test_a_drift_is_seen_and_is_no_jitter(zone: Zone) -> None:
    found = measured(scene(zone, 1, creep_pm=(10.0, -6.0), counts=SHARP))
    drift, rows = found.check("slow_drift"), found.check("row_jitter")
    print(f"{drift.value:.2f} +- {drift.std:.2f} pm, true {found.true_drift_pm:.2f}")
    assert "slow drift of" in drift.sentence and drift.value == pytest.approx(found.true_drift_pm, abs=3 * drift.std)
    assert "below" in rows.sentence and np.hypot(*found.bias_pm) < BIAS_PM


@zones
def test_what_a_jitter_does_to_cells_is_said(zone: Zone) -> None:
    """Cells scatter by more than without jitter, by what the check says to a third: a weak column beside strong ones
    keeps more of it than rows that are averaged."""
    said, done = [], []
    for seed in (1, 2):
        with_jitter = measured(scene(zone, seed, jitter_pm=3.0, counts=1e5))
        without = measured(scene(zone, seed, counts=1e5))
        said.append(with_jitter.check("row_jitter").displacement_pm)
        done.append(np.nanstd((with_jitter.cells_pm - without.cells_pm)[:, 0]))
    print(said, done)
    assert np.mean(said) == pytest.approx(np.mean(done), rel=0.34)
