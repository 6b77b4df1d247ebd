"""Analyses as HyperSpy signals."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stemdisp.errors import ReadError, StemdispError
from stemdisp.interop.hyperspy import from_hyperspy, on_grid, to_hyperspy
from stemdisp.io.read import read
from stemdisp.model.analysis import Analysis

pytest.importorskip("hyperspy", reason="HyperSpy is not installed")


def test_images_are_calibrated_and_read_back(kto: Analysis) -> None:
    found = to_hyperspy(kto)
    signal = found["HAADF"]
    x, y = signal.axes_manager.signal_axes
    assert (x.name, y.name, x.units) == ("x", "y", "nm")
    assert x.scale == y.scale == pytest.approx(0.012)
    assert signal.data.flags.writeable, "a copy, to be worked on"
    back = read(found["HAADF"], found["ABF"])
    for name, original in kto.micrograph.signals.items():
        np.testing.assert_array_equal(back.signals[name].image, original.image)
        assert back.signals[name].contrast == original.contrast
    assert back.pixel_size is not None
    np.testing.assert_allclose(back.pixel_size.xy_pm, 12)


def test_maps_hold_every_cell_at_its_index(kto: Analysis) -> None:
    cells, moved, lattice = kto.cells, kto.displacement, kto.lattice
    assert cells is not None and moved is not None and lattice is not None
    found = to_hyperspy(kto)
    assert set(found) == {
        *("HAADF", "ABF", "dx_pm", "dy_pm", "magnitude_pm"),
        *("px_uC_cm2", "py_uC_cm2", "polarization_uC_cm2"),
        *("exx_percent", "eyy_percent", "exy_percent", "rotation_deg", "e_normal_percent", "e_parallel_percent"),
        *("moving_intensity", "reference_intensity", "bond_pm", "oxygen_dx_pm", "oxygen_dy_pm"),
    }
    assert found["exx_percent"].metadata.Signal.quantity == "exx_percent (%)"
    for name, values in (("dx_pm", moved.uv[:, 0]), ("magnitude_pm", moved.magnitude)):
        signal = found[name]
        h, k = signal.axes_manager.signal_axes
        assert (h.name, k.name, h.units) == ("h", "k", "nm")
        assert h.scale == pytest.approx(np.linalg.norm(lattice.a) * 0.012)
        columns = np.rint(cells.hk[:, 0] - h.offset / h.scale).astype(int)
        rows = np.rint(cells.hk[:, 1] - k.offset / k.scale).astype(int)
        np.testing.assert_array_equal(signal.data[rows, columns], values)
        assert np.isfinite(signal.data).sum() == moved.valid.sum()
    assert found["dx_pm"].metadata.stemdisp.a_px == lattice.a.tolist()


def test_maps_are_saved_and_read_back(kto: Analysis, tmp_path: Path) -> None:
    import hyperspy.api as hs

    cells, moved, maps = kto.cells, kto.displacement, kto.maps
    assert cells is not None and moved is not None and maps is not None
    found = to_hyperspy(kto)
    wanted = {"dx_pm": (moved.uv[:, 0], moved.std[:, 0]), "exx_percent": (maps.exx_percent, maps.exx_std_percent)}
    wanted["bond_pm"] = (maps.bond_pm, maps.bond_std_pm)
    assert kto.polarization is not None
    wanted["py_uC_cm2"] = (kto.polarization.uv[:, 1], kto.polarization.std[:, 1])
    for name, (values, std) in wanted.items():
        found[name].save(str(tmp_path / f"{name}.hspy"))
        back = hs.load(str(tmp_path / f"{name}.hspy"))
        hk, read_values = from_hyperspy(back)
        known = np.isfinite(values)
        rows = {(int(h), int(k)): i for i, (h, k) in enumerate(cells.hk)}
        order = [rows[int(h), int(k)] for h, k in hk]
        assert sorted(order) == np.flatnonzero(known).tolist()
        np.testing.assert_array_equal(read_values, values[order])
        variance = back.get_noise_variance()
        image, _ = on_grid(cells, std**2)
        np.testing.assert_array_equal(variance.data, image)
        assert back.metadata.Signal.quantity.startswith(name)
        assert [axis.units for axis in back.axes_manager.signal_axes] == ["nm", "nm"]
    part = found["dx_pm"].isig[3:9, 2:8]
    hk, values = from_hyperspy(part)
    for cell, value in zip(hk, values, strict=True):
        assert value == moved.uv[(cells.hk == cell).all(axis=1), 0]


def test_length_of_a_vector_has_the_error_along_it(kto: Analysis) -> None:
    assert kto.displacement is not None
    field = replace(kto.displacement, cov=kto.displacement.cov * np.array([[4.0, 0.0], [0.0, 1.0]]))
    magnitude = to_hyperspy(kto.having(displacement=field))["magnitude_pm"]
    hk, values = from_hyperspy(magnitude)
    _, variances = from_hyperspy(magnitude.get_noise_variance())
    assert kto.cells is not None
    rows = [int(np.flatnonzero((kto.cells.hk == cell).all(axis=1))[0]) for cell in hk]
    uv = field.uv[rows]
    np.testing.assert_allclose(variances, 2.5**2 * (4 * uv[:, 0] ** 2 + uv[:, 1] ** 2) / values**2)


def test_other_signals_are_no_maps(kto: Analysis) -> None:
    for other in (to_hyperspy(kto)["HAADF"], np.zeros((3, 4))):
        with pytest.raises(ReadError, match="no map of unit cells"):
            from_hyperspy(other)


def test_uncalibrated_and_unfinished(kto: Analysis) -> None:
    bare = kto.having(micrograph=kto.micrograph.with_pixel_size(None), polarization=None)
    found = to_hyperspy(bare)
    assert {axis.units for axis in found["HAADF"].axes_manager.signal_axes} == {"px"}
    assert "px_uC_cm2" not in found
    assert set(to_hyperspy(bare.having(cells=None))) == {"HAADF", "ABF"}


def test_no_cells(kto: Analysis) -> None:
    assert kto.cells is not None
    none = type(kto.cells)(
        "K", "Ta", *(np.zeros((0, 2), int), np.zeros(0, int), np.zeros((0, 2), int)), np.zeros((0, 2)), np.zeros(0, int)
    )
    assert on_grid(none, np.zeros(0))[0].shape == (0, 0)


def test_missing_package_is_said(kto: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hyperspy.signals", None)
    with pytest.raises(StemdispError, match="pip install hyperspy"):
        to_hyperspy(kto)
