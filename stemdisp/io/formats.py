"""The formats that can be read: which reader a file belongs to, by its first bytes rather than its name.

A reader is a module of this package with one function ``images(path) -> list[RawImage]``; a new format is a new module
and a row of :data:`FORMATS`.  Formats that share a container (HDF5, zip) begin alike: the module of the container
looks inside.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from .text import one_line

LARGEST_BYTES = 4 * 2**30
"""Largest array that is read, 4 GiB: a 16k x 16k float64 image is half of it; 4-D data sets lie above.

A process that may take less memory reads less, see :func:`largest_bytes`.
"""

LARGEST_BLOCK = 64 * 2**20
"""Bytes by which a block of pixels may be larger than the array that it is a part of: it is unpacked whole."""

OVERHEAD = 64
"""Bytes that packing may add to a block, besides half of the block: none adds more."""

LARGEST_RATIO = 1100
"""Largest ratio of pixels to stored bytes: deflate cannot exceed 1032, so more is a damaged or hostile header."""

HEAD_BYTES = 1024
"""Bytes of a file by which its format is told: the longest head, that of MRC."""

ENERGY_UNITS = ("eV", "keV")
"""Units that only spectra have."""


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
    """A kind of file: its usual suffixes, how its first bytes look, and the module that reads it.

    ``container`` is the module whose function ``kind(path)`` names the reader among formats that begin alike.
    """

    name: str
    suffixes: tuple[str, ...]
    begins: Callable[[bytes], bool]
    module: str
    container: str = ""


def _digital_micrograph(head: bytes) -> bool:
    """Version 3 or 4 as a big-endian integer, then the byte order, 0 or 1, after the length of the file."""
    version = int.from_bytes(head[:4], "big")
    order = head[8:12] if version == 3 else head[12:16]
    return version in (3, 4) and order in (b"\0\0\0\0", b"\0\0\0\1")


def _hdf5(head: bytes) -> bool:
    return head.startswith(b"\x89HDF\r\n\x1a\n")


def _zip(head: bytes) -> bool:
    return head.startswith(b"PK\3\4")


def _semper(head: bytes) -> bool:
    """A record of 12 or 14 bytes, its length before and after it."""
    return head[:4] in (b"\x0c\0\0\0", b"\x0e\0\0\0") and head[4 + head[0] : 8 + head[0]] == head[:4]


def _mrc(head: bytes) -> bool:
    """The mark that MRC files have had since 2000, or three sizes, a known mode and three axes that are 1, 2, 3."""
    if head[208:212] == b"MAP ":
        return True
    if len(head) < HEAD_BYTES:
        return False
    order: Literal["little", "big"]
    for order in ("little", "big"):
        words = [int.from_bytes(head[4 * i : 4 * i + 4], order) for i in range(19)]
        sizes, mode, axes = words[:3], words[3], words[16:19]
        if all(0 < size < 2**16 for size in sizes) and mode in (0, 1, 2, 4, 6, 12) and sorted(axes) == [1, 2, 3]:
            return True
    return False


FORMATS = (
    Format("TIFF", (".tif", ".tiff"), lambda head: head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "tif"),
    Format("HyperSpy", (".hspy", ".hdf5"), _hdf5, "hspy", "hdf5"),
    Format("Velox EMD", (".emd",), _hdf5, "velox", "hdf5"),
    Format("NCEM EMD", (".emd", ".de5"), _hdf5, "ncem", "hdf5"),
    Format("NeXus", (".nxs",), _hdf5, "nexus", "hdf5"),
    Format("NumPy", (".npy",), lambda head: head.startswith(b"\x93NUMPY"), "npy"),
    Format("DigitalMicrograph", (".dm3", ".dm4"), _digital_micrograph, "dm"),
    Format("TIA", (".ser",), lambda head: head.startswith(b"II\x97\1"), "tia"),
    Format("TIA", (), lambda head: head.startswith(b"JK\0\2"), "emi"),  # its images are those of the .ser beside it
    Format("Panta Rhei", (".prz",), _zip, "prz", "zipped"),
    Format("HyperSpy zspy", (".zspy",), _zip, "zspy", "zipped"),
    Format("Semper", (".unf",), _semper, "semper"),
    Format("MRC", (".mrc", ".map", ".st", ".rec", ".ali"), _mrc, "mrc"),  # last: its head is the least distinct
)

PATTERNS = "diffraction patterns, not a real-space image; export the image of a virtual detector"
PICTURE = "a picture for the screen, which no longer has the measured values; export the raw grey values as TIFF"

NOT_READ = (
    (b"IMGBLO", f"a NanoMEGAS block file: {PATTERNS}"),
    (b"MQ1,", f"a Merlin detector file: {PATTERNS}"),
    (b"<?xml", f"an XML text, as EMPAD writes for its {PATTERNS}"),
    (b"AAMVHFSS", "a Bruker file of spectra; export its image as TIFF"),
    (b"\x89PNG", PICTURE),
    (b"\xff\xd8\xff", PICTURE),
    (b"GIF8", PICTURE),
)
"""First bytes of files that are known to hold no image to measure in, and what they are."""

SUFFIXES = frozenset(suffix for known in FORMATS for suffix in known.suffixes)
"""Endings of file names that are looked for in a folder."""


def is_store(path: Path) -> bool:
    """Whether a folder is one image file: the .zspy of HyperSpy is a folder of many small files."""
    return path.suffix.lower() == ".zspy" and (path / ".zgroup").is_file()


def sniff(path: Path) -> Format:
    """The format of a file; raises ReadError for files that are missing, empty or of no known kind."""
    shown = one_line(path.name)
    if is_store(path):
        return next(known for known in FORMATS if known.module == "zspy")
    if path.is_dir():
        raise ReadError(f"{shown} is a folder; pass the files in it")
    if not path.exists():
        raise ReadError(f"{shown}: no such file in {one_line(path.parent)}")
    if not path.is_file():
        raise ReadError(f"{shown} is not a regular file; pass an image file")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise ReadError(f"{shown} cannot be opened: {error.strerror}") from error
    if not head:
        raise ReadError(f"{shown} is empty (0 bytes)")
    for known in FORMATS:
        if known.begins(head):
            return known
    for start, what in NOT_READ:
        if head.startswith(start):
            raise ReadError(f"{shown} is {what}")
    readable = ", ".join(f"{known.name} ({' '.join(known.suffixes)})" for known in FORMATS if known.suffixes)
    raise ReadError(f"{shown} begins like no format that can be read; those are {readable}")


def _look_inside(path: Path, known: Format) -> Format:
    """The format of a file, where several share its first bytes."""
    if not known.container or path.is_dir():
        return known
    kind = import_module(f".{known.container}", __package__).kind(path)
    return next(one for one in FORMATS if one.module == kind)


def images(path: Path) -> tuple[list[RawImage], str]:
    """Everything array-like in a file, and the name of its reader.

    Raises ReadError in one sentence, whatever the reader behind it raised.
    """
    known = sniff(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tags a reader does not know; what matters is validated afterwards
            known = _look_inside(path, known)
            found: list[RawImage] = import_module(f".{known.module}", __package__).images(path)
    except ReadError:
        raise
    except MemoryError as error:
        raise ReadError(
            f"{one_line(path.name)} asks for more memory than the {_gib(largest_bytes())} GiB there are for one image; "
            "if it is not damaged, allow more (--max-memory), or export a part of it"
        ) from error
    except Exception as error:
        cause = one_line(f"{type(error).__name__}: {error}".rstrip(": "))
        raise ReadError(
            f"{one_line(path.name)} cannot be read as {known.name} ({cause}); it may be damaged or cut short"
        ) from error
    if not found:
        raise ReadError(f"{one_line(path.name)}: no image in it")
    return found, known.name


def is_stack(axes: Sequence[Axis]) -> bool:
    """Whether the last three axes are (frames, y, x): a series of images, not of spectra."""
    energies = any(axis.unit in ENERGY_UNITS for axis in axes)
    return [axis.navigate for axis in axes[-3:]] == [True, False, False] and not energies


def is_image(shape: Sequence[int], dtype: np.dtype[Any], axes: Sequence[Axis]) -> bool:
    """Whether an array can be an image or a stack of frames, so that its pixels are worth loading."""
    if dtype.kind not in "iuf" or any(axis.unit in ENERGY_UNITS for axis in axes):
        return False
    ones = next((i for i, n in enumerate(shape) if n != 1), len(shape))
    dimensions = max(min(2, len(shape)), len(shape) - ones)
    return dimensions == 2 or (dimensions == 3 and is_stack(axes))


def placeholder(
    title: str, shape: Sequence[int], dtype: Any, axes: tuple[Axis, ...], facts: Mapping[str, str] | None = None
) -> RawImage:
    """An array that is no image, by its shape alone: it takes no memory, and is named when it is refused."""
    return RawImage(title, np.broadcast_to(np.zeros((), dtype), tuple(shape)), axes, facts or {})


def largest_bytes() -> int:
    """Most bytes that an array may take: 4 GiB, or what the system lets this process have where that is less."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    except (ImportError, OSError, ValueError):
        return LARGEST_BYTES
    return LARGEST_BYTES if limit == resource.RLIM_INFINITY else min(limit, LARGEST_BYTES)


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g}"


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
        For an empty array, one above 4 GiB or above what this process may take, or one larger than the file can hold.
    """
    shape = tuple(int(n) for n in shape)
    size, shown = math.prod(shape) * itemsize, f"{one_line(path.name)}: shape {shape}"
    if size <= 0:
        raise ReadError(f"{shown} holds no pixel")
    if size > LARGEST_BYTES:
        raise ReadError(f"{shown} takes {size / 2**30:.1f} GiB; at most 4 GiB are read: export one image from it")
    if size > stored * (LARGEST_RATIO if compressed else 1):
        raise ReadError(f"{shown} takes {size} bytes but the file has {stored} for it; it is damaged or cut short")
    if size > (most := largest_bytes()):
        raise ReadError(
            f"{shown} takes {_gib(size)} GiB; this process may take {_gib(most)} GiB: allow more (--max-memory), or "
            "export a part of it"
        ) from MemoryError(f"{_gib(most)} GiB")


def check_packed(path: Path, stored: int, whole: int, blocks: int) -> None:
    """Refuse blocks of pixels that are larger packed than not: what they unpack to is known only once it is there.

    Parameters
    ----------
    path
        The file, for the message.
    stored, whole
        Bytes of all blocks, packed and unpacked.
    blocks
        How many there are.

    Raises
    ------
    ReadError
        Where packing would have added more than half, and 64 bytes to each block.
    """
    if stored > 1.5 * whole + OVERHEAD * (blocks + 1):
        raise ReadError(
            f"{one_line(path.name)}: {stored} packed bytes for pixels of {whole} bytes: they hold something else; "
            "it is damaged"
        )


FACTS = {
    "date": "General.date",
    "beam_energy_keV": "Acquisition_instrument.TEM.beam_energy",
    "magnification": "Acquisition_instrument.TEM.magnification",
    "microscope": "Acquisition_instrument.TEM.microscope",
}
"""What is kept of HyperSpy-style metadata."""


def facts(look_up: Callable[[str], Any]) -> dict[str, str]:
    """The known facts that ``look_up`` (dotted key to value or None) finds, as one-line text."""
    return as_text({name: look_up(key) for name, key in FACTS.items()})


def as_text(found: Mapping[str, Any]) -> dict[str, str]:
    """Facts (those of :data:`FACTS`) as one-line text, without those that are None or lists."""
    return {name: one_line(value) for name, value in found.items() if value is not None and np.ndim(value) == 0}


def number(value: Any) -> float | None:
    """A number, also where a file writes it as text; None for anything else."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


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
