"""What a damaged or hostile file may cost: memory, time and words are looked after before anything is read."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from image_files import (
    PRZ_CALIBRATION,
    ncem_plane,
    write_dm,
    write_emd,
    write_hspy,
    write_prz,
    write_ser,
    write_velox,
    write_zip,
    zspy_files,
)

from stemdisp.io import dm_tags, formats
from stemdisp.io.provenance import sha256
from stemdisp.io.read import read

Refusal = Callable[[Path], str]


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Has the system say that this process may have so many bytes."""
    resource = pytest.importorskip("resource")

    def allow(bytes_: int) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (bytes_, resource.RLIM_INFINITY))

    return allow


class TestMemory:
    def test_the_limit_follows_that_of_the_process(self, allowed: Callable[[int], None]) -> None:
        assert formats.largest_bytes() <= formats.LARGEST_BYTES
        for bytes_, most in ((10**9, 10**9), (2**40, formats.LARGEST_BYTES), (-1, formats.LARGEST_BYTES)):
            allowed(bytes_)
            assert formats.largest_bytes() == most

    def test_an_image_above_it(
        self, tmp_path: Path, image: np.ndarray, refusal: Refusal, allowed: Callable[[int], None]
    ) -> None:
        paths = [write_hspy(tmp_path / "a.hspy", ("HAADF", image)), tmp_path / "a.npy", tmp_path / "a.tif"]
        np.save(paths[1], image)
        tifffile.imwrite(paths[2], image)
        allowed(1000)
        for path in paths:
            sentence = refusal(path)
            assert "takes 1.43e-06 GiB" in sentence and "may take 9.31e-07 GiB" in sentence
            assert "--max-memory" in sentence

    def test_no_memory_left(
        self, tmp_path: Path, image: np.ndarray, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise MemoryError

        np.save(tmp_path / "a.npy", image)
        monkeypatch.setattr(np, "load", fail)
        sentence = refusal(tmp_path / "a.npy")
        assert "more memory" in sentence and "--max-memory" in sentence


class TestHeadersThatLie:
    def test_description_of_panta_rhei(self, tmp_path: Path, image: np.ndarray, refusal: Refusal) -> None:
        written, head = io.BytesIO(), io.BytesIO()
        np.save(written, image)
        np.lib.format.write_array_header_1_0(head, {"descr": "<U4", "fortran_order": False, "shape": (30000, 3000)})
        files = {"data.npy": written.getvalue(), "meta_data_json.npy": head.getvalue() + b"[{}]"}
        assert "damaged" in refusal(write_zip(tmp_path / "a.prz", files))

    def test_long_head_of_panta_rhei(self, tmp_path: Path, image: np.ndarray, refusal: Refusal) -> None:
        path = write_prz(tmp_path / "a.prz", image, **{"device.calib": PRZ_CALIBRATION})
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data.npy", b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1))
        assert "version 2" in refusal(path)

    def test_axis_in_one_large_block(self, tmp_path: Path, image: np.ndarray) -> None:
        path = write_emd(tmp_path / "a.emd", {"path": "data/HAADF", "data": image, "dims": ncem_plane(image, "n_m")})
        with h5py.File(path, "r+") as file:
            group = file["data/HAADF"]
            del group["dim1"]
            data = group.create_dataset("dim1", (24,), "f8", chunks=(2**25,), maxshape=(None,), compression="gzip")
            data.attrs["units"] = np.bytes_("n_m")
            data.id.write_direct_chunk((0,), zlib.compress(b""))
        assert read(path).pixel_size is None

    def test_text_of_gigabytes(self, tmp_path: Path, image: np.ndarray, refusal: Refusal) -> None:
        path = write_velox(tmp_path / "a.emd", ("HAADF", image[:, :, None]))
        with h5py.File(path, "r+") as file:
            del file["Version"]
            file.create_dataset("Version", (1,), "S2000000000", chunks=(1,), compression="gzip")
        assert "Velox did not write it" in refusal(path)

    def test_text_longer_than_the_file(self, tmp_path: Path, image: np.ndarray, refusal: Refusal) -> None:
        path = write_velox(tmp_path / "a.emd", ("HAADF", image[:, :, None]))
        with h5py.File(path) as file:
            place = file["Version"].id.get_offset()
        raw = bytearray(path.read_bytes())
        struct.pack_into("<L", raw, place, 2**31)
        path.write_bytes(raw)
        assert "Velox did not write it" in refusal(path)

    @pytest.mark.parametrize("place", [4, 12])
    def test_sizes_that_blosc_believes(self, tmp_path: Path, image: np.ndarray, refusal: Refusal, place: int) -> None:
        """Of the block unpacked, and packed: beyond its end Blosc reads whatever stands in memory."""
        pytest.importorskip("numcodecs")
        files = zspy_files(image, (24, 32), "blosc")
        block = bytearray(files["Experiments/HAADF/data/0/0"])
        struct.pack_into("<L", block, place, 2**30)
        assert "damaged" in refusal(
            write_zip(tmp_path / "a.zspy", files | {"Experiments/HAADF/data/0/0": bytes(block)})
        )

    def test_tiles_larger_than_the_image(self, tmp_path: Path, image: np.ndarray, refusal: Refusal) -> None:
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, image, tile=(16, 16), compression="zlib")
        raw = bytearray(path.read_bytes())
        (page,) = struct.unpack_from("<L", raw, 4)
        for i in range(struct.unpack_from("<H", raw, page)[0]):
            if struct.unpack_from("<H", raw, page + 2 + 12 * i)[0] in (322, 323):
                struct.pack_into("<HLL", raw, page + 4 + 12 * i, 4, 1, 16000)
        path.write_bytes(raw)
        assert "tiles" in refusal(path)

    def test_packed_blocks_larger_than_the_image(self, tmp_path: Path, image: np.ndarray, refusal: Refusal) -> None:
        files = zspy_files(image, (1, 1), "zlib")
        block = bytes(300_000)  # each less than a block may have, all together more than the image
        files |= {name: block for name in files if "/data/" in name and not name.endswith(".zarray")}
        assert "hold something else" in refusal(write_zip(tmp_path / "a.zspy", files))

    def test_streams_that_do_not_end_with_the_image(self, tmp_path: Path, image: np.ndarray, refusal: Refusal) -> None:
        """Some ten thousand bytes for a few hundred pixels, which would unpack to ten million."""
        packed = zlib.compress(bytes(10**7))
        path = write_hspy(tmp_path / "a.hspy", ("HAADF", image))
        with h5py.File(path, "r+") as file:
            del file["Experiments/HAADF/data"]
            data = file["Experiments/HAADF"].create_dataset("data", (24, 32), "u2", chunks=(24, 32), compression="gzip")
            data.id.write_direct_chunk((0, 0), packed)
        assert "hold something else" in refusal(path)
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, image, compression="zlib", rowsperstrip=24)
        raw = bytearray(path.read_bytes())
        (page,) = struct.unpack_from("<L", raw, 4)
        for i in range(struct.unpack_from("<H", raw, page)[0]):
            tag = struct.unpack_from("<H", raw, page + 2 + 12 * i)[0]
            if tag in (273, 279):
                struct.pack_into("<HLL", raw, page + 4 + 12 * i, 4, 1, len(raw) if tag == 273 else len(packed))
        path.write_bytes(bytes(raw) + packed)
        assert "hold something else" in refusal(path)

    def test_noise_that_does_not_pack(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).random((40, 50))
        path = write_hspy(tmp_path / "a.hspy", ("HAADF", noise))
        with h5py.File(path, "r+") as file:
            del file["Experiments/HAADF/data"]
            file["Experiments/HAADF"].create_dataset(
                "data", data=noise, chunks=(1, 1), compression="gzip", shuffle=True, fletcher32=True
            )
        np.testing.assert_array_equal(read(path).signals["HAADF"].image, noise)
        for compression, tile in (("zlib", (16, 16)), ("lzma", None)):
            pixels = (255 * noise).astype(np.uint8)
            tifffile.imwrite(tmp_path / "a.tif", pixels, compression=compression, tile=tile)
            np.testing.assert_array_equal(read(tmp_path / "a.tif").signals["HAADF"].image, pixels)

    def test_pages_beyond_the_end(self, tmp_path: Path, image: np.ndarray, refusal: Refusal) -> None:
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, image, bigtiff=True)
        raw = path.read_bytes()
        (page,) = struct.unpack_from("<Q", raw, 8)
        for place in (8, page):
            path.write_bytes(raw[:place] + struct.pack("<Q", 2**63) + raw[place + 8 :])
            assert "beyond its end" in refusal(path)


