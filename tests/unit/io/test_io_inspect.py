"""What is said to be in a file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from stemdisp.errors import ReadError
from stemdisp.io.inspect import contents


def write(path: Path, *entries: tuple[str, np.ndarray, str], unit: str = "nm") -> Path:
    """A HyperSpy file of (title, data, unit of the last axis)."""
    with h5py.File(path, "w") as file:
        for title, data, last in entries:
            group = file.create_group(f"Experiments/{title}")
            group["data"] = data
            group.create_group("metadata/General").attrs["title"] = title
            group.create_group("metadata/Acquisition_instrument/TEM").attrs["beam_energy"] = 200.0
            for i in range(data.ndim):
                axis = group.create_group(f"axis-{i}")
                axis.attrs["navigate"] = i < data.ndim - 2
                axis.attrs["scale"] = 0.012
                axis.attrs["units"] = last if i == data.ndim - 1 else unit
    return path


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Images, a stack, and what is none."""
    rng = np.random.default_rng(0)
    return write(
        tmp_path / "mixed.hspy",
        ("a iDPC", rng.random((16, 20)), "nm"),
        ("b HAADF", rng.random((3, 16, 20)), "nm"),
        ("c ABF", np.zeros((16, 20)), "nm"),
        ("d EDS", np.zeros((4, 5, 64)), "keV"),
        ("e [red]\x1b[31m\nline", rng.random((16, 20)), "nm"),
    )


def test_everything_is_shown(mixed: Path) -> None:
    found = contents(mixed)
    rows = {entry.title[0]: entry for entry in found.entries}
    assert found.heading == "mixed.hspy: HyperSpy; 200.0 keV"
    assert [rows[letter].signal for letter in "abcd"] == ["-", "HAADF", "(ABF)", "-"]
    assert (rows["b"].size, rows["b"].frames, rows["b"].pixel_size) == ("20 x 16", "3", "12 pm")
    assert (rows["d"].size, rows["d"].low, rows["d"].frames) == ("64 x 5 x 4", "-", "-")
    assert float(rows["b"].low) < 0.1 and float(rows["b"].high) > 0.9
    assert found.verdict == "would be analysed: HAADF (#2)"


def test_every_reason_is_said_with_its_number(mixed: Path) -> None:
    notes = "\n".join(contents(mixed).notes)
    assert "#1: left out (a phase image)" in notes
    assert "#3: all pixels have the same value" in notes
    assert "#4: left out: a spectrum image (4 x 5 x 64), not an image" in notes


def test_nothing_to_analyse_is_a_verdict(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = write(tmp_path / "a.hspy", ("one", rng.random((16, 20)), "nm"), ("two", rng.random((16, 20)), "nm"))
    found = contents(path)
    assert len(found.entries) == 2
    assert found.verdict.startswith("nothing would be analysed: ") and "haadf_title" in found.verdict


def test_no_pixel_size_and_missing_pixels_are_explained(tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((16, 20)).astype(np.float32)
    image[0, :3] = np.nan
    tifffile.imwrite(tmp_path / "x.tif", image)
    found = contents(tmp_path / "x.tif")
    assert found.entries[0].pixel_size == "none"
    assert any("has no pixel size" in note for note in found.notes)
    assert any("3 pixels are missing" in note for note in found.notes)


def test_unreadable_files_raise(tmp_path: Path) -> None:
    (tmp_path / "bad.tif").write_bytes(b"II*\0")
    with pytest.raises(ReadError, match="bad.tif"):
        contents(tmp_path / "bad.tif")
