"""What the noise of an image is like, from what a fit leaves of it: how variance rises with signal, and whether pixels
are independent.

A pixel of the residual less the mean of its eight neighbours is free of what the model misses smoothly.  A straight
line through its variance in bins of the expected value gives gain and offset.  Second differences along y of pixels
beside each other in x have the correlation of these pixels in x, whatever that in y is if both are separable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Images = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

SAMPLE, STRIP = 300_000, 16
"""Pixels that are looked at, as more do not tell more, in strips of rows about as high as a row of columns, or more."""

BINS, PER_CELL, MOST_BLOCKS, FEWEST = 16, 256, 31, 200
"""Bins of the expected value; pixels in each block of a bin; blocks at most; pixels without which nothing is said."""

OVERLAP, SERIAL, OUTLYING = 1.28, 1.94, 2.5
"""Sums of the squared autocorrelation of pixels less their neighbours' mean, and of second differences; bins farther
from the line than so many standard deviations lose weight, pixels farther from 0 are cut there."""

SURE, SURE_CORRELATION, RISE = 4.0, 3.5, 0.2
"""Standard deviations at which a gain, and a correlation, is believed; by which part at least the variance must rise
from the faintest to the brightest pixels: less changes no weights."""

CORRELATED, NOTHING = 0.1, 1e-12
"""Correlation of neighbours below which pixels count as independent: what models miss gives some; half a pixel of blur
gives 0.26.  Variance relative to the squared range of expected values below which there is no noise."""


@dataclass(frozen=True)
class Noise:
    """Variance of a pixel is ``offset + gain * expected``, in units of the image.

    ``correlation`` of neighbours along x and along y; ``poisson``: the variance rises with what is expected, and pixels
    are independent. Where they are not, gain and offset are those of differences, less than of pixels.
    """

    gain: float
    offset: float
    correlation: tuple[float, float]
    poisson: bool

    @property
    def correlated(self) -> bool:
        """Whether neighbours share noise, as in filtered or interpolated images."""
        return max(abs(rho) for rho in self.correlation) > CORRELATED

    @property
    def dark(self) -> float:
        """Value of a pixel that nothing hits: where the variance vanishes, unless that is below 0 (read-out noise)."""
        return max(-self.offset / self.gain, 0.0) if self.gain > 0 else 0.0

    def counts(self, value: Images) -> Floats:
        """How many independent events a value is worth, NaN where the image does not say."""
        level = np.asarray(value, dtype=np.float64) - self.dark
        return level / self.gain if self.poisson else np.full_like(level, np.nan)


def estimate_noise(rest: Images, expected: Images, used: Mask) -> Noise:
    """Gain, offset and correlation of an image's noise.

    Parameters
    ----------
    rest, expected, used
        (ny, nx) image minus model, values of the model with its background, and whether a pixel was fitted.

    Returns
    -------
    Noise
        With a gain of 0 and not ``poisson`` where nothing tells: no noise, too few pixels, nothing but a constant.

    Notes
    -----
    The variance of a bin is the mean over strips of the image, cut at their quartiles, so that strips in which the
    model is wrong count little; the line is weighted by the variances it gives, and bins off it lose weight (Huber).
    """
    ny, nx = expected.shape
    high = min(STRIP, ny)
    number = max(1, min(ny // max(high, 1), round(SAMPLE / max(high * nx, 1))))
    first = np.linspace(0, ny - high, number) if number > 1 else np.array([(ny - high) // 2])
    rows = first.astype(np.int64)[:, None] + np.arange(high)
    left, level = (np.asarray(image[rows]) for image in (rest, expected))
    good = np.asarray(used[rows], dtype=bool) & np.isfinite(left) & np.isfinite(level)
    left, level = (np.where(good, part, 0).astype(np.float32, copy=False) for part in (left, level))
    line = _line(*_roughness(left, level, good))
    rho_x, error_x = _correlation(left, level, good, line, across=1, along=2)
    rho_y, error_y = _correlation(left, level, good, line, across=2, along=1)
    independent = abs(rho_x) <= max(CORRELATED, error_x) and abs(rho_y) <= max(CORRELATED, error_y)
    return Noise(line.gain, line.offset, (rho_x, rho_y), bool(line.rises and independent))


@dataclass(frozen=True)
class _Line:
    """Variance against expected value, variance of a typical pixel, and whether it rises for sure and by enough."""

    gain: float
    offset: float
    typical: float
    rises: bool


def _roughness(rest: Images, level: Images, good: Mask) -> tuple[Images, Images]:
    """Squares of pixels less their eight neighbours' mean, scaled to a pixel's variance, and the expected values they
    belong to, of strips (S, R, nx): where all nine are good."""
    around, about = _box(rest), _box(level)
    inner = (slice(None), slice(1, -1), slice(1, -1))
    nine = _box(good.astype(np.int8)) == 9
    squares = ((9 * rest[inner] - around)[nine] * np.float32(72**-0.5)) ** 2
    return squares, ((63 * level[inner] + about)[nine]) * np.float32(1 / 72)


def _box(values: NDArray[Any]) -> NDArray[Any]:
    """Sums of 3 x 3 pixels, without the outermost rows and columns."""
    tall = values[:, :-2] + values[:, 1:-1] + values[:, 2:]
    return np.asarray(tall[:, :, :-2] + tall[:, :, 1:-1] + tall[:, :, 2:])


def _line(squares: Images, at: Images) -> _Line:
    """The straight line through the variances of bins."""
    if len(at) < FEWEST:
        return _Line(0.0, 0.0, 0.0, rises=False)
    low, high = (float(end) for end in np.quantile(at[:: max(1, len(at) // 20_000)], (0.002, 0.998)))
    typical = float(squares.mean(dtype=np.float64))
    flat = _Line(0.0, typical, typical, rises=False)
    if not high - low > 1e-6 * max(abs(high), abs(low)) or typical <= NOTHING * (high - low) ** 2:
        return flat
    x, variance, number = _bins(squares, at, low, high)
    gain, offset, error = _straight(x, variance, number) if len(x) > 1 else (0.0, typical, np.inf)
    if gain <= 0:
        return flat
    faint, bright = offset + gain * x[0], offset + gain * x[-1]
    rises = gain > SURE * error and bright > (1 + RISE) * faint
    return _Line(gain, offset, typical, rises=rises)


def _bins(squares: Images, at: Images, low: float, high: float) -> tuple[Floats, Floats, Floats]:
    """Expected value, variance and number of pixels of the bins that have enough of them, by their expected value."""
    n = len(at)
    blocks = int(np.clip(n // (BINS * PER_CELL), 1, MOST_BLOCKS))
    part = np.sqrt(np.clip((at - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)) * np.float32(BINS)
    cell = np.minimum(part.astype(np.int32), BINS - 1)
    # Pixels are in the order of rows: a block is a strip of the image.
    cell += np.repeat(np.arange(blocks, dtype=np.int32) * BINS, np.diff(np.arange(blocks + 1) * n // blocks))
    number, levels, sums = (np.bincount(cell, of, BINS * blocks).reshape(blocks, BINS) for of in (None, at, squares))
    total = number.sum(axis=0)
    kept = total >= max(8 * blocks, 30)
    number, total = number[:, kept], total[kept]
    mean = np.where(number >= 0.25 * total / blocks, sums[:, kept] / np.maximum(number, 1), np.nan)
    variance = np.nanmean(np.clip(mean, *np.nanquantile(mean, (0.25, 0.75), axis=0)), axis=0)
    return levels.sum(axis=0)[kept] / total, variance, total.astype(np.float64)


def _straight(x: Floats, variance: Floats, number: Floats) -> tuple[float, float, float]:
    """Slope and offset of a line through variances, and the slope's standard deviation."""
    line, weight = np.full(len(x), np.average(variance, weights=number)), np.ones(len(x))
    design = np.stack([x, np.ones(len(x))], axis=1)
    least, solution, error = 1e-4 * float(variance.max()), np.zeros(2), np.inf
    for _ in range(8):
        std = np.maximum(np.maximum(line, 0.25 * variance), least) * np.sqrt(2 * OVERLAP / number)
        scaled = design * (np.sqrt(weight) / std)[:, None]
        solution = np.linalg.lstsq(scaled, variance * np.sqrt(weight) / std, rcond=None)[0]
        line = design @ solution
        away = np.abs(variance - line) / std
        spread = max(1.0, float(np.median(away)) / 0.6745)
        weight = np.minimum(1.0, OUTLYING * spread / np.maximum(away, 1e-9))
        error = spread * float(np.sqrt(np.linalg.pinv(scaled.T @ scaled)[0, 0]))
    return float(solution[0]), float(solution[1]), error


