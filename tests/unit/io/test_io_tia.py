"""TIA series, written byte for byte, alone and with the document beside them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_files import write_emi, write_ser

from stemdisp.io import formats
from stemdisp.io.read import read


@pytest.mark.parametrize("version", [0x210, 0x220])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4"])
def test_image(tmp_path: Path, image: np.ndarray, version: int, dtype: str) -> None:
    data = image.astype(dtype)
    found = read(write_ser(tmp_path / "a_HAADF_1.ser", data, version=version))
    np.testing.assert_array_equal(found.signals["HAADF"].image, data)
    assert found.pixel_size is not None
    np.testing.assert_allclose(found.pixel_size.xy_pm, [10, 20])
    assert found.inputs[0].reader == "TIA"


def test_agrees_with_rosettasciio(tmp_path: Path, image: np.ndarray) -> None:
    tia = pytest.importorskip("rsciio.tia")
    data = image[:, :24]  # RosettaSciIO takes width for height
    path = write_ser(tmp_path / "a_1.ser", data, data + 1)
    (theirs,) = tia.file_reader(str(path))
    (ours,), _ = formats.images(path)
    np.testing.assert_array_equal(ours.data, theirs["data"])
    assert [axis["scale"] for axis in theirs["axes"][1:]] == pytest.approx([0.02, 0.01])


def test_series_is_averaged(tmp_path: Path, image: np.ndarray) -> None:
    found = read(write_ser(tmp_path / "a_1.ser", image, image + 2))
    assert found.frames == 2
    np.testing.assert_array_equal(found.signals["HAADF"].image, image + 1)


def test_scan_of_patterns_is_refused(tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str]) -> None:
    path = write_ser(tmp_path / "a_1.ser", *[image] * 4, dimensions=((2, "meters"), (2, "meters")))
    assert "does not say that its first axis counts frames" in refusal(path)


def test_spectra_and_other_kinds(tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str]) -> None:
    assert "spectrum" in refusal(write_ser(tmp_path / "a_1.ser", image, kind=0x4120))
    assert "spectra" in refusal(write_ser(tmp_path / "a_1.ser", image, image, kind=0x4120))
    assert "0x4121" in refusal(write_ser(tmp_path / "a_1.ser", image, kind=0x4121))


def test_every_missing_byte_is_noticed(tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str]) -> None:
    path = write_ser(tmp_path / "a_1.ser", image, image + 1)
    raw = path.read_bytes()
    for missing in (1, 8, 16, 100, len(raw) // 2):
        path.write_bytes(raw[:-missing])
        assert "cut short" in refusal(path)


def test_images_that_differ(tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str]) -> None:
    assert "differ" in refusal(write_ser(tmp_path / "a_1.ser", image[:, :16], image))


def test_bombs(tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str]) -> None:
    raw = bytearray(write_ser(tmp_path / "a_1.ser", image).read_bytes())
    place = raw.index(struct.pack("<II", 32, 24))
    (tmp_path / "a_1.ser").write_bytes(raw[:place] + struct.pack("<II", 2**31, 2**31) + raw[place + 8 :])
    assert "GiB" in refusal(tmp_path / "a_1.ser")
    raw[14:22] = struct.pack("<II", 2**32 - 1, 2**32 - 1)
    (tmp_path / "a_1.ser").write_bytes(raw)
    assert "damaged" in refusal(tmp_path / "a_1.ser")


def test_damage(tmp_path: Path, image: np.ndarray, damaged: Callable[..., int]) -> None:
    assert damaged(write_ser(tmp_path / "a_1.ser", image, image + 1), flips=200, head=250) > 50


class TestDocument:
    def test_describes_the_series_beside_it(self, tmp_path: Path, image: np.ndarray) -> None:
        write_emi(tmp_path / "a.emi", "STEM nP SA Zoom Image")
        found = read(write_ser(tmp_path / "a_1.ser", image))
        assert found.metadata["date"] == "Wed Jul 29 16:49:51 2020"
        assert found.metadata["beam_energy_keV"] == "300"
        assert found.pixel_size is not None

    def test_names_the_images_after_their_files(self, tmp_path: Path, image: np.ndarray) -> None:
        path = write_emi(tmp_path / "a.emi", "STEM", "STEM")
        write_ser(tmp_path / "a_2.ser", image.astype("f4"))
        write_ser(tmp_path / "a_1.ser", image)
        found, reader = formats.images(path)
        assert [one.title for one in found] == ["a_1", "a_2"] and reader == "TIA"

    @pytest.mark.parametrize(("mode", "camera"), [("TEM Diffraction", ""), ("STEM", "BM-Ceta")])
    def test_patterns_are_refused(
        self, tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str], mode: str, camera: str
    ) -> None:
        write_emi(tmp_path / "a.emi", mode, camera=camera)
        assert "diffraction pattern" in refusal(write_ser(tmp_path / "a_1.ser", image))

    def test_alone(self, tmp_path: Path, refusal: Callable[[Path], str]) -> None:
        assert "a_1.ser beside it" in refusal(write_emi(tmp_path / "a.emi", "STEM"))

    def test_something_else_beside_it(self, tmp_path: Path, refusal: Callable[[Path], str]) -> None:
        (tmp_path / "a_1.ser").write_bytes(b"nothing of the kind")
        assert "no TIA series" in refusal(write_emi(tmp_path / "a.emi", "STEM"))

    def test_damage(self, tmp_path: Path, image: np.ndarray, damaged: Callable[..., int]) -> None:
        write_ser(tmp_path / "a_1.ser", image)
        damaged(write_emi(tmp_path / "a.emi", "STEM"))

    def test_each_image_of_a_folder_is_looked_at_once(self) -> None:
        assert ".ser" in formats.SUFFIXES and ".emi" not in formats.SUFFIXES
