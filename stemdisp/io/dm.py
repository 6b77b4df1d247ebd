"""Gatan DigitalMicrograph files (.dm3, .dm4); written with files of GMS 1 to 3 in mind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ReadError
from .formats import LARGEST_BYTES, Axis, RawImage, facts, nested
from .text import one_line


def _axis(described: dict[str, Any]) -> Axis:
    return Axis(
        str(described.get("name") or ""),
        float(described["scale"]),
        str(described.get("units") or ""),
        bool(described["navigate"]),
    )


def images(path: Path) -> list[RawImage]:
    """All images of a file but its thumbnails.

    Pixels are stored uncompressed and the reader takes no more than there are: the size of the file bounds the memory.
    """
    from rsciio.digitalmicrograph import file_reader

    size = path.stat().st_size
    if size > LARGEST_BYTES:
        shown = f"{one_line(path.name)} has {size / 2**30:.1f} GiB"
        raise ReadError(f"{shown}; at most 4 GiB are read: export one image from it")
    found = []
    for entry in file_reader(str(path), lazy=False):
        look_up = nested(entry["metadata"])
        axes = tuple(_axis(axis) for axis in entry["axes"])
        found.append(RawImage(str(look_up("General.title") or ""), entry["data"], axes, facts(look_up)))
    return found
