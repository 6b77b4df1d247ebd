"""Read images of one area into a :class:`~stemdisp.model.micrograph.Micrograph`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ReadError
from ..model.micrograph import InputFile, Micrograph, PixelSize, Signal
from . import calibration, formats, memory
from .detectors import CONTRAST, recognise
from .formats import RawImage
from .images import GreyImage, grey
from .pairs import common_name
from .text import one_line

DIFFERENT = 0.005
"""Relative difference above which two pixel sizes are said to disagree."""


@dataclass(frozen=True, eq=False)
class _Source:
    """A file or a signal in memory, opened: its record, the words of its name, and what was found in it."""

    label: str
    words: str
    record: InputFile
    images: tuple[RawImage, ...]


@dataclass(frozen=True, eq=False)
class _Found:
    """One usable image, where it came from and which detector its names tell (with how plainly)."""

    raw: RawImage
    image: GreyImage
    where: str
    source: _Source
    detector: tuple[str, int] | None


@dataclass
class _Notes:
    """Sentences gathered while reading."""

    lines: list[str] = field(default_factory=list)

    def add(self, *sentences: str) -> None:
        self.lines += [sentence for sentence in sentences if sentence not in self.lines]


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open_file(path: Path) -> _Source:
    formats.sniff(path)
    shown = one_line(path.name)
    try:
        before = path.stat()
        digest = _hash_file(path)
        images, reader = formats.images(path)
        after = path.stat()
    except OSError as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(f"{shown} cannot be read: {error.strerror}") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise ReadError(f"{shown} changed while it was read; wait until it is complete")
    return _Source(shown, path.stem, InputFile(path.name, after.st_size, digest, reader), tuple(images))


def _open(source: Any) -> _Source:
    if isinstance(source, (str, os.PathLike)):
        try:
            return _open_file(Path(source))
        except ValueError as error:  # a NUL in the name
            raise ReadError(f"{one_line(source)}: no such file ({error})") from error
    if memory.is_signal(source):
        image = memory.image(source)
        name = image.title or "signal"
        digest = hashlib.sha256(np.ascontiguousarray(image.data).data).hexdigest()
        return _Source(one_line(name), "", InputFile(name, image.data.nbytes, digest, "HyperSpy in memory"), (image,))
    raise ReadError(f"a {type(source).__name__} cannot be read; pass paths of image files or HyperSpy signals")


def _detector(raw: RawImage, source: _Source) -> tuple[str, int] | None:
    """What the names say; a file's own name goes first where the file is one image."""
    if len(source.images) == 1:
        return recognise(source.words) or recognise(raw.title)
    return recognise(raw.title)


def _usable(source: _Source, notes: _Notes) -> list[_Found]:
    """The images of one source; raises ReadError with the reason of the first where none can be used."""
    found, refused = [], []
    for raw in source.images:
        title = f" ({one_line(raw.title, 60)})" if len(source.images) > 1 and raw.title else ""
        where = source.label + title
        try:
            found.append(_Found(raw, grey(raw, where), where, source, _detector(raw, source)))
        except ReadError as error:
            refused.append(error)
    if not found:
        raise refused[0]
    notes.add(*(f"left out: {error}" for error in refused))
    return found


def _without_constant(found: list[_Found], notes: _Notes) -> list[_Found]:
    kept = [one for one in found if not one.image.constant]
    if not kept:
        raise ReadError(f"{found[0].where}: all pixels have the same value; there is no image in it")
    notes.add(*(f"{one.where}: all pixels have the same value; left out" for one in found if one.image.constant))
    return kept


def _unnamed(found: list[_Found], named: dict[str, _Found], notes: _Notes) -> _Found | None:
    """The image whose names tell no detector but which must be the HAADF; None where there is no such."""
    unknown = [one for one in found if one.detector is None]
    if "HAADF" in named or not unknown:
        return None
    lonely = [one for one in unknown if len(one.source.images) == 1]
    if named:
        candidates = lonely
    else:
        largest = max(one.image.pixels.size for one in unknown)
        candidates = [one for one in unknown if one.image.pixels.size == largest]
    if len(candidates) > 1:
        names = ", ".join(one.where for one in candidates[:5])
        raise ReadError(
            f"{names}: {len(candidates)} images whose names tell no detector; put HAADF or ABF into the names or titles"
        )
    if candidates:
        notes.add(f"{candidates[0].where}: its name tells no detector; taken as HAADF (columns bright on dark)")
    return candidates[0] if candidates else None


