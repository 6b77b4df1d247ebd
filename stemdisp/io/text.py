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


def decoded(content: bytes) -> str | None:
    r"""What stands in a text file: UTF-8, UTF-16 with its mark, or else Windows' western letters; None for no text.

    >>> decoded(b"\xef\xbb\xbfx,y"), decoded(b"d\xe9place"), decoded(b"\0\1") is None
    ('x,y', 'déplace', True)
    """
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    if utf16 or b"\0" not in content:
        for encoding in ("utf-16",) if utf16 else ("utf-8-sig", "cp1252"):
            try:
                return content.decode(encoding)
            except UnicodeDecodeError:
                continue
    return None
