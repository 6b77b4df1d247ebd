"""Which of the images in files become signals, by what the user and the names say, and why the others do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import ReadError
from .detectors import CONTRAST, other, recognise
from .formats import RawImage
from .images import Frames, frames_of
from .sources import Source
from .text import one_line

SAY_WHICH = 'say which is which in the recipe: [image] haadf_title = "TITLE"'
"""What helps where names do not."""

MOST_NAMED = 5
"""Images that a sentence names."""


@dataclass(frozen=True, eq=False)
class Found:
    """An image of a source and its number there, from 1; ``frames`` is None where it is none, for the reason given."""

    raw: RawImage
    source: Source
    number: int
    frames: Frames | None
    refusal: str = ""

    @property
    def where(self) -> str:
        """Name of the image in sentences."""
        return place(self.raw, self.source)

    @property
    def detector(self) -> tuple[str, int] | None:
        """What the names tell, and how plainly; a file's own name goes first where the file is one image."""
        if len(self.source.images) == 1:
            return recognise(self.source.words) or recognise(self.raw.title)
        return recognise(self.raw.title)

    @property
    def other(self) -> str:
        """What the names tell that is no signal to measure in."""
        if self.detector is not None:
            return ""
        return other(self.raw.title) or (other(self.source.words) if len(self.source.images) == 1 else "")

    def is_called(self, title: str) -> bool:
        """Whether a user means this image: by its title, the name of its file if it is alone there, or #NUMBER."""
        names = [self.raw.title, f"#{self.number}"]
        names += [self.source.words, self.source.record.name] if len(self.source.images) == 1 else []
        return title.strip().casefold() in [name.strip().casefold() for name in names]


@dataclass(frozen=True, eq=False)
class Chosen:
    """Signal name -> image, HAADF first; why each of the others is left out, and what had to be decided."""

    signals: Mapping[str, Found]
    left_out: Mapping[Found, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def place(raw: RawImage, source: Source) -> str:
    """Name of an image in sentences: its file, and its title where the file holds several."""
    several = len(source.images) > 1 and raw.title
    return f"{source.label} ({one_line(raw.title, 60)})" if several else source.label


def find(source: Source) -> list[Found]:
    """Everything in a source, images and others."""
    found = []
    for number, raw in enumerate(source.images, start=1):
        try:
            found.append(Found(raw, source, number, frames_of(raw, place(raw, source))))
        except ReadError as error:
            found.append(Found(raw, source, number, None, str(error)))
    return found


def _usable(found: list[Found], left_out: dict[Found, str]) -> list[Found]:
    """Images with something in them; raises ReadError where a source has none at all, with the reason of its first."""
    for source in dict.fromkeys(one.source for one in found):
        inside = [one for one in found if one.source is source]
        if all(one.frames is None for one in inside):
            raise ReadError(inside[0].refusal)
    left_out |= {one: f"left out: {one.refusal}" for one in found if one.frames is None}
    images = [one for one in found if one.frames is not None]
    kept = [one for one in images if one.frames is not None and not one.frames.constant]
    if not kept:
        raise ReadError(f"{images[0].where}: all pixels have the same value; there is no image in it")
    left_out |= {one: f"{one.where}: all pixels have the same value; left out" for one in images if one not in kept}
    return kept


def _said(found: list[Found], titles: Mapping[str, str]) -> dict[str, Found]:
    """The images that the user names; raises ReadError for a name that none or several have."""
    named: dict[str, Found] = {}
    for signal, title in titles.items():
        called = [one for one in found if one.is_called(title)]
        if len(called) != 1:
            there = ", ".join(f"#{one.number} {one.where}" for one in found[:MOST_NAMED])
            how = "no image is" if not called else f"{len(called)} images are"
            raise ReadError(f"{signal.lower()}_title = {one_line(title, 60)!r}: {how} called so; there are {there}")
        named[signal] = called[0]
    if len(set(named.values())) < len(named):
        raise ReadError("haadf_title and the other titles name the same image; give each signal an image of its own")
    return named


def _unnamed(found: list[Found], named: Mapping[str, Found]) -> Found | None:
    """The image whose names tell no detector but which must be the HAADF; None where there is no such."""
    unknown = [one for one in found if one.detector is None and not one.other and one not in named.values()]
    if "HAADF" in named or not unknown:
        return None
    if named:
        candidates = [one for one in unknown if len(one.source.images) == 1]
    else:
        largest = max(_area(one) for one in unknown)
        candidates = [one for one in unknown if _area(one) == largest]
    if len(candidates) > 1:
        names = ", ".join(one.where for one in candidates[:MOST_NAMED])
        raise ReadError(f"{names}: {len(candidates)} images whose names tell no detector; {SAY_WHICH}")
    return candidates[0] if candidates else None


def _area(one: Found) -> int:
    assert one.frames is not None
    ny, nx = one.frames.shape
    return ny * nx


def choose(found: list[Found], titles: Mapping[str, str] | None = None) -> Chosen:
    """Which image is which signal.

    Parameters
    ----------
    found
        Everything in all sources.
    titles
        Signal name -> title, file name or #NUMBER of its image, before what the names tell.

    Raises
    ------
    ReadError
        Where there is no image, where two claim one signal equally, or where nothing tells which is which.
    """
    left_out: dict[Found, str] = {}
    notes: list[str] = []
    usable = _usable(found, left_out)
    named = _said(usable, titles or {})
    notes += [f"{one.where}: taken as {signal}, as the recipe says" for signal, one in named.items()]
    said = set(named)
    told = [(one.detector, one) for one in usable if one.detector is not None and one not in named.values()]
    for (name, rank), one in sorted(told, key=lambda pair: pair[0][1]):
        known = named.setdefault(name, one)
        if known is not one and name not in said and known.detector == (name, rank):
            raise ReadError(f"{known.where} and {one.where} are both {name}; give one image a detector, or {SAY_WHICH}")
    bright = _unnamed(usable, named)
    if bright is not None:
        named["HAADF"] = bright
        notes.append(f"{bright.where}: its name tells no detector; taken as HAADF (columns bright on dark)")
    if not named:
        one = usable[0]
        raise ReadError(
            f"{one.where}: {one.other}, in which no columns are measured; if they are bright in it, {SAY_WHICH}"
        )
    for one in usable:
        if one not in named.values():
            left_out[one] = f"{one.where}: left out{f' ({one.other})' if one.other else ''}"
    return Chosen({name: named[name] for name in CONTRAST if name in named}, left_out, tuple(notes))
