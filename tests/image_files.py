"""Image files of every format that is read, written as the programs of microscopes write them, or byte for byte."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile


def write_hspy(path: Path, *signals: tuple[str, np.ndarray], axes: list[dict[str, Any]] | None = None) -> Path:
    """A HyperSpy file with the given (title, data)."""
    with h5py.File(path, "w") as file:
        file.attrs["file_format_version"] = "3.3"
        for title, data in signals:
            group = file.create_group(f"Experiments/{title or '__unnamed__'}")
            group["data"] = data
            group.create_group("original_metadata")
            general = group.create_group("metadata/General")
            general.attrs["title"] = title
            given = axes or [{"navigate": i < data.ndim - 2} for i in range(data.ndim)]
            for i, described in enumerate(given):
                axis = group.create_group(f"axis-{i}")
                for name, value in ({"scale": 0.01, "units": "nm", "offset": 0.0} | described).items():
                    axis.attrs[name] = value
    return path


def _tag(name: str, content: Any, *, wide: bool) -> bytes:
    """A tag of a DM file, its numbers ``wide`` in DM4: a dict is a group, an array or text an array of numbers."""
    long = "q" if wide else "i"
    head = struct.pack(">h", len(name)) + name.encode()

    def whole(first: bytes, rest: bytes) -> bytes:
        return first + head + (struct.pack(">q", len(rest)) if wide else b"") + rest

    if isinstance(content, dict):
        tags = b"".join(_tag(key.strip("0123456789"), value, wide=wide) for key, value in content.items())
        return whole(b"\x14", struct.pack(f">bb{long}", 0, 0, len(content)) + tags)
    codes = {"h": 2, "i": 3, "H": 4, "I": 5, "f": 6, "d": 7, "b": 9, "B": 10}
    if isinstance(content, (int, float)):
        code, form = (7, "<d") if isinstance(content, float) else (3, "<i")
        return whole(b"\x15", b"%%%%" + struct.pack(f">2{long}", 1, code) + struct.pack(form, content))
    array = np.array([ord(letter) for letter in content], "<u2") if isinstance(content, str) else content
    code = codes[array.dtype.char]
    return whole(b"\x15", b"%%%%" + struct.pack(f">4{long}", 3, 20, code, array.size) + array.tobytes())


def write_dm(
    path: Path, *images: tuple[str, np.ndarray, int], unit: str = "nm", scale: float = 0.01, version: int = 3
) -> Path:
    """A DM3 or DM4 file with the given (title, data, DigitalMicrograph's number of the data type)."""
    entries = {}
    for i, (title, data, kind) in enumerate(images):
        axes = {f"{j}": {"Origin": 0.0, "Scale": scale, "Units": unit} for j in range(data.ndim)}
        content = {
            "Calibrations": {"Brightness": {"Origin": 0.0, "Scale": 1.0, "Units": "e-"}, "Dimension": axes},
            "Data": data.ravel(),
            "DataType": kind,
            "Dimensions": {f"{j}": int(n) for j, n in enumerate(data.shape[::-1])},
        }
        entries[f"{i}"] = {"ImageData": content, "ImageTags": {}, "Name": title}
    tags = _tag("ImageList", entries, wide=version == 4)
    long = "q" if version == 4 else "i"
    path.write_bytes(struct.pack(f">i{long}ibb{long}", version, len(tags), 1, 0, 0, 1) + tags + bytes(8))
    return path


VELOX_PIXEL = {"width": "1.25e-11", "height": "1.3e-11"}


def write_json(group: h5py.Group, name: str, said: Any) -> None:
    """A text of JSON, as Velox keeps its descriptions."""
    group.create_dataset(name, data=[json.dumps(said)], dtype=h5py.string_dtype())


def write_velox(
    path: Path,
    *signals: tuple[str, np.ndarray],
    pixel: Any = VELOX_PIXEL,
    unit: str = "m",
    version: str = "8",
    **more: Any,
) -> Path:
    """A Velox file with the given (detector, frames (y, x, n)); version 11 and later names detectors by number only."""
    with h5py.File(path, "w") as file:
        write_json(file, "Version", {"version": version, "format": "Velox"})
        file.create_group("Data/Spectrum")
        detectors = {f"Detector-{i}": {"DetectorName": name} for i, (name, _) in enumerate(signals)}
        for i, (name, data) in enumerate(signals):
            key = f"{i:032x}"
            group = file.create_group(f"Data/Image/{key}")
            group.create_dataset("Data", data=data, chunks=(*data.shape[:2], 1) if data.ndim == 3 else None)
            result = {"DetectorIndex": str(i), "PixelUnitX": unit, "PixelUnitY": unit, "PixelSize": pixel}
            said = {
                "BinaryResult": {name: value for name, value in result.items() if value is not None},
                "Detectors": detectors,
                "Optics": {"AccelerationVoltage": "300000"},
                "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1596041391"}},
                "Instrument": {"InstrumentClass": "Titan"},
            } | more
            letters = np.zeros((60000, data.shape[-1]), np.uint8)
            written = json.dumps(said).encode()
            letters[: len(written)] = np.frombuffer(written, np.uint8)[:, None]
            group["Metadata"] = letters
            if int(version) < 11:
                operations = file.require_group("Operations/StemInputOperation")
                write_json(operations, key, {"dataPath": f"/Data/Image/{key}", "detector": name})
    return path


