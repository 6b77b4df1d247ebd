"""Sizes of pixels in TIFF files of microscopes and programs, each written as its maker does."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from stemdisp.io.read import read

FEI = "[User]\r\nDate=07/29/2020\r\n\r\n[Scan]\r\nPixelWidth=1e-011\r\nPixelHeight=2e-011\r\n"
ZEISS = "0\r\n0\r\n0\r\n{scale}\r\n0\r\n{named}"
SIZES = "PhysicalSizeX", "PhysicalSizeXUnit", "PhysicalSizeY", "PhysicalSizeYUnit"


def write(path: Path, data: np.ndarray, *tags: tuple[Any, ...], **more: Any) -> Path:
    tifffile.imwrite(path, data, extratags=tags, metadata=None, **more)
    return path


def text(code: int, content: str) -> tuple[Any, ...]:
    return (code, "s", 0, content, True)


def sizes(path: Path) -> list[float]:
    found = read(path).pixel_size
    return [] if found is None else list(found.xy_pm)


def test_fei(tmp_path: Path, image: np.ndarray) -> None:
    assert sizes(write(tmp_path / "a.tif", image, text(34682, FEI))) == pytest.approx([10, 20])
    assert sizes(write(tmp_path / "a.tif", image, text(34680, FEI))) == pytest.approx([10, 20])
    assert sizes(write(tmp_path / "a.tif", image, text(34682, "[User]\r\nDate=07/29/2020\r\n"))) == []


def test_zeiss(tmp_path: Path, image: np.ndarray) -> None:
    unnamed = ZEISS.format(scale=10e-12 * image.shape[1] / 1024, named="")
    assert sizes(write(tmp_path / "a.tif", image, text(34118, unnamed))) == pytest.approx([10, 10])
    named = ZEISS.format(scale=1, named="AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 15.0 pm\r\n")
    assert sizes(write(tmp_path / "a.tif", image, text(34118, named))) == pytest.approx([15, 15])


def test_tvips(tmp_path: Path, image: np.ndarray) -> None:
    first, second = (np.zeros(1, kind) for kind in (tifffile.TIFF.TVIPS_HEADER_V1, tifffile.TIFF.TVIPS_HEADER_V2))
    first["Version"], second["Magic"], second["PixelSizeX"], second["PixelSizeY"] = 2, 0xAAAAAAAA, 0.01, 0.02
    raw = first.tobytes() + second.tobytes()
    path = write(tmp_path / "a.tif", image, (37706, "B", len(raw), raw, True))
    assert sizes(path) == pytest.approx([10, 20])


@pytest.mark.parametrize("unit", ["nm", "pm", "\u00b5m", "A"])
def test_written_by_hyperspy_or_gatan(tmp_path: Path, image: np.ndarray, unit: str) -> None:
    pm = {"nm": 1e3, "pm": 1, "\u00b5m": 1e6, "A": 100}[unit]
    named = unit.encode("latin-1") + b"\0"
    tags = [(65003, 2, len(named), named, True), (65009, "d", 1, 10 / pm, True), (65010, "d", 1, 20 / pm, True)]
    assert sizes(write(tmp_path / "a.tif", image, *tags)) == pytest.approx([10, 20])


def test_hyperspys_writer(tmp_path: Path, image: np.ndarray) -> None:
    tiff = pytest.importorskip("rsciio.tiff")
    axes = [
        {"name": name, "scale": scale, "units": "nm", "offset": 0.0, "navigate": False}
        for name, scale in (("y", 0.02), ("x", 0.01))
    ]
    tiff.file_writer(str(tmp_path / "a.tif"), {"data": image, "axes": axes, "metadata": {"Signal": {}}})
    assert sizes(tmp_path / "a.tif") == pytest.approx([10, 20])


def test_reciprocal_units(tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str]) -> None:
    tags = [(65003, 2, 5, b"1/nm\0", True), (65009, "d", 1, 0.1, True), (65010, "d", 1, 0.1, True)]
    assert "diffraction pattern" in refusal(write(tmp_path / "a.tif", image, *tags))


def test_fiji(tmp_path: Path, image: np.ndarray) -> None:
    description = "ImageJ=1.54f\nunit=nm\nmin=0.0\nmax=99.0\n"
    path = write(tmp_path / "a.tif", image, description=description, resolution=(100, 50), resolutionunit="NONE")
    assert sizes(path) == pytest.approx([10, 20])


class TestOME:
    @pytest.mark.parametrize(("unit", "pm"), [("nm", 1e3), ("\u00b5m", 1e6), ("pm", 1), ("\u00c5", 100)])
    def test_sizes(self, tmp_path: Path, image: np.ndarray, unit: str, pm: float) -> None:
        said = dict(zip(SIZES, (10 / pm, unit, 20 / pm, unit), strict=True))
        tifffile.imwrite(tmp_path / "a.ome.tif", image, ome=True, metadata={"axes": "YX", **said})
        assert sizes(tmp_path / "a.ome.tif") == pytest.approx([10, 20])

    def test_no_sizes(self, tmp_path: Path, image: np.ndarray) -> None:
        tifffile.imwrite(tmp_path / "a.ome.tif", image, ome=True, metadata={"axes": "YX"})
        assert sizes(tmp_path / "a.ome.tif") == []

    def test_channels_are_detectors(self, tmp_path: Path, image: np.ndarray) -> None:
        data, said = np.stack([image, image[::-1]]), dict(zip(SIZES, (0.01, "nm", 0.02, "nm"), strict=True))
        metadata = {"axes": "CYX", "Channel": {"Name": ["ABF", "HAADF"]}, **said}
        tifffile.imwrite(tmp_path / "a.ome.tif", data, ome=True, photometric="minisblack", metadata=metadata)
        found = read(tmp_path / "a.ome.tif")
        np.testing.assert_array_equal(found.signals["HAADF"].image, image[::-1])
        np.testing.assert_array_equal(found.signals["ABF"].image, image)
        assert found.pixel_size is not None


def test_colours_beside_an_image_are_left_out(tmp_path: Path, image: np.ndarray) -> None:
    with tifffile.TiffWriter(tmp_path / "a_HAADF.tif") as tif:
        tif.write(image, metadata=None)
        tif.write(np.zeros((16, 20, 3), np.uint8), photometric="rgb", metadata=None)
    found = read(tmp_path / "a_HAADF.tif")
    np.testing.assert_array_equal(found.signals["HAADF"].image, image)
    assert any("colours" in note for note in found.notes)


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"[Scan]\r\nPixelWidth=abc", b"\xff" * 50, b"[Scan]\r\nPixelWidth=nan"]
)
@pytest.mark.parametrize("code", [34682, 34118, 37706, 33560, 65009, 270])
def test_damaged_tags(tmp_path: Path, image: np.ndarray, code: int, content: bytes) -> None:
    path = write(tmp_path / "a.tif", image, (code, "B", len(content), content, True) if content else text(code, ""))
    assert sizes(path) == []


def test_olympus(tmp_path: Path, image: np.ndarray) -> None:
    place = 8 + image.nbytes
    path = write(tmp_path / "a.tif", image)
    general = struct.pack("<10xhdd8xd2x34s32s", -9, 0.01, 0.02, 1e6, b"camera", b"")
    start = path.stat().st_size
    head = struct.pack("<4s6xhhhhh6x32sH", b"SIS0", 0, 0, 1, 1, 120, b"", 1) + struct.pack("<hhI", 1, 1, start + 68)
    raw = head + general.ljust(220, b"\0")
    path = write(tmp_path / "a.tif", image, (33560, "B", len(raw), raw, True))
    content = path.read_bytes()
    moved = content.replace(
        struct.pack("<hhI", 1, 1, start + 68), struct.pack("<hhI", 1, 1, content.index(b"SIS0") + 68)
    )
    path.write_bytes(moved)
    assert place < len(content)
    assert sizes(path) == pytest.approx([10, 20])
