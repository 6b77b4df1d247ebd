"""Which detector an image is from, told by its title or the name of its file."""

from __future__ import annotations

import re
from typing import Literal

CONTRAST: dict[str, Literal[1, -1]] = {"HAADF": 1, "ABF": -1, "BF": -1}
"""Signals that are kept, and whether columns are bright (1) or dark (-1) in them."""

PATTERNS = (
    ("HAADF", re.compile(r"HAADF", re.IGNORECASE)),
    ("ABF", re.compile(r"(?<![a-z])(LA)?ABF(?![a-z])", re.IGNORECASE)),
    ("HAADF", re.compile(r"(?<![a-z])[LM]?A?ADF(?![a-z])", re.IGNORECASE)),
    ("HAADF", re.compile(r"(?<![a-z])DF4(?![a-z0-9])", re.IGNORECASE)),
    ("BF", re.compile(r"(?<![a-z])BF(?![a-z])", re.IGNORECASE)),
)
"""Signal and what its titles look like, the plainest first."""

OTHERS = (
    ("a phase image", re.compile(r"(?<![A-Za-z])([id]?(DPC|dpc)|[ied]?CoM[xy]?|[Pp]tycho\w*|SSB|WDD)(?![a-z])")),
    ("one segment of a detector", re.compile(r"(?<![A-Za-z0-9])DF4-[A-D](?![A-Za-z0-9])|^[A-D]-[A-D]$")),
    ("a dark-field detector of small angles", re.compile(r"(?<![a-z])DF[1-3]?(?![a-z0-9])", re.IGNORECASE)),
    ("secondary electrons", re.compile(r"(?<![a-z])SE[12]?(?![a-z])")),
)
"""Signals that are known by name and in which no columns are measured: their contrast follows other rules.  The first
two are what they are whatever else their titles name."""


def recognise(text: str) -> tuple[str, int] | None:
    """Signal that a title names and how plainly (0 = plainest); None where it names none, or two of them.

    >>> recognise("KTO111_haadf"), recognise("DF4"), recognise("LAABF 2"), recognise("BF"), recognise("subframe")
    (('HAADF', 0), ('HAADF', 3), ('ABF', 1), ('BF', 4), None)
    >>> recognise("HAADF and ABF") is None, recognise("iDPC of ABF segments") is None
    (True, True)
    """
    if any(pattern.search(text) for _, pattern in OTHERS[:2]):
        return None
    found = [(signal, rank) for rank, (signal, pattern) in enumerate(PATTERNS) if pattern.search(text)]
    return found[0] if len({signal for signal, _ in found}) == 1 else None


def other(text: str) -> str:
    """What a title names that no columns are measured in; empty where it names nothing of the kind.

    >>> other("iDPC"), other("DF2"), other("Image 2"), other("HAADF")
    ('a phase image', 'a dark-field detector of small angles', '', '')
    """
    found = (what for what, pattern in OTHERS if pattern.search(text))
    return "" if recognise(text) else next(found, "")
