"""TIA documents (.emi of FEI): their images are those of the series NAME_1.ser, NAME_2.ser ... beside them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from ..errors import ReadError
from . import tia
from .formats import RawImage
from .text import one_line

SERIES = b"II\x97\x01"
"""How a series begins."""


def _beside(path: Path) -> list[Path]:
    wanted = re.compile(re.escape(path.stem) + r"_\d{1,4}\.ser", re.IGNORECASE)
    return sorted(one for one in path.parent.iterdir() if wanted.fullmatch(one.name) and one.is_file())


def images(path: Path) -> list[RawImage]:
    """The images of all series beside a document, called after their files."""
    found = []
    for series in _beside(path):
        with series.open("rb") as file:
            if file.read(len(SERIES)) != SERIES:
                raise ReadError(f"{one_line(series.name)} beside {one_line(path.name)} is no TIA series; it is damaged")
        found += [replace(image, title=series.stem) for image in tia.images(series)]
    if not found:
        raise ReadError(
            f"{one_line(path.name)}: the images of a TIA document are in {one_line(path.stem)}_1.ser beside it, "
            "which is missing; put both into one folder"
        )
    return found