def _choose(found: list[_Found], notes: _Notes) -> dict[str, _Found]:
    """Signal name -> image, HAADF first; raises ReadError where two images claim one name equally."""
    named: dict[str, _Found] = {}
    for one in sorted((one for one in found if one.detector), key=lambda one: one.detector[1] if one.detector else 0):
        assert one.detector is not None
        name, rank = one.detector
        known = named.setdefault(name, one)
        if known is not one and known.detector == (name, rank):
            raise ReadError(f"{known.where} and {one.where} are both {name}; give one image a detector")
    bright = _unnamed(found, named, notes)
    if bright is not None:
        named["HAADF"] = bright
    notes.add(*(f"{one.where}: left out" for one in found if one not in named.values()))
    return {name: named[name] for name in CONTRAST if name in named}


def _file_pixel_size(chosen: Iterable[_Found], notes: _Notes) -> tuple[PixelSize | None, str]:
    """The first pixel size that a file says, and why the first that says none does not; notes where others disagree."""
    size, reason = None, ""
    for one in chosen:
        said, why = calibration.of_axes(one.raw.axes[-1], one.raw.axes[-2])
        if said is None:
            reason = reason or f"{one.where} {why}"
        elif size is None:
            size = said
        elif np.abs(said.xy_pm / size.xy_pm - 1).max() > DIFFERENT:
            notes.add(f"{one.where}: its pixel size {_pair(said)} pm disagrees with the {_pair(size)} that is used")
    return size, reason


def _pair(size: PixelSize) -> str:
    return f"{size.x_pm:.6g} x {size.y_pm:.6g}"


def _pixel_size(
    chosen: Iterable[_Found], user: PixelSize | None, notes: _Notes
) -> tuple[PixelSize | None, dict[str, str]]:
    """The pixel size to use, and what the file said as facts."""
    said, reason = _file_pixel_size(chosen, notes)
    facts = {} if said is None else {"file_pixel_size_x_pm": repr(said.x_pm), "file_pixel_size_y_pm": repr(said.y_pm)}
    if user is None and said is None:
        notes.add(reason)
    if user is not None and said is not None and np.abs(said.xy_pm / user.xy_pm - 1).max() > DIFFERENT:
        notes.add(f"the pixel size given, {_pair(user)} pm, replaces the file's {_pair(said)} pm")
    return user or said, facts


def read(*sources: Any, pixel_size: float | tuple[float, float] | None = None, name: str | None = None) -> Micrograph:
    """Read images of one area, one per detector.

    Parameters
    ----------
    sources
        Paths of TIFF, DigitalMicrograph, HyperSpy or .npy files, or HyperSpy signals in memory.  A file may hold
        several detectors; several sources must lie on one pixel grid.
    pixel_size
        Width and height of a pixel (or one number for both) in pm; replaces what the files say.
    name
        Name of the micrograph; else the common part of the files' names.

    Returns
    -------
    Micrograph whose signals are called HAADF, ABF or BF after titles and file names.  Frames are averaged, images
    without any structure are left out, missing pixels are NaN: every such decision stands in its notes.

    Raises
    ------
    ReadError
        For anything that is not an image, with one sentence.
    CalibrationError
        For a ``pixel_size`` outside 0.5 to 200 pm.
    """
    if not sources:
        raise ReadError("nothing to read; pass paths of image files or HyperSpy signals")
    user = None if pixel_size is None else calibration.of_user(pixel_size)
    notes = _Notes()
    opened = [_open(source) for source in sources]
    found = [one for source in opened for one in _usable(source, notes)]
    chosen = _choose(_without_constant(found, notes), notes)
    for one in chosen.values():
        notes.add(*one.image.notes)
    size, facts = _pixel_size(chosen.values(), user, notes)
    first = next(iter(chosen.values()))
    return Micrograph(
        name=name or common_name([source.words or source.record.name for source in opened]),
        signals={key: Signal(key, one.image.pixels, CONTRAST[key]) for key, one in chosen.items()},
        pixel_size=size,
        inputs=tuple(source.record for source in opened),
        notes=tuple(notes.lines),
        frames=max(one.image.frames for one in chosen.values()),
        metadata={"title": one_line(first.raw.title), **first.raw.facts, **facts},
    )
