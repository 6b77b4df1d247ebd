"""What images are read from: files, whose bytes are recorded, and HyperSpy signals in memory."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from ..model.micrograph import InputFile
from . import formats, memory
from .formats import RawImage
from .provenance import fingerprint
from .text import one_line


@dataclass(frozen=True, eq=False)
class Source:
    """A file or a signal in memory, opened: its record, the words of its name, and what was found in it."""

    label: str
    words: str
    record: InputFile
    images: tuple[RawImage, ...]


def _open_file(path: Path) -> Source:
    formats.sniff(path)
    shown = one_line(path.name)
    try:
        before = path.stat()
        size, digest = fingerprint(path)
        images, reader = formats.images(path)
        after = path.stat()
    except OSError as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(f"{shown} cannot be read: {error.strerror}") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise ReadError(f"{shown} changed while it was read; wait until it is complete")
    return Source(shown, path.stem, InputFile(path.name, size, digest, reader), tuple(images))


def open_source(source: Any) -> Source:
    """A path or a signal, opened; raises ReadError in one sentence for what is neither or holds no image."""
    if isinstance(source, (str, os.PathLike)):
        try:
            return _open_file(Path(source))
        except ValueError as error:  # a NUL in the name
            raise ReadError(f"{one_line(source)}: no such file ({error})") from error
    if memory.is_signal(source):
        image = memory.image(source)
        name = image.title or "signal"
        digest = hashlib.sha256(np.ascontiguousarray(image.data).data).hexdigest()
        return Source(one_line(name), "", InputFile(name, image.data.nbytes, digest, "HyperSpy in memory"), (image,))
    raise ReadError(f"a {type(source).__name__} cannot be read; pass paths of image files or HyperSpy signals")
