"""Reading: files written here, every kind of input that is refused, and images of others where they are present."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from image_files import write_dm, write_hspy

from stemdisp.errors import CalibrationError, ReadError
from stemdisp.io.read import read

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def needs(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    return path


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(1).poisson(50, (24, 32)).astype(np.uint16)


def refusal(*sources: Any, **given: Any) -> str:
    """The sentence that a source is refused with: one line, whatever its name."""
    with pytest.raises(ReadError) as caught:
        read(*sources, **given)
    sentence = str(caught.value)
    assert sentence.isprintable(), sentence
    assert len(sentence) > 20
    return sentence


class TestTiff:
    def test_plain(self, tmp_path: Path, image: np.ndarray) -> None:
        path = tmp_path / "KTO_HAADF.tif"
        tifffile.imwrite(path, image)
        found = read(path)
        assert found.name == "KTO_HAADF"
        assert list(found.signals) == ["HAADF"]
        assert found.signals["HAADF"].contrast == 1
        np.testing.assert_array_equal(found.signals["HAADF"].image, image)
        assert found.signals["HAADF"].image.dtype == np.uint16
        assert found.pixel_size is None
        assert any("pixel size" in note for note in found.notes)

    @pytest.mark.parametrize("unit", ["nm", "micron", "\\u00B5m", "um", "Angstrom", "pm"])
    def test_imagej(self, tmp_path: Path, image: np.ndarray, unit: str) -> None:
        pm = {"nm": 1e3, "micron": 1e6, "\\u00B5m": 1e6, "um": 1e6, "Angstrom": 100, "pm": 1}[unit]
        path = tmp_path / "a_ABF.tif"
        tifffile.imwrite(path, image, imagej=True, resolution=(pm / 8, pm / 12.5), metadata={"unit": unit})
        found = read(path)
        assert found.signals["ABF"].contrast == -1
        assert found.pixel_size is not None
        np.testing.assert_allclose(found.pixel_size.xy_pm, [8, 12.5], rtol=1e-5)
        assert found.pixel_size.origin == "file"

    def test_printers_inch_is_no_calibration(self, tmp_path: Path, image: np.ndarray) -> None:
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, image, resolution=(72, 72), resolutionunit="INCH")
        assert read(path).pixel_size is None

    def test_stack_is_averaged(self, tmp_path: Path) -> None:
        frames = np.random.default_rng(2).poisson(9, (3, 16, 20)).astype(np.uint8)
        path = tmp_path / "a_HAADF.tif"
        tifffile.imwrite(path, frames, imagej=True, metadata={"axes": "TYX", "unit": "nm"}, resolution=(50, 50))
        found = read(path)
        assert found.frames == 3
        np.testing.assert_allclose(found.signals["HAADF"].image, frames.mean(axis=0), rtol=1e-6)
        assert found.pixel_size is not None and found.pixel_size.x_pm == pytest.approx(20)
        assert any("3 frames were averaged" in note for note in found.notes)

    def test_blank_frames_are_left_out(self, tmp_path: Path) -> None:
        frames = np.random.default_rng(2).random((3, 16, 20)).astype(np.float32)
        frames[1] = 0
        path = tmp_path / "a_HAADF.tif"
        tifffile.imwrite(path, frames, photometric="minisblack")
        found = read(path)
        assert found.frames == 2
        np.testing.assert_allclose(found.signals["HAADF"].image, frames[[0, 2]].mean(axis=0), rtol=1e-6)

    def test_labelled_slices_are_detectors(self, tmp_path: Path) -> None:
        slices = np.random.default_rng(2).poisson(9, (2, 16, 20)).astype(np.uint8)
        path = tmp_path / "both.tif"
        tifffile.imwrite(path, slices, imagej=True, metadata={"axes": "ZYX", "Labels": ["x ABF", "x HAADF"]})
        found = read(path)
        assert found.frames == 1
        np.testing.assert_array_equal(found.signals["HAADF"].image, slices[1])
        np.testing.assert_array_equal(found.signals["ABF"].image, slices[0])

    def test_unlabelled_channels_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "both.tif"
        tifffile.imwrite(path, np.ones((2, 16, 20), np.uint8), imagej=True, metadata={"axes": "CYX"})
        assert "does not say that its first axis counts frames" in refusal(path)

    def test_big_endian_becomes_native(self, tmp_path: Path, image: np.ndarray) -> None:
        path = tmp_path / "a_HAADF.tif"
        tifffile.imwrite(path, image, byteorder=">")
        found = read(path).signals["HAADF"].image
        assert found.dtype.isnative
        np.testing.assert_array_equal(found, image)

    def test_compressed_and_tiled_and_big(self, tmp_path: Path, image: np.ndarray) -> None:
        path = tmp_path / "a_HAADF.tif"
        tifffile.imwrite(path, image, compression="zlib", tile=(16, 16), bigtiff=True)
        np.testing.assert_array_equal(read(path).signals["HAADF"].image, image)

    def test_colours(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, np.zeros((16, 20, 3), np.uint8), photometric="rgb")
        assert "colour" in refusal(path)

    def test_mask(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, np.eye(16, dtype=bool))
        assert "true and false" in refusal(path)

    def test_inverted_display_is_said(self, tmp_path: Path, image: np.ndarray) -> None:
        path = tmp_path / "a_HAADF.tif"
        tifffile.imwrite(path, image, photometric="miniswhite")
        found = read(path)
        np.testing.assert_array_equal(found.signals["HAADF"].image, image)
        assert any("inverted" in note for note in found.notes)

    @pytest.mark.parametrize("where", [0, 8])
    def test_loop_of_pages(self, tmp_path: Path, image: np.ndarray, where: int) -> None:
        path = tmp_path / "loop.tif"
        with tifffile.TiffWriter(path) as tif:
            tif.write(image, metadata=None)
            tif.write(image, metadata=None)
        raw = bytearray(path.read_bytes())
        (first,) = struct.unpack_from("<L", raw, 4)
        (count,) = struct.unpack_from("<H", raw, first)
        link = first + 2 + 12 * count
        (second,) = struct.unpack_from("<L", raw, link)
        (count,) = struct.unpack_from("<H", raw, second)
        struct.pack_into("<L", raw, second + 2 + 12 * count, first if where else second)
        path.write_bytes(raw)
        assert "loop" in refusal(path)

    def test_truncated(self, tmp_path: Path, image: np.ndarray) -> None:
        path = tmp_path / "a_HAADF.tif"
        tifffile.imwrite(path, image)
        path.write_bytes(path.read_bytes()[:-100])
        refusal(path)

    def test_dimension_bomb(self, tmp_path: Path, image: np.ndarray) -> None:
        path = tmp_path / "a_HAADF.tif"
        tifffile.imwrite(path, image)
        raw = bytearray(path.read_bytes())
        (first,) = struct.unpack_from("<L", raw, 4)
        for entry in (first + 2, first + 14):
            struct.pack_into("<HLL", raw, entry + 2, 4, 1, 200_000)
        path.write_bytes(raw)
        assert "GiB" in refusal(path)

    def test_empty_image(self, tmp_path: Path, image: np.ndarray) -> None:
        path = tmp_path / "a_HAADF.tif"
        tifffile.imwrite(path, image)
        raw = bytearray(path.read_bytes())
        (first,) = struct.unpack_from("<L", raw, 4)
        struct.pack_into("<HLL", raw, first + 4, 4, 1, 0)
        path.write_bytes(raw)
        refusal(path)


class TestHyperSpy:
    def test_two_detectors_in_one_file(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        bright, dark = rng.random((16, 20)), rng.random((16, 20)).astype(np.float32)
        found = read(write_hspy(tmp_path / "KTO.hspy", ("ABF", dark), ("HAADF", bright)))
        assert list(found.signals) == ["HAADF", "ABF"]
        np.testing.assert_array_equal(found.signals["HAADF"].image, bright)
        np.testing.assert_array_equal(found.signals["ABF"].image, dark)
        assert found.pixel_size is not None and found.pixel_size.x_pm == pytest.approx(10)
        assert found.notes == ()

    def test_constant_signals_are_left_out(self, tmp_path: Path) -> None:
        bright = np.random.default_rng(0).random((16, 20))
        zeros, ones = np.zeros((16, 20)), np.ones((16, 20))
        path = write_hspy(tmp_path / "a.hspy", ("HAADF", bright), ("ABF", zeros), ("BF", ones))
        found = read(path)
        assert list(found.signals) == ["HAADF"]
        assert sum("same value" in note for note in found.notes) == 2

    def test_only_constant(self, tmp_path: Path) -> None:
        assert "same value" in refusal(write_hspy(tmp_path / "a.hspy", ("HAADF", np.ones((16, 20)))))

    def test_plainest_title_wins(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        bright = rng.random((16, 20))
        found = read(write_hspy(tmp_path / "a.hspy", ("DF4", rng.random((16, 20))), ("HAADF", bright)))
        np.testing.assert_array_equal(found.signals["HAADF"].image, bright)
        assert any("DF4" in note and "left out" in note for note in found.notes)

    def test_same_detector_twice(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        path = write_hspy(tmp_path / "a.hspy", ("HAADF 1", rng.random((16, 20))), ("HAADF 2", rng.random((16, 20))))
        assert "both HAADF" in refusal(path)

    def test_unknown_titles(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        path = write_hspy(tmp_path / "a.hspy", ("one", rng.random((16, 20))), ("two", rng.random((16, 20))))
        assert "tell no detector" in refusal(path)

    def test_largest_of_unknown_titles(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        path = write_hspy(tmp_path / "a.hspy", ("one", rng.random((16, 20))), ("survey", rng.random((9, 9))))
        found = read(path)
        assert found.shape == (16, 20)
        assert any("survey" in note for note in found.notes)

    def test_unusable_signal_beside_a_good_one(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        found = read(write_hspy(tmp_path / "a.hspy", ("spectrum", rng.random(99)), ("HAADF", rng.random((16, 20)))))
        assert list(found.signals) == ["HAADF"]
        assert any("1 dimension" in note for note in found.notes)

    @pytest.mark.parametrize(
        "data",
        [
            np.zeros(50),
            np.zeros((2, 3, 16, 16)),
            np.ones((16, 16), dtype=complex),
            np.eye(16, dtype=bool),
            np.zeros((5, 5)),
            np.zeros((1, 64)),
            np.zeros((0, 16)),
        ],
        ids=["1-D", "4-D", "complex", "bool", "tiny", "line", "empty"],
    )
    def test_no_images(self, tmp_path: Path, data: np.ndarray) -> None:
        refusal(write_hspy(tmp_path / "a.hspy", ("HAADF", data)))

    @pytest.mark.parametrize(
        ("axes", "sentence"),
        [
            (
                [{"navigate": True}, {"navigate": True}, {"navigate": False}],
                "a spectrum image (4 x 16 x 16), not an image",
            ),
            ([{"navigate": True, "units": "eV"}, {}, {}], "a spectrum image"),
            ([{"navigate": False}] * 3, "does not say that its first axis counts frames"),
            ([{"navigate": True}, {"navigate": False, "units": "1/nm"}, {"units": "1/nm"}], "diffraction pattern"),
        ],
        ids=["spectra", "energies", "volume", "diffraction"],
    )
    def test_three_dimensions_that_are_no_frames(
        self, tmp_path: Path, axes: list[dict[str, Any]], sentence: str
    ) -> None:
        data = np.random.default_rng(0).random((4, 16, 16))
        assert sentence in refusal(write_hspy(tmp_path / "a.hspy", ("HAADF", data), axes=axes))

    def test_external_link(self, tmp_path: Path) -> None:
        other = write_hspy(tmp_path / "other.hspy", ("HAADF", np.random.default_rng(0).random((16, 16))))
        path = tmp_path / "a.hspy"
        with h5py.File(path, "w") as file:
            file["Experiments"] = h5py.ExternalLink(other.name, "Experiments")
        assert "link" in refusal(path)

    def test_link_loop(self, tmp_path: Path) -> None:
        path = write_hspy(tmp_path / "a.hspy", ("HAADF", np.random.default_rng(0).random((16, 16))))
        with h5py.File(path, "a") as file:
            del file["Experiments/HAADF/data"]
            file["Experiments/HAADF/data"] = h5py.SoftLink("/Experiments/HAADF/data")
        assert "link" in refusal(path)

    def test_pixels_in_another_file(self, tmp_path: Path) -> None:
        path = write_hspy(tmp_path / "a.hspy", ("HAADF", np.random.default_rng(0).random((16, 16))))
        np.zeros(256).tofile(tmp_path / "secret.raw")
        with h5py.File(path, "a") as file:
            del file["Experiments/HAADF/data"]
            file["Experiments/HAADF"].create_dataset(
                "data", (16, 16), "f8", external=[(str(tmp_path / "secret.raw"), 0, 2048)]
            )
        assert "other files" in refusal(path)

    def test_dimension_bomb(self, tmp_path: Path) -> None:
        path = write_hspy(tmp_path / "a.hspy", ("HAADF", np.random.default_rng(0).random((16, 16))))
        with h5py.File(path, "a") as file:
            del file["Experiments/HAADF/data"]
            file["Experiments/HAADF"].create_dataset("data", (20000, 20000), "f8", chunks=(100, 100))
        refusal(path)

    @pytest.mark.parametrize("size", [0, 255, 2**64 - 1])
    def test_damaged_texts_do_not_hang_the_library(self, tmp_path: Path, size: int) -> None:
        path = write_hspy(tmp_path / "a.hspy", ("HAADF", np.random.default_rng(0).random((16, 16))))
        raw = bytearray(path.read_bytes())
        heap = raw.index(b"GCOL")
        struct.pack_into("<HHLQ", raw, heap + 16, 0 if size == 0 else 1, 0, 0, size)
        path.write_bytes(raw)
        assert "damaged" in refusal(path)

    def test_attributes_of_other_types_are_not_touched(self, tmp_path: Path) -> None:
        path = write_hspy(tmp_path / "a.hspy", ("HAADF", np.random.default_rng(0).random((16, 16))))
        with h5py.File(path, "a") as file:
            axis = file["Experiments/HAADF/axis-1"]
            numbers = np.empty((), dtype=object)
            numbers[()] = np.array([1, 2], np.int32)
            axis.attrs.create("units", numbers, dtype=h5py.vlen_dtype(np.int32))
            axis.attrs["scale"] = [0.1, 0.2]
        assert read(path).pixel_size is None

    def test_other_hdf5(self, tmp_path: Path) -> None:
        path = tmp_path / "a.hspy"
        with h5py.File(path, "w") as file:
            file["x"] = np.zeros((16, 16))
        assert "Experiments" in refusal(path)

    def test_half_precision_is_widened(self, tmp_path: Path) -> None:
        data = np.random.default_rng(0).random((16, 16)).astype(np.float16)
        found = read(write_hspy(tmp_path / "a.hspy", ("HAADF", data))).signals["HAADF"].image
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, data)

    def test_written_by_hyperspy(self, tmp_path: Path) -> None:
        signals = pytest.importorskip("hyperspy.signals")
        data = np.random.default_rng(0).random((3, 16, 20))
        axes = [
            {"name": "t", "size": 3, "scale": 1.0, "units": "s"},
            {"name": "y", "size": 16, "scale": 0.2, "units": "\u00c5"},
            {"name": "x", "size": 20, "scale": 0.1, "units": "\u00c5"},
        ]
        signal = signals.Signal2D(data, axes=axes, metadata={"General": {"title": "ABF"}})
        signal.save(tmp_path / "movie.hspy")
        found = read(tmp_path / "movie.hspy")
        assert found.frames == 3
        assert found.pixel_size is not None
        np.testing.assert_allclose(found.pixel_size.xy_pm, [10, 20])
        np.testing.assert_allclose(found.signals["ABF"].image, data.mean(axis=0))


class TestDigitalMicrograph:
    def test_image(self, tmp_path: Path, image: np.ndarray) -> None:
        found = read(write_dm(tmp_path / "a.dm3", ("ABF 3", image, 10)))
        assert list(found.signals) == ["ABF"]
        np.testing.assert_array_equal(found.signals["ABF"].image, image)
        assert found.pixel_size is not None and found.pixel_size.x_pm == pytest.approx(10)
        assert found.metadata["title"] == "ABF 3"

    def test_two_images_and_frames(self, tmp_path: Path) -> None:
        frames = np.random.default_rng(0).random((4, 16, 20)).astype(np.float32)
        path = write_dm(tmp_path / "a.dm3", ("HAADF", frames, 2), ("ABF", 1 - frames, 2), unit="\u00c5", scale=0.08)
        found = read(path)
        assert list(found.signals) == ["HAADF", "ABF"]
        assert found.frames == 4
        np.testing.assert_allclose(found.signals["HAADF"].image, frames.mean(axis=0), rtol=1e-6)
        assert found.pixel_size is not None and found.pixel_size.y_pm == pytest.approx(8)

    def test_without_unit(self, tmp_path: Path, image: np.ndarray) -> None:
        found = read(write_dm(tmp_path / "a.dm3", ("HAADF", image, 10), unit="", scale=1.0))
        assert found.pixel_size is None

    def test_file_name_goes_before_the_title_of_a_lone_image(self, tmp_path: Path, image: np.ndarray) -> None:
        assert list(read(write_dm(tmp_path / "x_ABF.dm3", ("HAADF", image, 10))).signals) == ["ABF"]

    def test_no_images(self, tmp_path: Path) -> None:
        assert "true and false" in refusal(write_dm(tmp_path / "a.dm3", ("HAADF", np.zeros((16, 16), np.uint8), 14)))
        assert "dimension" in refusal(write_dm(tmp_path / "a.dm3", ("HAADF", np.zeros(64, np.float32), 2)))
        assert "no image" in refusal(write_dm(tmp_path / "a.dm3"))

    def test_cut_short_everywhere(self, tmp_path: Path, image: np.ndarray) -> None:
        raw = write_dm(tmp_path / "a.dm3", ("HAADF", image, 10)).read_bytes()
        for length in range(12, len(raw) - 40, 97):
            (tmp_path / "b.dm3").write_bytes(raw[:length])
            refusal(tmp_path / "b.dm3")

    def test_bits_flipped(self, tmp_path: Path, image: np.ndarray) -> None:
        raw = write_dm(tmp_path / "a.dm3", ("HAADF", image, 10)).read_bytes()
        rng = np.random.default_rng(5)
        for _ in range(150):
            bad = bytearray(raw)
            for place in rng.integers(0, len(raw), 3):
                bad[place] ^= 1 << int(rng.integers(8))
            (tmp_path / "b.dm3").write_bytes(bad)
            try:
                found = read(tmp_path / "b.dm3")
            except ReadError as error:
                assert str(error).isprintable()
            else:
                assert min(found.shape) >= 8


class TestNumPy:
    def test_image(self, tmp_path: Path) -> None:
        data = np.asfortranarray(np.random.default_rng(0).integers(0, 99, (16, 20)).astype(">i4"))
        np.save(tmp_path / "a.npy", data)
        found = read(tmp_path / "a.npy", pixel_size=(9, 10)).signals["HAADF"].image
        assert found.dtype == np.int32 and found.dtype.isnative
        np.testing.assert_array_equal(found, data)

    def test_objects_are_never_unpickled(self, tmp_path: Path) -> None:
        class Bad:
            def __reduce__(self) -> tuple[Any, ...]:
                return Path.touch, (tmp_path / "touched",)

        np.save(tmp_path / "a.npy", np.array([[Bad()]], dtype=object), allow_pickle=True)
        refusal(tmp_path / "a.npy")
        assert not (tmp_path / "touched").exists()

    @pytest.mark.parametrize("shape", [(5, 16, 16), (16, 16, 3)])
    def test_stacks_have_no_axes_here(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        np.save(tmp_path / "a.npy", np.random.default_rng(0).random(shape))
        assert "does not say that its first axis counts frames" in refusal(tmp_path / "a.npy")

    def test_header_larger_than_file(self, tmp_path: Path) -> None:
        with (tmp_path / "a.npy").open("wb") as file:
            header = {"descr": "<f8", "fortran_order": False, "shape": (100000, 100000)}
            np.lib.format.write_array_header_1_0(file, header)
            file.write(bytes(100))
        refusal(tmp_path / "a.npy")

    def test_missing_pixels(self, tmp_path: Path) -> None:
        data = np.random.default_rng(0).random((20, 20))
        data[0, :3] = np.nan, np.inf, 1e300
        np.save(tmp_path / "a.npy", data)
        found = read(tmp_path / "a.npy")
        assert np.isnan(found.signals["HAADF"].image[0, :3]).all()
        assert any("3 pixels are missing" in note for note in found.notes)

    def test_too_many_missing_pixels(self, tmp_path: Path) -> None:
        data = np.random.default_rng(0).random((20, 20))
        data[:5] = np.nan
        np.save(tmp_path / "a.npy", data)
        assert "25%" in refusal(tmp_path / "a.npy")

    def test_records(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.zeros((16, 16), dtype=[("r", "u1"), ("g", "u1")]))
        assert "colours" in refusal(tmp_path / "a.npy")


class TestWhichIsWhich:
    """Signals by titles, by file names, and by what the user says."""

    @pytest.fixture
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(3)

    def test_phase_images_are_named_and_left_out(self, tmp_path: Path, rng: np.random.Generator) -> None:
        images = {title: rng.random((16, 20)) for title in ("iDPC", "HAADF", "dDPC", "DF2", "DF4-A")}
        found = read(write_hspy(tmp_path / "a.hspy", *images.items()))
        assert list(found.signals) == ["HAADF"]
        notes = "\n".join(found.notes)
        assert notes.count("phase image") == 2 and "small angles" in notes and "segment" in notes

    def test_a_phase_image_alone_is_not_guessed_to_be_haadf(self, tmp_path: Path, image: np.ndarray) -> None:
        np.save(tmp_path / "KTO_iDPC.npy", image)
        assert "a phase image" in refusal(tmp_path / "KTO_iDPC.npy")
        found = read(tmp_path / "KTO_iDPC.npy", titles={"HAADF": "KTO_iDPC"})
        assert list(found.signals) == ["HAADF"]

    @pytest.mark.parametrize("called", ["two", " TWO ", "#3"])
    def test_the_user_says(self, tmp_path: Path, rng: np.random.Generator, called: str) -> None:
        images = {title: rng.random((16, 20)) for title in ("a", "one", "two")}
        path = write_hspy(tmp_path / "a.hspy", *images.items())
        assert "haadf_title" in refusal(path)
        found = read(path, titles={"HAADF": "one", "ABF": called})
        np.testing.assert_array_equal(found.signals["HAADF"].image, images["one"])
        np.testing.assert_array_equal(found.signals["ABF"].image, images["two"])
        assert any("as the recipe says" in note for note in found.notes)

    def test_the_user_says_more_than_names(self, tmp_path: Path, rng: np.random.Generator) -> None:
        images = {title: rng.random((16, 20)) for title in ("ABF", "HAADF")}
        path = write_hspy(tmp_path / "a.hspy", *images.items())
        found = read(path, titles={"HAADF": "ABF"})
        assert list(found.signals) == ["HAADF"]
        np.testing.assert_array_equal(found.signals["HAADF"].image, images["ABF"])

    def test_wrong_titles_say_what_is_there(self, tmp_path: Path, rng: np.random.Generator) -> None:
        path = write_hspy(tmp_path / "a.hspy", ("one", rng.random((16, 20))), ("two", rng.random((16, 20))))
        sentence = refusal(path, titles={"ABF": "three"})
        assert "abf_title = 'three'" in sentence and "#1 a.hspy (one)" in sentence
        assert "same image" in refusal(path, titles={"ABF": "one", "HAADF": "#1"})

    def test_file_names_count_as_titles(self, tmp_path: Path, image: np.ndarray) -> None:
        np.save(tmp_path / "x.npy", image)
        np.save(tmp_path / "y.npy", image[::-1])
        found = read(tmp_path / "x.npy", tmp_path / "y.npy", titles={"HAADF": "y.npy", "ABF": "x"})
        np.testing.assert_array_equal(found.signals["ABF"].image, image)

    def test_velox_file_of_others(self) -> None:
        (path,) = needs("velox_four_detectors").glob("*.emd")
        found = read(path)
        assert list(found.signals) == ["HAADF"]
        assert sum("same value" in note for note in found.notes) == 3


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("empty.tif", b""),
            ("text.tif", b"not an image at all, only words"),
            ("zeros.dm4", bytes(4096)),
            ("ones.hspy", b"\xff" * 4096),
            ("short.tif", b"II*\0"),
            ("short.dm3", struct.pack(">iii", 3, 100, 1)),
            ("short.dm4", struct.pack(">iqi", 4, 100, 1)),
            ("short.hspy", b"\x89HDF\r\n\x1a\n"),
            ("short.npy", b"\x93NUMPY\x01\x00"),
            ("random.dm3", struct.pack(">iii", 3, 100, 1) + np.random.default_rng(0).bytes(999)),
        ],
    )
    def test_damaged(self, tmp_path: Path, name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        assert name in refusal(tmp_path / name)

    def test_missing_folder_and_pipe(self, tmp_path: Path) -> None:
        import os

        assert "no such file" in refusal(tmp_path / "none.tif")
        assert "folder" in refusal(tmp_path)
        os.mkfifo(tmp_path / "pipe.tif")
        assert "regular" in refusal(tmp_path / "pipe.tif")
        assert "no such file" in refusal("a\0b.tif")

    def test_nothing(self) -> None:
        refusal()
        assert "cannot be read" in refusal(3.5)

    @pytest.mark.parametrize("name", ["new\nline", "=cmd()", "[red]", "\u30c6 \U0001f52c", "<script>", "x" * 240])
    def test_hostile_names(self, tmp_path: Path, image: np.ndarray, name: str) -> None:
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, image)
        found = read(path)
        assert found.name == name
        assert all(note.isprintable() for note in found.notes)
        path.write_bytes(b"II*\0damaged")
        refusal(path)

    def test_wrong_suffix_is_read_by_its_content(self, tmp_path: Path, image: np.ndarray) -> None:
        np.save(tmp_path / "a.npy", image)
        (tmp_path / "a.npy").rename(tmp_path / "a.tif")
        found = read(tmp_path / "a.tif")
        assert found.inputs[0].reader == "NumPy"

    def test_input_record(self, tmp_path: Path, image: np.ndarray) -> None:
        import hashlib

        path = tmp_path / "a.npy"
        np.save(path, image)
        (record,) = read(path).inputs
        assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (record.name, record.size) == ("a.npy", path.stat().st_size)


class TestSeveralFiles:
    def test_pair(self, tmp_path: Path, image: np.ndarray) -> None:
        for detector, data in (("ABF", image.max() - image), ("HAADF", image)):
            np.save(tmp_path / f"KTO_{detector}.npy", data)
        found = read(tmp_path / "KTO_ABF.npy", tmp_path / "KTO_HAADF.npy", pixel_size=12)
        assert found.name == "KTO"
        assert list(found.signals) == ["HAADF", "ABF"]
        assert [one.name for one in found.inputs] == ["KTO_ABF.npy", "KTO_HAADF.npy"]
        assert found.pixel_size is not None and found.pixel_size.origin == "user"
        assert read(tmp_path / "KTO_ABF.npy", name="mine").name == "mine"

    def test_unnamed_beside_abf_is_haadf(self, tmp_path: Path, image: np.ndarray) -> None:
        np.save(tmp_path / "x.npy", image)
        np.save(tmp_path / "x_ABF.npy", image[::-1])
        found = read(tmp_path / "x.npy", tmp_path / "x_ABF.npy")
        assert list(found.signals) == ["HAADF", "ABF"]
        assert any("taken as HAADF" in note for note in found.notes)

    def test_shapes_differ(self, tmp_path: Path, image: np.ndarray) -> None:
        np.save(tmp_path / "x_HAADF.npy", image)
        np.save(tmp_path / "x_ABF.npy", image[:-1])
        assert "shape" in refusal(tmp_path / "x_HAADF.npy", tmp_path / "x_ABF.npy")

    def test_two_unnamed(self, tmp_path: Path, image: np.ndarray) -> None:
        np.save(tmp_path / "x.npy", image)
        np.save(tmp_path / "y.npy", image[::-1])
        assert "tell no detector" in refusal(tmp_path / "x.npy", tmp_path / "y.npy")

    def test_pixel_sizes_disagree(self, tmp_path: Path, image: np.ndarray) -> None:
        for detector, pixels in (("HAADF", 100), ("ABF", 50)):
            path = tmp_path / f"x_{detector}.tif"
            tifffile.imwrite(path, image, imagej=True, resolution=(pixels, pixels), metadata={"unit": "nm"})
        found = read(tmp_path / "x_ABF.tif", tmp_path / "x_HAADF.tif")
        assert found.pixel_size is not None and found.pixel_size.x_pm == pytest.approx(10)
        assert any("disagrees" in note for note in found.notes)

    def test_users_pixel_size_replaces_the_files(self, tmp_path: Path, image: np.ndarray) -> None:
        path = tmp_path / "x_HAADF.tif"
        tifffile.imwrite(path, image, imagej=True, resolution=(100, 100), metadata={"unit": "nm"})
        found = read(path, pixel_size=11)
        assert found.pixel_size is not None and found.pixel_size.x_pm == 11
        assert float(found.metadata["file_pixel_size_x_pm"]) == pytest.approx(10)
        assert any("replaces" in note for note in found.notes)

    @pytest.mark.parametrize("value", [0, -1, 0.4, 201, float("nan"), "nine", (1, 2, 3), (10, 0.1)])
    def test_impossible_pixel_size(self, tmp_path: Path, image: np.ndarray, value: Any) -> None:
        np.save(tmp_path / "x.npy", image)
        with pytest.raises(CalibrationError, match="pixel size"):
            read(tmp_path / "x.npy", pixel_size=value)


class _Axes:
    def __init__(self, **axes: dict[str, Any]) -> None:
        self.axes = axes

    def as_dictionary(self) -> dict[str, Any]:
        return {f"axis-{i}": axis for i, axis in enumerate(self.axes.values())}


class _Metadata(dict[str, Any]):
    def as_dictionary(self) -> dict[str, Any]:
        return dict(self)


class _Signal:
    """What a HyperSpy signal looks like from outside."""

    def __init__(self, data: Any, title: str, **axes: dict[str, Any]) -> None:
        self.data, self.axes_manager = data, _Axes(**axes)
        self.metadata = _Metadata(General={"title": title})


class TestMemory:
    AXES: dict[str, dict[str, Any]] = {  # noqa: RUF012
        "y": {"name": "y", "scale": 0.01, "units": "nm", "navigate": False},
        "x": {"name": "x", "scale": 0.02, "units": "nm", "navigate": False},
    }

    def test_signal(self, image: np.ndarray) -> None:
        signal = _Signal(image, "ABF", **self.AXES)
        found = read(signal)
        assert found.name == "ABF"
        assert found.pixel_size is not None
        np.testing.assert_allclose(found.pixel_size.xy_pm, [20, 10])
        np.testing.assert_array_equal(found.signals["ABF"].image, image)
        assert image.flags.writeable, "the caller's array stays the caller's"
        assert len(found.inputs[0].sha256) == 64

    def test_masked(self, image: np.ndarray) -> None:
        masked = np.ma.array(image, mask=image > 70)
        found = read(_Signal(masked, "HAADF", **self.AXES)).signals["HAADF"].image
        np.testing.assert_array_equal(np.isnan(found), image > 70)

    def test_read_only(self, image: np.ndarray) -> None:
        image.setflags(write=False)
        assert read(_Signal(image, "HAADF", **self.AXES)).shape == image.shape

    def test_strange(self) -> None:
        assert "no HyperSpy image" in refusal(_Signal([1, 2], "HAADF", **self.AXES))

    def test_real_hyperspy(self, image: np.ndarray) -> None:
        signals = pytest.importorskip("hyperspy.signals")
        ny, nx = image.shape
        axes = [{"size": n, "name": name, "scale": 0.1, "units": "\u00c5"} for n, name in ((ny, "y"), (nx, "x"))]
        signal = signals.Signal2D(image, axes=axes, metadata={"General": {"title": "HAADF"}})
        found = read(signal)
        assert found.pixel_size is not None
        np.testing.assert_allclose(found.pixel_size.xy_pm, [10, 10])
        stack = signals.Signal2D(np.stack([image, image]), metadata={"General": {"title": "HAADF"}})
        assert read(stack).frames == 2
        assert read(stack).pixel_size is None


class TestRealFiles:
    def test_bto_dm4(self) -> None:
        found = read(needs("bto_hrhaadf/BTO_crystal_1.dm4"))
        assert found.shape == (413, 469)
        assert list(found.signals) == ["HAADF"]
        assert found.pixel_size is not None
        np.testing.assert_allclose(found.pixel_size.xy_pm, 29.66, atol=0.005)

    def test_damaged_dm4(self, tmp_path: Path) -> None:
        raw = needs("bto_hrhaadf/BTO_crystal_1.dm4").read_bytes()
        for length in (50, 1000, len(raw) // 2, len(raw) - 5000):
            (tmp_path / "a.dm4").write_bytes(raw[:length])
            refusal(tmp_path / "a.dm4")

    def test_old_hdf5_pair(self) -> None:
        folder = needs("adf_abf_perovskite")
        found = read(folder / "test_ADF_cropped.hdf5", folder / "test_ABF_cropped.hdf5")
        assert list(found.signals) == ["HAADF", "ABF"]
        assert found.shape == (400, 380)
        assert found.pixel_size is None
        assert any("0.00932627 without a unit" in note for note in found.notes)

    def test_frames(self) -> None:
        found = read(needs("abf_stack/stem_abf_data_imagestack.hspy"))
        assert found.frames == 5
        assert list(found.signals) == ["ABF"]
        assert found.pixel_size is not None and found.pixel_size.x_pm == pytest.approx(9.2024, abs=1e-4)


def test_import_is_light() -> None:
    heavy = "scipy h5py rsciio tifffile hyperspy pyarrow tomlkit dask pandas"
    code = f"import sys, stemdisp.io.read, stemdisp.io.store; print([m for m in '{heavy}'.split() if m in sys.modules])"
    root = str(Path(__file__).resolve().parents[3])
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert out.stdout.strip() == "[]"


def test_no_reader_unpickles() -> None:
    source = Path(__file__).resolve().parents[3] / "stemdisp" / "io"
    for path in source.glob("*.py"):
        code = re.sub(r'"""[\s\S]*?"""|#.*', "", path.read_text(encoding="utf-8"))
        assert not re.search(r"allow_pickle=True|\bpickle\.|import pickle|\beval\(|\bexec\(", code), path.name
