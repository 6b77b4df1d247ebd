"""The mean of frames that are shifted against each other, on the pixels of one of them.

A shift goes in two parts.  Whole pixels are moved as they are; the fraction is a phase in Fourier space, which neither
blurs the columns nor makes the noise of neighbouring pixels alike, as cubic and linear interpolation do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .peaks import filled

Floats = NDArray[np.float64]

RIM = 16
"""Pixels by which a frame is mirrored outwards, so that its opposite borders do not meet in Fourier space."""


def _by_fraction(frame: Floats, shift: Floats) -> Floats:
    """The frame with its content moved by less than a pixel (x, y)."""
    from scipy.fft import fftfreq, irfft2, next_fast_len, rfft2, rfftfreq

    ny, nx = frame.shape
    rim = min(RIM, ny - 1, nx - 1)
    more = [(rim, next_fast_len(n + 2 * rim, real=True) - n - rim) for n in (ny, nx)]
    padded = np.pad(frame, more, mode="symmetric")
    waves = rfft2(padded)
    waves *= np.exp(-2j * np.pi * shift[1] * fftfreq(padded.shape[0]))[:, None]
    waves *= np.exp(-2j * np.pi * shift[0] * rfftfreq(padded.shape[1]))
    return np.asarray(irfft2(waves, s=padded.shape)[rim : rim + ny, rim : rim + nx])


def _parts(size: int, step: int) -> tuple[slice, slice]:
    """Where the pixels that stay inside go, and where they come from, when content moves by ``step``."""
    step = int(np.clip(step, -size, size))
    return slice(max(0, step), size + min(0, step)), slice(max(0, -step), size - max(0, step))


def taken_back(frame: NDArray[Any], shift: Floats) -> Floats:
    """A frame (ny, nx) taken back by its shift (x, y) in px, so that what was at p + shift is at p; NaN beyond it."""
    from scipy.ndimage import binary_dilation

    whole = np.rint(shift)
    rest = shift - whole
    seen = np.isfinite(frame)
    image = filled(frame)
    if rest.any():
        image = _by_fraction(image, -rest)
        # Half of what was filled in leaks into the pixels beside it.
        seen = seen if seen.all() else ~binary_dilation(~seen, np.ones((3, 3), dtype=bool))
    rows, columns = (_parts(n, -int(step)) for n, step in zip(frame.shape, whole[::-1], strict=True))
    here, there = (rows[0], columns[0]), (rows[1], columns[1])
    back = np.full(frame.shape, np.nan)
    back[here] = np.where(seen[there], image[there], np.nan)
    return back


def aligned_mean(frames: Sequence[NDArray[Any]], shifts: Floats, least: float) -> Floats:
    """The mean of frames taken back by their shifts.

    Parameters
    ----------
    frames
        F images of equal shape (ny, nx); missing pixels are NaN.
    shifts
        (F, 2) px (x, y): what is at p in the mean is at p + shift in a frame.
    least
        Smallest part of the frames that a pixel must be seen in, 0 to 1.

    Returns
    -------
    (ny, nx) mean, NaN where too few frames look.
    """
    total, count = np.zeros(frames[0].shape), np.zeros(frames[0].shape)
    for frame, shift in zip(frames, shifts, strict=True):
        back = taken_back(frame, shift)
        seen = np.isfinite(back)
        np.add(total, back, out=total, where=seen)
        count += seen
    enough = (count > 0) & (count >= least * len(frames))
    return np.divide(total, count, out=np.full_like(total, np.nan), where=enough)
