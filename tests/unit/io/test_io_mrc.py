"""MRC files, written byte for byte."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_files import write_mrc

from stemdisp.io import formats
from stemdisp.io.read import read


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["i1", "i2", "f4", "u2", "f2"])
def test_image(tmp_path: Path, image: np.ndarray, order: str, dtype: str) -> None:
    data = image.astype(dtype)
    found = read(write_mrc(tmp_path / "a_HAADF.mrc", data, order=order))
    np.testing.assert_array_equal(found.signals["HAADF"].image, data)
    assert found.pixel_size is not None
    np.testing.assert_allclose(found.pixel_size.xy_pm, [10, 20], rtol=1e-6)
    assert found.inputs[0].reader == "MRC"
    assert any("rows are taken from the top" in note for note in found.notes)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # RosettaSciIO leaves the file open
def test_agrees_with_rosettasciio(tmp_path: Path, image: np.ndarray) -> None:
    mrc = pytest.importorskip("rsciio.mrc")
    path = write_mrc(tmp_path / "a.mrc", np.stack([image, image + 1]).astype("f4"))
    (theirs,), ((ours,), _) = mrc.file_reader(str(path)), formats.images(path)
    np.testing.assert_array_equal(ours.data, theirs["data"])
    assert [axis["scale"] for axis in theirs["axes"][1:]] == pytest.approx([0.02, 0.01])


def test_bytes_above_127_are_unsigned(tmp_path: Path, image: np.ndarray) -> None:
    data = (image + 120).astype("u1")
    found = read(write_mrc(tmp_path / "a.mrc", data, mode=0))
    np.testing.assert_array_equal(found.signals["HAADF"].image, data)


def test_before_2000(tmp_path: Path, image: np.ndarray) -> None:
    assert read(write_mrc(tmp_path / "a.st", image, mark=bytes(4))).shape == image.shape


def test_stack_and_volume(tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str]) -> None:
    frames = np.stack([image, image + 2])
    found = read(write_mrc(tmp_path / "a.mrc", frames))
    assert found.frames == 2
    np.testing.assert_array_equal(found.signals["HAADF"].image, image + 1)
    assert "does not say that its first axis counts frames" in refusal(
        write_mrc(tmp_path / "a.rec", frames, space_group=1)
    )


def test_old_extended_header(tmp_path: Path, image: np.ndarray) -> None:
    extension = bytearray(131072)
    struct.pack_into("<f", extension, 44, 1.5e-11)
    found = read(write_mrc(tmp_path / "a.mrc", image, pixel_A=(1, 1), extension=bytes(extension)))
    np.testing.assert_array_equal(found.signals["HAADF"].image, image)
    assert found.pixel_size is not None
    np.testing.assert_allclose(found.pixel_size.xy_pm, 15, rtol=1e-6)


@pytest.mark.parametrize(
    ("pixel", "words"),
    [(0, "has no pixel size"), (1, "has no pixel size"), (-10, "it says -10 A"), (float("nan"), "has no pixel size")],
)
def test_uncalibrated(tmp_path: Path, image: np.ndarray, pixel: float, words: str) -> None:
    found = read(write_mrc(tmp_path / "a.mrc", image, pixel_A=(pixel, pixel)))
    assert found.pixel_size is None
    assert any(words in note for note in found.notes)


def test_no_samples(tmp_path: Path, image: np.ndarray) -> None:
    raw = bytearray(write_mrc(tmp_path / "a.mrc", image).read_bytes())
    raw[28:40] = bytes(12)
    (tmp_path / "a.mrc").write_bytes(raw)
    assert read(tmp_path / "a.mrc").pixel_size is None


def test_refusals(tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str]) -> None:
    assert "complex" in refusal(write_mrc(tmp_path / "a.mrc", image.astype("c8")))
    assert "mode 101" in refusal(write_mrc(tmp_path / "a.mrc", image, mode=101))
    raw = write_mrc(tmp_path / "a.mrc", image).read_bytes()
    for missing in (1, 16, 1000):
        (tmp_path / "a.mrc").write_bytes(raw[:-missing])
        assert "cut short" in refusal(tmp_path / "a.mrc")
    (tmp_path / "a.mrc").write_bytes(raw[:500])
    assert "1024" in refusal(tmp_path / "a.mrc")


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (0, 2**31 - 1, "GiB"),
        (8, 2**31 - 1, "GiB"),
        (0, 0, "no pixel"),
        (0, -5, "no pixel"),
        (92, 2**31 - 1, "extended"),
    ],
)
def test_headers_that_lie(
    tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str], place: int, value: int, words: str
) -> None:
    raw = bytearray(write_mrc(tmp_path / "a.mrc", image).read_bytes())
    struct.pack_into("<i", raw, place, value)
    (tmp_path / "a.mrc").write_bytes(raw)
    assert words in refusal(tmp_path / "a.mrc")


def test_damage(tmp_path: Path, image: np.ndarray, damaged: Callable[..., int]) -> None:
    assert damaged(write_mrc(tmp_path / "a.mrc", image), flips=200, head=230) > 50
