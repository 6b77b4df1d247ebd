"""Panta Rhei files and HyperSpy's .zspy: zip archives and folders of small files."""

from __future__ import annotations

import io
import json
import sys
import zipfile
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import PRZ_CALIBRATION, write_folder, write_prz, write_zip, zspy_files

from stemdisp.errors import ReadError
from stemdisp.io import formats, zipped
from stemdisp.io.read import read

NEEDS_BLOSC = pytest.mark.skipif(find_spec("numcodecs") is None, reason="numcodecs is not installed")
BLOSC = pytest.param("blosc", marks=NEEDS_BLOSC)


class TestPantaRhei:
    def test_image(self, tmp_path: Path, image: np.ndarray) -> None:
        found = read(write_prz(tmp_path / "a.prz", image))
        np.testing.assert_array_equal(found.signals["HAADF"].image, image)
        assert found.pixel_size is not None
        np.testing.assert_allclose(found.pixel_size.xy_pm, [10, 20])
        assert found.metadata["beam_energy_keV"] == "200.0"
        assert found.inputs[0].reader == "Panta Rhei"

    def test_agrees_with_rosettasciio(self, tmp_path: Path, image: np.ndarray) -> None:
        prz = pytest.importorskip("rsciio.pantarhei")
        said: dict[str, Any] = {"type": "Stack", "device.calib": [*PRZ_CALIBRATION, {"offset": 0, "value": 1}]}
        path = write_prz(tmp_path / "a.prz", np.stack([image, image + 1]), **said)
        (theirs,), ((ours,), _) = prz.file_reader(path), formats.images(path)
        np.testing.assert_array_equal(ours.data, theirs["data"])
        assert [axis["scale"] for axis in theirs["axes"][1:]] == [axis.scale for axis in ours.axes[1:]] == [0.02, 0.01]
        assert [axis["navigate"] for axis in theirs["axes"]] == [axis.navigate for axis in ours.axes]

    def test_stack_binned(self, tmp_path: Path, image: np.ndarray) -> None:
        calibrated = [one | {"pixel_factor": 2} for one in PRZ_CALIBRATION]
        found = read(write_prz(tmp_path / "a.prz", np.stack([image, image + 2]), **{"device.calib": calibrated}))
        assert found.frames == 2 and found.pixel_size is not None
        np.testing.assert_allclose(found.pixel_size.xy_pm, [20, 40])

    def test_spectra_and_patterns(self, tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str]) -> None:
        calibrated = [{"unit": "eV", "offset": 0, "value": 1}, *PRZ_CALIBRATION]
        kinds = ["Energy", "ScanX", "ScanY"]
        said = {"device.calib": calibrated, "content.types": kinds}
        assert "spectr" in refusal(write_prz(tmp_path / "a.prz", np.stack([image, image]), **said))
        reciprocal = [one | {"unit": "1/nm"} for one in PRZ_CALIBRATION]
        assert "diffraction" in refusal(write_prz(tmp_path / "a.prz", image, **{"device.calib": reciprocal}))

    def test_python_objects_are_never_loaded(self, tmp_path: Path, image: np.ndarray) -> None:
        class Bad:
            def __reduce__(self) -> tuple[Any, ...]:
                return Path.touch, (tmp_path / "touched",)

        with (tmp_path / "a.prz").open("wb") as file:
            np.savez(file, data=image, meta_data=np.array([Bad()], dtype=object))
        found = read(tmp_path / "a.prz")
        np.testing.assert_array_equal(found.signals["HAADF"].image, image)
        assert found.pixel_size is None
        assert any("Python objects" in note for note in found.notes)
        with (tmp_path / "a.prz").open("wb") as file:
            np.savez(file, data=np.array([[Bad()]], dtype=object), meta_data_json=np.array(json.dumps([{}])))
        with pytest.raises(ReadError):
            read(tmp_path / "a.prz")
        assert not (tmp_path / "touched").exists()

    def test_bombs(self, tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str]) -> None:
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (99999, 99999)})
        for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            with zipfile.ZipFile(tmp_path / "a.prz", "w", compression) as archive:
                archive.writestr("data.npy", head.getvalue() + bytes(1000))
            assert "GiB" in refusal(tmp_path / "a.prz")
        with zipfile.ZipFile(tmp_path / "a.prz", "w", zipfile.ZIP_BZIP2) as archive:
            archive.writestr("data.npy", b"")
            archive.writestr("meta_data_json.npy", bytes(60 * 2**20))
        assert "more than it can" in refusal(tmp_path / "a.prz")

    def test_damage(self, tmp_path: Path, image: np.ndarray, damaged: Callable[..., int]) -> None:
        assert damaged(write_prz(tmp_path / "a.prz", image)) > 40

    def test_other_archives(
        self, tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        np.savez(tmp_path / "a.npz", one=image)
        assert "save one array as .npy" in refusal(tmp_path / "a.npz")
        monkeypatch.setattr(zipped, "MOST_MEMBERS", 0)
        assert "files" in refusal(tmp_path / "a.npz")


def refused(path: Path) -> str:
    with pytest.raises(ReadError) as caught:
        formats.images(path)
    assert str(caught.value).isprintable()
    return str(caught.value)


class TestZspy:
    @pytest.mark.parametrize("write", [write_folder, write_zip])
    @pytest.mark.parametrize("pack", [BLOSC, "zlib", "gzip", None])
    def test_image(self, tmp_path: Path, image: np.ndarray, write: Any, pack: str | None) -> None:
        path = write(tmp_path / "a.zspy", zspy_files(image, (10, 20), pack))
        (one,), reader = formats.images(path)
        np.testing.assert_array_equal(one.data, image)
        assert (one.title, reader) == ("HAADF", "HyperSpy zspy")
        assert [(axis.scale, axis.unit, axis.navigate) for axis in one.axes] == [
            (0.02, "nm", False),
            (0.01, "nm", False),
        ]
        assert one.facts == {"date": "2020-01-01"}

    def test_zip_is_read_like_any_file(self, tmp_path: Path, image: np.ndarray) -> None:
        found = read(write_zip(tmp_path / "a.zspy", zspy_files(np.stack([image, image + 2]), (1, 24, 32), "zlib")))
        assert found.frames == 2 and found.pixel_size is not None

    def test_missing_blocks_have_the_fill_value(self, tmp_path: Path, image: np.ndarray) -> None:
        files = zspy_files(image, (12, 32), None, fill_value=7)
        del files["Experiments/HAADF/data/1/0"]
        (one,), _ = formats.images(write_folder(tmp_path / "a.zspy", files))
        np.testing.assert_array_equal(one.data[12:], 7)

    def test_four_dimensions_take_no_memory(self, tmp_path: Path) -> None:
        files = zspy_files(np.zeros((1, 1, 8, 8)), (1, 1, 8, 8), None, shape=(999, 999, 999, 999))
        (one,), _ = formats.images(write_folder(tmp_path / "a.zspy", files))
        assert one.data.strides == (0, 0, 0, 0)

    @NEEDS_BLOSC
    def test_without_numcodecs(self, tmp_path: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write_folder(tmp_path / "a.zspy", zspy_files(image, (24, 32), "blosc"))
        monkeypatch.setitem(sys.modules, "numcodecs", None)
        assert 'pip install "stemdisp[zspy]"' in refused(path)

    @pytest.mark.parametrize(
        ("array", "words"),
        [
            ({"compressor": {"id": "pickle"}}, "packed by pickle"),
            ({"filters": [{"id": "pickle"}]}, "no way that HyperSpy uses"),
            ({"shape": [60000, 60000]}, "GiB"),
            ({"shape": [3000, 3000], "chunks": [1, 1]}, "blocks"),
            ({"chunks": [2**20, 2**20]}, "blocks"),
            ({"chunks": [0, 32]}, "no way that HyperSpy uses"),
            ({"chunks": [24]}, "no way that HyperSpy uses"),
            ({"shape": [0, 32]}, "no pixel"),
            ({"dtype": "|O"}, ""),
            ({"dtype": "nonsense"}, "damaged"),
            ({"shape": "ab"}, "damaged"),
        ],
    )
    def test_headers_that_lie(self, tmp_path: Path, image: np.ndarray, array: dict[str, Any], words: str) -> None:
        path = write_folder(tmp_path / "a.zspy", zspy_files(image, (24, 32), None, **array))
        if array == {"dtype": "|O"}:
            (one,), _ = formats.images(path)
            assert one.data.strides == (0, 0)
        else:
            assert words in refused(path)

    @pytest.mark.parametrize("pack", [BLOSC, "zlib", None])
    def test_blocks_that_lie(self, tmp_path: Path, image: np.ndarray, pack: str | None) -> None:
        files = zspy_files(image, (24, 32), pack)
        block = files["Experiments/HAADF/data/0/0"]
        for bad in (block[:-20], b"", block[:8]):
            files["Experiments/HAADF/data/0/0"] = bad
            refused(write_folder(tmp_path / "a.zspy", files))
        files["Experiments/HAADF/data/0/0"] = zlib.compress(bytes(50 * 2**20)) if pack else bytes(99999999)
        refused(write_folder(tmp_path / "a.zspy", files))

    def test_links_out_of_the_folder(self, tmp_path: Path, image: np.ndarray) -> None:
        path = write_folder(tmp_path / "a.zspy", zspy_files(image, (24, 32), None))
        (tmp_path / "secret").write_bytes(image.tobytes())
        block = path / "Experiments/HAADF/data/0/0"
        block.unlink()
        block.symlink_to(tmp_path / "secret")
        assert "link to elsewhere" in refused(path)

    @NEEDS_BLOSC
    def test_damage(self, tmp_path: Path, image: np.ndarray, damaged: Callable[..., int]) -> None:
        assert damaged(write_zip(tmp_path / "a.zspy", zspy_files(image, (24, 32), "blosc"))) > 40

    def test_empty(self, tmp_path: Path) -> None:
        assert "no image" in refused(write_folder(tmp_path / "a.zspy", {".zgroup": b"{}"}))
        (tmp_path / "b.zspy").mkdir()
        assert "is a folder" in refused(tmp_path / "b.zspy")
