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


def recognise(text: str) -> tuple[str, int] | None:
    """Signal that a title names and how plainly (0 = plainest); None where it names none, or two of them.

    >>> recognise("KTO111_haadf"), recognise("DF4"), recognise("LAABF 2"), recognise("BF"), recognise("subframe")
    (('HAADF', 0), ('HAADF', 3), ('ABF', 1), ('BF', 4), None)
    >>> recognise("HAADF and ABF") is None
    True
    """
    found = [(signal, rank) for rank, (signal, pattern) in enumerate(PATTERNS) if pattern.search(text)]
    return found[0] if len({signal for signal, _ in found}) == 1 else None
