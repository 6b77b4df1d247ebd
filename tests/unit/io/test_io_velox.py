"""Velox files: built here as Velox builds them, and a real one where it is present."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from image_files import write_json, write_velox

from stemdisp.io import formats
from stemdisp.io.read import read


@pytest.fixture
def frames(image: np.ndarray) -> np.ndarray:
    return np.stack([image, image + 2, image + 4], axis=2)


@pytest.mark.parametrize("version", ["8", "11"])
def test_detectors_frames_and_calibration(tmp_path: Path, frames: np.ndarray, version: str) -> None:
    path = write_velox(tmp_path / "a.emd", ("HAADF", frames), ("BF", frames[:, :, :1]), version=version)
    found = read(path)
    assert list(found.signals) == ["HAADF", "BF"]
    np.testing.assert_array_equal(found.signals["HAADF"].image, frames.mean(axis=2))
    np.testing.assert_array_equal(found.signals["BF"].image, frames[:, :, 0])
    assert found.frames == 3
    assert found.pixel_size is not None
    np.testing.assert_allclose(found.pixel_size.xy_pm, [12.5, 13])
    assert found.inputs[0].reader == "Velox EMD"
    assert found.metadata["date"] == "2020-07-29"
    assert found.metadata["beam_energy_keV"] == "300.0"


def test_frames_in_one_block(tmp_path: Path, frames: np.ndarray) -> None:
    path = write_velox(tmp_path / "a.emd", ("HAADF", frames))
    with h5py.File(path, "r+") as file:
        group = file["Data/Image/" + 32 * "0"]
        del group["Data"]
        group["Data"] = frames
    (one,), _ = formats.images(path)
    np.testing.assert_array_equal(one.data, np.moveaxis(frames, 2, 0))


def test_iDPC_and_maps_keep_their_names(tmp_path: Path, frames: np.ndarray) -> None:  # noqa: N802
    path = write_velox(tmp_path / "a.emd", ("HAADF", frames), ("HAADF", frames), ("EDS", frames), version="11")
    with h5py.File(path, "r+") as file:
        key = f"{1:032x}"
        said = {"dataPath": f"/Data/Image/{key}", "integrationMode": "true", "enableFilter": "true"}
        write_json(file.create_group("Operations/SurfaceReconstructionOperation"), "a", said)
        file.create_group("Data/SpectrumImage")
        write_json(
            file.create_group("SharedProperties/ImageSeriesDataReference"), "r", {"dataPath": f"/Data/Image/{2:032x}"}
        )
        shown = {"data": "/SharedProperties/ImageSeriesDataReference/r", "id": "Ti"}
        write_json(file.create_group("Displays/ImageDisplay"), "d", shown)
    found, _ = formats.images(path)
    assert [one.title for one in found] == ["HAADF", "Filtered iDPC", "Ti"]


@pytest.mark.parametrize(
    ("pixel", "unit", "words"),
    [
        (None, "", "has no pixel size"),
        (None, "m", "has no pixel size"),
        ({"width": "1.0", "height": "1.0"}, "m", "outside"),
        ({"width": "0", "height": "0"}, "m", "has no pixel size (it says 0 m)"),
        ({"width": "-1e-11", "height": "-1e-11"}, "m", "has no pixel size (it says -1e-11 m)"),
        ({"width": "nan", "height": "abc"}, "m", "has no pixel size"),
        ({"width": "1e-11", "height": "1e-11"}, "px", "has no pixel size"),
        ("1e-11", "m", "has no pixel size"),
    ],
)
def test_pixel_sizes_that_are_none(tmp_path: Path, frames: np.ndarray, pixel: Any, unit: str, words: str) -> None:
    found = read(write_velox(tmp_path / "a.emd", ("HAADF", frames), pixel=pixel, unit=unit))
    assert found.pixel_size is None
    assert any(words in note for note in found.notes), found.notes


def test_diffraction_patterns_are_refused_by_name(
    tmp_path: Path, frames: np.ndarray, refusal: Callable[[Path], str]
) -> None:
    pixel = {"width": "1e8", "height": "1e8"}
    assert "diffraction pattern" in refusal(write_velox(tmp_path / "a.emd", ("Ceta", frames), pixel=pixel, unit="1/m"))


def test_complex_results_beside_an_image_are_left_out(tmp_path: Path, frames: np.ndarray) -> None:
    parts = np.zeros((24, 32, 1), [("realFloatHalfEven", "<f4"), ("imagFloatHalfEven", "<f4")])
    found = read(write_velox(tmp_path / "a.emd", ("FFT", parts), ("HAADF", frames)))
    assert list(found.signals) == ["HAADF"]
    assert any("complex" in note for note in found.notes)


def test_spectra_alone(tmp_path: Path, refusal: Callable[[Path], str]) -> None:
    assert "no image" in refusal(write_velox(tmp_path / "a.emd"))


def test_another_program_with_the_same_groups(
    tmp_path: Path, frames: np.ndarray, refusal: Callable[[Path], str]
) -> None:
    path = write_velox(tmp_path / "a.emd", ("HAADF", frames))
    with h5py.File(path, "r+") as file:
        del file["Version"]
        write_json(file, "Version", {"format": "Other"})
    assert "Velox did not write it" in refusal(path)


def test_without_or_with_broken_description(tmp_path: Path, frames: np.ndarray, refusal: Callable[[Path], str]) -> None:
    path = write_velox(tmp_path / "a.emd", ("HAADF", frames))
    with h5py.File(path, "r+") as file:
        group = file["Data/Image/" + 32 * "0"]
        group["Metadata"][:4] = 65
    assert "damaged" in refusal(path)
    with h5py.File(path, "r+") as file:
        del file["Data/Image/" + 32 * "0"]["Metadata"]
    found = read(path)
    assert list(found.signals) == ["HAADF"] and found.pixel_size is None


def test_links_to_elsewhere(tmp_path: Path, frames: np.ndarray, refusal: Callable[[Path], str]) -> None:
    path = write_velox(tmp_path / "a.emd", ("HAADF", frames))
    write_velox(tmp_path / "b.emd", ("HAADF", frames))
    with h5py.File(path, "r+") as file:
        group = file["Data/Image/" + 32 * "0"]
        del group["Data"]
        group["Data"] = h5py.ExternalLink("b.emd", "Data/Image/" + 32 * "0" + "/Data")
    assert "link to elsewhere" in refusal(path)


def test_dimension_bombs(tmp_path: Path, frames: np.ndarray, refusal: Callable[[Path], str]) -> None:
    for shape, words in (((60000, 60000, 1), "GiB"), ((8192, 8192, 1), "damaged")):
        path = write_velox(tmp_path / "a.emd", ("HAADF", frames))
        with h5py.File(path, "r+") as file:
            group = file["Data/Image/" + 32 * "0"]
            del group["Data"]
            group.create_dataset("Data", shape, "u2", chunks=(1024, 1024, 1), compression="gzip")
        assert words in refusal(path)


def test_chunks_larger_than_the_image(tmp_path: Path, frames: np.ndarray, refusal: Callable[[Path], str]) -> None:
    path = write_velox(tmp_path / "a.emd", ("HAADF", frames))
    with h5py.File(path, "r+") as file:
        group = file["Data/Image/" + 32 * "0"]
        del group["Data"]
        data = group.create_dataset("Data", (24, 32, 1), "u2", chunks=(8192, 8192, 1), maxshape=(None, None, None))
        data.id.write_direct_chunk((0, 0, 0), bytes(100))
    refusal(path)


def test_damage(tmp_path: Path, frames: np.ndarray, damaged: Callable[..., int]) -> None:
    assert damaged(write_velox(tmp_path / "a.emd", ("HAADF", frames), ("BF", frames)), head=8192) > 20


@pytest.mark.slow
def test_twenty_large_frames(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 999, (2048, 2048, 20), dtype=np.uint16)
    (one,), _ = formats.images(write_velox(tmp_path / "a.emd", ("HAADF", frames)))
    assert one.data.shape == (20, 2048, 2048)
    np.testing.assert_array_equal(one.data[7], frames[:, :, 7])


def test_real_file(real_file: Callable[[str], Path]) -> None:
    path = real_file("velox_four_detectors/STEM HAADF-DF4-DF2-BF Diffraction Micro.emd")
    found, _ = formats.images(path)
    assert sorted(one.title for one in found) == ["BF", "DF2", "DF4", "HAADF"]
    assert all(one.data.shape == (1, 128, 128) for one in found)
    np.testing.assert_allclose([axis.scale or 0 for axis in found[0].axes[1:]], 8.737e-8, rtol=1e-3)
    micrograph = read(path)
    assert list(micrograph.signals) == ["HAADF"]
    assert sum("same value" in note for note in micrograph.notes) == 3
    assert any("87370.8" in note for note in micrograph.notes)


def test_real_file_damaged(tmp_path: Path, real_file: Callable[[str], Path], damaged: Callable[..., int]) -> None:
    path = tmp_path / "a.emd"
    path.write_bytes(real_file("velox_four_detectors/STEM HAADF-DF4-DF2-BF Diffraction Micro.emd").read_bytes())
    assert damaged(path, cuts=20, flips=40, head=40000) >= 20
