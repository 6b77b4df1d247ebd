"""A folder of files that want to break a reader: damaged, lying, hostile ones, the same at every call.

Shared by the tests of batches and the fuzzing.  No file here is dangerous: what a pickle would do is leave a mark.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile
from image_files import (
    noise,
    write_dm,
    write_emd,
    write_folder,
    write_hspy,
    write_mrc,
    write_prz,
    write_seeds,
    write_ser,
    write_unf,
    write_velox,
    write_zip,
    zspy_files,
)

MARK = "touched"
"""File that a pickle leaves in the folder when it is loaded."""

REFUSED, UNCALIBRATED, ANY = ("ReadError",), ("CalibrationError",), ("ReadError", "CalibrationError", "StageError")
"""Errors that a file may end in."""

Written = Iterator[tuple[Path, tuple[str, ...]]]

SUFFIXES = ("dm3", "dm4", "emd", "hspy", "zspy", "nxs", "npy", "prz", "ser", "emi", "tif", "mrc", "unf")


def _damaged(folder: Path) -> Written:
    """Every seed cut short twice, and with bits flipped three times; the heads of formats alone."""
    rng = np.random.default_rng(2)
    for path in write_seeds(folder / "seeds").values():
        raw = path.read_bytes()
        for i, part in enumerate((0.3, 0.9)):
            yield _file(folder, f"cut{i}-{path.name}", raw[: int(part * len(raw))]), ANY
        for i in range(3):
            bad = bytearray(raw)
            for place in rng.integers(0, min(len(raw), (256, 4096, len(raw))[i]), 1 + 2 * i):
                bad[place] ^= 1 << int(rng.integers(8))
            yield _file(folder, f"flipped{i}-{path.name}", bytes(bad)), ANY
        yield _file(folder, f"head-{path.name}", raw[:512].ljust(4096, b"\0")), ANY


def _nothing(folder: Path) -> Written:
    """What is no image at all, under the names of images, and images under the names of others."""
    rng = np.random.default_rng(3)
    contents = {
        "empty": b"",
        "zeros": bytes(4096),
        "ones": b"\xff" * 4096,
        "text": b"x = 1\ny = 2\n" * 99,
        "random": rng.bytes(5000),
        "png": b"\x89PNG\r\n\x1a\n" + rng.bytes(999),
        "page": b"<html><script>alert(1)</script>" * 9,
        "bomb": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b '" + b"&c;" * 999 + b"'>]><a>&b;</a>",
    }
    for i, (name, content) in enumerate(contents.items()):
        for j in range(3):
            yield _file(folder, f"{name}{j}.{SUFFIXES[(5 * i + j) % len(SUFFIXES)]}", content), REFUSED
    seeds = folder / "seeds"
    for name, suffix in (("array.npy", "tif"), ("plain.tif", "dm4"), ("plain.hspy", "mrc"), ("image.prz", "emd")):
        yield _file(folder, f"disguised-{name}.{suffix}", (seeds / name).read_bytes()), ANY


def _file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def _names(folder: Path) -> Written:
    """Names that are shown, logged, and made into the names of folders."""
    names = ["new\nline", "bell\x07\x1b[31m", "<script>alert(1)<", "=cmd()", "[red]", "\u30c6 \U0001f52c", "x" * 240]
    names += ["-rf", "a'\"b", "..", "{{7*7}}", "%s%n", os.fsdecode(b"not\xffutf8"), "~", "CON", "a " * 40]
    content = (folder / "seeds" / "plain.tif").read_bytes()
    for i, name in enumerate(names):
        yield _file(folder, f"{name}.tif", content[:500] if i % 2 else content), ANY


class _Pickled:
    """Python that runs when it is unpickled: it leaves a mark."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.folder / MARK,)


