"""What is in a file: every entry, what it is taken for, and what would be analysed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ReadError
from . import calibration
from .formats import RawImage
from .images import missing
from .signals import Chosen, Found, choose, find
from .sources import open_source

NO_VALUE = "-"

UNITS = {"beam_energy_keV": " keV", "magnification": " x"}
"""What follows a fact so that it explains itself."""


@dataclass(frozen=True)
class Entry:
    """One entry of a file as text: its number from 1, what it is called and taken for (in brackets what its name says
    but is not analysed), size (x, y), frames, type, pixel size, lowest and highest value."""

    number: str
    title: str
    signal: str
    size: str
    frames: str
    dtype: str
    pixel_size: str
    low: str
    high: str


@dataclass(frozen=True)
class Contents:
    """A file: its name and reader with facts such as the beam energy, its entries, what is to be said on them, and the
    sentence on what would be analysed."""

    heading: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...]
    verdict: str


def _heading(label: str, reader: str, images: tuple[RawImage, ...]) -> str:
    """File, reader, and each fact once, so that it explains itself."""
    said: dict[str, None] = {}
    for image in images:
        said |= {f"{value}{UNITS.get(name, '')}": None for name, value in image.facts.items()}
    return "; ".join((f"{label}: {reader}", *said))


def _range(one: Found) -> tuple[str, str]:
    """Lowest and highest value; the pixels of what is no image are not touched."""
    if one.frames is None:
        return NO_VALUE, NO_VALUE
    lows, highs = [], []
    for i in range(len(one.frames)):
        frame = one.frames[i]
        lows.append(np.fmin.reduce(frame, axis=None))
        highs.append(np.fmax.reduce(frame, axis=None))
    return f"{np.fmin.reduce(lows):.4g}", f"{np.fmax.reduce(highs):.4g}"


def _pixel_size(one: Found) -> tuple[str, str]:
    """The pixel size that the file says, or none, and why."""
    if one.frames is None:
        return NO_VALUE, ""
    size, why = calibration.of_axes(one.raw.axes[-1], one.raw.axes[-2])
    if size is None:
        return "none", why
    x, y = f"{size.x_pm:.5g}", f"{size.y_pm:.5g}"
    return (f"{x} pm" if x == y else f"{x} x {y} pm"), ""


def _entry(one: Found, chosen: Chosen) -> Entry:
    shape: tuple[int, ...] = one.raw.data.shape if one.frames is None else one.frames.shape
    signal = next((name for name, image in chosen.signals.items() if image is one), "")
    named = NO_VALUE if one.detector is None else f"({one.detector[0]})"
    low, high = _range(one)
    return Entry(
        number=str(one.number),
        title=one.raw.title,
        signal=signal or named,
        size=" x ".join(map(str, shape[::-1])),
        frames=NO_VALUE if one.frames is None else str(len(one.frames)),
        dtype=str(one.raw.data.dtype),
        pixel_size=_pixel_size(one)[0],
        low=low,
        high=high,
    )


def _remarks(one: Found, chosen: Chosen) -> list[str]:
    """What is to be said on an entry, without its name: why it is left out or has no pixel size, what is missing."""
    said = [chosen.left_out.get(one, one.refusal), *one.raw.notes, _pixel_size(one)[1]]
    if one.frames is not None:
        unknown = sum(missing(one.frames[i]) for i in range(len(one.frames)))
        said.append(f"{unknown} pixels are missing (not finite)" if unknown else "")
    return [sentence.replace(f"{one.where}:", "").replace(one.where, "").strip() for sentence in said if sentence]


def _notes(found: list[Found], chosen: Chosen) -> tuple[str, ...]:
    """Remarks with the numbers of the entries they are true of."""
    numbers: dict[str, list[str]] = {}
    for one in found:
        for remark in _remarks(one, chosen):
            numbers.setdefault(remark, []).append(f"#{one.number}")
    return tuple(f"{', '.join(which)}: {' '.join(remark.split())}" for remark, which in numbers.items()) + chosen.notes


def _chosen(found: list[Found]) -> tuple[Chosen, str]:
    """Which entries would be analysed, and the sentence that says so or why none can."""
    try:
        chosen = choose(found)
    except ReadError as error:
        return Chosen({}), f"nothing would be analysed: {error}"
    names = [f"{signal} (#{one.number})" for signal, one in chosen.signals.items()]
    return chosen, f"would be analysed: {', '.join(names)}"


def contents(path: Path) -> Contents:
    """What is in a file; raises ReadError where it cannot be read."""
    source = open_source(path)
    found = find(source)
    chosen, verdict = _chosen(found)
    heading = _heading(source.label, source.record.reader, source.images)
    return Contents(heading, tuple(_entry(one, chosen) for one in found), _notes(found, chosen), verdict)
