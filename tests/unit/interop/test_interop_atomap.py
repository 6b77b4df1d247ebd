"""Analyses as Atomap lattices, on the real package (slow to import: all of it here)."""

from __future__ import annotations

import logging
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from stemdisp.errors import RecipeError, StageError, StemdispError
from stemdisp.interop.atomap import to_atomap
from stemdisp.model.analysis import Analysis
from stemdisp.model.micrograph import PixelSize

pytestmark = [
    pytest.mark.skipif(find_spec("atomap") is None, reason="Atomap is not installed"),
    pytest.mark.filterwarnings("ignore"),  # Atomap's own
]


@pytest.fixture(scope="module")
def shaped(kto: Analysis) -> Analysis:
    """Columns with an elliptical shape and one NaN among them."""
    assert kto.columns is not None
    n = len(kto.columns)
    sigma = np.tile([5.0, 3.0], (n, 1))
    sigma[-1] = np.nan
    columns = kto.columns.replace(sigma=sigma, angle_deg=np.full(n, 30.0))
    return kto.having(columns=columns, by_signal={"ABF": columns.replace(xy=columns.xy + 0.5)})


def test_rows(shaped: Analysis) -> None:
    lattice, columns = to_atomap(shaped), shaped.columns
    assert columns is not None
    assert [one.name for one in lattice.sublattice_list] == list(columns.sites)
    assert (lattice.pixel_size, lattice.units) == (pytest.approx(0.012), "nm")
    np.testing.assert_array_equal(lattice.original_image, shaped.micrograph.signals["HAADF"].image)
    for sublattice in lattice.sublattice_list:
        rows = columns.of_site(sublattice.name) & columns.usable
        np.testing.assert_array_equal(sublattice.atom_positions, columns.xy[rows])
        assert (sublattice.pixel_size, sublattice.units) == (pytest.approx(0.012), "nm")
        measured = np.isfinite(columns.sigma[rows, 0])
        np.testing.assert_array_equal(np.array(sublattice.sigma_x)[measured], 5.0)
        np.testing.assert_array_equal(np.array(sublattice.sigma_y)[measured], 3.0)
        np.testing.assert_allclose(sublattice.rotation, np.radians(30))


def test_elements(shaped: Analysis) -> None:
    assert shaped.lattice is not None
    motif = shaped.lattice.motif
    for sublattice in to_atomap(shaped).sublattice_list:
        info = sublattice.atom_list[0].element_info
        content = motif.content[motif.site(sublattice.name)]
        assert sorted(info.values()) == sorted(e for e, count in content.items() for _ in range(int(count)))
        assert all(0 <= height < motif.repeat_A for height in info)


def test_profile_means_the_same_to_atomap(shaped: Analysis) -> None:
    """Atomap's own Gaussian of a handed-over column is the ellipse that our conventions describe."""
    atom = to_atomap(shaped).sublattice_list[0].atom_list[0]
    assert shaped.columns is not None
    row = int(np.flatnonzero(shaped.columns.of_site(shaped.columns.sites[0]) & shaped.columns.usable)[0])
    y, x = np.mgrid[0:31, 0:31] - 15.0
    turn = np.radians(30)
    along, across = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    expected = shaped.columns.amplitude[row] * np.exp(-(along**2) / 50 - across**2 / 18)
    got = atom.as_gaussian().function(x + atom.pixel_x, y + atom.pixel_y)
    np.testing.assert_allclose(got, expected, atol=1e-9)


def test_dark_columns_are_inverted(shaped: Analysis) -> None:
    lattice = to_atomap(shaped, "ABF")
    raw = np.asarray(shaped.micrograph.signals["ABF"].image)
    assert np.corrcoef(lattice.image.ravel(), raw.ravel())[0, 1] == pytest.approx(-1)
    assert lattice.image.min() >= 0
    assert shaped.columns is not None
    first = np.flatnonzero(shaped.columns.of_site(lattice.sublattice_list[0].name) & shaped.columns.usable)[0]
    np.testing.assert_allclose(lattice.sublattice_list[0].atom_positions[0], shaped.columns.xy[first] + 0.5)


def test_saved_and_loaded_by_atomap(shaped: Analysis, tmp_path: Path) -> None:
    import atomap.api as am

    lattice = to_atomap(shaped)
    lattice.save(str(tmp_path / "kto.hdf5"))
    back = am.load_atom_lattice_from_hdf5(str(tmp_path / "kto.hdf5"), construct_zone_axes=False)
    for before, after in zip(lattice.sublattice_list, back.sublattice_list, strict=True):
        np.testing.assert_allclose(after.atom_positions, before.atom_positions)
        np.testing.assert_allclose(after.rotation, before.rotation)
        assert after.atom_list[0].element_info == before.atom_list[0].element_info


def test_traps(shaped: Analysis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match="there is HAADF, ABF"):
        to_atomap(shaped, "BF")
    with pytest.raises(StageError, match="no columns yet"):
        to_atomap(shaped.having(columns=None, by_signal={}))
    oblong = shaped.having(micrograph=shaped.micrograph.with_pixel_size(PixelSize(10, 14, "user")))
    with caplog.at_level(logging.WARNING):
        assert to_atomap(oblong).pixel_size == pytest.approx(0.012)
    assert "squares" in caplog.text
    with warnings.catch_warnings():
        monkeypatch.setitem(sys.modules, "atomap.api", None)
        with pytest.raises(StemdispError, match="pip install atomap"):
            to_atomap(shaped)
