"""What must not matter does not: turning, mirroring or scaling an image gives the same vectors, turned, mirrored or
unscaled.

Positions are those of usable columns; to 1e-6 px with a fit that iterates until nothing moves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from measure import arrived, columns_of
from numpy.typing import NDArray
from scenes import EDGE_PLANE, ZONES, recipe
from scipy.spatial import cKDTree

import stemdisp
from stemdisp.materials import Zone
from stemdisp.model.analysis import Analysis
from stemdisp.model.micrograph import Micrograph, PixelSize, Signal
from stemdisp.motion import Motion
from stemdisp.scene import Dose, Edge, Look, Scene, View
from stemdisp.synthetic import simulate

Floats = NDArray[np.float64]
Turn = tuple[Callable[[Floats], Floats], tuple[tuple[int, int], tuple[int, int]]]

SAME_PX = 1e-6

TURNS: dict[str, Turn] = {
    "a quarter turn counter-clockwise": (lambda m: np.rot90(m, 1), ((0, -1), (1, 0))),
    "a half turn": (lambda m: np.rot90(m, 2), ((-1, 0), (0, -1))),
    "a quarter turn clockwise": (lambda m: np.rot90(m, 3), ((0, 1), (-1, 0))),
    "mirrored left and right": (lambda m: m[:, ::-1], ((-1, 0), (0, 1))),
    "mirrored top and bottom": (lambda m: m[::-1], ((1, 0), (0, -1))),
    "transposed": (lambda m: m.T, ((0, 1), (1, 0))),
    "transposed about the other diagonal": (lambda m: np.rot90(m, 2).T, ((0, -1), (-1, 0))),
}
"""What is done to the image, and what it does to vectors (x right, y down): row vectors times this matrix."""


def scene(zone: Zone) -> Scene:
    """A small image, not square, with an edge and noise; nothing in it is symmetric."""
    return Scene(
        zone=zone,
        view=View(shape=(256, 300), pixel_size_pm=(14.0, 14.0)),
        look=Look(tail=0.1),
        motion=Motion(normal_pm=9, parallel_pm=20, jitter_pm=2),
        dose=Dose(peak_counts=2000),
        edge=Edge(plane=EDGE_PLANE[zone], offset_A=6.0),
    ).facing(83)


@cache
def original(zone: Zone) -> tuple[Floats, Analysis]:
    """The image and its analysis."""
    micrograph, _ = simulate(scene(zone))
    image = np.array(micrograph.signals["HAADF"].image, dtype=float)
    return image, analyse(image, zone)


def analyse(image: Floats, zone: Zone, size: tuple[float, float] = (14.0, 14.0)) -> Analysis:
    """The analysis of a bare array, iterated until nothing moves."""
    signals = {"HAADF": Signal("HAADF", np.ascontiguousarray(image))}
    micrograph = Micrograph("turned", signals, PixelSize(*size, "file"))
    return stemdisp.analyse(micrograph, arrived(recipe(scene(zone))))


def carried(xy: Floats, shape: tuple[int, ...], matrix: Floats) -> Floats:
    """Where places (n, 2) of an image of ``shape`` go when it is turned about its centre."""
    centre = (np.array([shape[1], shape[0]]) - 1) / 2
    return np.asarray((xy - centre) @ matrix + np.abs(centre @ np.abs(matrix)))


def partners(one: Analysis, other: Analysis, shape: tuple[int, ...], matrix: Floats) -> NDArray[np.int64]:
    """Row in ``other`` of each column of ``one``; both list the same ones."""
    distance, row = cKDTree(columns_of(other).xy).query(carried(columns_of(one).xy, shape, matrix))
    assert len(columns_of(one)) == len(columns_of(other))
    assert distance.max() < 1 and len(np.unique(row)) == len(row)
    return np.asarray(row)


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("zone", ZONES)
def test_turned_images(zone: Zone, turn: str) -> None:
    """Positions, displacements and layers turn with the image."""
    operation, rows = TURNS[turn]
    matrix = np.array(rows, dtype=float)
    image, before = original(zone)
    after = analyse(operation(image), zone)
    row = partners(before, after, image.shape, matrix)
    columns, turned = columns_of(before), columns_of(after)
    usable = columns.usable
    assert (usable == turned.usable[row]).all()
    away = carried(columns.xy, image.shape, matrix) - turned.xy[row]
    assert np.abs(away[usable]).max() < SAME_PX
    assert before.cells is not None and after.cells is not None
    assert before.displacement is not None and after.displacement is not None
    assert before.interface is not None and after.interface is not None
    cell = {int(m): i for i, m in enumerate(after.cells.moving)}
    same = np.array([cell[int(row[m])] for m in before.cells.moving])
    np.testing.assert_allclose(
        after.displacement.uv[same], before.displacement.uv @ matrix, rtol=0, atol=2 * SAME_PX * 14
    )
    np.testing.assert_allclose(after.interface.normal, before.interface.normal @ matrix, atol=1e-6)
    np.testing.assert_array_equal(after.interface.layer[same], before.interface.layer)
    assert before.profile is not None and after.profile is not None
    np.testing.assert_allclose(after.profile.normal_pm, before.profile.normal_pm, atol=1e-4)
    sign = np.linalg.det(matrix)
    np.testing.assert_allclose(after.profile.parallel_pm, sign * before.profile.parallel_pm, atol=1e-4)


@pytest.mark.parametrize("factor", [1e-4, 0.37, 3.0, 149.0, 1e4])
def test_brightness_is_only_a_unit(factor: float) -> None:
    """a * I with a > 0 leaves every position, and multiplies every amplitude by a."""
    zone = ZONES[1]
    image, before = original(zone)
    after = analyse(image * factor, zone)
    columns, scaled = columns_of(before), columns_of(after)
    np.testing.assert_allclose(scaled.xy[columns.usable], columns.xy[columns.usable], rtol=0, atol=SAME_PX)
    np.testing.assert_allclose(
        scaled.amplitude, factor * columns.amplitude, rtol=1e-5, atol=1e-6 * factor * columns.amplitude.max()
    )


@pytest.mark.parametrize("factor", [0.95, 0.99, 1.04])
def test_pixel_size_scales_pm_alone(factor: float) -> None:
    """A pixel size k times as large: displacements k times as large in pm, positions in px where they were."""
    zone = ZONES[1]
    image, before = original(zone)
    after = analyse(image, zone, (14.0 * factor, 14.0 * factor))
    columns, scaled = columns_of(before), columns_of(after)
    np.testing.assert_allclose(scaled.xy[columns.usable], columns.xy[columns.usable], rtol=0, atol=SAME_PX)
    assert before.displacement is not None and after.displacement is not None
    np.testing.assert_allclose(after.displacement.uv, factor * before.displacement.uv, rtol=0, atol=2 * SAME_PX * 14)


def test_recomputed_bit_by_bit() -> None:
    """The same image and recipe give the same bits."""
    zone = ZONES[1]
    image, before = original(zone)
    after = analyse(image.copy(), zone)
    for name, array in columns_of(before).arrays().items():
        np.testing.assert_array_equal(getattr(columns_of(after), name), array)
    assert before.displacement is not None and after.displacement is not None
    np.testing.assert_array_equal(after.displacement.uv, before.displacement.uv)


def test_order_of_the_recipe_is_irrelevant() -> None:
    """Sections and fields in another order are the same recipe with the same digest."""
    wanted = recipe(scene(ZONES[1]))
    values = wanted.model_dump(mode="json")
    turned = {
        section: dict(reversed(fields.items())) if isinstance(fields, dict) else fields
        for section, fields in reversed(values.items())
    }
    assert stemdisp.Recipe.model_validate(turned) == wanted
    assert stemdisp.Recipe.model_validate(turned).digest() == wanted.digest()


@pytest.mark.parametrize("dtype", ["uint16", "float32", ">f4", "<i4"])
def test_number_type_is_irrelevant(dtype: str) -> None:
    """Counts are counts, whichever type and byte order hold them; memory order does not matter either."""
    zone = ZONES[1]
    image, before = original(zone)
    stored = np.asfortranarray(image.astype(dtype))
    micrograph = Micrograph("stored", {"HAADF": Signal("HAADF", stored)}, PixelSize(14.0, 14.0, "file"))
    after = stemdisp.analyse(micrograph, arrived(recipe(scene(zone))))
    np.testing.assert_allclose(columns_of(after).xy, columns_of(before).xy, rtol=0, atol=1e-9)


def test_a_crop_sees_the_same() -> None:
    """Two cells away from its edge, a crop of the same pixels moves columns by less than half of what their noise
    does."""
    zone = ZONES[1]
    image, before = original(zone)
    left, top = 17, 9
    after = analyse(image[top : top + 240, left : left + 260], zone)
    columns, cut = columns_of(before), columns_of(after)
    _, row = cKDTree(columns.xy - [left, top]).query(cut.xy)
    inner = ((cut.xy > 60) & (cut.xy < [200, 180])).all(axis=1) & cut.usable & columns.usable[row]
    assert inner.sum() > 20
    moved = (cut.xy - columns.xy[row] + [left, top]) / columns.xy_std[row]
    assert np.sqrt((moved[inner] ** 2).mean()) < 0.5


def test_pixels_that_are_not_square_show_the_same_displacements() -> None:
    """Wide pixels: the same crystal, the same numbers in pm."""
    moved = Motion(normal_pm=9, parallel_pm=20)
    plain = replace(scene(ZONES[1]), dose=Dose(noise=False), motion=moved, look=Look())
    assert plain.edge is not None
    plain = replace(plain, edge=replace(plain.edge, beyond="vacuum"))
    means = []
    for size, shape in (((14.0, 14.0), (256, 300)), ((18.0, 12.0), (299, 233))):
        image, _ = simulate(replace(plain, view=replace(plain.view, pixel_size_pm=size, shape=shape)))
        analysis = stemdisp.analyse(image, recipe(plain))
        assert analysis.profile is not None
        means.append(np.stack([analysis.profile.normal_pm, analysis.profile.parallel_pm])[:, :6])
    np.testing.assert_allclose(means[0], means[1], atol=0.3)
