"""Semper pictures (.unf), read directly: the label can name a shape that the file does not have.

Layout: every record stands between two copies of its length; a head, a title, a label of 256 small numbers, then one
record for each row.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from .formats import Axis, RawImage, check_size, is_image, placeholder
from .text import one_line

FORMS = {0: "i1", 1: "<i2", 2: "<f4", 3: "<c8", 4: "<i4"}
"""Number of a form and its type."""

FOURIER = 3
"""Class of pictures that are Fourier transforms."""

LABEL_LENGTH = 512


@dataclass(frozen=True)
class _Label:
    """Shape (layers, rows, columns), step and unit along x and y, and title."""

    shape: tuple[int, int, int]
    steps: tuple[float | None, float | None]
    units: tuple[str, str]
    title: str


def _record(content: bytes, place: int) -> tuple[bytes, int]:
    """A record and where the next one begins; struct.error, which becomes a sentence, where it is cut short."""
    (length,) = struct.unpack_from("<i", content, place)
    (again,) = struct.unpack_from("<i", content, place + 4 + max(length, 0))
    if length != again or length < 0:
        raise ValueError("its records do not end as they begin")
    return content[place + 4 : place + 4 + length], place + 8 + length


def _label(record: bytes) -> _Label:
    words = struct.unpack(f"<{len(record) // 2}h", record)

    def number(first: int) -> float:
        found: float = struct.unpack("<f", bytes(word & 0xFF for word in words[first : first + 4]))[0]
        return found

    def text(first: int, count: int) -> str:
        return "".join(chr(word & 0xFF) for word in words[first : first + count]).replace("\0", "").strip()

    columns, rows, layers = (65536 * words[57 + i] + 256 * words[6 + 2 * i] + words[7 + 2 * i] for i in range(3))
    known = words[62] == 1
    steps = (number(91), number(83)) if known else (None, None)
    return _Label((layers, rows, columns), steps, (text(244, 4), text(248, 4)), text(100, min(max(words[99], 0), 144)))


def _pixels(path: Path, content: bytes, place: int, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> Any:
    """Rows, each of which may be longer than it is wide by a byte that fills it up."""
    row, _ = _record(content, place)
    used, stride = shape[2] * dtype.itemsize, len(row) + 8
    count = shape[0] * shape[1]
    if len(row) < used or place + count * stride > len(content):
        raise ReadError(f"{one_line(path.name)}: {count} rows of {used} bytes are not in it; it is cut short")
    records = np.frombuffer(content, np.uint8, count * stride, place).reshape(count, stride)
    return np.ascontiguousarray(records[:, 4 : 4 + used]).view(dtype).reshape(shape)


def images(path: Path) -> list[RawImage]:
    """The picture of a file; several layers are no frames as far as a file says."""
    check_size(path, (path.stat().st_size,), 1, path.stat().st_size)
    content = path.read_bytes()
    head, place = _record(content, 0)
    columns, rows, layers, kind, form, flags = struct.unpack_from("<6h", head)
    if form not in FORMS:
        raise ReadError(f"{one_line(path.name)}: its pixels are of Semper's form {form}; 0 to 4 are known")
    label = _Label((layers, rows, columns), (None, None), ("", ""), "")
    has_label, title_length = divmod(flags % 10000, 1000)
    if title_length:
        _, place = _record(content, place)
    if has_label:
        record, place = _record(content, place)
        if len(record) == LABEL_LENGTH:
            label = _label(record)
    dtype = np.dtype(FORMS[form])
    check_size(path, label.shape, dtype.itemsize, len(content) - place)
    units = ("1/m", "1/m") if kind == FOURIER else label.units
    plane = tuple(Axis(name, label.steps[i], units[i] or None, False) for name, i in (("y", 1), ("x", 0)))
    axes = (Axis("layer"), *plane)
    if not is_image(label.shape, dtype, axes):
        return [placeholder(label.title, label.shape, dtype, axes)]
    return [RawImage(label.title, _pixels(path, content, place, label.shape, dtype), axes)]
