"""HDF5 files of any program: what is looked at, so that no link, loop or header of a damaged file is followed.

Links to elsewhere are refused, pixels in other files too; what is read is checked against the size of the file first.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from .formats import LARGEST_BLOCK, Axis, RawImage, check_packed, check_size, is_image, largest_bytes, placeholder
from .text import one_line

HEAP = b"GCOL\x01\0\0\0"
"""How a collection of texts begins inside an HDF5 file (global heap, version 1); its size follows."""

HEAP_ENTRY = struct.Struct("<HHLQ")
"""Head of one of its entries: index, references, reserved, size."""

MOST_GROUPS = 10_000
"""Groups that are looked through for images; files of microscopes have some hundred."""

DEEPEST = 12
"""Groups inside groups that are followed."""

LONGEST_AXIS = 2**20
"""Longest vector of positions along an axis that is read."""

LONGEST_TEXT = 16 * 2**20
"""Most bytes of a text of fixed length."""


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


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, open for reading."""
    import h5py

    _check_heaps(path)
    with h5py.File(path, "r") as file:
        yield file


def child(group: Any, name: str) -> Any:
    """A member of a group, None where there is none; raises ReadError for links to elsewhere."""
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


def descendant(group: Any, dotted: str) -> Any:
    """A member of a member ..., by names with dots between; None where there is none."""
    for name in dotted.split("."):
        group = child(group, name)
    return group


def members(group: Any) -> Iterator[tuple[str, Any]]:
    """Names and members of a group (nothing where it is none), without links to elsewhere."""
    import h5py

    if not isinstance(group, h5py.Group):
        return
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            yield name, group[name]


def groups(file: Any) -> Iterator[Any]:
    """Every group of a file once, from the root down; raises ReadError for more than 10 000."""
    import h5py

    seen: set[int] = set()
    waiting = [(file["/"], 0)]
    while waiting:
        group, depth = waiting.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen or depth > DEEPEST:
            continue
        seen.add(address)
        if len(seen) > MOST_GROUPS:
            raise ReadError(
                f"{one_line(Path(file.filename).name)} has more than {MOST_GROUPS} groups; export one image"
            )
        yield group
        inside = [one for _, one in members(group) if isinstance(one, h5py.Group)]
        waiting += [(one, depth + 1) for one in reversed(inside)]


def attribute(group: Any, name: str) -> Any:
    """An attribute that is one number or text, as plain Python; None where there is no such.

    The type is looked at first: damaged files hold others, on which the library may crash.
    """
    if group is None or name not in group.attrs:
        return None
    described = group.attrs.get_id(name)
    if described.shape not in ((), (1,)):
        return None
    if not _is_plain(described.dtype):
        return None
    return _plain(group.attrs[name])


def single(dataset: Any) -> Any:
    """A data set of one number or text, as plain Python; None where it is none."""
    import h5py

    if not isinstance(dataset, h5py.Dataset) or dataset.shape not in ((), (1,)):
        return None
    if not _is_plain(dataset.dtype) or not _is_small(dataset) or not _ends_in_file(dataset):
        return None
    return _plain(dataset[()])


def _is_plain(dtype: np.dtype[Any]) -> bool:
    """Whether a type is that of numbers or of texts that are not too long."""
    import h5py

    known = dtype.kind in "biufS" or bool(h5py.check_string_dtype(dtype))
    return known and dtype.itemsize <= LONGEST_TEXT


def _chunk_bytes(dataset: Any) -> int:
    """Bytes of the blocks that the library unpacks whole, however few of them are asked for."""
    return math.prod(dataset.chunks or (0,)) * int(dataset.dtype.itemsize)


def _ends_in_file(dataset: Any) -> bool:
    """Whether a text of any length is no longer than the file: the library makes room for it before it looks.

    Looked at where it stands plainly in the file, as texts do that no program packs.
    """
    import h5py

    offset = None
    if dataset.dtype.kind == "O" and dataset.id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS:
        offset = dataset.id.get_offset()
    if offset is None:
        return True
    path = Path(dataset.file.filename)
    with path.open("rb") as file:
        file.seek(offset)
        return int.from_bytes(file.read(4), "little") <= path.stat().st_size


