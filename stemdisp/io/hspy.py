"""HyperSpy's own files: .hspy, and the .hdf5 of older versions, read straight from HDF5.

Only the image, its axes and a few facts are touched: a HyperSpy file may also hold models and learning results, whose
restoring can run code.  Links of any kind that stand in the way are refused.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from .formats import Axis, RawImage, check_size, facts
from .text import one_line

HEAP = b"GCOL\x01\0\0\0"
"""How a collection of texts begins inside an HDF5 file (global heap, version 1); its size follows."""

HEAP_ENTRY = struct.Struct("<HHLQ")
"""Head of one of its entries: index, references, reserved, size."""


def _check_heaps(path: Path) -> None:
    """Walk through the collections of texts once, as the HDF5 library will.

    A damaged entry of size 0 keeps the library (2.0) busy for ever.  Raises ReadError for a walk that does not end.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(HEAP)
        while start >= 0:
            (size,) = struct.unpack_from("<Q", content, start + 8)
            place, end = start + 16, min(start + size, len(content))
            while place + HEAP_ENTRY.size <= end:
                index, _, _, length = HEAP_ENTRY.unpack_from(content, place)
                step = HEAP_ENTRY.size + (length + 7) // 8 * 8 if index else length
                if not 0 < step <= end - place:
                    raise ReadError(f"{one_line(path.name)} is damaged: its texts cannot be read")
                place += step
            start = content.find(HEAP, start + 8)


def _child(group: Any, name: str) -> Any:
    """A member of an HDF5 group, None where there is none; raises ReadError for links to elsewhere."""
    import h5py

    link = group.get(name, getlink=True) if isinstance(group, h5py.Group) and name in group.keys() else None  # noqa: SIM118
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise ReadError(
            f"{one_line(Path(group.file.filename).name)}: {one_line(name)} is a link to elsewhere, which is not "
            "followed; save the signal into one file"
        )
    return group[name]


def _attribute(group: Any, name: str) -> Any:
    """An attribute that is one number or text, as plain Python; None where there is no such.

    The type is looked at first: damaged files hold others, on which the library may crash.
    """
    import h5py

    if group is None or name not in group.attrs:
        return None
    described = group.attrs.get_id(name)
    if described.shape != () or not (described.dtype.kind in "biufS" or h5py.check_string_dtype(described.dtype)):
        return None
    value = group.attrs[name]
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return value.item() if isinstance(value, np.generic) else value


def _axis(group: Any) -> Axis:
    scale, unit, navigate = (_attribute(group, name) for name in ("scale", "units", "navigate"))
    return Axis(
        str(_attribute(group, "name") or ""),
        float(scale) if isinstance(scale, (int, float)) else None,
        None if unit is None else str(unit),
        None if navigate is None else bool(navigate),
    )


def _signal(path: Path, group: Any, key: str) -> RawImage:
    data = _child(group, "data")
    where = f"{one_line(path.name)}: signal {one_line(key)}"
    if data.external or data.is_virtual:
        raise ReadError(f"{where} keeps its pixels in other files, which are not followed; save it into one file")
    if data.dtype.kind not in "biufc":
        raise ReadError(f"{where} holds {one_line(data.dtype)} instead of numbers; an image is needed")
    compressed = data.chunks is not None
    check_size(path, data.shape, data.dtype.itemsize, data.id.get_storage_size(), compressed=compressed)
    metadata = _child(group, "metadata")

    def look_up(dotted: str) -> Any:
        *parents, last = dotted.split(".")
        node = metadata
        for parent in parents:
            node = _child(node, parent)
        return _attribute(node, last)

    title = str(look_up("General.title") or "")
    axes = tuple(_axis(_child(group, f"axis-{i}")) for i in range(data.ndim))
    return RawImage("" if title == "__unnamed__" else title, data[()], axes, facts(look_up))


def images(path: Path) -> list[RawImage]:
    """All signals of a file; raises ReadError for HDF5 files that HyperSpy did not write."""
    import h5py

    _check_heaps(path)
    with h5py.File(path, "r") as file:
        experiments = _child(file, "Experiments")
        if not isinstance(experiments, h5py.Group):
            raise ReadError(
                f"{one_line(path.name)} is an HDF5 file without HyperSpy's group Experiments; "
                "open it in HyperSpy and save it as .hspy"
            )
        groups = [(key, _child(experiments, key)) for key in experiments]
        return [_signal(path, group, key) for key, group in groups if isinstance(_child(group, "data"), h5py.Dataset)]