def _code(folder: Path) -> Written:
    """Files that hold Python objects, or want to be evaluated."""
    objects = np.array([_Pickled(folder)] * 256, dtype=object).reshape(16, 16)
    np.save(folder / "objects.npy", objects, allow_pickle=True)
    with (folder / "objects.prz").open("wb") as file:
        np.savez(file, data=objects, meta_data_json=objects)
    with (folder / "description.prz").open("wb") as file:
        np.savez(file, data=noise(), meta_data=objects)
    np.savez(folder / "objects.npz", objects)
    (folder / "objects.npz").rename(folder / "objects-npz.tif")
    for name in ("objects.npy", "objects.prz", "objects-npz.tif"):
        yield folder / name, REFUSED
    yield folder / "description.prz", UNCALIBRATED
    mark = str(folder / MARK)
    for i, said in enumerate(
        (f"__import__('pathlib').Path({mark!r}).touch()", "-" * 9000 + "1", "(" * 9000, f"{{'shape': {10**4000}}}")
    ):
        head = said.encode().ljust(64) + b"\n"
        yield _file(folder, f"evaluated{i}.npy", b"\x93NUMPY\2\0" + struct.pack("<I", len(head)) + head), REFUSED
    for i, change in enumerate(({"compressor": {"id": "pickle"}}, {"filters": [{"id": "pickle"}]}, {"dtype": "|O"})):
        files = zspy_files(noise(), (24, 32), None, **change)
        yield write_zip(folder / f"codec{i}.zspy", files), REFUSED


