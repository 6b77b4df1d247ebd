"""Tables of positions that other programs wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stemdisp.errors import ReadError
from stemdisp.flags import Flag
from stemdisp.io.positions import GRID_PM, read_positions
from stemdisp.io.tables import write_columns_csv
from stemdisp.model.analysis import Analysis
from stemdisp.model.micrograph import PixelSize


def written(tmp_path: Path, text: str, name: str = "positions.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "std"),
    [
        ("x_px,y_px,site,x_std_px,y_std_px\n0.25,2,Ta,0.1,0.2\n3,4.5,K,0.1,0.2\n", (0.1, 0.2)),
        ("# by hand\nX (px);Y [px];Label;Std\n0,25;2;Ta;0,3\n3;4,5;K;0,3\n", (0.3, 0.3)),
        ("\ufeffy_position_px\tx_position_px\tsublattice\n2\t0.25\tTa\n4.5\t3\tK\n", (np.nan, np.nan)),
        ("x centre (pixels), y centre (pixels), Element\n0.25, 2, Ta\n3, 4.5, K\n", (np.nan, np.nan)),
    ],
)
def test_spellings(tmp_path: Path, text: str, std: tuple[float, float]) -> None:
    found = read_positions(written(tmp_path, text))
    columns = found.columns
    np.testing.assert_array_equal(columns.xy, [[0.25, 2], [3, 4.5]])
    assert [columns.sites[i] for i in columns.site] == ["Ta", "K"]
    np.testing.assert_allclose(columns.xy_std, [std, std])
    assert found.inputs[0].name == "positions.csv"
    assert found.notes == ()
    assert columns.signals == ("HAADF",)


@pytest.mark.parametrize(("unit", "factor"), [("nm", 100.0), ("A", 10.0), ("pm", 0.1)])
def test_lengths_become_px(unit: Any, factor: float) -> None:
    xy = np.array([[0.2, 0.4], [1.0, 2.0]])
    table = {"x": xy[:, 0], "y": xy[:, 1], "std": [0.01, 0.02]}
    found = read_positions(table, unit=unit)
    np.testing.assert_allclose(found.columns.xy, xy * factor)
    np.testing.assert_allclose(found.columns.xy_std[:, 1], np.array([0.01, 0.02]) * factor)
    assert found.pixel_size == PixelSize(GRID_PM, GRID_PM, "user")
    assert "pixels of 10 pm" in found.notes[0]
    own = read_positions({f"x_{unit}": xy[:, 0], f"y_{unit}": xy[:, 1]}, pixel_size=PixelSize(20, 40, "user"))
    np.testing.assert_allclose(own.columns.xy, xy * factor * [0.5, 0.25])
    assert own.notes == ()


def test_px_are_taken_where_nothing_says_so_and_it_is_said() -> None:
    found = read_positions({"x": [0.0, 1.0], "y": [5.0, 6.0]})
    assert found.notes == ("the positions: no unit is named; x and y were taken for px",)
    assert found.pixel_size is None
    assert not read_positions({"x": [0.0, 1.0], "y": [5.0, 6.0]}, unit="px").notes


def test_origin() -> None:
    table = {"x_px": [1.0, 7.0], "y_px": [2.0, 3.0]}
    assert "pass origin=0 or origin=1" in read_positions(table).notes[0]
    for origin in (0, 1):
        found = read_positions(table, origin=origin)
        np.testing.assert_array_equal(found.columns.xy, np.array([[1, 2], [7, 3]]) - origin)
        assert found.notes == ()
    with pytest.raises(ReadError, match="lies outside of any image; count pixels from 0 or 1"):
        read_positions({"x_px": [0.2, 7.0], "y_px": [2.0, 3.0]}, origin=1)


def test_lengths_below_zero_are_moved_by_whole_pixels() -> None:
    found = read_positions({"x_nm": [-0.095, 1.0], "y_nm": [2.0, 3.0]})
    np.testing.assert_allclose(found.columns.xy, [[0.5, 200], [110, 300]])
    assert "moved by (10, 0) px" in found.notes[-1]


def test_stemfit_counts_from_1(tmp_path: Path) -> None:
    """The heads that STEMfit's ``save_results`` writes, y first."""
    head = "y0 (px),x0 (px),A,length (px),width (px),angle (deg),vector 1 lp (px),vector 2 lp (px)\n"
    found = read_positions(written(tmp_path, head + "2,1,0.5,4,3,90,20,21\n7,5,0.1,4,3,90,20,21\n"))
    np.testing.assert_array_equal(found.columns.xy, [[0, 1], [4, 6]])
    np.testing.assert_array_equal(found.columns.amplitude, [0.5, 0.1])
    assert np.isnan(found.columns.sigma).all(), "length and width are those of a spot above a threshold"
    assert "written by STEMfit" in found.notes[0]
    nm = written(tmp_path, head.replace("(px)", "(nm)") + "2,1,0.5,4,3,90,20,21\n7,5,0.1,4,3,90,20,21\n")
    np.testing.assert_allclose(read_positions(nm).columns.xy, [[100, 200], [500, 700]])
    assert "their size is not known" in " ".join(read_positions(nm).notes)
    sized = read_positions(nm, pixel_size=PixelSize(20, 20, "user"))
    np.testing.assert_allclose(sized.columns.xy, [[49, 99], [249, 349]])


