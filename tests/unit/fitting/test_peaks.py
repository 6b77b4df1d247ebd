"""Spots of an image: where they are, how far apart they repeat."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.fitting.peaks import Terms, filled, finite, shortest_spacing, summits, tall_enough


def local_maxima(image: np.ndarray, separation: float, sigma: float, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions and heights of what is tall enough."""
    xy, heights = summits(Terms.of(image), separation, sigma)
    tall = tall_enough(heights, threshold)
    return xy[tall], heights[tall]


def spots(xy: np.ndarray, height: np.ndarray, sigma: float = 3.0, shape: tuple[int, int] = (120, 150)) -> np.ndarray:
    y, x = np.indices(shape)
    return sum(
        h * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for (px, py), h in zip(xy, height, strict=True)
    )


def lattice(a: tuple[float, float], b: tuple[float, float], shape: tuple[int, int] = (120, 150)) -> np.ndarray:
    cells = np.stack(np.meshgrid(np.arange(-20, 21), np.arange(-20, 21)), axis=-1).reshape(-1, 2)
    xy = cells @ np.array([a, b]) + [70.3, 60.6]
    return xy[((xy > -5) & (xy < [shape[1] + 5, shape[0] + 5])).all(axis=1)]


@pytest.mark.parametrize(
    ("a", "b", "shortest"), [((20, 0), (0, 28), 20.0), ((15, 9), (-9, 15), 17.49), ((13, 0), (6, 24), 13)]
)
def test_spacing_is_the_shortest_repeat(a, b, shortest) -> None:
    xy = lattice(a, b)
    assert shortest_spacing(spots(xy, np.ones(len(xy)))) == pytest.approx(shortest, abs=0.8)


def test_faint_columns_between_do_not_halve_it() -> None:
    bright = lattice((20, 0), (0, 28))
    faint = bright + np.array([10, 14])
    image = spots(np.concatenate([bright, faint]), np.repeat([1.0, 0.14], len(bright)))
    assert shortest_spacing(image) == pytest.approx(20, abs=0.8)


@pytest.mark.parametrize(
    "image", [np.add.outer(np.arange(80.0), np.arange(90.0)), spots(np.array([[70, 60]]), np.ones(1), 9)]
)
def test_nothing_repeats(image) -> None:
    assert np.isnan(shortest_spacing(image))


def test_maxima_are_placed_within_a_fraction_of_a_pixel() -> None:
    xy = lattice((20, 3), (-4, 27))
    image = spots(xy, np.ones(len(xy))) + 0.01 * np.arange(150)
    found, heights = local_maxima(image, 10, 2.5, 0.25)
    inner = found[((found > 12) & (found < [138, 108])).all(axis=1)]
    distance = np.linalg.norm(inner[:, None] - xy, axis=2).min(axis=1)
    assert len(inner) == ((xy > 12) & (xy < [138, 108])).all(axis=1).sum()
    assert distance.max() < 0.3
    assert len(heights) == len(found) and (heights > 0).all()


def test_threshold_is_a_share_of_the_tallest() -> None:
    xy = np.array([[30.0, 30], [60, 30], [90, 30], [120, 30], [30, 80]])
    image = spots(xy, np.array([1, 1, 1, 1, 0.3]))
    assert len(local_maxima(image, 8, 2.0, 0.2)[0]) == 5
    assert len(local_maxima(image, 8, 2.0, 0.5)[0]) == 4


def test_of_two_spots_closer_than_the_separation_the_taller_stays() -> None:
    image = spots(np.array([[50.0, 60], [64, 60]]), np.array([1.0, 0.8]))
    assert len(local_maxima(image, 10, 2.0, 0.1)[0]) == 2
    found, _ = local_maxima(image, 40, 2.0, 0.1)
    np.testing.assert_allclose(found, [[50, 60]], atol=0.3)


def test_a_level_image_has_none() -> None:
    found, heights = local_maxima(np.ones((30, 30)), 5, 1.0, 0.2)
    assert found.shape == (0, 2) and heights.shape == (0,)


def test_filled_replaces_only_what_is_not_finite() -> None:
    image = np.array([[1, 2, np.nan], [3, np.inf, 5]], dtype=np.float32)
    np.testing.assert_array_equal(filled(image), [[1, 2, 2.5], [3, 2.5, 5]])
    np.testing.assert_array_equal(filled(np.full((2, 2), np.nan)), np.zeros((2, 2)))
    assert filled(np.ones((2, 2), dtype=np.uint16)).dtype == np.float64


def test_large_images_are_looked_at_in_single_precision() -> None:
    few, many = np.ones((4, 6), dtype=np.float32), np.ones((1500, 1500), dtype=np.float32)
    assert finite(few).dtype == np.float64 and finite(many) is many
    assert finite(many.astype(np.uint16)).dtype == np.float32
    # Digits that single precision has no room for are those of the mean.
    fine = 1e9 + 0.25 * (np.arange(1500 * 1500).reshape(1500, 1500) % 2)
    np.testing.assert_array_equal(finite(fine), fine - 1e9 - 0.125)
    for image in (few, many):
        image[0, 1] = np.nan
        np.testing.assert_array_equal(finite(image), np.ones(image.shape))
        assert np.isnan(image[0, 1])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_smoothing_is_that_of_scipy(kind) -> None:
    from scipy.ndimage import gaussian_filter

    image = (1000 + np.random.default_rng(0).random((90, 130))).astype(kind)
    for sigma in (1.3, 4.0):
        found = Terms.of(image).smoothed(sigma)
        assert found.dtype == kind
        ideal = gaussian_filter(image.astype(float), sigma) - image.mean(dtype=float)
        np.testing.assert_allclose(found, ideal, atol=1e-4 if kind is np.float32 else 1e-9)


def test_maxima_are_those_of_a_maximum_filter() -> None:
    from scipy.ndimage import gaussian_filter, maximum_filter

    image = np.random.default_rng(1).normal(size=(200, 170))
    relief = gaussian_filter(image, 1.0) - gaussian_filter(image, 3.0)
    reach = np.arange(9) - 4
    disc = reach[:, None] ** 2 + reach**2 <= 4.5**2
    summit = (relief == maximum_filter(relief, footprint=disc)) & (relief > 0)
    summit[:2] = summit[-2:] = summit[:, :2] = summit[:, -2:] = False
    found, heights = local_maxima(image, 8.0, 1.0, 0.0)
    np.testing.assert_allclose(found[:, ::-1], np.argwhere(summit), atol=0.5)
    np.testing.assert_allclose(heights, relief[summit], atol=1e-12)


def test_a_large_image_repeats_as_its_parts_do() -> None:
    y, x = np.indices((700, 1300), dtype=np.float32)
    image = np.cos(2 * np.pi * x / 20) + np.cos(2 * np.pi * y / 28)
    image[:, :800] = 0
    assert shortest_spacing(image) == pytest.approx(20, abs=0.8)
