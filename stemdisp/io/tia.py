"""TIA series (.ser of FEI), read directly: every element is looked for before any is read.

What the microscope was doing stands in the .emi beside it, if there is one.  Layout: the description of the format by
C. Boothroyd.
"""

from __future__ import annotations

import math
import mmap
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from .formats import Axis, RawImage, as_text, check_size, is_image, placeholder
from .text import one_line

SPECTRA, IMAGES = 0x4120, 0x4122
"""Kinds of elements."""

WIDE_OFFSETS = 0x211
"""From this version on positions in the file take eight bytes."""

TAG_BYTES = {0x4152: 8, 0x4142: 24}
"""Length of what follows an element: a time, or a time and a place."""

DTYPES = dict(enumerate(("u1", "<u2", "<u4", "i1", "<i2", "<i4", "<f4", "<f8", "<c8", "<c16"), 1))

MOST_DIMENSIONS = 8

LONGEST_DESCRIPTION = 4 * 2**20
"""Longest description in an .emi file; some ten thousand bytes are usual."""


@dataclass(frozen=True)
class _Series:
    """Head of a file: the kind of its elements, where they and their tags are, and along what they were taken."""

    kind: int
    offsets: tuple[int, ...]
    tags: tuple[int, ...]
    tag_bytes: int
    dimensions: tuple[tuple[int, str], ...]


def _series(path: Path, content: Any) -> _Series:
    """The head of a file; struct.error, which becomes a sentence, where it is cut short."""
    _, _, version, kind, tag, total, valid = struct.unpack_from("<HHHIIII", content)
    form, width = ("Q", 8) if version >= WIDE_OFFSETS else ("I", 4)
    start, count = struct.unpack_from(f"<{form}I", content, 22)
    if not 0 < valid <= total or count > MOST_DIMENSIONS or start + 2 * total * width > len(content):
        raise ReadError(
            f"{one_line(path.name)}: {valid} of {total} images are not in the file; it is damaged or cut short"
        )
    place, dimensions = 26 + width, []
    for _ in range(count):
        size, *_, length = struct.unpack_from("<IddII", content, place)
        (unit_length,) = struct.unpack_from("<I", content, place + 28 + length)
        unit = content[place + 32 + length : place + 32 + length + min(unit_length, 64)].decode("latin-1")
        dimensions.append((size, unit))
        place += 32 + length + unit_length
    offsets = struct.unpack_from(f"<{valid}{form}", content, start)
    tags = struct.unpack_from(f"<{valid}{form}", content, start + total * width)
    return _Series(kind, offsets, tags, TAG_BYTES.get(tag, 0), tuple(dimensions))


@dataclass(frozen=True)
class _Element:
    """Head of an image: the sizes of a pixel in m, None where they are no numbers, the type of its values and its shape
    (y, x)."""

    x_m: float | None
    y_m: float | None
    dtype: np.dtype[Any]
    shape: tuple[int, int]


ELEMENT = struct.Struct("<ddIddIHII")


def _element(path: Path, content: Any, offset: int) -> _Element:
    _, x_m, _, _, y_m, _, kind, nx, ny = ELEMENT.unpack_from(content, offset)
    if kind not in DTYPES:
        raise ReadError(f"{one_line(path.name)}: its pixels are of kind {kind}, which TIA does not have; it is damaged")
    x_m, y_m = (size if math.isfinite(size) else None for size in (x_m, y_m))  # what is no number equals nothing
    return _Element(x_m, y_m, np.dtype(DTYPES[kind]), (ny, nx))


def _check_whole(path: Path, content: Any, series: _Series, first: _Element) -> None:
    """Every image and its tag must lie in the file, and all must be alike."""
    bytes_ = first.shape[0] * first.shape[1] * first.dtype.itemsize
    for offset, tag in zip(series.offsets, series.tags, strict=True):
        end = max(offset + ELEMENT.size + bytes_, tag + series.tag_bytes if tag else 0)
        if end > len(content):
            raise ReadError(f"{one_line(path.name)} ends {end - len(content)} bytes too early; it is cut short")
        if _element(path, content, offset) != first:
            raise ReadError(f"{one_line(path.name)}: its images differ in shape or pixel size; export one image")


