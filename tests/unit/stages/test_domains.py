"""Walls and vortices of displacements made by hand: where they are, in whatever frame, and none without."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemdisp.crystal import project
from stemdisp.materials import MATERIALS
from stemdisp.model.cells import UnitCells
from stemdisp.model.domains import Domains
from stemdisp.model.fields import VectorField
from stemdisp.model.lattice import Lattice
from stemdisp.model.micrograph import PixelSize
from stemdisp.motion import Motion
from stemdisp.stages.domains import domains

HK = np.array([(h, k) for h in range(-8, 9) for k in range(-8, 9)])
MIDDLE = np.array([300.0, 200.0])
CELL_A = 4.006


def run(
    motion: Motion, turn_deg: float = 0.0, size: PixelSize | None = None, noise: float = 0.3, seed: int = 0
) -> Domains:
    """What is found in BaTiO3 along [001] displaced so, turned counter-clockwise as seen."""
    size = size or PixelSize(20.0, 20.0, "file")
    motif = project(MATERIALS["BaTiO3"], (0, 0, 1))
    t = np.radians(turn_deg)
    turn = np.array([[np.cos(t), -np.sin(t)], [-np.sin(t), -np.cos(t)]])
    return found_in(motion.of_pattern_pm(HK @ motif.cell_A) @ turn + motion.uniform_pm, turn_deg, size, noise, seed)


def found_in(uv: np.ndarray, turn_deg: float, size: PixelSize, noise: float, seed: int) -> Domains:
    """What is found in displacements (n, 2) of the cells of BaTiO3 along [001], turned so."""
    motif = project(MATERIALS["BaTiO3"], (0, 0, 1))
    t = np.radians(turn_deg)
    turn = np.array([[np.cos(t), -np.sin(t)], [-np.sin(t), -np.cos(t)]])
    cell = motif.cell_A @ turn * 100 / size.xy_pm
    lattice = Lattice(motif, MIDDLE, cell[0], cell[1])
    xy = MIDDLE + HK @ cell
    uv = uv + np.random.default_rng(seed).normal(0, noise, uv.shape)
    rows = np.arange(len(HK))
    built = UnitCells("Ti", "Ba", HK, rows, rows[:, None], xy, np.zeros_like(rows))
    cov = np.broadcast_to(noise**2 * np.eye(2), (len(HK), 2, 2)).copy()
    return domains(VectorField("pm", xy, uv, cov), built, lattice, size)


@settings(deadline=None, max_examples=15)
@given(st.floats(-180, 180), st.floats(-8, 8), st.sampled_from([-9.0, 9.0]), st.booleans())
def test_a_wall_stands_where_it_is_whichever_way_the_image_is_turned(turned, at, amount, tall) -> None:
    size = PixelSize(20.0, 40.0, "file") if tall else None
    motion = Motion(pattern="wall", pattern_pm=amount, pattern_width_A=5.0, pattern_at_A=(at, 0.0))
    found = run(motion, turned, size)
    assert found.vortices == ()
    (wall,) = found.walls
    pm = np.array([20.0, 40.0 if tall else 20.0])
    a = np.array([np.cos(np.radians(turned)), -np.sin(np.radians(turned))])
    off = (wall.points_px - MIDDLE) * pm @ a / 100 - at
    assert np.abs(off).max() < 0.5 and len(off) == 17
    assert abs(abs(wall.normal @ a) - 1) < 0.001
    # The component is positive on the side that the normal points to.
    b = np.array([a[1], -a[0]])
    assert np.sign(wall.normal @ a) == np.sign(amount * (found.component @ b))
    assert wall.width_nm == pytest.approx(0.5, abs=max(0.06, 4 * wall.width_std_nm))
    assert wall.amplitude_pm == pytest.approx(9, abs=0.6)


@settings(deadline=None, max_examples=15)
@given(st.floats(-180, 180), st.floats(-8, 8), st.floats(-8, 8), st.sampled_from([-9.0, 9.0]))
def test_a_vortex_stands_where_it_is_whichever_way_the_image_is_turned(turned, x, y, amount) -> None:
    found = run(Motion(pattern="vortex", pattern_pm=amount, pattern_width_A=5.0, pattern_at_A=(x, y)), turned)
    assert found.walls == ()
    (vortex,) = found.vortices
    t = np.radians(turned)
    place = MIDDLE + np.array([x, y]) @ np.array([[np.cos(t), -np.sin(t)], [-np.sin(t), -np.cos(t)]]) * 5
    assert np.linalg.norm(vortex.xy_px - place) * 0.2 < 0.5
    assert vortex.charge == 1 and vortex.sense == ("counter-clockwise" if amount > 0 else "clockwise")


@settings(deadline=None, max_examples=15)
@given(st.floats(-180, 180), st.floats(-6, 6), st.sampled_from([-9.0, 9.0]), st.booleans())
def test_a_turn_by_90_degrees_stands_where_it_is(turned, at, amount, tall) -> None:
    size = PixelSize(20.0, 40.0 if tall else 20.0, "file")
    motion = Motion(pattern="turn", pattern_pm=amount, pattern_width_A=5.0, pattern_at_A=(at, 0.0))
    found = run(motion, turned, size)
    assert found.vortices == ()
    (wall,) = found.walls
    t = np.radians(turned)
    turn = np.array([[np.cos(t), -np.sin(t)], [-np.sin(t), -np.cos(t)]])
    normal = np.array([1.0, 1.0]) / np.sqrt(2) @ turn
    off = (wall.points_px - MIDDLE) * size.xy_pm @ normal / 100 - at / np.sqrt(2)
    assert abs(off.mean()) < 0.4 and np.abs(off).max() < 1.5 and len(off) >= 8
    assert abs(wall.normal @ normal) > 0.999
    # The component along the change is larger on the side that the normal points to.
    sides = amount * np.eye(2) @ turn
    sides = sides if wall.normal @ normal > 0 else sides[::-1]
    np.testing.assert_allclose(wall.sides_pm, sides, atol=0.8)
    assert wall.turn_deg == pytest.approx(90, abs=max(4.0, 4 * wall.turn_std_deg))
    assert wall.width_nm == pytest.approx(0.5, abs=max(0.08, 4 * wall.width_std_nm))


def test_a_charged_and_a_bent_wall_are_found_too() -> None:
    """Heads that meet, and a radius of 6 nm: the first is a wall like any other, the second has a mean position."""
    places = HK * CELL_A
    away = places @ np.array([1.0, -1.0]) / np.sqrt(2)
    share = 0.5 + 0.5 * np.tanh(away / 5.0)[:, None]
    size = PixelSize(20.0, 20.0, "file")
    charged = found_in(9.0 * np.concatenate([1 - share, share], axis=1), 0.0, size, 0.3, 0)
    assert len(charged.walls) == 1 and charged.walls[0].turn_deg == pytest.approx(90, abs=4)
    bent = np.hypot(places[:, 0] + 60.0, places[:, 1]) - 60.0
    across = 9.0 * np.tanh(bent / 5.0)[:, None] * np.array([0.0, 1.0])
    (wall,) = found_in(across, 0.0, size, 0.3, 1).walls
    assert wall.scatter_nm > 0.1 and wall.turn_deg > 175


def test_a_displacement_that_turns_gradually_has_no_wall() -> None:
    size = PixelSize(20.0, 20.0, "file")
    for per_cell in (4.0, 8.0, 12.0):
        angle = np.radians(per_cell) * HK[:, 0]
        uv = 9.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        assert found_in(uv, 20.0, size, 1.0, 2).walls == ()


def test_a_reversed_field_runs_the_other_way() -> None:
    found = run(Motion(pattern="vortex", pattern_pm=9.0, pattern_width_A=5.0))
    assert found and [one.sense for one in found.reversed.vortices] == ["clockwise"]
    assert found.reversed.reversed.vortices[0].sense == found.vortices[0].sense == "counter-clockwise"


def test_nothing_is_found_in_noise_or_in_a_uniform_crystal() -> None:
    for seed in range(30):
        for uniform in ((0.0, 0.0), (6.0, -2.0)):
            found = run(Motion(uniform_pm=uniform), noise=3.0, seed=seed)
            assert found.walls == () and found.vortices == ()


def test_a_uniform_shift_moves_both() -> None:
    motion = Motion(pattern="vortex", pattern_pm=9.0, pattern_width_A=8.0)
    (there,), (moved,) = run(motion).vortices, run(Motion(**(vars(motion) | {"uniform_pm": (0.0, 3.0)}))).vortices
    assert np.linalg.norm(moved.xy_px - there.xy_px) * 20 > 100


def test_too_few_cells_have_no_domains() -> None:
    motif = project(MATERIALS["BaTiO3"], (0, 0, 1))
    lattice = Lattice(motif, MIDDLE, np.array([20.0, 0.0]), np.array([0.0, -20.0]))
    for n in (0, 1, 4):
        rows = np.arange(n)
        hk = HK[:n]
        built = UnitCells("Ti", "Ba", hk, rows, rows[:, None], hk + 0.0, np.zeros_like(rows))
        field = VectorField("pm", hk + 0.0, np.ones((n, 2)), np.broadcast_to(np.eye(2), (n, 2, 2)).copy())
        found = domains(field, built, lattice, PixelSize(20.0, 20.0, "file"))
        assert found.walls == () and found.vortices == ()
