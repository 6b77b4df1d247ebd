"""HyperSpy's .zspy, a folder or a zip archive with the layout of Zarr 2, read directly.

Zarr would run whatever codec a file names, one of which loads Python objects; here the codecs are a short list.  Blosc,
which HyperSpy uses unless told otherwise, is unpacked by numcodecs.
"""

from __future__ import annotations

import itertools
import json
import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from . import zipped
from .formats import (
    LARGEST_BLOCK,
    LARGEST_BYTES,
    Axis,
    RawImage,
    check_packed,
    check_size,
    facts,
    is_image,
    largest_bytes,
    placeholder,
)
from .hspy import described_axis
from .text import one_line

LONGEST_TEXT = 4 * 2**20
"""Longest description in bytes."""

MOST_BLOCKS = 100_000
"""Most blocks that an array may be cut into."""

BLOSC_HEADER = 16
"""Bytes before a block packed by Blosc; the second four of them are its size unpacked, the last four packed."""

Member = Callable[[str, int], bytes | None]
"""What a file inside has, by its name and the most bytes it may have; None where there is none."""


@dataclass(frozen=True)
class _Store:
    """A .zspy: a look at the files in it, and the names of the groups in Experiments."""

    path: Path
    member: Member
    experiments: tuple[str, ...]

    def described(self, name: str) -> dict[str, Any]:
        """A description, which is JSON; empty where there is none."""
        written = self.member(name, LONGEST_TEXT)
        found = json.loads(written) if written else {}
        return found if isinstance(found, dict) else {}


@contextmanager
def _opened(path: Path) -> Iterator[_Store]:
    if path.is_dir():
        root = path.resolve()

        def read(name: str, longest: int) -> bytes | None:
            place = path / name
            if not place.is_file():
                return None
            if not place.resolve().is_relative_to(root):
                raise ReadError(
                    f"{one_line(path.name)}: {one_line(name)} is a link to elsewhere, which is not followed"
                )
            if place.stat().st_size > longest:
                raise ReadError(f"{one_line(path.name)}: {one_line(name)} has more than {longest} bytes; it is damaged")
            return place.read_bytes()

        inside = path / "Experiments"
        names = sorted(one.name for one in inside.iterdir() if one.is_dir()) if inside.is_dir() else []
        yield _Store(path, read, tuple(names))
        return
    with zipped.opened(path) as archive:
        parts = (name.split("/") for name in archive.namelist())
        groups = {part[1] for part in parts if len(part) > 2 and part[0] == "Experiments"}
        yield _Store(path, lambda name, longest: zipped.member(archive, name, longest), tuple(sorted(groups)))


