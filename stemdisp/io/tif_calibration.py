"""What programs and microscopes write into a TIFF besides its pixels: the size of a pixel, and names of channels.

Resolution tags alone count pixels of a printer's inch and are no calibration.  Where each maker keeps its own follows
tifffile, which takes their tags apart, and RosettaSciIO.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .formats import nested, number

Calibration = tuple[float | None, float | None, str | None]
"""Width and height of a pixel and their unit."""

NONE: Calibration = (None, None, None)

GATAN_UNIT, GATAN_X, GATAN_Y = 65003, 65009, 65010
"""Tags of DigitalMicrograph, which HyperSpy writes too."""

ZEISS_SCALE, ZEISS_SCREEN = 3, 1024
"""Place of the unnamed number of Zeiss files that is the size of a pixel in m, of a screen of 1024 pixels."""


def _imagej(tif: Any, page: Any) -> Calibration:
    """ImageJ and Fiji: pixels a unit, the unit being in the description."""
    said = (tif.imagej_metadata if tif.is_imagej else None) or {}
    unit = said.get("unit")
    if unit is None:
        return NONE

    def scale(name: str) -> float | None:
        tag = page.tags.get(name)
        numerator, denominator = tag.value if tag is not None else (0, 0)
        return denominator / numerator if numerator else None

    x, y = scale("XResolution"), scale("YResolution")
    return x, x if y is None else y, str(said.get("yunit") or unit)


def _gatan(_: Any, page: Any) -> Calibration:
    unit = page.tags.valueof(GATAN_UNIT)
    if isinstance(unit, bytes):
        unit = unit.decode("latin-1")
    text = str(unit or "").replace("\0", "").strip()
    return number(page.tags.valueof(GATAN_X)), number(page.tags.valueof(GATAN_Y)), text or None


def _fei(tif: Any, _: Any) -> Calibration:
    said = nested(tif.fei_metadata or {})
    return number(said("Scan.PixelWidth")), number(said("Scan.PixelHeight")), "m"


def _zeiss(tif: Any, page: Any) -> Calibration:
    said = tif.sem_metadata or {}
    named = said.get("ap_image_pixel_size") or said.get("ap_pixel_size")
    if isinstance(named, tuple) and len(named) == 3:
        return number(named[1]), number(named[1]), str(named[2])
    unnamed = said.get("") or ()
    size = number(unnamed[ZEISS_SCALE]) if len(unnamed) > ZEISS_SCALE else None
    if size is None:
        return NONE
    return size * ZEISS_SCREEN / page.imagewidth, size * ZEISS_SCREEN / page.imagewidth, "m"


def _tvips(tif: Any, _: Any) -> Calibration:
    said = tif.tvips_metadata or {}
    return number(said.get("PixelSizeX")), number(said.get("PixelSizeY")), "nm"


def _olympus(tif: Any, _: Any) -> Calibration:
    said = tif.sis_metadata or {}
    return number(said.get("pixelsizex")), number(said.get("pixelsizey")), "m"


PROGRAMS: tuple[Callable[[Any, Any], Calibration], ...] = (_imagej, _gatan, _fei, _zeiss, _tvips, _olympus)
"""Where a size of a pixel is looked for, the surest first."""


def _pixels_of_ome(tif: Any, number_: int) -> tuple[dict[str, str], list[str]]:
    """Attributes of the pixels of a series of an OME-TIFF, and the names of its channels."""
    text = tif.ome_metadata if tif.is_ome else None
    blocks = re.split(r"<(?:\w+:)?Pixels\b", text or "")[1:]
    if number_ >= len(blocks):
        return {}, []
    head, _, inside = blocks[number_].partition(">")
    channels = [dict(_attributes(tag)) for tag in re.findall(r"<(?:\w+:)?Channel\b([^>]*)>", inside)]
    return dict(_attributes(head)), [channel.get("Name", "") for channel in channels]


def _attributes(tag: str) -> list[tuple[str, str]]:
    return re.findall(r'(\w+)="([^"]*)"', tag)


def of_series(tif: Any, number_: int, page: Any) -> Calibration:
    """Width and height of a pixel of a series and their unit, as the first program that wrote some says."""
    ome, _ = _pixels_of_ome(tif, number_)
    if "PhysicalSizeX" in ome:
        x = number(ome["PhysicalSizeX"])
        return x, number(ome.get("PhysicalSizeY", x)), ome.get("PhysicalSizeXUnit", "um")
    found = (program(tif, page) for program in PROGRAMS)
    return next((one for one in found if one[0] is not None), NONE)


def names(tif: Any, number_: int) -> list[str]:
    """Names of the slices (ImageJ) or channels (OME) of a series; empty where there are none."""
    if tif.is_imagej:
        return [str(label) for label in (tif.imagej_metadata or {}).get("Labels", ())]
    return _pixels_of_ome(tif, number_)[1]