def test_own_table_is_read_with_all_that_it_holds(kto: Analysis, tmp_path: Path) -> None:
    assert kto.columns is not None and kto.micrograph.pixel_size is not None
    write_columns_csv(kto, tmp_path / "columns.csv")
    found = read_positions(tmp_path / "columns.csv")
    columns, own = found.columns, kto.columns
    assert found.notes == ()
    np.testing.assert_allclose(found.pixel_size.xy_pm if found.pixel_size else 0, 12, rtol=1e-9)
    np.testing.assert_allclose(columns.xy, own.xy, rtol=1e-11)
    np.testing.assert_allclose(columns.cov, np.nan_to_num(own.cov), rtol=1e-9)
    np.testing.assert_array_equal(columns.flags, own.flags)
    assert [columns.sites[i] for i in columns.site] == [own.sites[i] for i in own.site]
    assert columns.signals[0] == "HAADF"
    np.testing.assert_allclose(columns.amplitude, own.amplitude)


def test_a_data_frame_is_a_table(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    found = read_positions(pandas.DataFrame({"x_px": [0.0, 1.0], "y_px": [2.0, 3.0], "site": ["K", None]}))
    assert found.columns.sites == ("K",)
    assert found.columns.site.tolist() == [0, -1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no table"),
        ("1,2\n3,4\n", "has no header: line 1 holds numbers"),
        ("x,site\n1,Ta\n", "has no column y; there is x, site"),
        ("x,y\n1,2\n3,four\n", "line 3: y 'four' is no number"),
        ("x,y\n1,2\n3,\n5,\n", "line 3 has no position, nor have 1 others"),
        ("x,y\n1,5,2,5\n", "line 2 has 4 columns and the header 2; with decimal commas"),
        ("x,y,std\n1,2,0.1\n3,4,-0.1\n", "std is negative in line 3"),
        ("x,y\n1,2\n3,99999\n", "that of no image; name the unit"),
        ('x,y\n1,"2\n3"\n', "goes over several lines"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ReadError, match=said):
        read_positions(written(tmp_path, text))


def test_other_files_and_things(tmp_path: Path, kto: Analysis) -> None:
    with pytest.raises(ReadError, match="cannot be read: No such file"):
        read_positions(tmp_path / "none.csv")
    with pytest.raises(ReadError, match=r"only MATLAB can open.*writetable"):
        read_positions(tmp_path / "fit.mat")
    with pytest.raises(ReadError, match="from_atomap"):
        read_positions(tmp_path / "lattice.hdf5")
    (tmp_path / "image.csv").write_bytes(b"\0\1\2")
    with pytest.raises(ReadError, match="is no text"):
        read_positions(tmp_path / "image.csv")
    with pytest.raises(ReadError, match="not a list; pass"):
        read_positions([1, 2])  # type: ignore[arg-type]
    with pytest.raises(ReadError, match="y has 3 values and x 2|x has 2 values and x 3"):
        read_positions({"x": [1.0, 2.0], "y": [1.0, 2.0, 3.0]})
    with pytest.raises(ReadError, match="are in nm by their heads, not in px"):
        read_positions({"x_nm": [1.0], "y_nm": [1.0]}, unit="px")
    write_columns_csv(kto, tmp_path / "columns.csv")
    text = (tmp_path / "columns.csv").read_text(encoding="utf-8")
    with pytest.raises(ReadError, match="'WEEK' is no flag"):
        read_positions(written(tmp_path, text.replace("WEAK", "WEEK")))
    with pytest.raises(ReadError, match="'EELS' is no signal; there is HAADF"):
        read_positions(written(tmp_path, text.replace(",HAADF,", ",EELS,")))
    assert Flag.WEAK.name in text
