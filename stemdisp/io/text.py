"""Text that came from outside (file names, titles, readers' messages), made safe to show on one line."""

from __future__ import annotations

LONGEST = 200
"""Characters of a foreign text that a sentence shows."""


def one_line(text: object, longest: int = LONGEST) -> str:
    r"""``text`` without line breaks, control and other unprintable characters, cut to ``longest`` characters.

    >>> one_line("a\nb\x1b[31m")
    'a b?[31m'
    """
    words = " ".join(str(text).split())
    shown = "".join(letter if letter.isprintable() else "?" for letter in words)
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."
