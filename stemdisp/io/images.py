"""From what a reader found to frames that columns can be measured in, or a sentence why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from .calibration import is_reciprocal
from .formats import ENERGY_UNITS, RawImage, is_stack
from .text import one_line

SMALLEST_SIDE = 8
"""Fewer pixels than this along a side cannot show a unit cell."""

MOST_BAD = 0.2
"""Largest part of the pixels that may be missing (NaN, infinite, or beyond any detector)."""

BEYOND_ANY_DETECTOR = 1e30
"""Values above this come from damaged files, and their squares overflow in single precision."""

NO_NUMBERS = {
    "V": "holds colours or records; export the raw grey values",
    "b": "holds only true and false; export the image instead of a mask",
    "c": "holds complex numbers; export the modulus or the image itself",
}
"""What arrays hold that are no numbers, by the letter of their type."""


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of one image, (F, ny, nx) as stored; a plain image is one frame."""

    data: NDArray[Any]
    where: str

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, i: int) -> NDArray[Any]:
        """One frame, native and contiguous; impossible values are NaN."""
        pixels = _plain(self.data[i])
        bad = _bad(pixels)
        return pixels if bad is None else np.where(bad, np.array(np.nan, pixels.dtype), pixels)

    @property
    def shape(self) -> tuple[int, int]:
        """(ny, nx) of a frame."""
        return int(self.data.shape[1]), int(self.data.shape[2])

    @cached_property
    def usable(self) -> NDArray[np.bool_]:
        """(F,) frames in which any two pixels differ and not too many are missing."""
        return np.array([_varies(self[i]) and missing(self[i]) <= MOST_BAD * self[i].size for i in range(len(self))])

    @property
    def constant(self) -> bool:
        """Whether no frame shows anything."""
        return not self.usable.any()


def _varies(pixels: NDArray[Any]) -> bool:
    low, high = pixels.min(), pixels.max()
    if np.isnan(low):  # a minimum that is NaN says only that one pixel is; looking past those takes longer
        low, high = np.fmin.reduce(pixels, axis=None), np.fmax.reduce(pixels, axis=None)
    return bool(low < high)


def _plain(data: NDArray[Any]) -> NDArray[Any]:
    """Native byte order, C order; half precision widened, extended narrowed; everything else as stored."""
    widened: dict[int, np.dtype[Any]] = {2: np.dtype(np.float32), 16: np.dtype(np.float64)}
    dtype: np.dtype[Any] = data.dtype.newbyteorder("=")
    if dtype.kind == "f" and dtype.itemsize in widened:
        dtype = widened[dtype.itemsize]
    return np.ascontiguousarray(data, dtype=dtype)


def _bad(pixels: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Pixels that no detector gives; None where there are none."""
    if pixels.dtype.kind != "f":
        return None
    if -BEYOND_ANY_DETECTOR < pixels.min() and pixels.max() < BEYOND_ANY_DETECTOR:
        return None
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(pixels) < BEYOND_ANY_DETECTOR)
    return bad if bad.any() else None


def missing(pixels: NDArray[Any]) -> int:
    """Number of pixels that are NaN."""
    if pixels.dtype.kind != "f" or not np.isnan(pixels.min()):
        return 0
    return int(np.isnan(pixels).sum())


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single value"


def _kind(raw: RawImage) -> str:
    """What an array is instead of an image, told by its axes and their units; empty where it may be one."""
    units, dimensions = [axis.unit or "" for axis in raw.axes], raw.data.ndim
    if any(unit in ENERGY_UNITS for unit in units):
        return ("a spectrum", "a row of spectra", "a spectrum image")[min(dimensions, 3) - 1]
    if dimensions > 1 and any(is_reciprocal(unit) for unit in units[-2:]):
        return "a diffraction pattern" if dimensions == 2 else "a set of diffraction patterns"
    if [axis.navigate for axis in raw.axes] == [True, True, False]:
        return "a spectrum image"
    return "a 4-D data set" if dimensions == 4 else ""


def frames_of(raw: RawImage, where: str) -> Frames:
    """The frames in an array.

    Parameters
    ----------
    raw
        What a reader found: (y, x), or (n, y, x) where its axes say that n counts frames.  The pixels of what is no
        image are never looked at.
    where
        Name of the image in sentences.

    Raises
    ------
    ReadError
        For spectra, diffraction patterns, colours, complex or boolean values, other dimensions, too few pixels or too
        many missing ones.
    """
    data, shown = raw.data, f"{where}: {_sizes(raw.data.shape)}"
    kind = _kind(raw)
    if kind and data.ndim != 4:
        raise ReadError(f"{where}: {kind} ({_sizes(data.shape)}), not an image; export the image itself")
    if kind:
        raise ReadError(
            f"{where}: {kind} ({_sizes(data.shape)}), not an image: it has 4 dimensions; "
            "export the image of a virtual detector"
        )
    if data.dtype.kind not in "iuf":
        raise ReadError(
            f"{where} {NO_NUMBERS.get(data.dtype.kind, f'holds {one_line(data.dtype)} instead of numbers')}"
        )
    while data.ndim > 2 and data.shape[0] == 1:
        data = data[0]
    if data.ndim == 2:
        data = data[None]
    elif data.ndim != 3 or not is_stack(raw.axes):
        if data.ndim == 3:
            raise ReadError(
                f"{shown}: this file does not say that its first axis counts frames; save one image, or the stack as "
                "TIFF or .hspy"
            )
        raise ReadError(
            f"{shown} has {data.ndim} dimension(s); an image has 2, a stack of frames (n, y, x) 3: export one image"
        )
    if min(data.shape[1:]) < SMALLEST_SIDE:
        ny, nx = data.shape[1:]
        raise ReadError(f"{where}: {nx} x {ny} pixels are too few; at least {SMALLEST_SIDE} along each side are needed")
    found = Frames(data, where)
    if len(found) == 1 and missing(found[0]) > MOST_BAD * found[0].size:
        part = missing(found[0]) / found[0].size
        raise ReadError(
            f"{where}: {part:.0%} of the pixels are not finite numbers; at most {MOST_BAD:.0%} may be missing"
        )
    return found