def _is_small(dataset: Any) -> bool:
    """Whether all of a data set lies in this file, in blocks that cost nothing to unpack."""
    return not dataset.external and not dataset.is_virtual and _chunk_bytes(dataset) <= LARGEST_BLOCK


def text(dataset: Any) -> str | None:
    """A data set of one text; None where it is none."""
    found = single(dataset)
    return found if isinstance(found, str) else None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return value.item() if isinstance(value, np.generic) else value


def step(dataset: Any) -> float | None:
    """Distance between neighbouring positions along an axis; None where they are no even row of numbers."""
    import h5py

    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "iuf" or dataset.ndim != 1:
        return None
    if not 2 <= dataset.size <= LONGEST_AXIS or not _is_small(dataset):
        return None
    positions = dataset[()].astype(float)
    mean = float(positions[-1] - positions[0]) / (positions.size - 1)
    even = np.allclose(np.diff(positions), mean, rtol=0.05, atol=0)
    return abs(mean) if even else None


def check(path: Path, dataset: Any, where: str) -> None:
    """Refuse pixels that lie in other files, or that cannot be what the header says."""
    if dataset.external or dataset.is_virtual:
        raise ReadError(f"{where} keeps its pixels in other files, which are not followed; save it into one file")
    stored = dataset.id.get_storage_size()
    check_size(path, dataset.shape, dataset.dtype.itemsize, stored, compressed=dataset.chunks is not None)
    chunk = _chunk_bytes(dataset)
    if chunk > min(dataset.nbytes + LARGEST_BLOCK, largest_bytes()):
        raise ReadError(f"{where} is stored in chunks of {chunk / 2**30:.1f} GiB, larger than itself; it is damaged")
    if dataset.chunks:
        chunks = math.prod(-(-n // of) for n, of in zip(dataset.shape, dataset.chunks, strict=True))
        check_packed(path, stored, chunks * chunk, chunks)


def image(
    path: Path,
    dataset: Any,
    title: str,
    axes: tuple[Axis, ...],
    facts: Mapping[str, str],
    order: tuple[int, ...] | None = None,
) -> RawImage:
    """An array of a file with its axes turned into ``order``; only its shape where it cannot be an image."""
    order = order or tuple(range(dataset.ndim))
    shape = tuple(dataset.shape[i] for i in order)
    if not is_image(shape, dataset.dtype, axes):
        return placeholder(title, shape, dataset.dtype, axes, facts)
    check(path, dataset, f"{one_line(path.name)}: {one_line(title or dataset.name)}")
    return RawImage(title, _pixels(dataset, order), axes, facts)


def _pixels(dataset: Any, order: tuple[int, ...]) -> NDArray[Any]:
    """All pixels, in the given order of axes; frames that are stored last and apart one by one, which is quicker."""
    apart = dataset.ndim == 3 and order == (2, 0, 1) and (dataset.chunks or (0, 0, 0))[2] == 1
    if not apart:
        return np.transpose(dataset[()], order)
    frames = np.empty([dataset.shape[i] for i in order], dataset.dtype)
    for i in range(len(frames)):
        frames[i] = dataset[:, :, i]
    return frames


def kind(path: Path) -> str:
    """The module that reads an HDF5 file; raises ReadError for one of no known kind."""
    with opened(path) as file:
        names = set(file)
        if "Experiments" in names:
            return "hspy"
        if {"Version", "Data"} <= names:
            return "velox"
        found = next(filter(None, (_kind_of_group(group) for group in groups(file))), None)
        if found:
            return found
    held = ", ".join(one_line(name, 30) for name in sorted(names)[:5]) or "nothing"
    raise ReadError(
        f"{one_line(path.name)} is an HDF5 file of no known kind, without HyperSpy's group Experiments; it holds "
        f"{held}: open it in HyperSpy and save the image as .hspy"
    )


def _kind_of_group(group: Any) -> str | None:
    if "emd_group_type" in group.attrs:
        return "ncem"
    return "nexus" if attribute(group, "NX_class") in ("NXentry", "NXdata") else None
