"""Pixel sizes as files spell them, turned into pm, or into a reason why there is none."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

from ..errors import CalibrationError
from ..model.micrograph import PixelSize
from .formats import Axis
from .text import one_line

SMALLEST_PM, LARGEST_PM = 0.5, 200.0
"""Pixels outside these cannot show atomic columns: the header is wrong, or is no header at all."""

PM_PER_UNIT = {
    "m": 1e12,
    "cm": 1e10,
    "mm": 1e9,
    "um": 1e6,
    "nm": 1e3,
    "pm": 1.0,
    "A": 100.0,
    "inch": 2.54e10,
}

SPELLINGS = {
    "m": ("meter", "metre"),
    "cm": ("centimeter", "centimetre"),
    "mm": ("millimeter", "millimetre"),
    "um": ("micrometer", "micrometre", "micron"),
    "nm": ("nanometer", "nanometre"),
    "pm": ("picometer", "picometre"),
    "A": ("ang", "angstrom", "\u00e5ngstr\u00f6m", "\u00e5"),
    "inch": ("in", "inches"),
}
"""Other spellings of a unit, compared without case and plural s."""

WORDS = {spelling: unit for unit, spellings in SPELLINGS.items() for spelling in spellings} | {"inch": "inch"}

ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
"""ImageJ writes letters beyond ASCII as backslash, u and four hex digits."""


RECIPROCAL = re.compile(r"^1?/(?P<over>[^/]+)$|^(?P<power>.+?)(\^|\*\*)?\{?[-\u2212]1\}?$")
"""How a unit of reciprocal space is written: 1/nm, nm^-1, nm-1, nm**-1."""


def _symbol(text: Any) -> str:
    """A unit as text without brackets, blanks and underscores; empty where it is none."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="replace")
    if not isinstance(text, str):
        return ""
    text = ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    text = unicodedata.normalize("NFKC", text).strip().strip("[]()").replace("_", "")
    return "".join(text.split()).replace("\u03bc", "u")


def unit_in_pm(text: Any) -> float | None:
    """Length of a unit in pm; None where it is no unit of length.

    Understands SI symbols with or without the underscore of NCEM files, the micro sign and the Greek letter, three ways
    to write an angstrom, and the usual words.

    >>> unit_in_pm("n_m"), unit_in_pm("Angstrom"), unit_in_pm("1/nm"), unit_in_pm(None)
    (1000.0, 100.0, None, None)
    """
    symbol = _symbol(text)
    if symbol in PM_PER_UNIT:
        return PM_PER_UNIT[symbol]
    word = symbol.casefold()
    unit = WORDS.get(word) or WORDS.get(word.removesuffix("s"))
    return PM_PER_UNIT[unit] if unit else None


def is_reciprocal(text: Any) -> bool:
    """Whether a unit belongs to a diffraction pattern or a Fourier image: one over a length, or an angle.

    >>> is_reciprocal("1/nm"), is_reciprocal("1 / nm"), is_reciprocal("mrad"), is_reciprocal("nm"), is_reciprocal(None)
    (True, True, True, False, False)
    """
    symbol = _symbol(text)
    found = RECIPROCAL.match(symbol)
    return symbol in ("rad", "mrad") or bool(found and unit_in_pm(found["over"] or found["power"]))


def _axis_pm(axis: Axis) -> float | None:
    unit = unit_in_pm(axis.unit)
    if unit is None or axis.scale is None or not math.isfinite(axis.scale) or axis.scale <= 0:
        return None
    return axis.scale * unit


def _shown(axis: Axis) -> str:
    unit = one_line(axis.unit or "", 30)
    scale = "no scale" if axis.scale is None else f"{axis.scale:.6g}"
    return f"{scale} {unit or 'without a unit'}"


def of_axes(x: Axis, y: Axis) -> tuple[PixelSize | None, str]:
    """Pixel size that the axes of an image say, or None; and, where it is None, the reason as part of a sentence."""
    x_pm, y_pm = _axis_pm(x), _axis_pm(y)
    if x_pm is None or y_pm is None:
        said = _shown(x) if _shown(x) == _shown(y) else f"x {_shown(x)}, y {_shown(y)}"
        known = any(axis.scale not in (None, 1.0) or axis.unit for axis in (x, y))
        return None, f"has no pixel size (it says {said})" if known else "has no pixel size"
    if not all(SMALLEST_PM <= value <= LARGEST_PM for value in (x_pm, y_pm)):
        return None, (
            f"says that pixels are {x_pm:.6g} x {y_pm:.6g} pm, which is outside {SMALLEST_PM:g} to {LARGEST_PM:g} pm "
            "and cannot be true of an atomic image"
        )
    return PixelSize(x_pm, y_pm, "file"), ""


def of_user(pixel_size: float | tuple[float, float]) -> PixelSize:
    """Pixel size given by hand: one number, or width and height, in pm.  Raises CalibrationError."""
    try:
        x_pm, y_pm = pixel_size if isinstance(pixel_size, (tuple, list)) else (pixel_size, pixel_size)
        return PixelSize(float(x_pm), float(y_pm), "user")
    except (TypeError, ValueError) as error:
        if isinstance(error, CalibrationError):
            raise
        raise CalibrationError(
            f"pixel size {one_line(pixel_size, 60)!r}: must be one number or a pair (width, height) in pm"
        ) from None