@dataclass(frozen=True)
class _Array:
    """What describes an array: its shape, the shape of its blocks, its type, how blocks are packed and called."""

    shape: tuple[int, ...]
    blocks: tuple[int, ...]
    dtype: np.dtype[Any]
    codec: str | None
    order: Any
    fill: Any
    separator: str

    def parts(self) -> Iterator[tuple[str, tuple[slice, ...]]]:
        """Name of every block and where it belongs."""
        counts = (range(-(-n // block)) for n, block in zip(self.shape, self.blocks, strict=True))
        for index in itertools.product(*counts):
            place = tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, self.blocks, strict=True))
            yield self.separator.join(map(str, index)), place


def _array(store: _Store, where: str) -> _Array | None:
    said = store.described(f"{where}/.zarray")
    if not said:
        return None
    shape, blocks = (tuple(int(n) for n in said[name]) for name in ("shape", "chunks"))
    if said.get("filters") or len(shape) != len(blocks) or not all(n > 0 for n in blocks) or min(shape, default=1) < 0:
        raise ReadError(
            f"{one_line(store.path.name)}: {one_line(where)} is stored in no way that HyperSpy uses for images"
        )
    codec = (said.get("compressor") or {}).get("id")
    separator = "/" if said.get("dimension_separator") == "/" else "."
    return _Array(shape, blocks, np.dtype(str(said["dtype"])), codec, said["order"], said.get("fill_value"), separator)


def _unpacked(store: _Store, packed: bytes, array: _Array, size: int) -> bytes:
    """The ``size`` bytes of a block."""
    shown = one_line(store.path.name)
    if array.codec in ("zlib", "gzip"):
        found = zlib.decompressobj(wbits=47).decompress(packed, size + 1)
    elif array.codec is None:
        found = packed
    elif array.codec == "blosc":
        said, stored = (int.from_bytes(packed[i : i + 4], "little") for i in (4, 12))
        if len(packed) < BLOSC_HEADER or stored != len(packed) or said != size:  # Blosc would read beyond its end
            raise ReadError(f"{shown}: a block of pixels does not have the {size} bytes it should; it is damaged")
        try:
            from numcodecs import Blosc
        except ImportError:
            raise ReadError(f'{shown}: .zspy files need numcodecs; pip install "stemdisp[zspy]"') from None
        found = bytes(Blosc().decode(packed))
    else:
        raise ReadError(f"{shown}: its pixels are packed by {one_line(array.codec, 30)}; save it with Blosc or zlib")
    if len(found) != size:
        raise ReadError(f"{shown}: a block of pixels has not the {size} bytes it should; it is damaged or cut short")
    return found


def _pixels(store: _Store, where: str, array: _Array) -> NDArray[Any]:
    """All pixels; missing blocks have the value that the file gives them."""
    check_size(store.path, array.shape, array.dtype.itemsize, LARGEST_BYTES)
    size, whole = (math.prod(shape) * array.dtype.itemsize for shape in (array.blocks, array.shape))
    counts = math.prod(-(-n // block) for n, block in zip(array.shape, array.blocks, strict=True))
    if size > min(whole + LARGEST_BLOCK, largest_bytes()) or counts > MOST_BLOCKS:
        raise ReadError(
            f"{one_line(store.path.name)}: {counts} blocks of {size} bytes are none of an image; it is damaged"
        )
    packed, stored = {}, 0
    for key, _ in array.parts():
        packed[key] = store.member(f"{where}/{key}", size + LONGEST_TEXT)
        stored += len(packed[key] or b"")
        check_packed(store.path, stored, size * counts, counts)
    check_size(store.path, array.shape, array.dtype.itemsize, stored, compressed=True)
    pixels = np.full(array.shape, array.fill or 0, array.dtype)
    for key, place in array.parts():
        block = packed[key]
        if block is not None:
            values = np.frombuffer(_unpacked(store, block, array, size), array.dtype)
            values = values.reshape(array.blocks, order="F" if array.order == "F" else "C")
            part = pixels[place]
            part[...] = values[tuple(slice(n) for n in part.shape)]
    return pixels


def _signal(store: _Store, group: str) -> RawImage | None:
    array = _array(store, f"{group}/data")
    if array is None:
        return None

    def look_up(dotted: str) -> Any:
        *parents, last = dotted.split(".")
        return store.described("/".join([group, "metadata", *parents, ".zattrs"])).get(last)

    def axis(number: int) -> Axis:
        return described_axis(store.described(f"{group}/axis-{number}/.zattrs").get)

    title, axes = str(look_up("General.title") or ""), tuple(axis(i) for i in range(len(array.shape)))
    if not is_image(array.shape, array.dtype, axes):
        return placeholder(title, array.shape, np.bool_ if array.dtype.hasobject else array.dtype, axes, facts(look_up))
    return RawImage(title, _pixels(store, f"{group}/data", array), axes, facts(look_up))


def images(path: Path) -> list[RawImage]:
    """All signals of a file or folder."""
    with _opened(path) as store:
        found = [_signal(store, f"Experiments/{name}") for name in store.experiments]
        return [image for image in found if image is not None]