class TestDigitalMicrograph:
    @pytest.mark.parametrize("version", [3, 4])
    def test_whole(self, tmp_path: Path, image: np.ndarray, version: int) -> None:
        path = write_dm(tmp_path / "a.dm", ("HAADF", image, 10), version=version)
        dm_tags.check(path)
        np.testing.assert_array_equal(read(path).signals["HAADF"].image, image)

    @pytest.mark.parametrize("version", [3, 4])
    def test_counts_that_lie(self, tmp_path: Path, image: np.ndarray, refusal: Refusal, version: int) -> None:
        path = write_dm(tmp_path / "a.dm", ("HAADF", image, 10), version=version)
        raw, form = path.read_bytes(), ">q" if version == 4 else ">i"
        size = raw.index(struct.pack(form, image.size), raw.index(b"\x15\x00\x04Data"))
        for count in (2**31 - 1, -1):
            path.write_bytes(raw[:size] + struct.pack(form, count) + raw[size + struct.calcsize(form) :])
            assert "a tag at byte" in refusal(path)

    def test_structs_of_nothing_do_not_hang(self, tmp_path: Path, refusal: Refusal) -> None:
        """Two thousand million values that take no byte."""
        path = tmp_path / "a.dm3"
        tag = b"\x15\x00\x01a%%%%" + struct.pack(">6i", 5, 20, 15, 0, 0, 2**31 - 1)
        path.write_bytes(struct.pack(">iiibbi", 3, len(tag), 1, 0, 0, 1) + tag + bytes(8))
        assert "a tag at byte" in refusal(path)

    def test_too_many_values(
        self, tmp_path: Path, image: np.ndarray, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dm_tags, "MOST_VALUES", 50)
        assert "a tag at byte" in refusal(write_dm(tmp_path / "a.dm3", ("HAADF", image, 10)))


def test_a_pixel_size_that_is_no_number_differs_from_nothing(tmp_path: Path, image: np.ndarray) -> None:
    path = write_ser(tmp_path / "a_1.ser", image, image, pixel_m=(float("nan"), 1e-11))
    found = read(path)
    assert found.frames == 2 and found.pixel_size is None


def test_what_never_ends_has_no_hash(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    for name in ("pipe", "zeros"):
        with pytest.raises(OSError, match="regular"):
            sha256(tmp_path / name)
