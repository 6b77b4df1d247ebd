"""MRC files (.mrc, .map, .st, .rec): images and stacks with the sizes of their pixels.

Read directly: the header is compared with the size of the file before anything is read.  Layout: MRC2014, and the older
files whose extended header of 1024 blocks has the size of a pixel (Cheng et al., J. Struct. Biol. 192 (2015) 146).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from .formats import Axis, RawImage, check_size, is_image, placeholder
from .text import one_line

HEADER = 1024

MODES = {0: "i1", 1: "i2", 2: "f4", 4: "c8", 6: "u2", 12: "f2"}
"""Number of a kind of pixel and its type; 0 is unsigned where the header says that there are values above 127."""

OLD_EXTENSION = 128 * 1024
"""Bytes of the extended header of older FEI files, which have the size of a pixel, in m, in their twelfth number."""

WHOLE_ANGSTROM = 1.0
"""Size of a pixel, in angstrom, that programs write where they know none."""

ROWS = "rows are taken from the top, in the order of the file; programs that write MRC files from below turn them over"


@dataclass(frozen=True)
class _Header:
    """What the first bytes say: the order of bytes, sizes (x, y, z), cell and its samples, and what follows."""

    order: str
    sizes: tuple[int, int, int]
    mode: int
    samples: tuple[int, int, int]
    cell: tuple[float, float, float]
    largest: float
    space_group: int
    extension: int


def _header(path: Path, head: bytes) -> _Header:
    if len(head) < HEADER:
        raise ReadError(f"{one_line(path.name)} has {len(head)} bytes, less than the 1024 of an MRC header")
    order = ">" if head[212] == 0x11 or int.from_bytes(head[12:16], "little") >= 2**16 else "<"
    words, numbers = struct.unpack_from(f"{order}24i", head), struct.unpack_from(f"{order}24f", head)
    return _Header(order, words[:3], words[3], words[7:10], numbers[10:13], numbers[20], words[22], words[23])


def _dtype(path: Path, header: _Header) -> np.dtype[Any]:
    if header.mode not in MODES:
        raise ReadError(
            f"{one_line(path.name)}: its pixels are of MRC mode {header.mode}; readable are "
            f"{', '.join(map(str, MODES))}: export it uncompressed"
        )
    unsigned = header.mode == 0 and header.largest > 127
    return np.dtype(header.order + ("u1" if unsigned else MODES[header.mode]))


def _pixel(header: _Header, axis: int, extension: bytes) -> tuple[float | None, str | None]:
    """Size of a pixel along x (0) or y (1) and its unit."""
    if extension:
        (size,) = struct.unpack_from(f"{header.order}f", extension, 44)
        return size, "m"
    if not header.samples[axis]:
        return None, None
    size = header.cell[axis] / header.samples[axis]
    if not math.isfinite(size) or size in (0, WHOLE_ANGSTROM):
        return None, None
    return size, "A"


def images(path: Path) -> list[RawImage]:
    """The image or stack of a file; volumes keep three dimensions that count no frames."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = _header(path, file.read(HEADER))
        dtype = _dtype(path, header)
        start = HEADER + header.extension
        if header.extension < 0 or start > size:
            raise ReadError(
                f"{one_line(path.name)}: its extended header of {header.extension} bytes is not in the file"
            )
        check_size(path, header.sizes[::-1], dtype.itemsize, size - start)
        extension = file.read(OLD_EXTENSION) if header.extension == OLD_EXTENSION else b""
        x, y = (_pixel(header, axis, extension) for axis in (0, 1))
        frames = True if header.space_group == 0 else None
        axes = (Axis("z", navigate=frames), Axis("y", *y, navigate=False), Axis("x", *x, navigate=False))
        if not is_image(header.sizes[::-1], dtype, axes):
            return [placeholder("", header.sizes[::-1], dtype, axes)]
        file.seek(start)
        data = np.fromfile(file, dtype, math.prod(header.sizes)).reshape(header.sizes[::-1])
    return [RawImage("", data, axes, notes=(ROWS,))]