def _correlation(
    rest: Images, level: Images, good: Mask, line: _Line, *, across: int, along: int
) -> tuple[float, float]:
    """Correlation of neighbours ``along`` an axis of strips, by their differences ``across``, and how large that of
    independent pixels may be."""
    if line.typical <= 0:
        return 0.0, np.inf
    std = np.sqrt(np.maximum(line.offset + line.gain * level, np.float32(0.05 * line.typical)))
    scaled, three = (np.moveaxis(values, (across, along), (0, 1)) for values in (rest / std, good))
    three = three[:-2] & three[1:-1] & three[2:]
    second = (scaled[:-2] - 2 * scaled[1:-1] + scaled[2:]) * np.float32(6**-0.5)
    z = np.where(three, np.clip(second, -OUTLYING, OUTLYING), 0)
    pairs = int(np.count_nonzero(three[:, :-1] & three[:, 1:]))
    power = float(np.einsum("ijk,ijk->", z, z, dtype=np.float64))
    if pairs < FEWEST or power == 0:
        return 0.0, np.inf
    found = float(np.einsum("ijk,ijk->", z[:, :-1], z[:, 1:], dtype=np.float64)) / pairs
    return found * int(np.count_nonzero(three)) / power, SURE_CORRELATION * float(np.sqrt(SERIAL / pairs))
