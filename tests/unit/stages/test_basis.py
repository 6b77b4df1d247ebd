"""The average lattice: K at the origin in both contrasts, at any rotation; noise is refused."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.crystal import project
from stemdisp.errors import StageError
from stemdisp.materials import ZONES, KTaO3
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
