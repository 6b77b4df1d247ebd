"""The known cell in the power spectrum: at any rotation and scale, never a multiple or a fraction, never in noise."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.crystal import project
from stemdisp.fitting.fourier import CellFit, expected, find_cell, fold, local_amplitude, spectrum, strongest
from stemdisp.materials import KTaO3, Zone
from stemdisp.scene import Dose, Scene, Truth, View
from stemdisp.synthetic import simulate

ZONES: tuple[Zone, ...] = ((0, 0, 1), (1, -1, 0))
NEAR = np.arange(0.92, 1.081, 0.01)


def image_of(zone: Zone, rotation: float, pixel: tuple[float, float] = (12.5, 12.5)) -> tuple[np.ndarray, Truth]:
    scene = Scene(
        zone=zone, view=View(shape=(224, 200), rotation_deg=rotation, pixel_size_pm=pixel), dose=Dose(peak_counts=100)
    )
    micrograph, truth = simulate(scene)
    return micrograph.signals["HAADF"].image.astype(float), truth


def cell_in(image: np.ndarray, zone: Zone, scales: np.ndarray, aspect: float = 1.0) -> CellFit:
    motif = project(KTaO3, zone)
    return find_cell(
        spectrum(image),
        motif.cell_A,
        motif.fractions,
        motif.contrast("HAADF"),
        scales=scales,
        highest=1 / 1.4,
        aspect=aspect,
    )


def same_lattice(found: np.ndarray, true: np.ndarray) -> None:
    """The two cells span the same lattice, to 1 % of their lengths."""
    turned = found @ np.linalg.inv(true)
    whole = np.rint(turned)
    assert abs(round(np.linalg.det(whole))) == 1, turned
    np.testing.assert_allclose(turned, whole, atol=1e-2)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("rotation", [0.0, 17.0, 54.7, 90.0, 131.0, 178.0])
def test_rotation_is_found(zone, rotation) -> None:
    image, truth = image_of(zone, rotation)
    found = cell_in(image, zone, 8.0 * NEAR)
    assert found.significance > 3
    same_lattice(found.cell, truth.lattice.cell)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("pixel", [10.0, 12.5, 22.0])
def test_scale_is_found_and_neither_half_nor_double_wins(zone, pixel) -> None:
    image, truth = image_of(zone, 23.0, (pixel, pixel))
    found = cell_in(image, zone, np.exp(np.arange(np.log(2.0), np.log(25.0), 0.012)))
    assert found.significance > 3
    same_lattice(found.cell, truth.lattice.cell)


def test_pixels_that_are_not_square() -> None:
    image, truth = image_of((1, -1, 0), 31.0, (11.0, 14.0))
    same_lattice(cell_in(image, (1, -1, 0), 100 / 11 * NEAR, 14 / 11).cell, truth.lattice.cell)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("seed", range(4))
def test_noise_has_no_cell(zone, seed) -> None:
    noise = np.random.default_rng(seed).poisson(20, (200, 200)).astype(float)
    assert cell_in(noise, zone, 8.0 * NEAR).significance < 3
    assert cell_in(np.cumsum(noise - 20, axis=1), zone, 8.0 * NEAR).significance < 3


def test_stripes_have_no_cell() -> None:
    x = np.arange(200)
    stripes = 50 + 20 * np.cos(2 * np.pi * x / 22.5) + np.random.default_rng(0).normal(0, 2, (200, 200))
    assert cell_in(stripes, (1, -1, 0), 8.0 * NEAR).significance < 3


def test_noise_follows_the_exponential_distribution() -> None:
    power = spectrum(np.random.default_rng(1).normal(size=(256, 256))).power
    used = power[power > 0]
    assert np.median(used) == pytest.approx(np.log(2), rel=0.05)
    assert (used > 5).mean() == pytest.approx(np.exp(-5), rel=0.3)


def test_summit_is_placed_to_a_tenth_of_a_bin() -> None:
    y, x = np.indices((128, 160))
    frequency = np.array([0.1013, -0.0567])
    wave = np.cos(2 * np.pi * (frequency[0] * x + frequency[1] * y)) + np.random.default_rng(0).normal(0, 0.1, x.shape)
    found, power = spectrum(wave).summit(frequency + 0.006, 2.0)
    np.testing.assert_allclose(found * [160, 128], frequency * [160, 128], atol=0.1)
    assert power > 100


def test_fold_averages_equivalent_places() -> None:
    cell, origin = np.array([[20.0, 0.0], [4.0, 16.0]]), np.array([7.0, 9.0])
    y, x = np.indices((360, 380))
    fraction = (np.stack([x, y], axis=-1) - origin) @ np.linalg.inv(cell)
    image = 3 + np.cos(2 * np.pi * fraction[..., 0]) + 0.5 * np.sin(2 * np.pi * fraction[..., 1])
    average = fold(image, origin, cell, 12, np.ones(image.shape))
    middle = (np.arange(12) + 0.5) / 12
    ideal = 3 + np.cos(2 * np.pi * middle) + 0.5 * np.sin(2 * np.pi * middle)[:, None]
    np.testing.assert_allclose(average, ideal, atol=0.2)


def test_local_amplitude_is_strongest_where_the_lattice_is() -> None:
    y, x = np.indices((160, 160))
    frequencies = np.array([[0.08, 0.0], [0.0, 0.06]])
    waves = np.cos(2 * np.pi * 0.08 * x) + np.cos(2 * np.pi * 0.06 * y)
    strength, block = local_amplitude(np.where(x < 80, waves, 0.0), frequencies, 16.0)
    left, right = strength[:, : 50 // block], strength[:, 120 // block :]
    assert left.min() > 5 * right.max()


def planes(frequencies: np.ndarray) -> np.ndarray:
    """Spacings of planes, the larger first, in 1 / unit of the frequencies."""
    return np.sort(1 / np.linalg.norm(frequencies, axis=1))[::-1]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("rotation", [0.0, 17.0, 54.7])
def test_the_strongest_planes_of_an_image_are_those_expected(zone, rotation) -> None:
    image, _ = image_of(zone, rotation)
    motif = project(KTaO3, zone)
    seen = strongest(spectrum(image))
    wanted = expected(motif.cell_A, motif.fractions, motif.contrast("HAADF"), 1 / 1.4)
    assert seen.shape == wanted.shape == (2, 2)
    # Which of several that are almost equally strong comes second is the noise's choice.
    assert planes(seen)[0] * 0.125 == pytest.approx(planes(wanted)[0], rel=0.03)


def test_strongest_are_two_waves_that_point_different_ways() -> None:
    y, x = np.indices((160, 180))
    waves = 3 * np.cos(2 * np.pi * 0.11 * x) + np.cos(2 * np.pi * (0.05 * x + 0.09 * y))
    # A harmonic along the first is stronger than the second, but points the same way.
    waves += 2 * np.cos(2 * np.pi * 0.22 * x) + np.random.default_rng(0).normal(0, 0.3, x.shape)
    found = strongest(spectrum(waves))
    np.testing.assert_allclose(found * np.sign(found[:, :1]), [[0.11, 0.0], [0.05, 0.09]], atol=5e-4)


def test_noise_and_stripes_have_less_than_two() -> None:
    noise = np.random.default_rng(0).normal(size=(160, 160))
    assert strongest(spectrum(noise)).shape == (0, 2)
    stripes = noise + 5 * np.cos(2 * np.pi * 0.07 * np.arange(160))
    assert strongest(spectrum(stripes)).shape == (1, 2)


def test_expected_are_the_first_orders_of_a_lattice_of_points() -> None:
    cell = np.array([[4.0, 0.0], [0.0, 3.0]])
    found = expected(cell, np.zeros((1, 2)), np.ones(1), 0.7)
    np.testing.assert_allclose(planes(found), [4.0, 3.0])
    # Two equal columns half a cell apart halve the cell along a.
    halved = expected(cell, np.array([[0, 0], [0.5, 0]]), np.ones(2), 0.7)
    np.testing.assert_allclose(planes(halved), [3.0, 2.0])


def test_a_band_is_the_middle_of_the_whole_spectrum() -> None:
    image, _ = image_of((1, -1, 0), 23.0)
    whole, band = spectrum(image), spectrum(image, (0.1, 0.15))
    np.testing.assert_array_equal(band.bins, whole.bins)
    # Rings that the band cuts have fewer values to take a median of.
    frequencies = np.random.default_rng(0).uniform(-0.06, 0.06, (200, 2))
    np.testing.assert_allclose(band.at(frequencies), whole.at(frequencies), rtol=1e-9)
    assert (band.at(np.array([[0.3, 0.0], [0.0, 0.3]])) == 0).all()
    assert band.chance == whole.chance
