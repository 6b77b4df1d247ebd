"""From what a reader found to a 2-D image that columns can be measured in, or a sentence why it is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from .formats import RawImage
from .text import one_line

SMALLEST_SIDE = 8
"""Fewer pixels than this along a side cannot show a unit cell."""

MOST_BAD = 0.2
"""Largest part of the pixels that may be missing (NaN, infinite, or beyond any detector)."""

BEYOND_ANY_DETECTOR = 1e30
"""Values above this come from damaged files, and their squares overflow in single precision."""

ENERGY_UNITS = ("eV", "keV")


@dataclass(frozen=True, eq=False)
class GreyImage:
    """A 2-D image ready to be a signal: its pixels, how many frames were averaged and what had to be decided."""

    pixels: NDArray[Any]
    frames: int
    notes: tuple[str, ...]

    @property
    def constant(self) -> bool:
        """Whether no two pixels differ."""
        return not _varies(self.pixels)


def _varies(pixels: NDArray[Any]) -> bool:
    low, high = np.fmin.reduce(pixels, axis=None), np.fmax.reduce(pixels, axis=None)
    return bool(low < high)


def _check_kind(raw: RawImage, where: str) -> None:
    dtype = raw.data.dtype
    reasons = {
        "V": "holds colours or records; export the raw grey values",
        "b": "holds only true and false; export the image instead of a mask",
        "c": "holds complex numbers; export the modulus or the image itself",
    }
    if dtype.kind not in "iuf":
        raise ReadError(f"{where} {reasons.get(dtype.kind, f'holds {one_line(dtype)} instead of numbers')}")


def _is_stack(raw: RawImage) -> bool:
    """Whether the axes (frames, y, x) say that a 3-D array is a series of images, not of spectra."""
    energies = any(axis.unit in ENERGY_UNITS for axis in raw.axes)
    return [axis.navigate for axis in raw.axes[-3:]] == [True, False, False] and not energies


def _plain(data: NDArray[Any]) -> NDArray[Any]:
    """Native byte order, C order; half precision widened, extended narrowed; everything else as stored."""
    widened: dict[int, np.dtype[Any]] = {2: np.dtype(np.float32), 16: np.dtype(np.float64)}
    dtype: np.dtype[Any] = data.dtype.newbyteorder("=")
    if dtype.kind == "f" and dtype.itemsize in widened:
        dtype = widened[dtype.itemsize]
    return np.ascontiguousarray(data, dtype=dtype)


def _mean(frames: list[NDArray[Any]]) -> NDArray[Any]:
    """Average in float64, kept as float32 where the frames have no more digits than that."""
    total = np.zeros(frames[0].shape)
    for frame in frames:
        total += frame
    exact = frames[0].dtype.itemsize > 4 or (frames[0].dtype.kind in "iu" and frames[0].dtype.itemsize > 2)
    return (total / len(frames)).astype(np.float64 if exact else np.float32)


def _flatten(raw: RawImage, where: str) -> tuple[NDArray[Any], int, tuple[str, ...]]:
    """The image, the number of frames in it, and notes; raises ReadError for arrays that are no image."""
    data = raw.data
    while data.ndim > 2 and data.shape[0] == 1:
        data = data[0]
    if data.ndim == 2:
        return _plain(data), 1, ()
    if data.ndim != 3 or not _is_stack(raw):
        what = "is not known to be a stack of frames" if data.ndim == 3 else f"has {data.ndim} dimension(s)"
        raise ReadError(
            f"{where}: shape {raw.data.shape} {what}; an image has 2 dimensions, a stack of frames (n, y, x) 3: "
            "export one image"
        )
    frames = [_plain(frame) for frame in data]
    used = [frame for frame in frames if _varies(frame)] or frames[:1]
    left_out = f", {len(frames) - len(used)} blank ones left out" if len(used) < len(frames) else ""
    note = f"{where}: {len(used)} frames were averaged as they are{left_out}; no drift between them was corrected"
    return _mean(used), len(used), (note,)


def _mark_bad(pixels: NDArray[Any], where: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Pixels with every impossible value as NaN, and a note; raises ReadError where they are too many."""
    if pixels.dtype.kind != "f":
        return pixels, ()
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(pixels) < BEYOND_ANY_DETECTOR)
    count = int(bad.sum())
    if count == 0:
        return pixels, ()
    if count > MOST_BAD * pixels.size:
        raise ReadError(
            f"{where}: {count / pixels.size:.0%} of the pixels are not finite numbers; "
            f"at most {MOST_BAD:.0%} may be missing"
        )
    return np.where(bad, np.array(np.nan, pixels.dtype), pixels), (f"{where}: {count} pixels are missing (not finite)",)


def grey(raw: RawImage, where: str) -> GreyImage:
    """The 2-D image in an array.

    Parameters
    ----------
    raw
        What a reader found: (y, x), or (n, y, x) where its axes say that n counts frames.
    where
        Name of the image in sentences.

    Returns
    -------
    Integers as stored, floats as float32 or float64, native and contiguous; frames averaged; impossible values NaN.

    Raises
    ------
    ReadError
        For colours, complex or boolean values, other dimensions, too few pixels or too many missing ones.
    """
    _check_kind(raw, where)
    pixels, frames, notes = _flatten(raw, where)
    if min(pixels.shape) < SMALLEST_SIDE:
        ny, nx = pixels.shape
        raise ReadError(f"{where}: {nx} x {ny} pixels are too few; at least {SMALLEST_SIDE} along each side are needed")
    pixels, missing = _mark_bad(pixels, where)
    said = tuple(f"{where}: {note}" for note in raw.notes)
    return GreyImage(pixels, frames, (*said, *notes, *missing))
