"""Maps of perfect crystals that are deformed as a whole, in part, or not at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemdisp.crystal import project
from stemdisp.flags import Flag
from stemdisp.materials import MATERIALS, KTaO3
from stemdisp.model.columns import Columns
from stemdisp.model.fields import VectorField
from stemdisp.model.interface import Interface
from stemdisp.model.lattice import Lattice
from stemdisp.model.maps import NAMES, Maps
from stemdisp.model.micrograph import PixelSize
from stemdisp.stages.cells import cells
from stemdisp.stages.maps import maps

SIZE = PixelSize(10.0, 10.0, "file")
N = 7


def perfect(zone=(0, 0, 1), material=KTaO3, signals=("HAADF", "ABF"), turn_deg: float = 0.0):
    motif = project(material, zone)
    t = np.radians(turn_deg)
    cell = motif.cell_A * 10 * [1, -1] @ np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    lattice = Lattice(motif, np.array([300.0, 400.0]), cell[0], cell[1])
    hk = np.array([(h, k) for h in range(N) for k in range(N)])
    site = np.repeat(np.arange(len(motif.sites)), len(hk))
    hk = np.tile(hk, (len(motif.sites), 1))
    columns = Columns.at(
        lattice.position(hk, site),
        motif.sites,
        signals,
        site=site,
        hk=hk,
        signal=motif.oxygen[site].astype(np.int64) * (len(signals) - 1),
        cov=np.broadcast_to(np.diag([0.04, 0.01]), (len(site), 2, 2)).copy(),
        amplitude=motif.contrast("HAADF")[site] * 1000,
        amplitude_std=np.ones(len(site)),
    )
    return lattice, columns


def run(lattice: Lattice, columns: Columns, bulk=None, interface=None, size: PixelSize = SIZE) -> Maps:
    built = cells(columns, lattice)
    n = len(built)
    field = VectorField("pm", built.xy, np.zeros((n, 2)), np.zeros((n, 2, 2)))
    if bulk is not None:
        field = replace(field, offset=np.zeros(2), offset_std=np.zeros(2), offset_cells=bulk(built))
    return maps(columns, built, lattice, field, interface, size)


def deformed(columns: Columns, matrix: np.ndarray, where=None) -> Columns:
    moved = columns.xy @ np.asarray(matrix).T
    return columns.replace(xy=moved if where is None else np.where(where[:, None], moved, columns.xy))


def half(columns: Columns):
    """Columns whose whole surroundings are on the far side of the crystal, beyond the middle row of cells."""
    return columns.hk[:, 0] >= N // 2


def edge(columns: Columns, normal) -> Interface:
    count = int(columns.of_site("K").sum())
    nothing = np.zeros(count)
    return Interface(
        np.zeros((2, 2)), np.array(normal), (1, 0, 0), 400.0, nothing.astype(np.int64), nothing, 0.0, "recipe"
    )


small = st.floats(-0.04, 0.04)


@settings(deadline=None, max_examples=25)
@given(small, small, small, st.floats(-0.05, 0.05), st.sampled_from([(0, 0, 1), (1, -1, 0), (1, 1, -2)]))
def test_what_one_half_is_deformed_by_is_exactly_what_is_found_there(xx, yy, xy, angle, zone) -> None:
    lattice, columns = perfect(zone)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = run(
        lattice,
        deformed(columns, np.array([[1 + xx, xy], [xy, 1 + yy]]) @ turn, half(columns)),
        bulk=lambda built: built.hk[:, 0] < N // 2 - 1,
        interface=edge(columns, (0.6, 0.8)),
    )
    there = np.isfinite(found.exx_percent) & (cells(columns, lattice).hk[:, 0] > N // 2)
    assert there.sum() >= 4
    for name, value in (("exx", xx), ("eyy", yy), ("exy", xy)):
        np.testing.assert_allclose(getattr(found, f"{name}_percent")[there], 100 * value, atol=1e-6)
    np.testing.assert_allclose(found.rotation_deg[there], -np.degrees(angle), atol=1e-6)
    normal = 100 * (0.36 * xx + 0.64 * yy + 0.96 * xy)
    np.testing.assert_allclose(found.e_normal_percent[there], normal, atol=1e-6)
    np.testing.assert_allclose(found.e_parallel_percent[there], 100 * (xx + yy) - normal, atol=1e-6)


@pytest.mark.parametrize("zone", [(0, 0, 1), (1, -1, 0)])
def test_without_a_reference_a_homogeneous_deformation_is_no_strain(zone) -> None:
    lattice, columns = perfect(zone)
    found = run(lattice, deformed(columns, [[1.02, 0.03], [0.0, 0.97]]))
    for name in ("exx_percent", "eyy_percent", "exy_percent", "rotation_deg"):
        values = getattr(found, name)
        assert np.isfinite(values).any()
        np.testing.assert_allclose(values[np.isfinite(values)], 0, atol=1e-6)
    assert np.isnan(found.e_normal_percent).all() and "all cells" in found.sentences[0]


def test_pixels_that_are_not_square_make_no_strain() -> None:
    lattice, columns = perfect()
    stretch = np.diag([0.5, 1.0])
    thin = Lattice(lattice.motif, lattice.origin @ stretch, lattice.a @ stretch, lattice.b @ stretch)
    turn = [[np.cos(0.02), -np.sin(0.02)], [np.sin(0.02), np.cos(0.02)]]
    moved = deformed(columns, turn, half(columns))
    one = run(lattice, moved, bulk=lambda built: built.hk[:, 0] < 2)
    other = run(
        thin,
        moved.replace(xy=moved.xy @ stretch, cov=columns.cov * [[0.25, 0.5], [0.5, 1.0]]),
        bulk=lambda built: built.hk[:, 0] < 2,
        size=PixelSize(20.0, 10.0, "file"),
    )
    for name in NAMES:
        np.testing.assert_allclose(getattr(other, name), getattr(one, name), atol=1e-9, err_msg=name)


@pytest.mark.parametrize("zone", [(0, 0, 1), (1, -1, 0)])
def test_errors_are_what_noise_makes(zone) -> None:
    lattice, columns = perfect(zone)
    draw, found = np.random.default_rng(5), []
    for _ in range(150):
        noise = draw.normal(0, [0.2, 0.1], (len(columns), 2))
        found.append(run(lattice, columns.replace(xy=columns.xy + noise), bulk=lambda built: np.ones(len(built), bool)))
    for name in ("exx", "eyy", "exy", "rotation", "c_over_a", "bond", "oxygen_dx", "oxygen_dy"):
        value = next(n for n in NAMES if n.startswith(name) and "_std" not in n)
        std = NAMES[NAMES.index(value) + 1]
        stack = np.array([getattr(one, value) for one in found])
        told = np.isfinite(stack).all(axis=0)
        if name == "c_over_a" and zone != (0, 0, 1):
            assert not told.any()
            continue
        scatter = np.sqrt(stack[:, told].var(axis=0, ddof=1).mean())
        claimed = np.sqrt((getattr(found[0], std)[told] ** 2).mean())
        # The mean that is taken off all takes some of the scatter along.
        assert 0.85 < scatter / claimed < 1.08, name


def test_a_missing_neighbour_leaves_a_hole_and_no_more() -> None:
    lattice, columns = perfect((0, 0, 1))
    gone = np.flatnonzero(columns.of_site("Ta") & (columns.hk == 3).all(axis=1))
    flags = columns.flags.copy()
    flags[gone] = int(Flag.WEAK)
    full, less = run(lattice, columns), run(lattice, columns.replace(flags=flags))
    assert np.isfinite(full.exx_percent).sum() == (N - 1) ** 2
    assert np.isfinite(less.exx_percent).sum() == (N - 1) ** 2 - 4
    lattice, columns = perfect((1, -1, 0))
    flags = columns.flags.copy()
    flags[np.flatnonzero(columns.of_site("Ta") & (columns.hk == 3).all(axis=1))] = int(Flag.WEAK)
    full, less = run(lattice, columns), run(lattice, columns.replace(flags=flags))
    # Only the two cells whose own reference it is lose their strain; four others know it a little less well.
    assert np.isfinite(full.exx_percent).sum() - np.isfinite(less.exx_percent).sum() == 2
    both = np.isfinite(less.exx_percent)
    assert (less.exx_std_percent[both] > full.exx_std_percent[both] + 1e-9).sum() == 4


def test_c_over_a_follows_the_longer_axis() -> None:
    lattice, columns = perfect(turn_deg=30.0)
    along = lattice.a / np.linalg.norm(lattice.a)
    found = run(lattice, deformed(columns, np.eye(2) + 0.05 * np.outer(along, along)))
    told = np.isfinite(found.c_over_a)
    assert told.any()
    np.testing.assert_allclose(found.c_over_a[told], 1.05, atol=1e-9)
    lattice, columns = perfect((1, -1, 0))
    assert any("c/a is left out" in said for said in run(lattice, columns).sentences)


def test_intensities_are_relative_to_the_bulk() -> None:
    lattice, columns = perfect()
    bright = np.where(half(columns), 3.0, 2.0) * np.where(columns.of_site("K"), 7.0, 1.0)
    found = run(lattice, columns.replace(amplitude=-columns.amplitude * bright), bulk=lambda b: b.hk[:, 0] < 2)
    there = cells(columns, lattice).hk[:, 0] > N // 2
    np.testing.assert_allclose(found.moving_intensity[there], 1.5)
    known = there & np.isfinite(found.reference_intensity)
    assert known.any()
    np.testing.assert_allclose(found.reference_intensity[known], 1.5)
    usual = 14.0 * columns.amplitude[columns.of_site("K")][0]
    np.testing.assert_allclose(found.moving_intensity_std, 1 / usual)


@pytest.mark.parametrize(("name", "bonded"), [("KTaO3", "Ta"), ("BaTiO3", "Ti")])
@pytest.mark.parametrize("zone", [(0, 0, 1), (1, -1, 0)])
def test_oxygen_moved_as_one_shows_its_displacement(name, bonded, zone) -> None:
    material = MATERIALS[name]
    lattice, columns = perfect(zone, material)
    motif = lattice.motif
    shortest = {(0, 0, 1): 50.0 * material.lattice_A, (1, -1, 0): 50.0 * material.lattice_A / np.sqrt(2)}[zone]
    still = run(lattice, columns)
    told = np.isfinite(still.bond_pm)
    assert told.any() and any(f"bonds are those of {bonded}" in said for said in still.sentences)
    np.testing.assert_allclose(still.bond_pm[told], shortest, rtol=1e-6)
    moved = columns.replace(xy=columns.xy + motif.oxygen[columns.site][:, None] * [0.3, -0.5])
    found = run(lattice, moved)
    np.testing.assert_allclose(found.oxygen_dx_pm[told], 3.0, atol=1e-6)
    np.testing.assert_allclose(found.oxygen_dy_pm[told], -5.0, atol=1e-6)
    against = run(lattice, moved, bulk=lambda built: np.ones(len(built), dtype=bool))
    np.testing.assert_allclose(against.oxygen_dx_pm[told], 0.0, atol=1e-6)


def shaped(columns: Columns, std: float) -> Columns:
    """Columns as ellipses of 3 and 2 px along 45 degrees in one half, round ones in the other."""
    moments = np.where(half(columns)[:, None], [6.5, -2.5, 6.5], [6.0, 0.0, 6.0])
    return columns.replace(
        moments=moments, moments_cov=np.broadcast_to(std**2 * np.eye(3), (len(columns), 3, 3)).copy()
    )


def test_ellipticity_is_that_of_the_columns_against_the_bulk() -> None:
    lattice, columns = perfect()
    found = run(lattice, shaped(columns, 0.02), bulk=lambda b: b.hk[:, 0] < 2)
    there = cells(columns, lattice).hk[:, 0] > N // 2
    for name in ("moving", "reference"):
        known = there & np.isfinite(getattr(found, f"{name}_ellipticity"))
        assert known.any()
        np.testing.assert_allclose(getattr(found, f"{name}_ellipticity")[known], 0.2)
        np.testing.assert_allclose(getattr(found, f"{name}_ellipticity_deg")[known], 45.0)
        np.testing.assert_allclose(getattr(found, f"{name}_ellipticity_cos")[known], 0.0, atol=1e-12)


def test_columns_too_faint_for_an_ellipticity_have_none() -> None:
    lattice, columns = perfect()
    found = run(lattice, shaped(columns, 2.0))
    assert np.isnan(found.moving_ellipticity).all() and np.isnan(found.reference_ellipticity_cos_std).all()
    assert any("ellipticity of K is left out: its columns are too faint" in said for said in found.sentences)


def test_oxygen_of_haadf_is_not_looked_at() -> None:
    lattice, columns = perfect(signals=("HAADF",))
    found = run(lattice, columns)
    assert np.isnan(found.bond_pm).all() and np.isnan(found.oxygen_dx_pm).all()
    assert any("ABF" in said for said in found.sentences)
