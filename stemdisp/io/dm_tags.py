"""The tags of DigitalMicrograph files, walked through once without their values: do they lie in the file, do they end.

A reader that believes every count makes lists of as many values as a damaged tag says.  Layout: as RosettaSciIO has it.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ReadError
from .text import one_line

GROUP, DATA = 20, 21
"""What a tag is."""

STRUCT, STRING, ARRAY = 15, 18, 20
"""Kinds of values that are made of others."""

BYTES = {2: 2, 3: 4, 4: 2, 5: 4, 6: 4, 7: 8, 8: 1, 9: 1, 10: 1, 11: 8, 12: 8}
"""Number of a kind of plain values and their size."""

MARK = b"%%%%"

PIXELS = ("ImageData", "Data")
"""Group and name of the values that are not read one by one."""

MOST_VALUES = 4_000_000
"""Most numbers and letters besides pixels; the files of a session have some ten thousand."""

MOST_FIELDS = 1000
"""Most numbers that belong together in one value."""


@dataclass
class _Walk:
    """A place in a file, what is to come of the groups around it, and how many values were passed by.

    ``groups`` has a pair for each group: its name and the number of its tags that are left.
    """

    path: Path
    content: Any
    wide: bool
    place: int
    groups: list[tuple[str, int]]
    values: int = 0

    def take(self, form: str) -> Any:
        """A number of the structure, which are big-endian; struct.error, which becomes a sentence, at the end."""
        (found,) = struct.unpack_from(">" + form, self.content, self.place)
        self.place += struct.calcsize(">" + form)
        return found

    def count(self) -> int:
        """A length or number; no damaged one goes back in the file."""
        found = int(self.take("q" if self.wide else "i"))
        if found < 0:
            raise self.damaged()
        return found

    def skip(self, bytes_: int, values: int) -> None:
        """Pass by values; raises ReadError where they do not lie in the file or are too many."""
        self.place += bytes_
        self.values += values
        if self.place > len(self.content) or self.values > MOST_VALUES:
            raise self.damaged()

    def damaged(self) -> ReadError:
        """The sentence."""
        return ReadError(
            f"{one_line(self.path.name)} cannot be read as DigitalMicrograph: a tag at byte {self.place} says more "
            "than there can be; the file is damaged or cut short"
        )


def _fields(walk: _Walk) -> tuple[int, int]:
    """Bytes and number of the values in a struct."""
    walk.count()
    number, size = walk.count(), 0
    if number > MOST_FIELDS:
        raise walk.damaged()
    for _ in range(number):
        walk.count()
        size += BYTES[walk.count()]
    return size, number


def _element(walk: _Walk, kind: int) -> tuple[int, int]:
    """Bytes and number of the values in an element of an array."""
    if kind == STRUCT:
        return _fields(walk)
    if kind == STRING:
        length = walk.count()
        return length, length
    if kind == ARRAY:
        inner = walk.count()
        length = walk.count()
        return BYTES[inner] * length, length
    return BYTES[kind], 1


def _data(walk: _Walk, name: str) -> None:
    """Pass by the values of a tag."""
    if walk.wide:
        walk.take("q")
    if bytes(walk.content[walk.place : walk.place + len(MARK)]) != MARK:
        raise walk.damaged()
    walk.place += len(MARK)
    walk.count()
    kind = walk.count()
    size, values = (0, 0) if kind == ARRAY else _element(walk, kind)
    if kind == ARRAY:
        size, values = _element(walk, walk.count())
        length = walk.count()
        size, values = size * length, max(values, 1) * length
    walk.skip(size, 1 if (walk.groups[-1][0], name) == PIXELS else values)


def _tag(walk: _Walk) -> None:
    """Pass by a tag; the tags of a group are next."""
    kind, length = walk.take("B"), max(walk.take("h"), 0)
    name = bytes(walk.content[walk.place : walk.place + length]).decode("latin-1").replace(".", "")
    walk.skip(length, length + 1)
    if kind == GROUP:
        walk.place += 10 if walk.wide else 2
        walk.groups.append((name, walk.count()))
    elif kind == DATA:
        _data(walk, name)
    else:
        raise walk.damaged()


def check(path: Path) -> None:
    """Walk through all tags of a file.

    Raises
    ------
    ReadError
        For tags whose values are not in the file, and for more than four million values besides pixels.
    struct.error, KeyError
        Where the file ends within a tag, or a value is of no known kind.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        wide = content[:4] == b"\0\0\0\4"
        walk = _Walk(path, content, wide, 18 if wide else 14, [])
        walk.groups.append(("", walk.count()))
        while walk.groups:
            name, left = walk.groups.pop()
            if left > 0:
                walk.groups.append((name, left - 1))
                _tag(walk)
