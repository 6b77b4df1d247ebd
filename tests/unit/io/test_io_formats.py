"""Which reader a file belongs to, what is no image, and how that is said."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pytest

from stemdisp.errors import ReadError
from stemdisp.io import formats
from stemdisp.io.formats import Axis, RawImage
from stemdisp.io.read import read

PLANE = (Axis("y", 0.01, "nm", False), Axis("x", 0.01, "nm", False))
FRAMES = (Axis("t", navigate=True), *PLANE)


def refused(path: Path) -> str:
    with pytest.raises(ReadError) as caught:
        formats.images(path)
    assert str(caught.value).isprintable()
    return str(caught.value)


def write_hspy(path: Path, **signals: tuple[np.ndarray, tuple[Axis, ...]]) -> Path:
    with h5py.File(path, "w") as file:
        for title, (data, axes) in signals.items():
            group = file.create_group(f"Experiments/{title}")
            group["data"] = data
            group.create_group("metadata/General").attrs["title"] = title
            for i, axis in enumerate(axes):
                described = group.create_group(f"axis-{i}")
                said = {"name": axis.name, "scale": axis.scale, "units": axis.unit, "navigate": axis.navigate}
                described.attrs.update({name: value for name, value in said.items() if value is not None})
    return path


def test_every_format_has_a_reader() -> None:
    for known in formats.FORMATS:
        assert callable(import_module(f"stemdisp.io.{known.module}").images)
        if known.container:
            assert callable(import_module(f"stemdisp.io.{known.container}").kind)
        assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in known.suffixes)


@pytest.mark.parametrize("content", [one.ljust(1024, b"\0") for one, _ in formats.NOT_READ])
def test_what_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    sentence = refused(tmp_path / "a.tif")
    assert "export" in sentence and "begins like no format" not in sentence


def test_formats_do_not_claim_each_other() -> None:
    heads = [
        b"II*\0",
        b"\x89HDF\r\n\x1a\n",
        b"\x93NUMPY",
        b"II\x97\1",
        b"JK\0\2",
        b"PK\3\4",
        *(h for h, _ in formats.NOT_READ),
    ]
    heads += [b"\0\0\0\3" + bytes(8) + b"\0\0\0\1", b"\x0c\0\0\0" + bytes(12) + b"\x0c\0\0\0", bytes(208) + b"MAP "]
    for head in heads:
        claims = {known.begins for known in formats.FORMATS if known.begins(head.ljust(1024, b"\0"))}
        assert len(claims) <= 1


@pytest.mark.parametrize("size", [16, 100, 1023, 1024, 4096])
def test_noise_is_no_format(tmp_path: Path, size: int) -> None:
    for seed in range(200):
        (tmp_path / "a.mrc").write_bytes(np.random.default_rng(seed).bytes(size))
        refused(tmp_path / "a.mrc")


@pytest.mark.parametrize(
    ("shape", "dtype", "axes", "expected"),
    [
        ((9, 9), "u2", PLANE, True),
        ((9, 9), "u2", (Axis(), Axis()), True),
        ((1, 1, 9, 9), "u2", (Axis(), Axis(), *PLANE), True),
        ((1, 1), "u2", PLANE, True),
        ((3, 9, 9), "u2", FRAMES, True),
        ((1, 3, 9, 9), "u2", (Axis(), *FRAMES), True),
        ((3, 9, 9), "u2", (Axis(), *PLANE), False),
        ((3, 9, 9), "u2", (Axis(unit="eV", navigate=True), *PLANE), False),
        ((2, 3, 9, 9), "u2", (Axis(), *FRAMES), False),
        ((9,), "u2", PLANE[:1], False),
        ((), "u2", (), False),
        ((9, 9), "c8", PLANE, False),
        ((9, 9), "?", PLANE, False),
        ((9, 9), "S3", PLANE, False),
        ((9, 9), "f8", (Axis(navigate=True), Axis(unit="keV", navigate=False)), False),
    ],
)
def test_what_is_worth_loading(shape: tuple[int, ...], dtype: str, axes: tuple[Axis, ...], *, expected: bool) -> None:
    assert formats.is_image(shape, np.dtype(dtype), axes) is expected


def test_placeholders_take_no_memory() -> None:
    one = formats.placeholder("cube", (10**4, 10**4, 10**4), "f8", (Axis(),) * 3)
    assert isinstance(one, RawImage) and one.data.strides == (0, 0, 0) and one.data.shape == (10**4,) * 3


class TestWhatIsNoImage:
    IMAGE = np.random.default_rng(0).random((20, 20))

    @pytest.mark.parametrize("unit", ["1/nm", "1 / nm", "nm^-1", "1/A", "[n_m^-1]", "mrad"])
    def test_pattern_alone(self, tmp_path: Path, refusal: Callable[[Path], str], unit: str) -> None:
        axes = (Axis("y", 0.1, unit, False), Axis("x", 0.1, unit, False))
        assert "diffraction pattern" in refusal(write_hspy(tmp_path / "a.hspy", CBED=(self.IMAGE, axes)))

    def test_pattern_and_spectra_beside_an_image(self, tmp_path: Path) -> None:
        pattern = (Axis("y", 0.1, "1/nm", False), Axis("x", 0.1, "1/nm", False))
        spectra = (Axis("x", 0.1, "nm", True), Axis("E", 1, "eV", False))
        path = write_hspy(
            tmp_path / "a.hspy", CBED=(self.IMAGE, pattern), EELS=(self.IMAGE, spectra), HAADF=(self.IMAGE, PLANE)
        )
        found = read(path)
        assert list(found.signals) == ["HAADF"]
        assert any("CBED" in note and "diffraction" in note for note in found.notes)
        assert any("EELS" in note and "spectra" in note for note in found.notes)

    def test_frames_taken_over_time_are_images(self, tmp_path: Path) -> None:
        axes = (Axis("t", 1, "s", True), *PLANE)
        (one,), _ = formats.images(write_hspy(tmp_path / "a.hspy", HAADF=(np.stack([self.IMAGE] * 2), axes)))
        assert one.data.shape == (2, 20, 20)


class TestDigitalMicrograph:
    def test_damage_to_a_real_file(
        self, tmp_path: Path, real_file: Callable[[str], Path], damaged: Callable[..., int]
    ) -> None:
        (tmp_path / "a.dm4").write_bytes(real_file("bto_hrhaadf/BTO_crystal_1.dm4").read_bytes())
        assert damaged(tmp_path / "a.dm4", cuts=5, flips=30, head=20000) >= 5
