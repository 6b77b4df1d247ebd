"""Walls and vortices within one cell of where they are, in a superlattice too, and neither where there is none.

More images are counted by ``make bench``.
"""

from __future__ import annotations

import numpy as np
import pytest
from domain_scenes import (
    FERROELECTRICS,
    WIDTH_A,
    cores_px,
    ferroelectric,
    found_in,
    middle_px,
    patterned,
    superlattice,
    turned,
    wall_off_A,
    without_domains,
)
from measure import displacements, known, slope

CELL_A = 3.985
IMAGES = 24


@pytest.mark.parametrize("material", ["BaTiO3", "PbTiO3"])
def test_a_wall(material: str) -> None:
    for seed in (1, 4):
        shown = patterned(material, "wall", seed)
        found, _, _ = found_in(shown)
        (wall,) = found.walls
        off = wall_off_A(shown, wall.points_px)
        print(f"{len(off)} rows off by {np.abs(off).max():.2f} A at most, width {10 * wall.width_nm:.2f} A")
        assert np.abs(off).max() < CELL_A and abs(off.mean()) < 1.0 and len(off) > 8
        assert abs(10 * wall.width_nm - WIDTH_A) < 1.5
        assert found.vortices == ()


@pytest.mark.parametrize("material", ["BaTiO3", "PbTiO3"])
def test_a_vortex(material: str) -> None:
    for seed in (1, 4):
        shown = patterned(material, "vortex", seed)
        found, _, truth = found_in(shown)
        (vortex,) = found.vortices
        off = np.linalg.norm((vortex.xy_px - middle_px(shown)) @ truth.to_pm) / 100
        print(f"off by {off:.2f} A")
        assert off < CELL_A and vortex.charge == 1
        assert vortex.sense == ("counter-clockwise" if shown.motion.pattern_pm > 0 else "clockwise")
        assert found.walls == ()


@pytest.mark.parametrize("seed", [2, 5, 11, 36, 47])
def test_a_wall_of_90_degrees(seed) -> None:
    shown = turned(seed)
    found, _, _ = found_in(shown)
    (wall,) = found.walls
    off = wall_off_A(shown, wall.points_px)
    print(
        f"{len(off)} rows off by {off.mean():.2f} A, turned by {wall.turn_deg:.1f} +- {wall.turn_std_deg:.1f} degrees"
    )
    assert abs(off.mean()) < 0.5 * CELL_A and len(off) >= 5 and found.vortices == ()
    assert abs(wall.turn_deg - 90) < max(6.0, 4 * wall.turn_std_deg)


@pytest.mark.parametrize("cells", [6, 8, 10])
def test_a_superlattice(cells) -> None:
    shown = superlattice(cells, 0)
    found, analysis, truth = found_in(shown)
    pairs, size = displacements(analysis, known(truth)), np.array(shown.view.shape[::-1])
    steep = slope(pairs)
    print(f"slope {steep.value:.3f} +- {steep.std:.3f}, off by {pairs.bias} +- {pairs.bias_sem} pm")
    assert abs(steep.value - 1) < 0.03 and np.abs(pairs.bias).max() < 1.0
    true = cores_px(shown)
    inside = true[((true > 100) & (true < size - 100)).all(axis=1)]
    off = [min(np.linalg.norm((one.xy_px - core) @ truth.to_pm) for one in found.vortices) / 100 for core in inside]
    print(f"{len(off)} cores off by {np.round(off, 2)} A")
    assert max(off) < CELL_A and all(one.charge == 1 for one in found.vortices) and found.walls == ()
    assert analysis.interface is None
    assert any("boundaries between crystals" in one for one in analysis.warnings)


TOO_LONG = ("BaTiO3", (1, -1, 0), "wall")
"""Turned by 20 degrees clockwise its 6 pm come out 4 % too long, 0.25 pm; along the pixels and turned by 31 not."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("material", "zone", "pattern"),
    [
        pytest.param(*case, marks=[pytest.mark.xfail(reason="slope 1.044 +- 0.006")] if case == TOO_LONG else [])
        for case in FERROELECTRICS
    ],
)
def test_other_ferroelectrics(material, zone, pattern) -> None:
    shown = ferroelectric(material, zone, pattern, 1)
    found, analysis, truth = found_in(shown)
    pairs = displacements(analysis, known(truth))
    assert (np.abs(pairs.bias) < np.maximum(1.0, 2 * pairs.bias_sem)).all()
    assert len(found.walls) == (pattern != "none") and found.vortices == () and analysis.interface is None
    assert all(abs(wall_off_A(shown, one.points_px).mean()) < CELL_A for one in found.walls)
    assert pattern == "none" or abs(slope(pairs).value - 1) < 0.03


@pytest.mark.slow
def test_neither_where_there_is_none() -> None:
    counted = [(len(found.walls), len(found.vortices)) for found, _, _ in map(found_in, without_domains(IMAGES))]
    assert counted == [(0, 0)] * IMAGES
