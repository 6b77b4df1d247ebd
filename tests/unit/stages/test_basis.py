"""The average lattice: K at the origin in both contrasts, at any rotation; noise is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stemdisp.crystal import Motif, project
from stemdisp.errors import StageError
from stemdisp.materials import ZONES, KTaO3, Material
from stemdisp.model.micrograph import PixelSize, Signal
from stemdisp.recipe import BasisSection
from stemdisp.scene import Scene, View
from stemdisp.stages.basis import basis, fit_lattice
from stemdisp.synthetic import simulate

SIZE = PixelSize(12.0, 12.0, "file")


def pictured(zone, rotation: float, shape: tuple[int, int] = (200, 208)):
    view = View(shape=shape, rotation_deg=rotation, pixel_size_pm=(12.0, 12.0), origin_A=(0.7, -0.4))
    return simulate(Scene(zone=zone, signals=("HAADF", "ABF"), view=view))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("rotation", [3.0, 75.0, 160.0])
@pytest.mark.parametrize("name", ["HAADF", "ABF"])
def test_origin_is_a_k_column(zone, rotation, name) -> None:
    micrograph, truth = pictured(zone, rotation)
    found = basis(micrograph.signals[name], project(KTaO3, zone), SIZE, BasisSection())
    away = (found.origin - truth.origin) @ np.linalg.inv(truth.lattice.cell)
    assert np.abs(away - np.rint(away)).max() < 0.05
    np.testing.assert_allclose(found.scale_pm, 12.0, rtol=0.01)
    assert abs(found.shear_deg) < 1
    assert ((found.origin > 0) & (found.origin < [208, 200])).all()


def test_pixel_size_need_not_be_known() -> None:
    micrograph, _ = pictured((1, -1, 0), 20.0)
    found = basis(micrograph.signals["HAADF"], project(KTaO3, (1, -1, 0)), None, BasisSection())
    np.testing.assert_allclose(found.scale_pm, 12.0, rtol=0.01)


def test_noise_is_refused() -> None:
    noise = np.random.default_rng(0).poisson(50, (180, 180)).astype(float)
    with pytest.raises(StageError, match="no lattice found"):
        basis(Signal("HAADF", noise), project(KTaO3, (0, 0, 1)), SIZE, BasisSection())


def test_a_pixel_size_far_off_is_refused() -> None:
    micrograph, _ = pictured((1, -1, 0), 3.0)
    with pytest.raises(StageError, match="pixel size"):
        basis(micrograph.signals["HAADF"], project(KTaO3, (1, -1, 0)), PixelSize(20.0, 20.0, "user"), BasisSection())


def test_fit_goes_through_the_reference_columns(crystal) -> None:
    lattice, columns = crystal()
    moved = columns.xy @ np.array([[1.01, 0.004], [-0.003, 0.99]]) + [3.0, -2.0]
    moved[columns.of_site("K")] += 5.0
    found = fit_lattice(columns.replace(xy=moved), lattice)
    ta = columns.of_site("Ta")
    np.testing.assert_allclose(found.position(columns.hk[ta], columns.site[ta]), moved[ta], atol=1e-9)


def test_fit_leaves_out_what_is_unusable(crystal) -> None:
    lattice, columns = crystal()
    xy, flags = columns.xy.copy(), columns.flags.copy()
    first = np.flatnonzero(columns.of_site("Ta"))[0]
    xy[first] += 9
    flags[first] = 4
    np.testing.assert_allclose(fit_lattice(columns.replace(xy=xy, flags=flags), lattice).a, lattice.a, atol=1e-9)
    with pytest.raises(StageError, match="three are needed"):
        fit_lattice(columns.replace(flags=np.full(len(columns), 4)), lattice)


@pytest.mark.parametrize(
    ("zone", "pixel", "seen", "own"),
    [
        ((0, 0, 1), 14.5, (4.82, 4.82), "3.99 and 3.99 A at 90 deg"),
        ((1, -1, 0), 14.5, (3.41, 4.82), "2.82 and 3.99 A at 90 deg"),
        ((1, -1, 0), 10.0, (2.35, 3.32), "2.82 and 3.99 A at 90 deg"),
    ],
)
def test_a_lattice_that_does_not_fit_is_refused_with_both_spacings(zone, pixel, seen, own) -> None:
    image = pictured(zone, 11.0)[0].signals["HAADF"]
    with pytest.raises(StageError, match="no lattice found") as refused:
        basis(image, project(KTaO3, zone), PixelSize(pixel, pixel, "file"), BasisSection())
    sentence = str(refused.value)
    measured = sentence.partition("the image repeats by ")[2].partition(" A at ")[0].split(" and ")
    np.testing.assert_allclose([float(number) for number in measured], seen, rtol=0.02)
    assert own in sentence and sentence.endswith("check material, zone and pixel size") and "\n" not in sentence


def test_without_a_pixel_size_spacings_are_in_px() -> None:
    y, x = np.indices((200, 200))
    waves = 100 + 20 * (np.cos(2 * np.pi * x / 9.0) + np.cos(2 * np.pi * (0.3 * x + y) / 31.0))
    noisy = Signal("HAADF", np.random.default_rng(0).poisson(waves).astype(float))
    with pytest.raises(StageError, match=r" px at .* those of KTaO3 .* A at 90 deg|repeats by"):
        basis(noisy, project(KTaO3, (1, -1, 0)), None, BasisSection())


def test_an_image_without_order_is_said_to_have_none() -> None:
    noise = np.random.default_rng(0).poisson(50, (180, 180)).astype(float)
    with pytest.raises(StageError, match="nothing in the image repeats clearly in two directions"):
        basis(Signal("HAADF", noise), project(KTaO3, (0, 0, 1)), SIZE, BasisSection())


def one_way() -> Motif:
    """Three columns without a two-fold axis: turned by half a turn they are another crystal."""
    crystal = Material("one way", "C", "A")
    return Motif(
        crystal,
        (0, 0, 1),
        ("A", "B", "C"),
        np.array([[0.0, 0.0], [0.5, 0.6], [0.5, 0.25]]),
        np.array([[3.9, 0.0], [0.0, 4.3]]),
        np.eye(2, 3),
        ({"Ba": 1.0}, {"Sr": 1.0}, {"Ti": 1.0}),
    )


def drawn(motif: Motif, rotation: float, n: int = 200, pixel_pm: float = 12.0) -> tuple[Signal, np.ndarray]:
    """An image of Gaussian columns, and the true cell in px."""
    t = np.radians(rotation)
    cell = motif.cell_A @ np.array([[np.cos(t), -np.sin(t)], [-np.sin(t), -np.cos(t)]]) * 100 / pixel_pm
    y, x = np.indices((n, n)).astype(float)
    fraction = (np.stack([x, y], axis=-1) - [n / 2 + 3.3, n / 2 - 5.1]) @ np.linalg.inv(cell)
    image = np.full((n, n), 30.0)
    for place, strength in zip(motif.fractions, motif.contrast("HAADF"), strict=True):
        away = ((fraction - place + 0.5) % 1 - 0.5) @ cell
        image += 300 * strength * np.exp(-(away**2).sum(axis=-1) / (2 * (55 / pixel_pm) ** 2))
    return Signal("HAADF", np.random.default_rng(0).poisson(image).astype(float)), cell


@pytest.mark.parametrize("rotation", range(0, 360, 30))
def test_a_crystal_without_a_two_fold_axis_is_found_the_right_way_round(rotation) -> None:
    motif = one_way()
    image, cell = drawn(motif, rotation)
    found = basis(image, motif, SIZE, BasisSection())
    np.testing.assert_allclose(found.cell, cell, atol=0.02 * np.linalg.norm(cell[0]))
    away = (found.origin - [103.3, 94.9]) @ np.linalg.inv(cell)
    assert np.abs(away - np.rint(away)).max() < 0.05


@pytest.mark.parametrize("signal", ["HAADF", "ABF"])
def test_an_inverted_image_is_refused(signal) -> None:
    image, _ = simulate(Scene(zone=(0, 0, 1), signals=(signal,), view=View(shape=(256, 256))))
    shown = image.signals[signal]
    inverted = replace(shown, image=float(shown.image.max()) - shown.image)
    motif = project(KTaO3, (0, 0, 1))
    assert basis(shown, motif, image.pixel_size, BasisSection()).motif is motif
    with pytest.raises(StageError, match=r"its columns look (dark on bright|bright on dark); check which detector"):
        basis(inverted, motif, image.pixel_size, BasisSection())


def test_a_pixel_size_wrong_by_the_square_root_of_two_is_refused() -> None:
    """Half of the true cell would fit, but only every second of its places is like the first."""
    image, _ = simulate(Scene(zone=(0, 0, 1), view=View(shape=(440, 440), pixel_size_pm=(12.0, 12.0))))
    motif = project(KTaO3, (0, 0, 1))
    with pytest.raises(StageError, match=r"strongest planes in the image are .* check material, zone and pixel size"):
        basis(image.signals["HAADF"], motif, PixelSize(17.0, 17.0, "user"), BasisSection())