def hyperspy_signal(data: np.ndarray, title: str = "HAADF", units: str = "nm", **more: Any) -> dict[str, Any]:
    """What RosettaSciIO writes: a signal as HyperSpy hands it over, 0.02 high and 0.01 wide."""
    names = ("z", "y", "x")[3 - data.ndim :]
    axes = [
        {
            "_type": "UniformDataAxis",
            "name": name,
            "units": units,
            "scale": {"z": 1.0, "y": 0.02, "x": 0.01}[name],
            "offset": 0.5,
            "size": size,
            "navigate": name == "z",
        }
        for name, size in zip(names, data.shape, strict=True)
    ]
    metadata = {"General": {"title": title, "date": "2020-01-01"}, "Signal": {"signal_type": ""}}
    return {"data": data, "axes": axes, "metadata": metadata, "original_metadata": {}} | more


def write_emd(path: Path, *groups: dict[str, Any], version: str = "0.2") -> Path:
    """An NCEM file: each group is {path, data, dims: [(name, unit, positions)], kind, first}."""
    with h5py.File(path, "w") as file:
        major, minor = version.split(".")
        file.attrs["version_major"], file.attrs["version_minor"] = int(major), int(minor)
        for said in groups:
            group = file.create_group(said["path"])
            group.attrs["emd_group_type"] = said.get("kind", 1)
            group["data"] = said["data"]
            for i, (name, unit, positions) in enumerate(said["dims"], said.get("first", 1)):
                group[f"dim{i}"] = positions
                group[f"dim{i}"].attrs["name"] = np.bytes_(name)
                group[f"dim{i}"].attrs["units"] = np.bytes_(unit)
    return path


def ncem_plane(data: np.ndarray, unit: str, x: float = 0.01, y: float = 0.02, names: str = "YX") -> list[Any]:
    ny, nx = data.shape[-2:]
    return [(names[0], unit, np.arange(ny) * y), (names[1], unit, np.arange(nx) * x)]


PRZ_CALIBRATION = [{"unit": "nm", "offset": 0.0, "value": 0.01}, {"unit": "nm", "offset": 0.0, "value": 0.02}]


def write_prz(path: Path, data: np.ndarray, **described: Any) -> Path:
    """A file of Panta Rhei 24.03 or later."""
    said = {"device.calib": PRZ_CALIBRATION, "repo_id": "HAADF.7", "electron_gun.voltage": 200000} | described
    with path.open("wb") as file:
        np.savez_compressed(file, data=data, meta_data_json=np.array(json.dumps([said])), file_format_version=3)
    return path


