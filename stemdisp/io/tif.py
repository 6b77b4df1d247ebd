"""TIFF: plain files, those of microscopes, ImageJ, HyperSpy and OME with their calibration, and stacks of pages."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from . import tif_calibration
from .detectors import recognise
from .formats import LARGEST_BLOCK, Axis, RawImage, check_packed, check_size, is_image, placeholder
from .text import one_line

MOST_PAGES = 4096
"""Longest chain of pages that is followed."""

FRAME_AXES = "ZTIQ"
"""Letters under which pages of one detector are stacked: slices, times, images, unknown.  C are channels."""


def _check_chain(path: Path) -> None:
    """Follow the chain of pages once: a chain that bites its tail keeps a TIFF reader busy for ever.

    Raises ReadError for a loop, a page outside the file, or more than 4096 pages.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        big = head[2:4] in (b"+\0", b"\0+")
        number, entry, offset = ("Q", 20, "Q") if big else ("H", 12, "L")
        (page,) = struct.unpack_from(order + offset, head, 8 if big else 4)
        seen: set[int] = set()
        while page:
            if page in seen or len(seen) >= MOST_PAGES:
                why = "its pages form a loop" if page in seen else f"it has more than {MOST_PAGES} pages"
                raise ReadError(f"{one_line(path.name)} cannot be read as TIFF: {why}")
            seen.add(page)
            link = page
            if page < size:
                file.seek(page)
                (count,) = struct.unpack(order + number, file.read(struct.calcsize(order + number)))
                link += struct.calcsize(order + number) + count * entry
            if link >= size:
                raise ReadError(f"{one_line(path.name)}: its page {len(seen)} lies beyond its end; it is cut short")
            file.seek(link)
            (page,) = struct.unpack(order + offset, file.read(struct.calcsize(order + offset)))


def _notes(page: Any) -> tuple[str, ...]:
    """What a page says of how it wants to be shown."""
    if getattr(page.photometric, "name", "") == "MINISWHITE":
        return ("the file asks to be shown inverted (white is zero); its values are used as stored",)
    return ()


def _is_colour(page: Any, axes: str) -> bool:
    return "S" in axes or getattr(page.photometric, "name", "MINISBLACK") not in ("MINISBLACK", "MINISWHITE")


def _series(path: Path, tif: Any, number: int) -> list[RawImage]:
    series = tif.series[number]
    page = series.keyframe
    x, y, unit = tif_calibration.of_series(tif, number, page)
    stacked = tuple(Axis(letter, navigate=True if letter in FRAME_AXES else None) for letter in series.axes[:-2])
    plane = (Axis("y", y, unit, False), Axis("x", x, unit, False))
    if _is_colour(page, series.axes):
        colours = np.dtype([(name, "u1") for name in "rgb"])
        return [placeholder("", (page.imagelength, page.imagewidth), colours, plane)]
    labels = tif_calibration.names(tif, number)
    detectors = series.ndim == 3 and len(labels) == series.shape[0] and any(recognise(label) for label in labels)
    if not detectors and not is_image(series.shape, series.dtype, stacked + plane):
        return [placeholder("", series.shape, series.dtype, stacked + plane)]
    compressed = int(page.compression) != 1 or page.bitspersample < 8
    block = math.prod(page.chunks) * series.dtype.itemsize
    if block > series.size * series.dtype.itemsize + LARGEST_BLOCK:
        raise ReadError(f"{one_line(path.name)} is stored in tiles of {block} bytes, larger than itself; it is damaged")
    check_size(path, series.shape, series.dtype.itemsize, path.stat().st_size, compressed=compressed)
    if compressed:
        counts = [count for one in series.pages if one is not None for count in one.databytecounts]
        check_packed(path, sum(counts), block * len(counts), len(counts))
    data = series.asarray(maxworkers=1)
    if detectors and data.ndim == 3:
        return [RawImage(label, data[i], plane, notes=_notes(page)) for i, label in enumerate(labels)]
    return [RawImage(labels[0] if data.ndim == 2 and labels else "", data, stacked + plane, notes=_notes(page))]


def images(path: Path) -> list[RawImage]:
    """Every series of pages of equal shape; slices of a stack apart where they are labelled with their detectors."""
    import tifffile

    _check_chain(path)
    with tifffile.TiffFile(path, _multifile=False) as tif:
        return [image for number in range(len(tif.series)) for image in _series(path, tif, number)]
