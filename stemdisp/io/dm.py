"""Gatan DigitalMicrograph files (.dm3, .dm4); written with files of GMS 1 to 3 in mind.

RosettaSciIO reads them, tag after tag and value after value; :mod:`dm_tags` looks first whether that comes to an end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from . import dm_tags
from .formats import Axis, RawImage, check_size, facts, is_image, nested, placeholder

WHOLE = -1
"""One block for each array: the reader lists all blocks first, which takes for ever where a header names many."""


def _axis(described: dict[str, Any]) -> Axis:
    return Axis(
        str(described.get("name") or ""),
        float(described["scale"]),
        str(described.get("units") or ""),
        bool(described["navigate"]),
    )


def _entries(path: Path) -> list[dict[str, Any]]:
    """What the reader finds, pixels still in the file; in memory only where there are colours, which it must load."""
    from rsciio.digitalmicrograph import file_reader

    dm_tags.check(path)
    try:
        return list(file_reader(str(path), lazy=True, chunks=WHOLE))
    except ValueError as error:
        if "RGB" not in str(error):
            raise
    check_size(path, (path.stat().st_size,), 1, path.stat().st_size)
    return list(file_reader(str(path), lazy=False))


def _image(path: Path, entry: dict[str, Any]) -> RawImage:
    look_up, data = nested(entry["metadata"]), entry["data"]
    axes = tuple(_axis(axis) for axis in entry["axes"])
    title = str(look_up("General.title") or "")
    if not is_image(data.shape, data.dtype, axes):
        return placeholder(title, data.shape, data.dtype, axes, facts(look_up))
    check_size(path, data.shape, data.dtype.itemsize, path.stat().st_size)
    # Asked for a scheduler by its name, dask imports its cluster first, which takes seconds.
    pixels = np.array(data if isinstance(data, np.ndarray) else data.compute(scheduler=data.__dask_scheduler__))
    return RawImage(title, pixels, axes, facts(look_up))


def images(path: Path) -> list[RawImage]:
    """All images of a file but its thumbnails; of other arrays, such as spectra, only the shape."""
    return [_image(path, entry) for entry in _entries(path)]