def _is_frames(series: _Series) -> bool:
    """Whether elements follow one another in time; those taken at places are patterns of a scan."""
    long = [unit for size, unit in series.dimensions if size > 1]
    return len(long) < 2 and not any(unit.startswith("meter") for unit in long)


def description(path: Path) -> dict[str, str]:
    """What the .emi file beside NAME_1.ser says of it, by label; empty where there is none."""
    found = re.fullmatch(r"(.+)_(\d{1,4})", path.stem, re.DOTALL)
    beside = (
        next((one for one in (path.with_name(f"{found[1]}{end}") for end in (".emi", ".EMI")) if one.is_file()), None)
        if found
        else None
    )
    if found is None or beside is None or not beside.stat().st_size:
        return {}
    with beside.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = 0
        for _ in range(int(found[2])):
            start = content.find(b"<ObjectInfo>", start) + 1
            if not start:
                return {}
        end = content.find(b"</ObjectInfo>", start, start + LONGEST_DESCRIPTION)
        text = content[start : max(end, start)].decode("utf-8", errors="replace")
    labelled = re.findall(r"<Label>([^<]*)</Label>\s*<Value>([^<]*)</Value>", text)
    single = re.findall(r"<(AcquireDate|CameraNamePath)>([^<]*)</", text)
    return {label.strip(): value.strip() for label, value in [*labelled, *single]}


def _unit(said: dict[str, str]) -> str:
    """Unit of a pixel; the file does not say which, but what the microscope was doing does."""
    mode = said.get("Mode", "")
    patterns = "Diffraction" in mode or ("STEM" in mode and said.get("CameraNamePath"))
    return "1/m" if patterns else "m"


def _facts(said: dict[str, str]) -> dict[str, str]:
    return as_text(
        {
            "date": said.get("AcquireDate"),
            "beam_energy_keV": said.get("High tension"),
            "magnification": said.get("Magnification"),
            "microscope": said.get("Microscope"),
        }
    )


def _spectra(content: Any, series: _Series, facts: dict[str, str]) -> RawImage:
    _, _, _, _, length = struct.unpack_from("<ddIHI", content, series.offsets[0])
    shape = (len(series.offsets), length) if len(series.offsets) > 1 else (length,)
    axes = (*(Axis(navigate=True) for _ in shape[1:]), Axis("energy", unit="eV", navigate=False))
    return placeholder("", shape, np.float32, axes, facts)


def _frames(content: Any, offsets: Sequence[int], first: _Element) -> Any:
    """Pixels of all images; a file has the lowest row first."""
    frames = np.empty((len(offsets), *first.shape), first.dtype)
    for frame, offset in zip(frames, offsets, strict=True):
        count = first.shape[0] * first.shape[1]
        frame[:] = np.frombuffer(content, first.dtype, count, offset + ELEMENT.size).reshape(first.shape)[::-1]
    return frames


def images(path: Path) -> list[RawImage]:
    """The image, or the series of images, of one detector."""
    said = description(path)
    unit, facts = _unit(said), _facts(said)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        series = _series(path, content)
        if series.kind == SPECTRA:
            return [_spectra(content, series, facts)]
        if series.kind != IMAGES:
            raise ReadError(f"{one_line(path.name)}: its data are of kind {series.kind:#x}, which TIA does not have")
        first = _element(path, content, series.offsets[0])
        plane = (Axis("y", first.y_m, unit, False), Axis("x", first.x_m, unit, False))
        axes = (Axis("frame", navigate=True if _is_frames(series) else None), *plane)
        shape = (len(series.offsets), *first.shape)
        if not is_image(shape, first.dtype, axes):
            return [placeholder("", shape, first.dtype, axes, facts)]
        check_size(path, shape, first.dtype.itemsize, len(content))
        _check_whole(path, content, series, first)
        return [RawImage("", _frames(content, series.offsets, first), axes, facts)]
