"""NCEM EMD and NeXus files, written by RosettaSciIO and by hand, and what is refused of HDF5 in general."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from image_files import hyperspy_signal, ncem_plane, write_emd

from stemdisp.io import formats
from stemdisp.io.read import read


class TestNCEM:
    @pytest.mark.parametrize(
        ("unit", "pm"), [("n_m", 1e3), ("[n_m]", 1e3), ("u_m", 1e6), ("[u_m]", 1e6), ("Ang", 100), ("[A]", 100)]
    )
    def test_units(self, tmp_path: Path, image: np.ndarray, unit: str, pm: float) -> None:
        dims = ncem_plane(image, unit, 10 / pm, 20 / pm)
        path = write_emd(tmp_path / "a.emd", {"path": "data/HAADF", "data": image, "dims": dims})
        found = read(path)
        np.testing.assert_array_equal(found.signals["HAADF"].image, image)
        assert found.pixel_size is not None
        np.testing.assert_allclose(found.pixel_size.xy_pm, [10, 20])

    @pytest.mark.parametrize("shape", [(24, 32), (3, 24, 32)])
    def test_written_by_rosettasciio(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        emd = pytest.importorskip("rsciio.emd")
        data = np.random.default_rng(0).random(shape).astype(np.float32)
        emd.file_writer(str(tmp_path / "a.emd"), hyperspy_signal(data))
        found = read(tmp_path / "a.emd")
        np.testing.assert_allclose(found.signals["HAADF"].image, data.reshape(-1, 24, 32).mean(axis=0), rtol=1e-6)
        assert found.frames == data.size // (24 * 32)
        assert found.pixel_size is not None
        np.testing.assert_allclose(found.pixel_size.xy_pm, [10, 20])

    def test_x_first_is_turned_over(self, tmp_path: Path, image: np.ndarray) -> None:
        dims = ncem_plane(image, "n_m")[::-1]
        path = write_emd(tmp_path / "a.emd", {"path": "data/a", "data": image.T, "dims": dims})
        np.testing.assert_array_equal(read(path).signals["HAADF"].image, image)

    def test_prismatic_counts_x_first(self, tmp_path: Path, image: np.ndarray) -> None:
        dims = [("R_x", "[n_m]", np.arange(32) * 0.01), ("R_y", "[n_m]", np.arange(24) * 0.02)]
        said = {"path": "4DSTEM_simulation/data/realslices/annular_detector", "data": image.T, "dims": dims}
        found = read(write_emd(tmp_path / "a.h5", said))
        np.testing.assert_array_equal(found.signals["HAADF"].image, image)
        assert found.pixel_size is not None
        np.testing.assert_allclose(found.pixel_size.xy_pm, [10, 20])

    def test_stack(self, tmp_path: Path, image: np.ndarray) -> None:
        frames = np.stack([image, image + 2])
        dims = [("time", "[s]", [0.0, 1.0]), *ncem_plane(image, "[n_m]")]
        path = write_emd(tmp_path / "a.emd", {"path": "data/ABF", "data": frames, "dims": dims})
        found = read(path)
        assert found.frames == 2 and list(found.signals) == ["ABF"]

    def test_as_py4dstem(self, tmp_path: Path, image: np.ndarray) -> None:
        """Version 1.0 counts dimensions from 0, gives two positions for each, and keeps a 4-D array beside."""
        dims = [("Rx", "A", [0.0, 0.2]), ("Ry", "A", [0.0, 0.2])]
        cube = [*dims, ("Qx", "A^-1", [0.0, 0.1]), ("Qy", "A^-1", [0.0, 0.1])]
        path = write_emd(
            tmp_path / "a.h5",
            {"path": "root/ADF", "data": image, "dims": dims, "first": 0, "kind": "array"},
            {"path": "root/cube", "data": np.ones((3, 4, 5, 6)), "dims": cube, "first": 0, "kind": "array"},
            version="1.0",
        )
        found = read(path)
        np.testing.assert_array_equal(found.signals["HAADF"].image, image)
        assert found.pixel_size is not None and found.pixel_size.x_pm == pytest.approx(20)
        assert any("cube" in note and "diffraction" in note for note in found.notes)

    def test_positions_that_are_no_even_row(self, tmp_path: Path, image: np.ndarray) -> None:
        dims = [("Y", "n_m", np.arange(24.0) ** 2), ("X", "n_m", np.arange(32.0))]
        path = write_emd(tmp_path / "a.emd", {"path": "data/a", "data": image, "dims": dims})
        assert read(path).pixel_size is None

    def test_four_dimensions_take_no_memory(self, tmp_path: Path, refusal: Callable[[Path], str]) -> None:
        path = tmp_path / "a.emd"
        with h5py.File(path, "w") as file:
            group = file.create_group("data/cube")
            group.attrs["emd_group_type"] = 1
            group.create_dataset("data", (256, 256, 512, 512), "u2", chunks=(1, 1, 512, 512))
        (one,), _ = formats.images(path)
        assert one.data.strides == (0, 0, 0, 0)
        assert "4 dimension" in refusal(path)

    def test_damage(self, tmp_path: Path, image: np.ndarray, damaged: Callable[..., int]) -> None:
        said = {"path": "data/HAADF", "data": image, "dims": ncem_plane(image, "n_m")}
        assert damaged(write_emd(tmp_path / "a.emd", said)) > 20

    def test_real_file(self, real_file: Callable[[str], Path]) -> None:
        found = read(real_file("ncem_emd_units/Acquisition_18.emd"))
        assert found.shape == (1024, 1024)
        assert found.pixel_size is not None
        np.testing.assert_allclose(found.pixel_size.xy_pm, 12.2465, rtol=1e-4)
        assert found.metadata["beam_energy_keV"] == "200.0"

    def test_real_file_is_not_turned_over(self, real_file: Callable[[str], Path]) -> None:
        path = real_file("ncem_emd_units/Acquisition_18.emd")
        with h5py.File(path) as file:
            stored = file["data/single/data"][()]
        np.testing.assert_array_equal(read(path).signals["HAADF"].image, stored)


class TestNeXus:
    @pytest.mark.parametrize("shape", [(24, 32), (3, 24, 32)])
    def test_written_by_hyperspy(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        nexus = pytest.importorskip("rsciio.nexus")
        data = np.random.default_rng(0).random(shape)
        nexus.file_writer(str(tmp_path / "a.nxs"), [hyperspy_signal(data, "HAADF"), hyperspy_signal(data + 1, "ABF")])
        found = read(tmp_path / "a.nxs")
        assert list(found.signals) == ["HAADF", "ABF"]
        np.testing.assert_allclose(found.signals["HAADF"].image, data.reshape(-1, 24, 32).mean(axis=0))
        assert found.pixel_size is not None
        np.testing.assert_allclose(found.pixel_size.xy_pm, [10, 20])
        assert found.metadata["date"] == "2020-01-01"
        assert found.inputs[0].reader == "NeXus"

    def test_by_hand_without_axes(self, tmp_path: Path, image: np.ndarray) -> None:
        with h5py.File(tmp_path / "a.nxs", "w") as file:
            file.create_group("entry").attrs["NX_class"] = "NXentry"
            group = file.create_group("entry/image")
            group.attrs["NX_class"], group.attrs["signal"] = "NXdata", "counts"
            group["counts"] = image
        found = read(tmp_path / "a.nxs")
        np.testing.assert_array_equal(found.signals["HAADF"].image, image)
        assert found.pixel_size is None

    def test_pixels_in_another_file(self, tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str]) -> None:
        with h5py.File(tmp_path / "b.h5", "w") as file:
            file["counts"] = image
        with h5py.File(tmp_path / "a.nxs", "w") as file:
            group = file.create_group("entry")
            group.attrs["NX_class"] = "NXdata"
            group["data"] = h5py.ExternalLink("b.h5", "counts")
        assert "link to elsewhere" in refusal(tmp_path / "a.nxs")

    def test_virtual_pixels(self, tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str]) -> None:
        with h5py.File(tmp_path / "b.h5", "w") as file:
            file["counts"] = image
        layout = h5py.VirtualLayout(image.shape, image.dtype)
        layout[:] = h5py.VirtualSource(str(tmp_path / "b.h5"), "counts", image.shape)
        with h5py.File(tmp_path / "a.nxs", "w") as file:
            group = file.create_group("entry")
            group.attrs["NX_class"] = "NXdata"
            group.create_virtual_dataset("data", layout)
        assert "other files" in refusal(tmp_path / "a.nxs")

    def test_damage(self, tmp_path: Path, damaged: Callable[..., int]) -> None:
        nexus = pytest.importorskip("rsciio.nexus")
        nexus.file_writer(str(tmp_path / "a.nxs"), hyperspy_signal(np.random.default_rng(0).random((24, 32))))
        assert damaged(tmp_path / "a.nxs") > 20


class TestAnyHDF5:
    def test_unknown_kind(self, tmp_path: Path, image: np.ndarray, refusal: Callable[[Path], str]) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["counts"] = image
        assert "holds counts" in refusal(tmp_path / "a.h5")

    def test_groups_in_a_ring(self, tmp_path: Path, image: np.ndarray) -> None:
        path = write_emd(tmp_path / "a.emd", {"path": "a/b", "data": image, "dims": ncem_plane(image, "n_m")})
        with h5py.File(path, "r+") as file:
            file["a/b/again"] = file["a"]
            file["a/soft"] = h5py.SoftLink("/a/soft")
        assert read(path).shape == image.shape

    def test_too_many_groups(self, tmp_path: Path, refusal: Callable[[Path], str]) -> None:
        with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
            for i in range(10_001):
                file.create_group(f"{i}")
        assert "10000 groups" in refusal(tmp_path / "a.h5")

    def test_colours_text_and_flags_are_named(self, tmp_path: Path, image: np.ndarray) -> None:
        with h5py.File(tmp_path / "a.hspy", "w") as file:
            for name, data in (("HAADF", image), ("mask", image > 50), ("words", np.array([[b"a", b"b"]]))):
                group = file.create_group(f"Experiments/{name}")
                group["data"] = data
                group.create_group("metadata/General").attrs["title"] = name
        found = read(tmp_path / "a.hspy")
        assert list(found.signals) == ["HAADF"]
        assert any("mask" in note and "true and false" in note for note in found.notes)
        assert any("words" in note for note in found.notes)