def zspy_files(data: np.ndarray, blocks: tuple[int, ...], pack: str | None, **array: Any) -> dict[str, bytes]:
    """The files of a .zspy with one signal."""
    if pack == "blosc":
        from numcodecs import Blosc

        packer = Blosc(cname="zstd", clevel=1, shuffle=1)
        codec, packed = packer.get_config(), packer.encode
    else:
        codec = None if pack is None else {"id": pack}
        packed = zlib.compress if pack else bytes
    described = {
        "zarr_format": 2, "shape": data.shape, "chunks": blocks, "dtype": data.dtype.str, "order": "C",
        "compressor": codec, "filters": None, "fill_value": 0, "dimension_separator": "/",
    } | array  # fmt: skip
    base = "Experiments/HAADF"
    files: dict[str, Any] = {
        ".zgroup": {"zarr_format": 2},
        f"{base}/data/.zarray": described,
        f"{base}/metadata/General/.zattrs": {"title": "HAADF", "date": "2020-01-01"},
    }
    for i, (name, scale) in enumerate((("z", 1.0), ("y", 0.02), ("x", 0.01))[3 - data.ndim :]):
        files[f"{base}/axis-{i}/.zattrs"] = {"name": name, "scale": scale, "units": "nm", "navigate": name == "z"}
    written = {name: json.dumps(said).encode() for name, said in files.items()}
    for index in np.ndindex(*(-(-n // block) for n, block in zip(data.shape, blocks, strict=True))):
        block = np.zeros(blocks, data.dtype)
        part = data[tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, blocks, strict=True))]
        block[tuple(slice(n) for n in part.shape)] = part
        written[f"{base}/data/" + "/".join(map(str, index))] = bytes(packed(block.tobytes()))
    return written


def write_folder(path: Path, files: dict[str, bytes]) -> Path:
    """Files in a folder."""
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    """Files in an archive."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # of no time, so that its bytes are always the same
    return path


TIA_KINDS = {np.dtype("u1"): 1, np.dtype("u2"): 2, np.dtype("i4"): 6, np.dtype("f4"): 7, np.dtype("c8"): 9}


def write_ser(
    path: Path,
    *frames: np.ndarray,
    pixel_m: tuple[float, float] = (1e-11, 2e-11),
    version: int = 0x220,
    dimensions: tuple[tuple[int, str], ...] | None = None,
    kind: int = 0x4122,
) -> Path:
    """A series of images of one shape; rows are stored from the lowest up."""
    form = "Q" if version >= 0x211 else "I"
    dimensions = ((len(frames), ""),) if dimensions is None else dimensions
    described = b"".join(
        struct.pack("<IddI", size, 0.0, 1.0, 0) + struct.pack("<I6sI", 6, b"Number", len(unit)) + unit.encode()
        for size, unit in dimensions
    )
    start = 26 + struct.calcsize(form) + len(described)
    place, blocks, offsets, tags = start + 2 * len(frames) * struct.calcsize(form), b"", [], []
    for frame in frames:
        head = struct.pack("<ddIddI", 0.0, pixel_m[0], 0, 0.0, pixel_m[1], 0)
        head += struct.pack("<HII", TIA_KINDS[frame.dtype], frame.shape[1], frame.shape[0])
        offsets.append(place + len(blocks))
        blocks += head + frame[::-1].tobytes()
        tags.append(place + len(blocks))
        blocks += struct.pack("<HHI", 0x4152, 0, 1596041391)
    head = struct.pack("<HHHIIII", 0x4949, 0x0197, version, kind, 0x4152, len(frames), len(frames))
    head += struct.pack(f"<{form}I", start, len(dimensions))
    path.write_bytes(head + described + struct.pack(f"<{2 * len(frames)}{form}", *offsets, *tags) + blocks)
    return path


def write_emi(path: Path, *modes: str, camera: str = "") -> Path:
    """A document that says what was done for each series."""
    objects = "".join(
        "<ObjectInfo><AcquireDate>Wed Jul 29 16:49:51 2020</AcquireDate><ExperimentalDescription><Root>"
        "<Data><Label>High tension</Label><Value>300</Value><Unit>kV</Unit></Data>"
        f"<Data><Label>Mode</Label><Value>{mode}</Value><Unit></Unit></Data></Root></ExperimentalDescription>"
        f"<AcquireInfo><CameraNamePath>{camera}</CameraNamePath></AcquireInfo></ObjectInfo>"
        for mode in modes
    )
    path.write_bytes(b"JK\0\2\0\0\0\0\4M\1\0" + bytes(500) + objects.encode() + bytes(100))
    return path


MRC_MODES = {"i1": 0, "i2": 1, "f4": 2, "c8": 4, "u2": 6, "f2": 12}


def write_mrc(
    path: Path,
    data: np.ndarray,
    pixel_A: tuple[float, float] = (0.1, 0.2),
    order: str = "<",
    mode: int | None = None,
    space_group: int = 0,
    extension: bytes = b"",
    mark: bytes = b"MAP ",
) -> Path:
    """An MRC file of an image or of frames (n, y, x)."""
    sizes = data.shape[::-1] if data.ndim == 3 else (*data.shape[::-1], 1)
    head = bytearray(1024)
    mode = MRC_MODES[data.dtype.str[1:]] if mode is None else mode
    struct.pack_into(f"{order}10i", head, 0, *sizes, mode, 0, 0, 0, *sizes)
    struct.pack_into(f"{order}6f", head, 40, sizes[0] * pixel_A[0], sizes[1] * pixel_A[1], 1, 90, 90, 90)
    struct.pack_into(
        f"{order}3i3f2i", head, 64, 1, 2, 3, data.min().real, data.max().real, 0, space_group, len(extension)
    )
    head[208:216] = mark + (b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0")
    stored = data.astype(data.dtype.newbyteorder(order))
    path.write_bytes(bytes(head) + extension + stored.tobytes())
    return path


def write_unf(path: Path, data: np.ndarray, *, scales: tuple[float, ...] = (0.01, 0.02), unit: str = "nm") -> Path:
    """A picture as RosettaSciIO writes it, which counts x first."""
    from rsciio import semper

    axes: list[dict[str, Any]] = [
        {"name": name, "scale": scale, "offset": 0.0, "units": unit, "navigate": False}
        for name, scale in zip("xyz", (*scales, 1.0), strict=True)
    ]
    metadata = {"General": {"title": "HAADF", "date": "2020-01-01", "time": "12:00:00"}, "Signal": {}}
    semper.file_writer(str(path), {"data": data, "axes": axes, "metadata": metadata, "original_metadata": {}})
    return path


def noise(shape: tuple[int, ...] = (24, 32)) -> np.ndarray:
    """Pixels in which there is no lattice."""
    return np.random.default_rng(1).poisson(50, shape).astype(np.uint16)


def write_seeds(folder: Path) -> dict[str, Path]:
    """Small valid files of every format, by name: what is damaged afterwards."""
    from rsciio import nexus

    pixels, stack = noise(), noise((3, 24, 32))
    folder.mkdir(parents=True, exist_ok=True)
    at = folder.joinpath
    tifffile.imwrite(at("plain.tif"), pixels, imagej=True, resolution=(80, 80), metadata={"unit": "nm"})
    grey: dict[str, Any] = {
        "photometric": "minisblack",
        "metadata": {"axes": "ZYX", "PhysicalSizeX": 1e-5, "UUID": "a"},
    }
    tifffile.imwrite(at("deflated.tif"), stack, compression="zlib", predictor=True, tile=(16, 16), **grey)
    tifffile.imwrite(at("big.tif"), stack, bigtiff=True, ome=True, **grey)
    np.save(at("array.npy"), pixels)
    gzip = write_hspy(at("gzip.hspy"), ("ABF", stack))
    with h5py.File(gzip, "r+") as file:
        del file["Experiments/ABF/data"]
        file["Experiments/ABF"].create_dataset("data", data=stack, chunks=(1, 8, 32), compression="gzip")
    nexus.file_writer(str(at("written.nxs")), hyperspy_signal(pixels))
    frames = np.moveaxis(stack, 0, 2)
    emd = {"path": "data/HAADF", "data": pixels, "dims": ncem_plane(pixels, "n_m")}
    write_emi(at("series.emi"), "STEM")
    write_ser(at("series_1.ser"), *stack)
    found: tuple[Path, ...] = (
        write_dm(at("image.dm3"), ("HAADF", pixels, 10), ("ABF", pixels, 10)),
        write_dm(at("image.dm4"), ("HAADF", pixels, 10), version=4),
        write_velox(at("velox.emd"), ("HAADF", frames), ("BF", frames[:, :, :1])),
        write_emd(at("ncem.emd"), emd),
        write_hspy(at("plain.hspy"), ("HAADF", pixels)),
        gzip,
        write_zip(at("zlib.zspy"), zspy_files(pixels, (24, 32), "zlib")),
        at("written.nxs"),
        at("array.npy"),
        write_prz(at("image.prz"), pixels),
        write_ser(at("old_1.ser"), pixels, version=0x210),
        at("series_1.ser"),
        at("series.emi"),
        at("plain.tif"),
        at("deflated.tif"),
        at("big.tif"),
        write_mrc(at("frames.mrc"), stack),
        write_mrc(at("old.mrc"), pixels, extension=np.full(32768, 1e-11, "f4").tobytes()),
        write_unf(at("picture.unf"), pixels.astype("f4")),
    )
    if find_spec("numcodecs") is not None:
        found += (write_zip(at("blosc.zspy"), zspy_files(pixels, (16, 16), "blosc")),)
    return {path.name: path for path in found}
