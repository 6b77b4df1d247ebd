"""Local maxima of an image: smooth, compare with the neighbourhood, place by a parabola."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def filled(image: NDArray[np.generic]) -> Floats:
    """The image as float64 with non-finite pixels replaced by the median of the others (0 where there are none)."""
    values = np.array(image, dtype=float)
    bad = ~np.isfinite(values)
    if bad.any():
        values[bad] = np.median(values[~bad]) if not bad.all() else 0.0
    return values


def shortest_spacing(image: Floats) -> float:
    """Shortest distance (px) at which a periodic image repeats; NaN where it does not repeat.

    Read off the autocorrelation: the nearest local maximum, beyond the central peak, that reaches half of the tallest
    one.
    """
    from scipy.ndimage import maximum_filter

    ny, nx = image.shape
    centred = image - image.mean()
    window = np.outer(np.hanning(ny + 2)[1:-1], np.hanning(nx + 2)[1:-1])
    spectrum = np.abs(np.fft.rfft2(centred * window, s=(2 * ny, 2 * nx))) ** 2
    spectrum[0, 0] = 0
    correlation = np.fft.fftshift(np.fft.irfft2(spectrum, s=(2 * ny, 2 * nx)))[
        ny // 2 : -(ny // 2), nx // 2 : -(nx // 2)
    ]
    cy, cx = ny - ny // 2, nx - nx // 2
    y, x = np.indices(correlation.shape)
    radius = np.hypot(x - cx, y - cy)
    means = np.bincount(radius.astype(int).ravel(), correlation.ravel()) / np.bincount(radius.astype(int).ravel())
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


def local_maxima(image: Floats, separation: float, sigma: float, threshold: float) -> tuple[Floats, Floats]:
    """Positions (n, 2) as (x, y) px and heights (n,) of bright spots.

    ``sigma`` px is the smoothing; the slowly varying background (3 sigma) is taken off before heights are compared;
    ``separation`` px is the smallest distance; ``threshold`` is a fraction of the height of the tallest tenth.
    """
    from scipy.ndimage import gaussian_filter, maximum_filter

    smooth = gaussian_filter(image, sigma)
    relief = smooth - gaussian_filter(image, 3 * sigma)
    size = max(3, 2 * round(separation / 2) + 1)
    reach = np.arange(size) - size // 2
    disc = reach[:, None] ** 2 + reach**2 <= (size / 2) ** 2
    summit = (relief == maximum_filter(relief, footprint=disc)) & (relief > 0)
    # A column that the frame cuts has its maximum in the wrong place.
    rim = max(1, round(1.5 * sigma))
    summit[:rim] = summit[-rim:] = summit[:, :rim] = summit[:, -rim:] = False
    y, x = np.nonzero(summit)
    heights = relief[y, x]
    if not len(heights):
        return np.zeros((0, 2)), heights
    tall = heights >= threshold * np.quantile(heights[heights >= 0.3 * heights.max()], 0.9)
    y, x, heights = y[tall], x[tall], heights[tall]
    return np.stack([x + _vertex(smooth, y, x, 1), y + _vertex(smooth, y, x, 0)], axis=1).astype(float), heights


def _vertex(image: Floats, y: NDArray[np.intp], x: NDArray[np.intp], axis: int) -> Floats:
    """Offset (-0.5 to 0.5 px) of the parabola through a maximum and its two neighbours along an axis."""
    ny, nx = image.shape
    dy, dx = (1, 0) if axis == 0 else (0, 1)
    before = image[np.clip(y - dy, 0, ny - 1), np.clip(x - dx, 0, nx - 1)]
    after = image[np.clip(y + dy, 0, ny - 1), np.clip(x + dx, 0, nx - 1)]
    curvature = before - 2 * image[y, x] + after
    offset = np.where(curvature < 0, 0.5 * (before - after) / np.where(curvature < 0, curvature, 1), 0.0)
    return np.asarray(np.clip(offset, -0.5, 0.5))
