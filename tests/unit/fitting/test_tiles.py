"""Tiles: every pixel within reach of a column once, symmetric samples, hats that add up to one."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.fitting.tiles import COARSEST, Chunk, averaged, cut, hats, odd_stride, phase, tile_side

SHAPE = (61, 83)
WIDTH = 2.5
SPACING = 17.0


def scattered() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    xy = rng.uniform(-6, [SHAPE[1] + 5, SHAPE[0] + 5], (70, 2))
    return xy, rng.uniform(4, 11, 70)


def tiles(stride: int, samples: int = 4000, shape: tuple[int, int] = SHAPE) -> list[Chunk]:
    return cut(shape, *scattered(), spacing=SPACING, width=WIDTH, stride=stride, samples=samples)


def reached(chunks: list[Chunk]) -> list[tuple[int, int]]:
    """Every (pixel, column) that some chunk counts."""
    found = []
    for chunk in chunks:
        t, slot, p = np.nonzero(chunk.within & chunk.inside[:, None, :])
        found += list(zip(chunk.pixels[t, p].tolist(), chunk.columns[t, slot].tolist(), strict=True))
    return found


@pytest.mark.parametrize("stride", [1, 3, 5])
@pytest.mark.parametrize("samples", [1, 4000, 10**8])
def test_each_pixel_within_reach_is_counted_once(stride, samples) -> None:
    xy, radius = scattered()
    x0, y0 = phase(SHAPE, stride)
    expected = {
        (y * SHAPE[1] + x, i)
        for i, (place, r) in enumerate(zip(xy, radius, strict=True))
        for y in range(y0, SHAPE[0], stride)
        for x in range(x0, SHAPE[1], stride)
        if (x - place[0]) ** 2 + (y - place[1]) ** 2 <= r**2
    }
    found = reached(tiles(stride, samples))
    assert len(found) == len(set(found))
    assert set(found) == expected


@pytest.mark.parametrize("stride", [1, 3])
def test_no_pixel_stands_in_two_tiles(stride) -> None:
    pixels = np.concatenate([chunk.pixels[chunk.inside] for chunk in tiles(stride)])
    assert len(np.unique(pixels)) == len(pixels)


@pytest.mark.parametrize("stride", [1, 3, 5, 7])
@pytest.mark.parametrize("size", range(40, 52))
def test_samples_lie_symmetrically(stride, size) -> None:
    first = int(phase((size, 64), stride)[1])
    samples = np.arange(first, size, stride)
    assert 0 <= first < stride
    np.testing.assert_array_equal(samples, size - 1 - samples[::-1])


@pytest.mark.parametrize("stride", [1, 3])
def test_coordinates_are_those_of_the_pixels(stride) -> None:
    for chunk in tiles(stride):
        x, y = (axis[:, 0][chunk.inside] for axis in chunk.coordinates(np))
        np.testing.assert_array_equal(y * SHAPE[1] + x, chunk.pixels[chunk.inside])


@pytest.mark.parametrize("shape", [SHAPE, (61, 69), (18, 200)])
@pytest.mark.parametrize("stride", [1, 3])
def test_hats_add_up_to_one_and_interpolate(stride, shape) -> None:
    knots_x, knots_y = hats(shape, SPACING)
    plane = (0.5 + 0.2 * knots_x + 0.7 * knots_y[:, None]).ravel()
    for chunk in tiles(stride, shape=shape):
        inside = chunk.inside
        np.testing.assert_allclose(chunk.hat.sum(axis=1)[inside], 1)
        x, y = chunk.coordinates(np)
        level = (plane[chunk.nodes][:, None, :] @ chunk.hat)[:, 0]
        np.testing.assert_allclose(level[inside], (0.5 + 0.2 * x + 0.7 * y)[:, 0][inside])


def test_knots_are_symmetric_and_span_the_image() -> None:
    for axis, size in zip(hats(SHAPE, SPACING), SHAPE[::-1], strict=True):
        np.testing.assert_allclose(axis + axis[::-1], size - 1)
        np.testing.assert_allclose(np.diff(axis), SPACING)
        assert axis[0] <= 0 and axis[-1] >= size - 1


def test_strides_are_odd_and_grow_with_the_width() -> None:
    strides = [odd_stride(COARSEST * width) for width in np.linspace(0.5, 20, 200)]
    assert strides[0] == 1 and all(s % 2 for s in strides) and strides == sorted(strides)
    assert all(s <= max(1, COARSEST * width) for s, width in zip(strides, np.linspace(0.5, 20, 200), strict=True))
    assert all(4 <= tile_side(width, 1) <= 24 for width in (0.1, 3, 50))


@pytest.mark.parametrize("stride", [1, 3, 5])
@pytest.mark.parametrize("shape", [(61, 83), (60, 84), (62, 82), (7, 9), (3, 50)])
def test_averages_are_means_around_the_samples(stride, shape) -> None:
    image = np.random.default_rng(0).normal(100, 20, shape)
    x0, y0 = phase(shape, stride)
    found, half = averaged(image, stride), stride // 2
    for row, y in enumerate(range(y0, shape[0], stride)):
        for column, x in enumerate(range(x0, shape[1], stride)):
            block = image[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1]
            # A block that the frame cuts stands for its own pixel.
            expected = block.mean() if block.size == stride**2 else image[y, x]
            assert found[row, column] == pytest.approx(expected)
    assert found.shape == image[y0::stride, x0::stride].shape


def test_averages_of_a_plane_are_the_plane() -> None:
    y, x = np.indices((61, 83)).astype(float)
    plane = 3 + 0.5 * x - 0.2 * y
    x0, y0 = phase((61, 83), 3)
    np.testing.assert_allclose(averaged(plane, 3), plane[y0::3, x0::3])


def test_averages_leave_out_what_is_missing() -> None:
    image = np.random.default_rng(0).normal(100, 20, (61, 83))
    x0, y0 = phase((61, 83), 3)
    y, x = y0 + 3 * 6, x0 + 3 * 7
    image[y + 1, x] = np.nan
    image[y, x + 3] = np.inf
    found = averaged(image, 3)
    assert found[6, 7] == image[y, x]
    assert not np.isfinite(found[6, 8])
    assert np.isfinite(found).sum() == found.size - 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_averages_keep_the_type_and_leave_the_image_alone(dtype) -> None:
    image = np.random.default_rng(0).normal(100, 20, (40, 45)).astype(dtype)
    before = image.copy()
    for stride in (1, 3):
        assert averaged(image, stride).dtype == dtype
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("stride", [3, 5])
def test_averages_of_a_mirrored_image_are_mirrored(stride) -> None:
    for shape in ((61, 83), (60, 84), (62, 85)):
        image = np.random.default_rng(0).integers(0, 1000, shape).astype(float)
        np.testing.assert_array_equal(averaged(image[::-1, ::-1], stride), averaged(image, stride)[::-1, ::-1])
