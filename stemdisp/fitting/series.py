"""Frames in Fourier space, where moving one by a fraction of a pixel is cheap, and how two of them correlate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .peaks import filled, shortest_spacing

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Waves = NDArray[np.complex64]

SMOOTHING = 0.08
"""Width (sigma) of the smoothing before frames are compared, in spacings of the lattice: narrower than a column, whose
own is about 0.15."""

SLOWEST = 0.5
"""Sigma, in spacings, of the background taken off: illumination changes over more and does not follow the crystal."""

NO_SPACING = 12.0
"""Spacing in px that is taken where an image repeats nowhere."""

COARSEST, LARGEST = 8, 1024
"""Frames with more than 1024 px along a side are thinned out, to not fewer than 8 px a spacing."""

FARTHEST = 0.25
"""Largest shift as a part of the frame's side: beyond it too little is left in common."""

RIM = 0.7
"""Along the frame, to this many spacings, the background is known from one side only and is not compared."""

NEXT = 8
"""Frames before and after that one is compared with: enough to tell, few enough to share most of their area."""


def window(shape: tuple[int, ...], taper: float = 1.0) -> Singles:
    """Falls to 0 at the frame as a cosine, over half of ``taper`` times each side."""
    from scipy.signal.windows import tukey

    return np.outer(*(tukey(n + 2, taper)[1:-1] for n in shape)).astype(np.float32)


def moved(waves: Waves, shift: Floats, shape: tuple[int, int]) -> Waves:
    """The transform of an image whose content moves by ``shift``."""
    down = np.exp(-2j * np.pi * shift[1] * np.fft.fftfreq(shape[0])).astype(np.complex64)
    right = np.exp(-2j * np.pi * shift[0] * np.fft.rfftfreq(shape[1])).astype(np.complex64)
    return np.asarray(waves * down[:, None] * right, dtype=np.complex64)


@dataclass(frozen=True)
class Mean:
    """Transform of a mean of frames, and the corners (2,) (x, y) of the part that all of them see."""

    waves: Waves
    low: Floats
    high: Floats

    def part(self, low: Floats, high: Floats) -> tuple[slice, slice]:
        """The whole pixels that are also between two other corners."""
        x0, y0 = np.ceil(np.maximum(self.low, low).clip(0)).astype(int)
        x1, y1 = np.floor(np.minimum(self.high, high)).astype(int)
        return slice(y0, y1), slice(x0, x1)


class Series:
    """All frames as transforms (no more memory than the frames in single precision), and where they are."""

    def __init__(self, frames: Sequence[NDArray[Any]]) -> None:
        spacing = shortest_spacing(filled(frames[0]).astype(float))
        if not np.isfinite(spacing):
            spacing = NO_SPACING
        size = max(frames[0].shape)
        self.thin = max(1, min(int(spacing // COARSEST), -(-size // LARGEST)))
        self.spacing = spacing / self.thin
        reliefs = (self._relief(frame, spacing) for frame in frames)
        first = next(reliefs)
        self.shape = (first.shape[0], first.shape[1])
        self.waves: Waves = np.empty((len(frames), self.shape[0], self.shape[1] // 2 + 1), np.complex64)
        self.waves[0] = self.transform(first)
        for i, relief in enumerate(reliefs, start=1):
            self.waves[i] = self.transform(relief)
        self.place: Floats = np.zeros((len(frames), 2))
        self.envelope = self.correlation(window(self.shape), window(self.shape), 1.0)

    def __len__(self) -> int:
        return len(self.waves)

    def _relief(self, frame: NDArray[Any], spacing: float) -> Singles:
        """The frame without noise finer and background slower than its columns."""
        from scipy.ndimage import gaussian_filter

        image = filled(frame).astype(np.float32)
        fine = gaussian_filter(image, max(0.7, SMOOTHING * spacing))
        relief = fine - gaussian_filter(image, SLOWEST * spacing)
        return np.asarray(relief[:: self.thin, :: self.thin], dtype=np.float32)

    def transform(self, image: Singles) -> Waves:
        """An image in Fourier space."""
        from scipy.fft import rfft2

        return np.asarray(rfft2(image), dtype=np.complex64)

    def image(self, waves: Waves) -> Singles:
        """An image back from Fourier space."""
        from scipy.fft import irfft2

        return np.asarray(irfft2(waves, s=self.shape), dtype=np.float32)

    def beside(self, i: int, which: range) -> list[int]:
        """Those of ``which`` frames that are recorded next to frame ``i`` and share most of their area with it."""
        near = [j for j in which if 0 <= j < len(self) and abs(j - i) <= NEXT]
        limit = FARTHEST * np.array(self.shape[::-1])
        return [j for j in near if (np.abs(self.place[j] - self.place[i]) <= limit).all()]

    def mean(self, which: list[int], at: int) -> Mean:
        """The mean of some frames, moved to where frame ``at`` is."""
        total = np.zeros_like(self.waves[0])
        for i in which:
            total += moved(self.waves[i], self.place[at] - self.place[i], self.shape)
        away = self.place[at] - self.place[which]
        rim = RIM * self.spacing
        return Mean(total / len(which), away.max(axis=0) + rim, np.array(self.shape[::-1]) + away.min(axis=0) - rim)

    def correlation(self, first: Singles, second: Singles, weight: Any) -> Singles:
        """Correlation, zero in the middle: a peak at s says that ``second`` has at p + s what ``first`` has at p."""
        product = self.transform(second * weight) * np.conj(self.transform(first * weight))
        return np.fft.fftshift(self.image(product))

    def peaks(self, first: Singles, second: Singles) -> tuple[Floats, Floats, Floats]:
        """Peaks of the correlation of two images: places (n, 2) within the largest shift, heights (n,), and these
        heights without the preference for small shifts that the window brings."""
        from scipy.ndimage import maximum_filter

        ny, nx = self.shape
        map_ = self.correlation(first, second, window(self.shape))
        size = max(3, 2 * round(0.2 * self.spacing) + 1)
        y, x = np.nonzero((map_ == maximum_filter(map_, size=size)) & (map_ > 0))
        inside = (np.abs(x - nx // 2) <= FARTHEST * nx) & (np.abs(y - ny // 2) <= FARTHEST * ny)
        y, x = y[inside], x[inside]
        level = map_ / self.envelope.clip(1e-3 * float(self.envelope.max()))
        place = np.stack([x - nx // 2, y - ny // 2], axis=1).astype(float)
        for axis, (dy, dx) in enumerate(((0, 1), (1, 0))):
            before, at, after = level[y - dy, x - dx], level[y, x], level[y + dy, x + dx]
            bend = np.minimum(before - 2 * at + after, -1e-12)
            place[:, axis] += np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
        return place, map_[y, x].astype(float), level[y, x].astype(float)
