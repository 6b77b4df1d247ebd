"""Local maxima of an image: smooth, compare with the neighbourhood, place by a parabola."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pulse import beat

Floats = NDArray[np.float64]
Real = NDArray[np.floating[Any]]

WHOLE, BLOCK, BLOCKS = 1024, 512, 3
"""Along a side of more pixels than the first so many blocks of so many pixels are spread evenly, of which every second
one tells how an image repeats."""

LARGE = 1 << 21
"""Pixels beyond which an image is looked at in single precision: peaks are then off by some 1e-6 px."""

STRIP = 64
"""Lines of an image worked on at once: what fits a core's cache."""

CUT = 4.0
"""Standard deviations at which a Gaussian kernel ends."""


def finite(image: NDArray[Any]) -> Real:
    """The image with non-finite pixels replaced by the median of the others (0 where there are none), in double
    precision, or in single precision where it is large.

    Of values that then lose digits the mean is taken off first: peaks and lattices do not depend on it.
    """
    bad = None if image.dtype.kind in "iu" else ~np.isfinite(image)
    if bad is not None and bad.any():
        image = np.where(bad, float(np.median(image[~bad])) if not bad.all() else 0.0, image)
    if image.size <= LARGE:
        return np.asarray(image, dtype=np.float64)
    values = np.asarray(image, dtype=np.float32)
    if not np.can_cast(image.dtype, np.float32) and (values != image).any():
        return np.asarray(image - image.mean(dtype=np.float64), dtype=np.float32)
    return values


def filled(image: NDArray[Any]) -> Floats:
    """The image as float64 with non-finite pixels replaced by the median of the others (0 where there are none)."""
    values = np.array(image, dtype=float)
    bad = ~np.isfinite(values)
    if bad.any():
        values[bad] = np.median(values[~bad]) if not bad.all() else 0.0
    return values


