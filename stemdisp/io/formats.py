"""The formats that can be read: which reader a file belongs to, by its first bytes rather than its name.

A reader is a module of this package with one function ``images(path) -> list[RawImage]``; a new format is a new module
and a row of :data:`FORMATS`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from .text import one_line

LARGEST_BYTES = 4 * 2**30
"""Largest array that is read, 4 GiB: a 16k x 16k float64 image is half of it; 4-D data sets lie above."""

LARGEST_RATIO = 1100
"""Largest ratio of pixels to stored bytes: deflate cannot exceed 1032, so more is a damaged or hostile header."""


@dataclass(frozen=True)
class Axis:
    """One axis of an array as the file describes it; ``navigate`` is True along frames, False within an image."""

    name: str = ""
    scale: float | None = None
    unit: str | None = None
    navigate: bool | None = None


@dataclass(frozen=True, eq=False)
class RawImage:
    """An array as a reader found it, with one axis a dimension (array order), its title and a few facts as text."""

    title: str
    data: NDArray[Any]
    axes: tuple[Axis, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """A kind of file: its usual suffixes, how its first bytes look, and the module that reads it."""

    name: str
    suffixes: tuple[str, ...]
    begins: Callable[[bytes], bool]
    module: str


def _digital_micrograph(head: bytes) -> bool:
    """Version 3 or 4 as a big-endian integer, then the byte order, 0 or 1, after the length of the file."""
    version = int.from_bytes(head[:4], "big")
    order = head[8:12] if version == 3 else head[12:16]
    return version in (3, 4) and order in (b"\0\0\0\0", b"\0\0\0\1")


FORMATS = (
    Format("TIFF", (".tif", ".tiff"), lambda head: head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "tif"),
    Format("HyperSpy", (".hspy", ".hdf5"), lambda head: head.startswith(b"\x89HDF\r\n\x1a\n"), "hspy"),
    Format("NumPy", (".npy",), lambda head: head.startswith(b"\x93NUMPY"), "npy"),
    Format("DigitalMicrograph", (".dm3", ".dm4"), _digital_micrograph, "dm"),
)

SUFFIXES = frozenset(suffix for known in FORMATS for suffix in known.suffixes)
"""Endings of file names that are looked for in a folder."""


def sniff(path: Path) -> Format:
    """The format of a file; raises ReadError for files that are missing, empty or of no known kind."""
    shown = one_line(path.name)
    if path.is_dir():
        raise ReadError(f"{shown} is a folder; pass the files in it")
    if not path.exists():
        raise ReadError(f"{shown}: no such file in {one_line(path.parent)}")
    if not path.is_file():
        raise ReadError(f"{shown} is not a regular file; pass an image file")
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise ReadError(f"{shown} cannot be opened: {error.strerror}") from error
    if not head:
        raise ReadError(f"{shown} is empty (0 bytes)")
    for known in FORMATS:
        if known.begins(head):
            return known
    readable = ", ".join(f"{known.name} ({' '.join(known.suffixes)})" for known in FORMATS)
    raise ReadError(f"{shown} begins like no format that can be read; those are {readable}")


def images(path: Path) -> tuple[list[RawImage], str]:
    """Everything array-like in a file, and the name of its reader.

    Raises ReadError in one sentence, whatever the reader behind it raised.
    """
    known = sniff(path)
    reader = import_module(f".{known.module}", __package__)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tags a reader does not know; what matters is validated afterwards
            found: list[RawImage] = reader.images(path)
    except ReadError:
        raise
    except Exception as error:
        cause = one_line(f"{type(error).__name__}: {error}".rstrip(": "))
        raise ReadError(
            f"{one_line(path.name)} cannot be read as {known.name} ({cause}); it may be damaged or cut short"
        ) from error
    if not found:
        raise ReadError(f"{one_line(path.name)}: no image in it")
    return found, known.name


def check_size(path: Path, shape: Iterable[Any], itemsize: int, stored: int, *, compressed: bool = False) -> None:
    """Refuse, before anything is allocated, an array that cannot be in the file or is too large.

    Parameters
    ----------
    path
        The file, for the message.
    shape, itemsize
        What the header says: the shape of the array and the bytes of a pixel.
    stored
        Bytes that the file has for it.
    compressed
        Whether the pixels may take more room than the file.

    Raises
    ------
    ReadError
        For an empty array, one above 4 GiB, or one larger than the file can hold.
    """
    shape = tuple(int(n) for n in shape)
    size, shown = math.prod(shape) * itemsize, f"{one_line(path.name)}: shape {shape}"
    if size <= 0:
        raise ReadError(f"{shown} holds no pixel")
    if size > LARGEST_BYTES:
        raise ReadError(f"{shown} takes {size / 2**30:.1f} GiB; at most 4 GiB are read: export one image from it")
    if size > stored * (LARGEST_RATIO if compressed else 1):
        raise ReadError(f"{shown} takes {size} bytes but the file has {stored} for it; it is damaged or cut short")


FACTS = {
    "date": "General.date",
    "beam_energy_keV": "Acquisition_instrument.TEM.beam_energy",
    "magnification": "Acquisition_instrument.TEM.magnification",
    "microscope": "Acquisition_instrument.TEM.microscope",
}
"""What is kept of HyperSpy-style metadata."""


def facts(look_up: Callable[[str], Any]) -> dict[str, str]:
    """The known facts that ``look_up`` (dotted key to value or None) finds, as one-line text."""
    found = {name: look_up(key) for name, key in FACTS.items()}
    return {name: one_line(value) for name, value in found.items() if value is not None and np.ndim(value) == 0}


def nested(tree: Mapping[str, Any]) -> Callable[[str], Any]:
    """A look-up of dotted keys in nested mappings that answers None for what is missing."""

    def look_up(key: str) -> Any:
        node: Any = tree
        for part in key.split("."):
            if not isinstance(node, Mapping) or part not in node:
                return None
            node = node[part]
        return node

    return look_up
