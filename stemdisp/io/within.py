"""Files that lie in a folder, read without trust: nothing outside of it, nothing endless, nothing huge."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ReadError
from .text import one_line

MEGABYTE = 1 << 20


def read_within(folder: Path, name: str, most: int) -> bytes:
    """The bytes of the regular file ``name`` in a folder, at most ``most``.

    Raises ReadError where there is none, it is larger, cannot be read, or a link leads out of the folder.
    """
    path = folder / name
    try:
        if not path.is_file():
            raise ReadError(f"{one_line(name)} is missing")
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ReadError(f"{one_line(name)} leads out of the folder")
        with path.open("rb") as file:
            found = file.read(min(os.fstat(file.fileno()).st_size, most) + 1)
    except OSError as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(f"{one_line(name)} cannot be read: {error.strerror or error}") from error
    if len(found) > most:
        raise ReadError(f"{one_line(name)} is damaged: larger than {most // MEGABYTE} MB")
    return found
