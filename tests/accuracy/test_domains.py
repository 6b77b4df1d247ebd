"""A 180-degree wall and a flux-closure vortex within one cell of where they are, and neither where there is none.

More images are counted by ``make bench``.
"""

from __future__ import annotations

import numpy as np
import pytest
from domain_scenes import WIDTH_A, found_in, middle_px, patterned, wall_off_A, without_domains

CELL_A = 3.985
IMAGES = 20


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


@pytest.mark.slow
def test_neither_where_there_is_none() -> None:
    counted = [(len(found.walls), len(found.vortices)) for found, _, _ in map(found_in, without_domains(IMAGES))]
    assert counted == [(0, 0)] * IMAGES
