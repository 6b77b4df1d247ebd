"""Analyses that tests of the views share."""

from __future__ import annotations

import pytest
import stemdisp
from stemdisp.model.analysis import Analysis
from stemdisp.scene import Dose, Edge, Motion, Scene, View
from stemdisp.synthetic import simulate


def _analysed(edge: Edge) -> Analysis:
    scene = Scene(
        signals=("HAADF", "ABF"),
        view=View(pixel_size_pm=(20.0, 20.0), shape=(260, 200), rotation_deg=0.0),
        edge=edge,
        motion=Motion(normal_pm=20.0, parallel_pm=10.0),
        dose=Dose(peak_counts=3000.0),
        seed=1,
    )
    micrograph, _ = simulate(scene)
    return stemdisp.analyse(micrograph, stemdisp.recipe_for("KTaO3", "1-10"))


@pytest.fixture(scope="session")
def one_side() -> Analysis:
    """A crystal under an amorphous cap."""
    return _analysed(Edge())


@pytest.fixture(scope="session")
def two_sides() -> Analysis:
    """Crystals on both sides of an interface."""
    return _analysed(Edge(beyond="crystal", beyond_strength={"Ta": 0.6}))
