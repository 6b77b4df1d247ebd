"""Analyses as HyperSpy signals."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from stemdisp.errors import StemdispError
from stemdisp.interop.hyperspy import on_grid, to_hyperspy
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
