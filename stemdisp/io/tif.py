"""TIFF: plain files, those of ImageJ and Fiji with their calibration, and stacks of pages."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from ..errors import ReadError
from .detectors import recognise
from .formats import Axis, RawImage, check_size
from .text import one_line

MOST_PAGES = 4096
"""Longest chain of pages that is followed."""

FRAME_AXES = "ZTIQ"
"""Letters under which pages of one detector are stacked: slices, times, images, unknown.  C are channels."""


def _check_chain(path: Path) -> None:
    """Follow the chain of pages once: a chain that bites its tail keeps a TIFF reader busy for ever.

    Raises ReadError for a loop, a page outside the file, or more than 4096 pages.
    """
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
            file.seek(page)
            (count,) = struct.unpack(order + number, file.read(struct.calcsize(order + number)))
            file.seek(page + struct.calcsize(order + number) + count * entry)
            (page,) = struct.unpack(order + offset, file.read(struct.calcsize(order + offset)))


def _scales(page: Any, imagej: dict[str, Any]) -> tuple[float | None, float | None, str | None]:
    """Width and height of a pixel and their unit.

    Resolution tags count pixels per unit; only ImageJ says which unit, the tag's own inch being a printer's.
    """
    unit = imagej.get("unit")
    if unit is None:
        return None, None, None

    def scale(name: str) -> float | None:
        tag = page.tags.get(name)
        numerator, denominator = tag.value if tag is not None else (0, 0)
        return denominator / numerator if numerator else None

    x = scale("XResolution")
    y = scale("YResolution")
    return x, x if y is None else y, str(imagej.get("yunit") or unit)


def _check_page(path: Path, page: Any, axes: str) -> tuple[str, ...]:
    """Notes on how a page stores grey; raises ReadError for colours."""
    photometric = getattr(page.photometric, "name", "MINISBLACK")
    if "S" in axes or photometric not in ("MINISBLACK", "MINISWHITE"):
        raise ReadError(f"{one_line(path.name)} is a colour image ({photometric}); export the raw grey values")
    if photometric == "MINISWHITE":
        return ("the file asks to be shown inverted (white is zero); its values are used as stored",)
    return ()


def _series(path: Path, series: Any, imagej: dict[str, Any]) -> list[RawImage]:
    page = series.keyframe
    notes = _check_page(path, page, series.axes)
    compressed = int(page.compression) != 1 or page.bitspersample < 8
    check_size(path, series.shape, series.dtype.itemsize, path.stat().st_size, compressed=compressed)
    x, y, unit = _scales(page, imagej)
    stacked = tuple(Axis(letter, navigate=True if letter in FRAME_AXES else None) for letter in series.axes[:-2])
    plane = (Axis("y", y, unit, False), Axis("x", x, unit, False))
    data = series.asarray(maxworkers=1)
    labels = [str(label) for label in imagej.get("Labels", ())]
    if data.ndim == 3 and len(labels) == len(data) and any(recognise(label) for label in labels):
        return [RawImage(label, data[i], plane, notes=notes) for i, label in enumerate(labels)]
    return [RawImage(labels[0] if data.ndim == 2 and labels else "", data, stacked + plane, notes=notes)]


def images(path: Path) -> list[RawImage]:
    """Every series of pages of equal shape; slices of a stack apart where ImageJ labels them with their detectors."""
    import tifffile

    _check_chain(path)
    with tifffile.TiffFile(path, _multifile=False) as tif:
        imagej = tif.imagej_metadata or {} if tif.is_imagej else {}
        return [image for series in tif.series for image in _series(path, series, imagej)]
