"""Small pictures of figures, for pages that show many."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from ..errors import ReadError
from ..io.within import MEGABYTE, read_within

SIDE = 256
"""Longest side in pixels."""

QUALITY = 80
"""Of JPEG: arrows can be seen, and a hundred pictures are one or two megabytes."""

MOST_BYTES, MOST_PIXELS = 32 * MEGABYTE, 40_000_000
"""Of a figure; what is larger was not drawn here."""

FIRST = ("displacement", "polarization", "components", "layers", "maps", "directions", "columns")
"""Figures of a result, the one that says most of it first."""

PNG, SIZE_AT = b"\x89PNG\r\n\x1a\n", slice(16, 24)


def _figure(folder: Path) -> bytes | None:
    """The first figure that a result has; None where it has none that can be read."""
    for name in FIRST:
        if (folder / "figures" / f"{name}.png").is_file():
            try:
                return read_within(folder, f"figures/{name}.png", MOST_BYTES)
            except ReadError:
                return None
    return None


def _harmless(content: bytes) -> bool:
    """Whether it begins as a PNG of usual size."""
    wide, high = (int.from_bytes(content[SIZE_AT][part]) for part in (slice(4), slice(4, 8)))
    return content.startswith(PNG) and 0 < wide * high <= MOST_PIXELS


def thumbnail(folder: Path) -> str | None:
    """A figure of a result as the text of a small JPEG (base64).

    None where there is no figure, or what is there is no picture.
    """
    content = _figure(folder)
    if content is None or not _harmless(content):
        return None
    made = io.BytesIO()
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            small = picture.convert("RGB")
        small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=1.0)
        small.save(made, "JPEG", quality=QUALITY)
    except Exception:  # decoders raise whatever they meet; the page is written without the picture
        return None
    return base64.b64encode(made.getvalue()).decode("ascii")
