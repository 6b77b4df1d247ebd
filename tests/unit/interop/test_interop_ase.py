"""Columns and the mean cell as atoms."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from stemdisp.errors import CalibrationError, StageError, StemdispError
from stemdisp.interop.ase import to_ase
from stemdisp.model.analysis import Analysis
from stemdisp.model.micrograph import PixelSize

pytest.importorskip("ase", reason="ASE is not installed")


def test_columns_stand_as_they_are_seen(kto: Analysis) -> None:
    oblong = kto.having(micrograph=kto.micrograph.with_pixel_size(PixelSize(10, 20, "user")))
    atoms, columns = to_ase(oblong), kto.columns
    assert columns is not None
    rows = atoms.get_array("column")
    np.testing.assert_array_equal(rows, np.flatnonzero(columns.usable))
    ny, nx = kto.micrograph.shape
    np.testing.assert_allclose(atoms.cell.lengths()[:2], [nx * 0.1, ny * 0.2])
    x, y, z = atoms.get_positions().T
    np.testing.assert_allclose(x, (columns.xy[rows, 0] + 0.5) * 0.1)
    np.testing.assert_allclose(y, ny * 0.2 - (columns.xy[rows, 1] + 0.5) * 0.2)
    assert not z.any()
    assert atoms.get_chemical_symbols() == [columns.sites[i] for i in columns.site[rows]]
    np.testing.assert_array_equal(atoms.get_array("hk"), columns.hk[rows])
    np.testing.assert_allclose(atoms.get_array("std_A")[0], columns.xy_std[rows[0]] * [0.1, 0.2])
    assert not atoms.pbc.any()


def test_mean_cell_is_the_crystal_with_its_displacement(kto: Analysis) -> None:
    columns, lattice = kto.columns, kto.lattice
    assert columns is not None and lattice is not None
    moved = columns.of_site("K")
    shifted = kto.having(columns=columns.replace(xy=np.where(moved[:, None], columns.xy + [2.0, 1.0], columns.xy)))
    cell, atoms = to_ase(kto, "cell"), to_ase(shifted, "cell")
    assert list(atoms.get_array("site")) == list(columns.sites)
    assert atoms.pbc.all()
    np.testing.assert_allclose(atoms.cell[2, 2], lattice.motif.repeat_A)
    k = list(columns.sites).index("K")
    off = atoms.get_positions() - cell.get_positions()
    np.testing.assert_allclose(off[k], [0.24, -0.12, 0], atol=1e-12)
    np.testing.assert_allclose(np.delete(off, k, axis=0), 0, atol=1e-12)
    fractions = cell.get_scaled_positions(wrap=False)[:, :2]
    np.testing.assert_allclose(fractions, lattice.motif.fractions, atol=1e-9)


def test_what_is_missing_is_said(kto: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CalibrationError, match="no pixel size"):
        to_ase(kto.having(micrograph=kto.micrograph.with_pixel_size(None)))
    with pytest.raises(StageError, match="no columns yet"):
        to_ase(kto.having(columns=None))
    monkeypatch.setitem(sys.modules, "ase", None)
    with pytest.raises(StemdispError, match="pip install ase"):
        to_ase(kto)
