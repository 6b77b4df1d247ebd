"""Semper pictures, written by RosettaSciIO, and damaged ones."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_files import write_unf

from stemdisp.io import formats
from stemdisp.io.read import read


@pytest.mark.parametrize("dtype", ["i1", "i2", "f4", "i4"])
def test_image(tmp_path: Path, image: np.ndarray, dtype: str) -> None:
    data = image.astype(dtype)
    found = read(write_unf(tmp_path / "a.unf", data))
    np.testing.assert_array_equal(found.signals["HAADF"].image, data)
    assert found.pixel_size is not None
    np.testing.assert_allclose(found.pixel_size.xy_pm, [10, 20], rtol=1e-6)
    assert found.inputs[0].reader == "Semper"


def test_title_and_units(tmp_path: Path, image: np.ndarray) -> None:
    (one,), _ = formats.images(write_unf(tmp_path / "a.unf", image.astype("f4"), unit="A"))
    assert one.title == "HAADF"
    assert [axis.unit for axis in one.axes[1:]] == ["A", "A"]


def test_what_is_no_image(tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str]) -> None:
    assert "complex" in refusal(write_unf(tmp_path / "a.unf", image.astype("c8")))
    layers = np.stack([image, image]).astype("f4")
    assert "does not say that its first axis counts frames" in refusal(write_unf(tmp_path / "a.unf", layers))
    raw = bytearray(write_unf(tmp_path / "a.unf", image.astype("f4")).read_bytes())
    raw[10:12] = struct.pack("<h", 3)
    (tmp_path / "a.unf").write_bytes(raw)
    assert "diffraction" in refusal(tmp_path / "a.unf")


def test_labels_and_heads_that_lie(tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str]) -> None:
    raw = bytearray(write_unf(tmp_path / "a.unf", image.astype("f4")).read_bytes())
    label = raw.index(struct.pack("<6h", *b"Semper"))
    for place, value, words in ((2 * 57, 32000, "GiB"), (2 * 8, 100, "damaged"), (2 * 57, -1, "pixel")):
        bad = bytearray(raw)
        struct.pack_into("<h", bad, label + place, value)
        (tmp_path / "a.unf").write_bytes(bad)
        assert words in refusal(tmp_path / "a.unf")
    bad = bytearray(raw)
    struct.pack_into("<h", bad, 12, 9)
    (tmp_path / "a.unf").write_bytes(bad)
    assert "form 9" in refusal(tmp_path / "a.unf")


def test_cut_short(tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str]) -> None:
    raw = write_unf(tmp_path / "a.unf", image.astype("f4")).read_bytes()
    for missing in (1, 16, 500):
        (tmp_path / "a.unf").write_bytes(raw[:-missing])
        refusal(tmp_path / "a.unf")


def test_damage(tmp_path: Path, image: np.ndarray, damaged: Callable[..., int]) -> None:
    assert damaged(write_unf(tmp_path / "a.unf", image.astype("f4")), flips=200, head=600) > 50
