"""Rotation, magnification, number type, edge direction and missing columns: none of them changes what a layer says.

The displacement of 24 pm along and 9 pm out of the edge decays over three layers; the counts are so high that
counting noise
leaves less than 0.3 pm on a layer's mean.  Means are compared after the same zero: the true mean over the cells whose
measured mean the analysis took off.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from measure import Known, beyond, displacements, fabricated, invented, known, layer_means, misnumbered, missed
from scenes import ROBUST, ZONES, recipe

import stemdisp
from stemdisp.materials import Zone
from stemdisp.model.analysis import Analysis
from stemdisp.motion import Motion
from stemdisp.scene import Dose, Scene, View
from stemdisp.synthetic import simulate

CATIONS = ("K", "Ta")

LIMIT_PM = 1.0


@cache
def analysed(name: str) -> tuple[Analysis, Known]:
    """Analysis and truth of one of the images."""
    image, truth = simulate(ROBUST[name])
    return stemdisp.analyse(image, recipe(ROBUST[name])), known(truth)


@pytest.mark.parametrize("name", ROBUST)
def test_layer_means(name: str) -> None:
    """Every layer's mean within 1 pm of the truth, every cell in its own layer."""
    analysis, truth = analysed(name)
    assert analysis.interface is not None
    assert misnumbered(analysis, truth) == []
    means = layer_means(analysis, truth)
    assert len(means) >= 5
    assert beyond(means, LIMIT_PM) == []


@pytest.mark.parametrize("name", ROBUST)
def test_columns(name: str) -> None:
    """No vector stands where the image has no complete cell; every cation is listed as what it is, and none where
    there is
    none (places of missing columns are listed, and flagged)."""
    analysis, truth = analysed(name)
    assert fabricated(analysis, truth) == []
    if "missing" not in name:
        assert missed(analysis, truth, CATIONS) == []
        assert invented(analysis, truth, CATIONS) == []


@pytest.mark.parametrize("rotation_deg", range(0, 91, 15))
@pytest.mark.parametrize("zone", ZONES)
def test_uniform_displacement_at_any_angle(zone: Zone, rotation_deg: float) -> None:
    """Without an interface nothing is subtracted: a uniform displacement comes back whole, whatever the rotation."""
    scene = Scene(
        zone=zone,
        view=View(rotation_deg=rotation_deg, shape=(224, 256), pixel_size_pm=(12.5, 12.5)),
        dose=Dose(peak_counts=2e4, background_counts=2e3),
        motion=Motion(uniform_pm=(14.0, -6.0)),
    )
    image, truth = simulate(scene)
    analysis = stemdisp.analyse(image, recipe(scene))
    cells = displacements(analysis, known(truth))
    assert analysis.displacement is not None and analysis.displacement.offset is None
    assert np.abs(cells.bias).max() < LIMIT_PM, cells.bias


@pytest.mark.parametrize("size", [(9.0, 14.0), (14.0, 9.0)])
def test_pixels_that_are_not_square(size: tuple[float, float]) -> None:
    """Displacements are physical: wide or tall pixels change nothing in pm."""
    scene = ROBUST["turned by 0 degrees"]
    view = replace(scene.view, pixel_size_pm=size, shape=(round(4000 / size[1]), round(4000 / size[0])))
    image, truth = simulate(replace(scene, view=view))
    analysis = stemdisp.analyse(image, recipe(scene))
    means = layer_means(analysis, known(truth))
    assert len(means) >= 5
    assert beyond(means, LIMIT_PM) == []