def shortest_spacing(image: Real) -> float:
    """Shortest distance (px) at which a periodic image repeats; NaN where it does not repeat.

    Read off the autocorrelation: the nearest local maximum, beyond the central peak, that reaches half of the tallest
    one.  That of a large image is the sum of those of a few blocks of it.
    """
    from scipy.ndimage import maximum_filter

    level = image.mean(dtype=np.float64).astype(image.dtype)
    rows, columns = (_parts(size) for size in image.shape)
    # The corners and the middle: of a board of blocks those of one colour.
    parts = [
        (row, column) for (i, row), (j, column) in product(enumerate(rows), enumerate(columns)) if (i + j) % 2 == 0
    ]
    correlation = np.sum([_autocorrelation(image[part] - level) for part in parts], axis=0)
    ny, nx = (part[0].stop - part[0].start for part in (rows, columns))
    cy, cx = ny - ny // 2, nx - nx // 2
    radius = np.hypot(np.arange(correlation.shape[1]) - cx, np.arange(correlation.shape[0])[:, None] - cy)
    ring = radius.astype(int).ravel()
    means = np.bincount(ring, correlation.ravel()) / np.bincount(ring)
    below = np.flatnonzero(np.diff(means[: min(ny, nx) // 2]) > 0)
    if not len(below):
        return float("nan")
    inner = max(float(below[0]), 2.0)
    peaks = (correlation == maximum_filter(correlation, size=5)) & (radius > inner) & (radius < min(ny, nx) / 2)
    heights = np.where(peaks, correlation, -np.inf)
    tallest = heights.max()
    if not np.isfinite(tallest) or tallest <= 0:
        return float("nan")
    return float(radius[heights >= 0.5 * tallest].min())


def _parts(size: int) -> list[slice]:
    """Where the blocks along a side of ``size`` px lie."""
    if size <= WHOLE:
        return [slice(0, size)]
    return [slice(first, first + BLOCK) for first in np.linspace(0, size - BLOCK, BLOCKS).round().astype(int).tolist()]


def _autocorrelation(image: Real) -> Real:
    """Autocorrelation of a windowed image for shifts of up to half its size."""
    from scipy.fft import irfft2, rfft2

    ny, nx = image.shape
    window = (np.hanning(ny + 2)[1:-1, None] * np.hanning(nx + 2)[1:-1]).astype(image.dtype)
    beat()
    spectrum = np.abs(rfft2(image * window, s=(2 * ny, 2 * nx), workers=1)) ** 2
    spectrum[0, 0] = 0
    whole: Real = np.fft.fftshift(irfft2(spectrum, s=(2 * ny, 2 * nx), workers=1))
    return whole[ny // 2 : -(ny // 2), nx // 2 : -(nx // 2)]


def summits(terms: Terms, separation: float, sigma: float) -> tuple[Floats, Floats]:
    """Positions (n, 2) as (x, y) px and heights (n,) of all maxima of an image, dark surroundings taken off.

    ``sigma`` px is the smoothing; the slowly varying background (3 sigma) is taken off before heights are compared;
    ``separation`` px is the smallest distance.
    """
    smooth, relief = terms.smoothed(sigma), terms.smoothed(3 * sigma)
    np.subtract(smooth, relief, out=relief)
    # A column that the frame cuts has its maximum in the wrong place.
    y, x = _summits(relief, separation, rim=max(1, round(1.5 * sigma)))
    heights = relief[y, x].astype(np.float64)
    return np.stack([x + _vertex(smooth, y, x, 1), y + _vertex(smooth, y, x, 0)], axis=1), heights


def tall_enough(heights: Floats, threshold: float) -> NDArray[np.bool_]:
    """(n,) which of these heights reach ``threshold`` times that of the tallest tenth."""
    if not len(heights):
        return np.zeros(0, dtype=bool)
    return np.asarray(heights >= threshold * np.quantile(heights[heights >= 0.3 * heights.max()], 0.9))


@dataclass(frozen=True)
class Terms:
    """An image without its mean as the terms (ny, nx) of its cosine transform, which smoothing with a Gaussian,
    mirrored at the frame, multiplies by a factor each: the width of the kernel costs nothing."""

    values: Real

    @classmethod
    def of(cls, image: Real) -> Terms:
        """The transform, along y strip by strip, then along x."""
        from scipy.fft import dct

        ny, nx = image.shape
        level = image.mean(dtype=np.float64).astype(image.dtype)
        values: Real = np.empty_like(image)
        for first in range(0, nx, STRIP):
            values[:, first : first + STRIP] = dct(image[:, first : first + STRIP] - level, axis=0, workers=1)
        beat()
        for first in range(0, ny, STRIP):
            values[first : first + STRIP] = dct(values[first : first + STRIP], axis=1, workers=1)
        beat()
        return cls(values)

    def smoothed(self, sigma: float) -> Real:
        """The image (ny, nx) under a Gaussian of ``sigma`` px."""
        from scipy.fft import idct

        ny, nx = self.values.shape
        image: Real = np.empty_like(self.values)
        down, along = (_response(size, sigma).astype(image.dtype) for size in (ny, nx))
        for first in range(0, ny, STRIP):
            terms = self.values[first : first + STRIP] * along * down[first : first + STRIP, None]
            image[first : first + STRIP] = idct(terms, axis=1, overwrite_x=True, workers=1)
        beat()
        for first in range(0, nx, STRIP):
            image[:, first : first + STRIP] = idct(image[:, first : first + STRIP], axis=0, workers=1)
        beat()
        return image


def _response(size: int, sigma: float) -> Floats:
    """(size,) factors on the terms of a line's cosine transform that smooth it with a Gaussian kernel."""
    reach = np.arange(1, int(CUT * sigma + 0.5) + 1)
    weight = np.exp(-0.5 * (reach / sigma) ** 2)
    waves = np.cos(np.pi * np.outer(np.arange(size), reach) / size)
    return np.asarray((1 + 2 * waves @ weight) / (1 + 2 * weight.sum()))


def _summits(relief: Real, separation: float, *, rim: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pixels (y, x), at least ``rim`` px inside the frame, above zero and as high as all others within half of
    ``separation`` px, at least as all eight around."""
    ny, nx = relief.shape
    size = max(3, 2 * round(separation / 2) + 1)
    reach = np.arange(size) - size // 2
    disc = np.argwhere(reach[:, None] ** 2 + reach**2 <= (size / 2) ** 2) - size // 2
    beyond = disc[np.abs(disc).max(axis=1) > 1]
    nothing = np.zeros(0, dtype=np.intp)
    found = [(nothing, nothing)]
    for first in range(rim, ny - rim, STRIP):
        strip = relief[first - 1 : min(first + STRIP, ny - rim) + 1, rim - 1 : nx - rim + 1]
        wide = np.maximum(np.maximum(strip[:, :-2], strip[:, 1:-1]), strip[:, 2:])
        highest = np.maximum(np.maximum(wide[:-2], wide[1:-1]), wide[2:])
        centre = strip[1:-1, 1:-1]
        y, x = np.divmod(np.flatnonzero((centre == highest) & (centre > 0)), max(1, centre.shape[1]))
        y, x = y + first, x + rim
        near = relief[(y[:, None] + beyond[:, 0]).clip(0, ny - 1), (x[:, None] + beyond[:, 1]).clip(0, nx - 1)]
        high = (near <= relief[y, x][:, None]).all(axis=1)
        found.append((y[high], x[high]))
    return np.concatenate([y for y, _ in found]), np.concatenate([x for _, x in found])


def _vertex(image: Real, y: NDArray[np.intp], x: NDArray[np.intp], axis: int) -> Floats:
    """Offset (-0.5 to 0.5 px) of the parabola through a maximum and its two neighbours along an axis."""
    ny, nx = image.shape
    dy, dx = (1, 0) if axis == 0 else (0, 1)
    before = image[np.clip(y - dy, 0, ny - 1), np.clip(x - dx, 0, nx - 1)].astype(np.float64)
    after = image[np.clip(y + dy, 0, ny - 1), np.clip(x + dx, 0, nx - 1)].astype(np.float64)
    curvature = before - 2 * image[y, x].astype(np.float64) + after
    offset = np.where(curvature < 0, 0.5 * (before - after) / np.where(curvature < 0, curvature, 1), 0.0)
    return np.asarray(np.clip(offset, -0.5, 0.5))
