"""Zip archives: what may be unpacked from them, and which program wrote them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ReadError
from .formats import LARGEST_RATIO
from .text import one_line

MOST_MEMBERS = 100_000
"""Most files in an archive; a .zspy has one for every block of pixels."""


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, open for reading; raises ReadError for one with more than 100 000 files."""
    with zipfile.ZipFile(path) as archive:
        if len(archive.infolist()) > MOST_MEMBERS:
            raise ReadError(f"{one_line(path.name)} holds more than {MOST_MEMBERS} files; export one image")
        yield archive


def member(archive: zipfile.ZipFile, name: str, longest: int) -> bytes | None:
    """A file of an archive, None where there is none; raises ReadError for more than ``longest`` bytes, or a bomb."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        return None
    shown = f"{one_line(Path(str(archive.filename)).name)}: {one_line(name, 60)}"
    if info.file_size > min(longest, LARGEST_RATIO * max(info.compress_size, 1)):
        raise ReadError(f"{shown} takes {info.file_size} bytes, more than it can; the archive is damaged")
    return archive.read(info)


def kind(path: Path) -> str:
    """The module that reads an archive; raises ReadError for one that no known program wrote."""
    with opened(path) as archive:
        names = set(archive.namelist())
    if "data.npy" in names:
        return "prz"
    if ".zgroup" in names:
        return "zspy"
    arrays = "; save one array as .npy" if any(name.endswith(".npy") for name in names) else "; pass the files in it"
    raise ReadError(f"{one_line(path.name)} is a zip archive of no known kind{arrays}")
