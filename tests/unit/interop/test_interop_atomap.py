"""Analyses as Atomap lattices, on the real package (slow to import: all of it here)."""

from __future__ import annotations

import logging
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from stemdisp.elsewhere import from_positions
from stemdisp.errors import ReadError, RecipeError, StageError, StemdispError
from stemdisp.interop.atomap import from_atomap, to_atomap
from stemdisp.interop.temul import to_temul
from stemdisp.model.analysis import Analysis
from stemdisp.model.micrograph import PixelSize
from stemdisp.motion import Motion
from stemdisp.recipe import for_material
from stemdisp.scene import Scene, View
from stemdisp.synthetic import simulate

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


@pytest.mark.parametrize("signal", ["HAADF", "ABF"])
def test_there_and_back(shaped: Analysis, tmp_path: Path, signal: str) -> None:
    """Positions, widths, directions and, in memory, amplitudes."""
    columns = shaped.columns if signal == "HAADF" else shaped.by_signal["ABF"]
    assert columns is not None
    columns = columns.replace(amplitude=np.where(signal == "ABF", -1, 1) * np.abs(columns.amplitude))
    lattice = to_atomap(shaped.having(columns=columns, by_signal={"ABF": columns}), signal)
    lattice.save(str(tmp_path / "kto.hdf5"))
    rows = np.concatenate([np.flatnonzero(columns.of_site(name) & columns.usable) for name in columns.sites])
    measured = np.isfinite(columns.sigma[rows]).all(axis=1)
    for source in (lattice, list(lattice.sublattice_list), tmp_path / "kto.hdf5"):
        found = from_atomap(source, signal=signal)
        np.testing.assert_allclose(found.columns.xy, columns.xy[rows], atol=1e-9)
        assert [found.columns.sites[i] for i in found.columns.site] == [columns.sites[i] for i in columns.site[rows]]
        np.testing.assert_allclose(found.columns.sigma[measured], columns.sigma[rows][measured])
        np.testing.assert_allclose(found.columns.angle_deg[measured], 30)
        assert np.isnan(found.columns.cov).all(), "Atomap knows no errors"
        assert found.shape == shaped.micrograph.shape
        assert found.pixel_size is not None
        np.testing.assert_allclose(found.pixel_size.xy_pm, 12)
        if not isinstance(source, Path):
            np.testing.assert_allclose(found.columns.amplitude[measured], columns.amplitude[rows][measured])
        else:
            assert np.isnan(found.columns.amplitude).all(), "Atomap's file does not hold them"
            assert found.inputs[0].name == "kto.hdf5"
    analysed = from_positions(found, shaped.recipe)
    assert analysed.displacement is not None and analysed.displacement.valid.sum() > 50


def test_a_narrow_sigma_x_is_an_ellipse_across(shaped: Analysis) -> None:
    lattice = to_atomap(shaped)
    atom = lattice.sublattice_list[0].atom_list[0]
    atom.sigma_x, atom.sigma_y, atom.rotation = 3.0, 5.0, np.radians(120)
    found = from_atomap(lattice).columns
    np.testing.assert_allclose([*found.sigma[0], found.angle_deg[0]], [5, 3, 30])


def test_atomap_of_its_own(tmp_path: Path) -> None:
    """A lattice that Atomap made, with columns that it never fitted."""
    import atomap.api as am

    sublattice = am.Sublattice([[4.0, 7.0], [8.0, 3.0]], np.zeros((20, 30)))
    found = from_atomap(sublattice)
    np.testing.assert_array_equal(found.columns.xy, [[4, 7], [8, 3]])
    assert np.isnan(found.columns.sigma).all() and np.isnan(found.columns.amplitude).all()
    assert (found.pixel_size, found.shape, found.columns.sites) == (None, (20, 30), ("sublattice 0",))
    with pytest.raises(ReadError, match="no column in this lattice"):
        from_atomap(am.Atom_Lattice())
    with pytest.raises(ReadError, match="a str|a dict is no lattice"):
        from_atomap({})
    with pytest.raises(ReadError, match="cannot be read as a lattice of Atomap"):
        from_atomap(tmp_path / "none.hdf5")
    (tmp_path / "text.hdf5").write_text("x,y")
    with pytest.raises(ReadError, match="cannot be read as a lattice of Atomap"):
        from_atomap(tmp_path / "text.hdf5")
    with pytest.raises(RecipeError, match="choose HAADF, ABF, BF"):
        from_atomap(sublattice, signal="EELS")


def test_sign_and_axes_are_those_of_atomap() -> None:
    """K off the middle of its four Ta by unlike amounts to the right and down: Atomap's own function, on our lattice,
    finds the same places and the opposite vectors, as its vectors go from the column to the middle."""
    scene = Scene(zone=(0, 0, 1), view=View(shape=(180, 220), rotation_deg=0), motion=Motion(uniform_pm=(30, 10)))
    _, truth = simulate(scene)
    table = {"x": truth.xy[:, 0], "y": truth.xy[:, 1], "site": truth.site}
    analysis = from_positions(table, for_material("KTaO3", "001"), unit="px", origin=0, pixel_size=10)
    assert analysis.displacement is not None
    np.testing.assert_allclose(analysis.displacement.uv[analysis.displacement.valid] / [30, 10], 1)
    lattice = to_atomap(analysis)
    by_name = {one.name: one for one in lattice.sublattice_list}
    by_name["Ta"].construct_zone_axes(atom_plane_tolerance=0.5)
    zones = by_name["Ta"].zones_axis_average_distances[:2]
    signal = by_name["Ta"].get_polarization_from_second_sublattice(*zones, by_name["K"])
    vectors = np.array(signal.metadata.vector_list)
    ours = to_temul(analysis)
    places = np.column_stack([ours["x"], ours["y"]])
    near = np.linalg.norm(vectors[:, None, :2] - places, axis=2)
    assert len(vectors) >= 6 and near.min(axis=1).max() < 1e-4  # Atomap gives single precision
    row = near.argmin(axis=1)
    np.testing.assert_allclose(-vectors[:, 2], np.array(ours["u"])[row], atol=1e-4)
    np.testing.assert_allclose(-vectors[:, 3], np.array(ours["v"])[row], atol=1e-4)
