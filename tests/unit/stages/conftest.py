"""Perfect column tables, and the pipeline stopped after a stage."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from stemdisp.crystal import project
from stemdisp.materials import KTaO3, Zone, format_indices
from stemdisp.model.analysis import Analysis
from stemdisp.model.columns import Columns
from stemdisp.model.lattice import Lattice
from stemdisp.pipeline import steps
from stemdisp.recipe import Recipe, for_material
from stemdisp.scene import Scene, Truth
from stemdisp.synthetic import simulate

Crystal = tuple[Lattice, Columns]


def _crystal(zone: Zone = (0, 0, 1), n: int = 5, px_per_A: float = 10.0) -> Crystal:
    motif = project(KTaO3, zone)
    cell = motif.cell_A * px_per_A * [1, -1]
    lattice = Lattice(motif, np.array([100.0, 300.0]), cell[0], cell[1])
    site = np.repeat(np.arange(len(motif.sites)), n * n)
    hk = np.tile(np.array(list(product(range(n), repeat=2))), (len(motif.sites), 1))
    columns = Columns.at(
        lattice.position(hk, site),
        motif.sites,
        ("HAADF",),
        site=site,
        hk=hk,
        island=np.zeros(len(site), dtype=np.int64),
        cov=np.broadcast_to(np.diag([0.04, 0.01]), (len(site), 2, 2)).copy(),
        amplitude=motif.contrast("HAADF")[site] * 1000,
        amplitude_std=np.ones(len(site)),
    )
    return lattice, columns


@pytest.fixture
def crystal() -> Callable[..., Crystal]:
    """crystal(zone, n): a lattice and the table of its n x n cells, all positions ideal."""
    return _crystal


def _until(scene: Scene, stage: str, changes: dict | None = None) -> tuple[Analysis, Truth]:
    micrograph, truth = simulate(scene)
    recipe: Recipe = for_material("KTaO3", format_indices(scene.zone)).with_values(changes or {})
    return next(analysis for name, analysis in steps(micrograph, recipe, device="cpu") if name == stage), truth


@pytest.fixture(scope="session")
def until() -> Callable[..., tuple[Analysis, Truth]]:
    """until(scene, stage, recipe values): the analysis of a scene after a stage, and its truth."""
    return _until
