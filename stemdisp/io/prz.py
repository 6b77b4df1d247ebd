"""Panta Rhei files (.prz of CEOS): a compressed array and its description.

Files of versions before 24.03 keep the description as Python objects, which are never loaded: their images come without
a pixel size.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from . import zipped
from .formats import Axis, RawImage, as_text, check_size, is_image, largest_bytes, number, placeholder
from .text import one_line

LONGEST_DESCRIPTION = 64 * 2**20

FRAMES = ("Index", "ScanY", "ScanX", "PlotIndex")
"""What a dimension may be besides one of the image."""

OLD = "its description is stored as Python objects, which are not loaded; save it again with Panta Rhei 24.03 or later"


def _described(path: Path, archive: zipfile.ZipFile) -> dict[str, Any] | None:
    """The description; None where it is stored as Python objects."""
    written = zipped.member(archive, "meta_data_json.npy", LONGEST_DESCRIPTION)
    if written is None:
        return None
    file = io.BytesIO(written)
    shape, dtype = _header(path, file)
    check_size(path, shape, dtype.itemsize, len(written))
    file.seek(0)
    text = np.lib.format.read_array(file, allow_pickle=False)
    found = json.loads(str(text.reshape(-1)[0]))
    found = found[0] if isinstance(found, list) and found else found
    return found if isinstance(found, dict) else {}


def _axes(meta: dict[str, Any], dimensions: int) -> tuple[Axis, ...]:
    """Axes in the order of the array; the file lists them from the fastest, x, on."""
    calibrated, kinds = meta.get("device.calib"), meta.get("content.types")
    calibrated = calibrated if isinstance(calibrated, (list, tuple)) else []
    kinds = kinds if isinstance(kinds, (list, tuple)) else []
    axes = []
    for i in range(dimensions):
        said = calibrated[i] if i < len(calibrated) and isinstance(calibrated[i], dict) else {}
        kind = kinds[i] if i < len(kinds) else None
        value, factor = number(said.get("value")), number(said.get("pixel_factor", 1))
        scale = None if value is None or factor is None else value * factor
        unit = said.get("unit")
        name = str(kind or ("x", "y", "frame")[min(i, 2)])
        axes.append(Axis(name, scale, str(unit) if unit else None, kind in FRAMES if kind else i > 1))
    return tuple(axes[::-1])


def _header(path: Path, file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array from the head of its .npy file.

    Heads of later versions, which records with many names need, can be gigabytes long.
    """
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ReadError(f"{one_line(path.name)}: its array is of version {version[0]} of .npy, which no image needs")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return shape, dtype


def images(path: Path) -> list[RawImage]:
    """The image or stack of a file."""
    with zipped.opened(path) as archive:
        meta = _described(path, archive)
        info = archive.getinfo("data.npy")
        with archive.open(info) as file:
            shape, dtype = _header(path, file)
        axes = _axes(meta or {}, len(shape))
        title = str((meta or {}).get("repo_id") or "").split(".")[0]
        volts = number((meta or {}).get("electron_gun.voltage"))
        facts = as_text({"beam_energy_keV": volts / 1000 if volts else None})
        if not is_image(shape, dtype, axes):
            return [placeholder(title, shape, dtype if not dtype.hasobject else np.bool_, axes, facts)]
        check_size(path, shape, dtype.itemsize, info.compress_size, compressed=info.compress_type != zipfile.ZIP_STORED)
        if info.file_size > largest_bytes():
            raise ReadError(f"{one_line(path.name)}: its array takes {info.file_size} bytes; it is damaged")
        with archive.open(info) as file:
            data = np.lib.format.read_array(file, allow_pickle=False)
    return [RawImage(title, data, axes, facts, () if meta is not None else (OLD,))]
