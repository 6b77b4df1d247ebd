"""Angles, axes and edges in any direction, on images drawn here from nothing but where columns stand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scenes import interface_scene, recipe

import stemdisp
from stemdisp.materials import Zone
from stemdisp.model.analysis import Analysis
from stemdisp.model.fields import VectorField
from stemdisp.model.micrograph import Micrograph, PixelSize, Signal
from stemdisp.scene import Dose, View

Floats = NDArray[np.float64]

PIXEL_PM, SHAPE = 14.0, (224, 236)
STEP = 398.83 / PIXEL_PM
FIRST = np.array([9.3, 12.6])
"""Lattice constant of KTaO3 and place of the first Ta, in px."""

HEIGHTS = {"Ta": 1000.0, "K": 105.0, "O": 25.0}
PLACES = {"Ta": [(0.0, 0.0)], "K": [(0.5, 0.5)], "O": [(0.5, 0.0), (0.0, 0.5)]}


def _places(site: str) -> Floats:
    """(N, 2) px of the columns of KTaO3 [001] with its axes along those of the screen."""
    cells = np.array([(i, j) for i in range(-1, 10) for j in range(-1, 10)], dtype=float)
    return np.concatenate([FIRST + STEP * (cells + np.array(p)) for p in PLACES[site]])


def _draw(
    shifts: dict[tuple[str, int], tuple[float, float]] | None = None,
    *,
    axes: tuple[float, float, float] = (3.6, 3.6, 0.0),
    inside: tuple[tuple[float, float], float] | None = None,
) -> Micrograph:
    """Gaussian columns; ``shifts`` in px of single columns, ``axes`` (long, short, degrees as seen).

    ``inside`` (outward direction, limit) keeps only columns whose place along that direction is below the limit.
    """
    y, x = np.indices(SHAPE).astype(float)
    long, short, degrees = axes
    turn = np.radians(degrees)
    image = np.full(SHAPE, 60.0)
    for site, height in HEIGHTS.items():
        for number, place in enumerate(_places(site)):
            if inside is not None and place @ inside[0] > inside[1]:
                continue
            cx, cy = place + (shifts or {}).get((site, number), (0.0, 0.0))
            along = (x - cx) * np.cos(turn) - (y - cy) * np.sin(turn)
            across = (x - cx) * np.sin(turn) + (y - cy) * np.cos(turn)
            image += height * np.exp(-0.5 * ((along / long) ** 2 + (across / short) ** 2))
    return Micrograph("drawn", {"HAADF": Signal("HAADF", image)}, PixelSize(PIXEL_PM, PIXEL_PM, "file"))


def _analyse(image: Micrograph) -> Analysis:
    return stemdisp.analyse(image, stemdisp.recipe_for("KTaO3", "001"))


def _number(site: str, near: tuple[float, float]) -> int:
    return int(np.hypot(*(_places(site) - near).T).argmin())


def test_the_first_pixels_centre_is_zero_zero() -> None:
    """x counts columns of pixels to the right, y rows downwards."""
    columns = _analyse(_draw()).columns
    assert columns is not None
    for site in ("Ta", "K"):
        found = columns.xy[columns.of_site(site) & columns.usable]
        apart = np.hypot(*(found[:, None] - _places(site)[None]).transpose(2, 0, 1)).min(axis=1)
        inner = ((found > 20) & (found < [SHAPE[1] - 21, SHAPE[0] - 21])).all(axis=1)
        assert inner.sum() > 20
        assert apart[inner].max() < 0.01


@pytest.mark.parametrize(
    ("shift", "angle"), [((0.8, 0.0), 0), ((0.0, -0.8), 90), ((-0.8, 0.0), 180), ((0.0, 0.8), -90), ((0.6, -0.6), 45)]
)
def test_one_k_moved_moves_one_arrow(shift: tuple[float, float], angle: float) -> None:
    number = _number("K", (118, 112))
    analysis = _analyse(_draw({("K", number): shift}))
    field, cells = analysis.displacement, analysis.cells
    assert field is not None and cells is not None
    cell = int(np.nan_to_num(np.hypot(*(cells.xy - _places("K")[number]).T), nan=np.inf).argmin())
    np.testing.assert_allclose(field.uv[cell], np.array(shift) * PIXEL_PM, atol=0.15)
    assert (field.angle_deg[cell] - angle + 180) % 360 - 180 == pytest.approx(0, abs=1)
    assert field.offset is None
    inner = field.valid & (np.abs(cells.xy - [118, 112]).max(axis=1) < 70)
    inner[cell] = False
    assert inner.sum() > 10
    assert np.abs(field.uv[inner]).max() < 0.3


def test_a_moved_reference_column_moves_its_four_cells_the_other_way() -> None:
    number = _number("Ta", (118, 112))
    analysis = _analyse(_draw({("Ta", number): (0.8, 0.0)}))
    field, cells = analysis.displacement, analysis.cells
    assert field is not None and cells is not None
    around = np.hypot(*(cells.xy - _places("Ta")[number]).T) < STEP
    assert around.sum() == 4
    np.testing.assert_allclose(field.uv[around], [[-0.2 * PIXEL_PM, 0.0]] * 4, atol=0.3)


@pytest.mark.parametrize(
    ("outward", "parallel"), [((0, -1), (1, 0)), ((1, 0), (0, 1)), ((0, 1), (-1, 0)), ((-1, 0), (0, -1))]
)
def test_the_normal_points_out_of_the_crystal_and_layers_count_inwards(
    outward: tuple[int, int], parallel: tuple[int, int]
) -> None:
    middle = np.array([SHAPE[1] / 2, SHAPE[0] / 2]) @ outward
    analysis = _analyse(_draw(inside=(outward, float(middle) + 30)))
    found, cells = analysis.interface, analysis.cells
    assert found is not None and cells is not None
    np.testing.assert_allclose(found.normal, outward, atol=1e-3)
    np.testing.assert_allclose(found.parallel, parallel, atol=1e-3)
    depth = -(analysis.columns.xy[cells.moving] @ outward)
    counted = found.layer >= 0
    assert found.layer[counted].min() == 0 and found.layer[counted].max() >= 3
    top = depth[found.layer == 0]
    assert len(top) >= 6
    assert np.ptp(top) < 0.5 * STEP and depth[counted].min() >= top.min()
    np.testing.assert_allclose((depth[counted] - top.mean()) / STEP, found.layer[counted], atol=0.1)
    slope = np.polyfit(depth[counted], found.distance_nm[counted], 1)[0]
    assert slope == pytest.approx(PIXEL_PM / 1000, rel=0.01)
    assert found.distance_nm[counted].min() > 0


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0, 120.0, 179.0])
def test_long_axes_have_their_angle_as_seen(degrees: float) -> None:
    columns = _analyse(_draw(axes=(4.0, 3.3, degrees))).columns
    assert columns is not None
    assert ((columns.angle_deg >= 0) & (columns.angle_deg < 180)).all()
    assert np.abs((columns.angle_deg - degrees + 90) % 180 - 90).max() < 1
    assert (columns.sigma[:, 0] >= columns.sigma[:, 1]).all()
    ta = columns.of_site("Ta")
    np.testing.assert_allclose(columns.sigma[ta], [[4.0, 3.3]] * int(ta.sum()), rtol=0.02)


@given(st.lists(st.tuples(st.floats(-99, 99), st.floats(-99, 99)), min_size=1, max_size=8))
def test_directions_of_vectors_lie_above_minus_180_up_to_180(vectors: list[tuple[float, float]]) -> None:
    uv = np.array([*vectors, (-1.0, 0.0), (-1.0, -0.0), (0.0, -1.0), (0.0, 1.0), (1.0, 0.0)])
    field = VectorField("pm", uv, uv, np.ones((len(uv), 2, 2)))
    assert ((field.angle_deg > -180) & (field.angle_deg <= 180)).all()
    np.testing.assert_array_equal(field.angle_deg[-5:], [180, 180, 90, -90, 0])
    again = field.magnitude[:, None] * np.stack(
        [np.cos(np.radians(field.angle_deg)), -np.sin(np.radians(field.angle_deg))], axis=1
    )
    np.testing.assert_allclose(again, uv, atol=1e-9)


@settings(max_examples=3, deadline=None, derandomize=True)
@given(direction=st.floats(0, 360, exclude_max=True))
@pytest.mark.parametrize("zone", [(0, 0, 1), (1, -1, 0)])
def test_the_normal_turns_with_the_crystal(zone: Zone, direction: float) -> None:
    """And the components along and across it stay what they are."""
    scene = interface_scene(direction, zone=zone, view=View(shape=(236, 236), pixel_size_pm=(14.0, 14.0)))
    scene = replace(scene, dose=Dose(peak_counts=2e4, noise=False))
    image, truth = stemdisp.simulate(scene)
    analysis = stemdisp.analyse(image, recipe(scene))
    found, profile = analysis.interface, analysis.profile
    assert found is not None and profile is not None and truth.interface_normal is not None
    seen = np.array([np.cos(np.radians(direction)), -np.sin(np.radians(direction))])
    np.testing.assert_allclose(truth.interface_normal, seen, atol=1e-9)
    assert np.degrees(np.arccos(np.clip(found.normal @ seen, -1, 1))) < 0.5
    np.testing.assert_allclose(found.parallel, [-found.normal[1], found.normal[0]])
    row = truth.nearest(analysis.columns.xy[analysis.cells.moving], within_px=5)
    counted = (row >= 0) & analysis.displacement.valid
    np.testing.assert_array_equal(found.layer[counted], truth.layer[row[counted]])
    first = int(np.flatnonzero(np.isfinite(profile.parallel_pm))[0])
    assert profile.parallel_pm[first] > 4 and profile.normal_pm[first] > 1
    assert (np.diff(profile.distance_nm[profile.n > 0]) > 0).all()
