"""Read images of one area into a :class:`~stemdisp.model.micrograph.Micrograph`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import ReadError
from ..model.micrograph import Micrograph, PixelSize, Signal
from . import calibration
from .detectors import CONTRAST
from .frames import AlignedFrames, Choice, combined
from .pairs import common_name
from .signals import Found, choose, find
from .sources import open_source
from .text import one_line

DIFFERENT = 0.005
"""Relative difference above which two pixel sizes are said to disagree."""


@dataclass
class _Notes:
    """Sentences gathered while reading."""

    lines: list[str] = field(default_factory=list)

    def add(self, *sentences: str) -> None:
        self.lines += [sentence for sentence in sentences if sentence not in self.lines]


def _file_pixel_size(chosen: Iterable[Found], notes: _Notes) -> tuple[PixelSize | None, str]:
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
    chosen: Iterable[Found], user: PixelSize | None, notes: _Notes
) -> tuple[PixelSize | None, dict[str, str]]:
    """The pixel size to use, and what the file said as facts."""
    said, reason = _file_pixel_size(chosen, notes)
    facts = {} if said is None else {"file_pixel_size_x_pm": repr(said.x_pm), "file_pixel_size_y_pm": repr(said.y_pm)}
    if user is None and said is None:
        notes.add(reason)
        facts["no_pixel_size"] = reason
    if user is not None and said is not None and np.abs(said.xy_pm / user.xy_pm - 1).max() > DIFFERENT:
        notes.add(f"the pixel size given, {_pair(user)} pm, replaces the file's {_pair(said)} pm")
    return user or said, facts


def read(
    *sources: Any,
    pixel_size: float | tuple[float, float] | None = None,
    name: str | None = None,
    frames: Choice = "align",
    titles: Mapping[str, str] | None = None,
) -> Micrograph:
    """Read images of one area, one per detector.

    Parameters
    ----------
    sources
        Paths of image files, or HyperSpy signals in memory.  A file may hold several detectors and stacks of frames;
        several sources must lie on one pixel grid.
    pixel_size
        Width and height of a pixel (or one number for both) in pm; replaces what the files say.
    name
        Name of the micrograph; else the common part of the files' names.
    frames
        What is made of a stack: "align" (align and average), "average" (as they are), or the number of the one frame to
        take, counted from 1.
    titles
        Which image is which where titles and file names do not tell: signal (HAADF, ABF, BF) -> title, file name, or
        #NUMBER as ``stemdisp inspect`` counts.

    Returns
    -------
    Micrograph whose signals are called HAADF, ABF or BF.  Images without any structure are left out, missing pixels are
    NaN: every such decision stands in its notes.

    Raises
    ------
    ReadError
        For anything that is not an image, with one sentence.
    CalibrationError
        For a ``pixel_size`` outside 0.5 to 200 pm.
    """
    return read_frames(*sources, pixel_size=pixel_size, name=name, frames=frames, titles=titles)[0]


def read_frames(
    *sources: Any,
    pixel_size: float | tuple[float, float] | None = None,
    name: str | None = None,
    frames: Choice = "align",
    titles: Mapping[str, str] | None = None,
) -> tuple[Micrograph, dict[str, AlignedFrames]]:
    """Read images of one area as :func:`read` does, and the frames of their stacks.

    Parameters
    ----------
    sources, pixel_size, name, frames, titles
        As of :func:`read`.

    Returns
    -------
    The micrograph, and for each signal that is a stack its frames (F, ny, nx) on the pixels of the micrograph: aligned
    as they were for the average, one after the other when they are asked for.

    Raises
    ------
    ReadError, CalibrationError
        As :func:`read`.
    """
    if not sources:
        raise ReadError("nothing to read; pass paths of image files or HyperSpy signals")
    user = None if pixel_size is None else calibration.of_user(pixel_size)
    notes = _Notes()
    opened = [open_source(source) for source in sources]
    chosen = choose([one for source in opened for one in find(source)], titles)
    notes.add(*chosen.left_out.values(), *chosen.notes)
    stacks = {key: one.frames for key, one in chosen.signals.items() if one.frames is not None}
    images = combined(stacks, {key: one.source for key, one in chosen.signals.items()}, frames)
    for key, one in chosen.signals.items():
        notes.add(*(f"{one.where}: {note}" for note in one.raw.notes), *images[key].notes)
    size, facts = _pixel_size(chosen.signals.values(), user, notes)
    first = next(iter(chosen.signals.values()))
    micrograph = Micrograph(
        name=name or common_name([source.words or source.record.name for source in opened]),
        signals={key: Signal(key, image.pixels, CONTRAST[key]) for key, image in images.items()},
        pixel_size=size,
        inputs=tuple(source.record for source in opened),
        notes=tuple(notes.lines),
        frames=max(image.frames for image in images.values()),
        metadata={"title": one_line(first.raw.title), **first.raw.facts, **facts},
        frame_shifts_px=next((image.shifts for image in images.values() if image.shifts is not None), None),
    )
    series = {key: AlignedFrames(stack, images[key].shifts) for key, stack in stacks.items() if len(stack) > 1}
    return micrograph, series