def _bombs(folder: Path) -> Written:
    """A few bytes that ask for gigabytes."""
    at = folder.joinpath
    for i, (nx, ny) in enumerate(((60000, 60000), (2**31 - 1, 2**31 - 1), (16000, 16000), (0, 24))):
        raw = bytearray((folder / "seeds" / "frames.mrc").read_bytes())
        struct.pack_into("<3i", raw, 0, nx, ny, 1)
        yield _file(folder, f"bomb{i}.mrc", bytes(raw)), REFUSED
        raw = bytearray((folder / "seeds" / "plain.tif").read_bytes())
        for code, size in ((256, nx), (257, ny)):
            struct.pack_into("<HLL", raw, _entry(raw, code) + 2, 4, 1, size)
        yield _file(folder, f"bomb{i}.tif", bytes(raw)), REFUSED
        raw = bytearray((folder / "seeds" / "series_1.ser").read_bytes())
        struct.pack_into("<II", raw, raw.index(struct.pack("<II", 32, 24)), nx, ny)
        yield _file(folder, f"bomb{i}_1.ser", bytes(raw)), REFUSED
        whole = (folder / "seeds" / "image.dm3").read_bytes()
        for old, new in ((32, nx), (24, ny)):
            whole = whole.replace(
                struct.pack(">i", 3) + struct.pack("<i", old), struct.pack(">i", 3) + struct.pack("<i", new)
            )
        yield _file(folder, f"bomb{i}.dm3", whole), REFUSED
        label = struct.pack("<i6hi", 12, *(min(n, 32000) for n in (nx, ny)), (1, 100, 9, 1)[i], 1, 2, 0, 12)
        yield (
            _file(folder, f"bomb{i}.unf", label + struct.pack("<i", 128) + bytes(128) + struct.pack("<i", 128)),
            REFUSED,
        )
        head = b"{'descr': '<u2', 'fortran_order': False, 'shape': (%d, %d), }" % (ny, nx)
        head = b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head
        yield _file(folder, f"bomb{i}.npy", head + bytes(999)), REFUSED
        described = {"data.npy": head + bytes(999), "meta_data_json.npy": head}
        yield write_zip(at(f"bomb{i}.prz"), described), REFUSED
        files = zspy_files(noise(), (24, 32), "zlib", shape=(ny, nx), chunks=(min(ny, 8000) + 1, min(nx, 8000) + 1))
        yield write_zip(at(f"bomb{i}.zspy"), files), REFUSED
    for i, side in enumerate((18000, 22000)):
        yield _deflated(at(f"deflated{i}.hspy"), side), REFUSED
    packed = {"Experiments/HAADF/data/0/0": zlib.compress(bytes(2**26))}
    yield write_zip(at("inflated.zspy"), zspy_files(noise(), (24, 32), "zlib") | packed), REFUSED
    with zipfile.ZipFile(at("inflated.prz"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.npy", (folder / "seeds" / "array.npy").read_bytes())
        archive.writestr("meta_data_json.npy", bytes(2**26))
    yield at("inflated.prz"), REFUSED
    written = io.BytesIO()
    np.save(written, np.array("[" * 100_000))
    deep = {"data.npy": (folder / "seeds" / "array.npy").read_bytes(), "meta_data_json.npy": written.getvalue()}
    yield write_zip(at("deep.prz"), deep), REFUSED


def _deflated(path: Path, side: int) -> Path:
    """A square of zeros, all of whose blocks are the same few bytes."""
    write_hspy(path, ("HAADF", noise()))
    block = side // 20
    packed = zlib.compress(bytes(4 * block * block), 1)
    with h5py.File(path, "r+") as file:
        del file["Experiments/HAADF/data"]
        data = file["Experiments/HAADF"].create_dataset(
            "data", (side, side), "f4", chunks=(block, block), compression="gzip"
        )
        for i, j in np.ndindex(20, 20):
            data.id.write_direct_chunk((i * block, j * block), packed)
    return path


def _entry(raw: bytes | bytearray, code: int) -> int:
    """Where the entry of a tag stands in the first page of a little-endian TIFF."""
    (page,) = struct.unpack_from("<L", raw, 4)
    (count,) = struct.unpack_from("<H", raw, page)
    places = (page + 2 + 12 * i for i in range(count))
    return next(place for place in places if struct.unpack_from("<H", raw, place)[0] == code)


def _loops(folder: Path) -> Written:
    """Pages, groups and links that lead back to themselves or out of the file."""
    at = folder.joinpath
    for i in range(2):
        with tifffile.TiffWriter(at(f"loop{i}.tif")) as tif:
            for _ in range(2):
                tif.write(noise(), metadata=None)
        raw = bytearray(at(f"loop{i}.tif").read_bytes())
        links, page = [], 4
        while (place := struct.unpack_from("<L", raw, page)[0]) != 0:
            links.append(place)
            page = place + 2 + 12 * struct.unpack_from("<H", raw, place)[0]
        struct.pack_into("<L", raw, page, links[i])
        yield _file(folder, f"loop{i}.tif", bytes(raw)), REFUSED
    np.zeros(24 * 32).tofile(at("secret.raw"))
    virtual = h5py.VirtualLayout((24, 32), "f8")
    virtual[...] = h5py.VirtualSource(str(folder / "seeds" / "plain.hspy"), "Experiments/HAADF/data", (24, 32))
    pixels: dict[str, Callable[[Any], Any]] = {
        "soft": lambda group: group.__setitem__("data", h5py.SoftLink("/Experiments/HAADF/data")),
        "external": lambda group: group.__setitem__("data", h5py.ExternalLink("seeds/plain.hspy", "Experiments")),
        "raw": lambda group: group.create_dataset("data", (24, 32), "f8", external=[(str(at("secret.raw")), 0, 6144)]),
        "virtual": lambda group: group.create_virtual_dataset("data", virtual),
        "huge": lambda group: group.create_dataset("data", (20000, 20000), "f8", chunks=(100, 100)),
        "chunk": lambda group: group.create_dataset("data", (24, 32), "u2", chunks=(24, 32), maxshape=(None, None)),
        "nothing": lambda group: group.__setitem__("data", h5py.Empty("f8")),
        "texts": lambda group: group.__setitem__("data", [["a"] * 16] * 16),
        "group": lambda group: group.create_group("data"),
        "itself": lambda group: group.__setitem__("data", group),
    }
    for name, put in pixels.items():
        write_hspy(at(f"{name}.hspy"), ("HAADF", noise()))
        with h5py.File(at(f"{name}.hspy"), "r+") as file:
            del file["Experiments/HAADF/data"]
            put(file["Experiments/HAADF"])
        yield at(f"{name}.hspy"), REFUSED
    with h5py.File(at("nested.emd"), "w") as file:
        group = file
        for _ in range(300):
            group = group.create_group("a")
        group["top"] = file["/"]
    yield at("nested.emd"), REFUSED


def _archives(folder: Path) -> Written:
    """Archives whose members want to be written elsewhere, or are not what the list of contents says."""
    files = zspy_files(noise(), (24, 32), None)
    for i, name in enumerate(("../../escaped", "/tmp/escaped", "Experiments/../../escaped/.zattrs", "C:\\escaped")):
        yield write_zip(folder / f"escape{i}.zspy", {name: b"out", **files}), ANY
    linked = write_folder(folder / "linked.zspy", files)
    (linked / "Experiments/HAADF/data/0/0").unlink()
    (linked / "Experiments/HAADF/data/0/0").symlink_to(folder / "seeds" / "array.npy")
    yield linked, REFUSED
    described = files | {"Experiments/HAADF/data/.zarray": b'{"shape": ' + b"[" * 50_000}
    yield write_zip(folder / "deep.zspy", described), REFUSED
    raw = bytearray((folder / "seeds" / "image.prz").read_bytes())
    place = raw.rindex(b"PK\1\2")
    struct.pack_into("<L", raw, place + 42, 2**31)
    yield _file(folder, "offset.prz", bytes(raw)), ANY
    tifffile.imwrite(folder / "ome.tif", noise(), ome=True)
    with tifffile.TiffFile(folder / "ome.tif") as tif:
        said = str(tif.ome_metadata)
    laughs = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(12))
    entities = (("&l12;", f'<!ENTITY l0 "ha">{laughs}'), ("&x;", '<!ENTITY x SYSTEM "secret">'))
    for i, (entity, start) in enumerate(entities):
        bomb = said.replace("<OME ", f"<!DOCTYPE OME [{start}]><OME ", 1).replace("</OME>", f"{entity}</OME>")
        tifffile.imwrite(folder / f"entities{i}.tif", noise(), description=bomb, metadata=None)
        yield folder / f"entities{i}.tif", ANY
    (folder / "bomb.emi").write_bytes(b"JK\0\2" + b'<!DOCTYPE a [<!ENTITY b "&c;&c;">]>' + b"<ObjectInfo>" * 9999)
    yield folder / "bomb.emi", REFUSED


def _lie(found: Any, steps: np.ndarray) -> None:
    """Put positions along an axis that cannot be, in m, where there are some."""
    if isinstance(found, h5py.Dataset) and found.ndim == 1 and found.shape[0] in (24, 32):
        found[...] = steps[: found.shape[0]]
        found.attrs["units"] = "m"


def _calibrations(folder: Path) -> Written:
    """Sizes of pixels that cannot be true."""
    lies: tuple[tuple[Any, Any], ...] = (
        *((scale, "nm") for scale in (0.0, -0.01, np.nan, np.inf, 1e300, 5e-324, "0.01", [0.01, 0.02])),
        *((1.0, unit) for unit in ("m", "", "furlong", "px", "\u00b5" * 5000, "<b>nm</b>", np.bytes_(b"\xff\xfe"))),
    )
    for i, (scale, unit) in enumerate(lies):
        axes = [{"scale": scale, "units": unit}] * 2
        yield write_hspy(folder / f"lie{i}.hspy", ("HAADF", noise()), axes=axes), UNCALIBRATED
    frames = noise((24, 32, 1))
    for i, size in enumerate(("0", "-1e-11", "nan", "1.0", "1e999", "", None)):
        pixel = None if size is None else {"width": size, "height": size}
        yield write_velox(folder / f"lie{i}.emd", ("HAADF", frames), pixel=pixel), UNCALIBRATED
    for i, size in enumerate((0.0, -1e-11, float("nan"), float("inf"), 1.0)):
        yield write_ser(folder / f"lie{i}_1.ser", noise(), pixel_m=(size, size)), UNCALIBRATED
        yield write_mrc(folder / f"lie{i}.mrc", noise(), pixel_A=(size, size)), UNCALIBRATED
        path = write_dm(folder / f"lie{i}.dm3", ("HAADF", noise(), 10), scale=size, unit="m")
        yield path, UNCALIBRATED
        steps = np.array([i * size if i else 0.0 for i in range(32)])
        backwards = ANY if size < 0 else UNCALIBRATED  # an axis may count down
        dims = [("y", "m", steps[:24]), ("x", "m", steps)]
        yield write_emd(folder / f"lie{i}-ncem.emd", {"path": "a/b", "data": noise(), "dims": dims}), backwards
        picture = noise().astype("f4")
        yield write_unf(folder / f"lie{i}.unf", picture, scales=(size, size), unit="m"), UNCALIBRATED
        path = folder / f"lie{i}.nxs"
        path.write_bytes((folder / "seeds" / "written.nxs").read_bytes())
        with h5py.File(path, "r+") as file:
            file.visititems(lambda _, found, steps=steps: _lie(found, steps))
        yield path, backwards
    for i, value in enumerate(([], {}, "x", 0, -1, None)):
        calib = {"device.calib": [{"unit": "nm", "value": value}] * 2}
        yield write_prz(folder / f"lie{i}.prz", noise(), **calib), UNCALIBRATED
    for i, resolution in enumerate(((0, 0), (1, 1e9))):
        path = folder / f"lie{i}.tif"
        tifffile.imwrite(path, noise(), imagej=True, resolution=resolution, metadata={"unit": "nm"})
        yield path, UNCALIBRATED
    yield _file(folder, "lie.npy", (folder / "seeds" / "array.npy").read_bytes()), UNCALIBRATED


def _pictures(folder: Path) -> Written:
    """Arrays that a reader finds nothing wrong with, and in which nothing can be measured."""
    rng = np.random.default_rng(4)
    arrays: dict[str, np.ndarray] = {
        "zero": np.zeros((32, 32), np.uint16),
        "constant": np.full((32, 32), 7.5),
        "nan": np.full((32, 32), np.nan),
        "inf": np.full((32, 32), np.inf),
        "mostly-nan": np.where(rng.random((32, 32)) < 0.5, np.nan, rng.random((32, 32))),
        "one-row": noise((1, 500)),
        "small": noise((7, 7)),
        "fifteen": noise((15, 15)),
        "line": noise((500,)),
        "colours": noise((32, 32, 3)),
        "complex": rng.random((32, 32)) * 1j,
        "mask": rng.random((32, 32)) < 0.5,
        "four": noise((4, 4, 16, 16)),
        "huge-values": rng.random((32, 32)) * 1e38,
        "half": rng.random((32, 32)).astype(np.float16),
        "none": np.zeros((0, 32)),
        "point": np.array(5.0),
        "wide": noise((16, 9000)),
    }
    for name, pixels in arrays.items():
        yield write_hspy(folder / f"{name}.hspy", ("HAADF", pixels)), ANY
        np.save(folder / f"{name}.npy", pixels)
        yield folder / f"{name}.npy", ("ReadError", "CalibrationError")
    tifffile.imwrite(folder / "colours.tif", noise((32, 32, 3)).astype(np.uint8), photometric="rgb")
    yield folder / "colours.tif", REFUSED


def _devices(folder: Path) -> Written:
    """What is no file, where the system has such."""
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.tif")
        (folder / "endless.tif").symlink_to("/dev/zero")
        yield folder / "pipe.tif", REFUSED
        yield folder / "endless.tif", REFUSED


def write_hostile(folder: Path) -> dict[Path, tuple[str, ...]]:
    """Hostile files in a folder that is there, and the errors each may end in."""
    kinds = (_damaged, _nothing, _names, _code, _bombs, _loops, _archives, _calibrations, _pictures, _devices)
    return {path: errors for kind in kinds for path, errors in kind(folder)}
