"""Quality flags of columns and cells: one registry of bits, names and sentences.

Tables write the names joined by ``|``; reports print the sentences.
"""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray


class Flag(IntFlag):
    """Why a column or a cell deserves a second look (bits may be combined)."""

    PREDICTED = 1
    EDGE = 2
    WEAK = 4
    NO_CONVERGENCE = 8
    FAR_FROM_LATTICE = 16
    BAD_PIXELS = 32
    FIXED_POSITION = 64
    INCOMPLETE = 128
    EDITED = 256
    EXCLUDED = 512
    UNRESOLVED = 1024
    HELD = 2048


SENTENCES: dict[Flag, str] = {
    Flag.PREDICTED: "no peak was found here; the lattice predicted the column and the fit started from there",
    Flag.EDGE: "too little of the column lies inside the image; its position is the lattice's",
    Flag.WEAK: "the fitted contrast is below three times its error or a third of what is usual for the site",
    Flag.NO_CONVERGENCE: "the fit was still moving when it stopped",
    Flag.FAR_FROM_LATTICE: "the fit ran away from where the lattice allows a column; the position is the start",
    Flag.BAD_PIXELS: "missing, non-finite or saturated pixels lie under the column; they are not used",
    Flag.FIXED_POSITION: "only the contrast was fitted in this signal; the position is the lattice's",
    Flag.INCOMPLETE: "a reference neighbour of the cell is missing or unusable; the cell has no displacement",
    Flag.EDITED: "the column was changed by hand",
    Flag.EXCLUDED: "the column was taken out by hand",
    Flag.UNRESOLVED: "columns of this site are no maxima of their own here, only shoulders of a brighter neighbour; "
    "their fitted positions are not used",
    Flag.HELD: "more is known of its position from its neighbours than from this signal",
}

UNUSABLE = (
    Flag.EDGE | Flag.WEAK | Flag.FAR_FROM_LATTICE | Flag.FIXED_POSITION | Flag.EXCLUDED | Flag.UNRESOLVED | Flag.HELD
)
"""A column with any of these bits has no position of its own to measure a displacement with."""


def names(bits: int) -> str:
    """Names of the set bits joined by ``|``; empty for none.

    >>> names(Flag.PREDICTED | Flag.EDGE)
    'PREDICTED|EDGE'
    """
    return "|".join(str(flag.name) for flag in Flag if bits & flag)


def each_named(bits: NDArray[np.integer]) -> NDArray[np.object_]:
    """:func:`names` of every one of some bits, in their shape."""
    known, inverse = np.unique(bits, return_inverse=True)
    return np.asarray(np.array([names(int(value)) for value in known], dtype=object)[inverse.reshape(bits.shape)])


def parse(text: str) -> int:
    """Bits of names joined by ``|`` (the inverse of :func:`names`).

    >>> parse("PREDICTED|EDGE")
    3
    """
    return sum(int(Flag[name]) for name in text.split("|") if name)


def usable(bits: NDArray[np.integer]) -> NDArray[np.bool_]:
    """True where no bit of :data:`UNUSABLE` is set; same shape as ``bits``."""
    return np.asarray((bits & int(UNUSABLE)) == 0)
