"""How far single rows of an image are shifted along themselves, told by how columns look from row to row.

What a column does as a whole (where it stands, and how its axis leans) is left to each column: no displacement of
columns counts, however coherent along a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ACROSS, DOWN = 2.0, 1.5
"""Half width and half height, in widths of the profile, of the window in which a column's rows are looked at: farther
out its neighbours say more than itself."""

FEWEST_ROWS, FEWEST_COLUMNS = 5, 8
"""Rows of a column below which nothing is left after its own place and lean, and columns that are asked at least."""

STENCIL = np.array([1.0, -8.0, 0.0, 8.0, -1.0]) / 12
"""Derivative by five points."""

SHARED = 3
"""Powers of the height above a column's centre (2, 3, 4) with which all columns may bend alike: asymmetric probes do
that."""

RATIOS, FINE = (1e-4, 1e4, 50), 41
"""Smallest and largest ratio tried of the variance of a row's shift to that of a column's row, and how many; and how
many around the best."""

ONE_SIGMA, ONE_SIDED_95, CLEAR = 1.0, 2.71, 16.0
"""Twice the loss of log-likelihood at a standard error, at an upper limit of 95 %, and without any jitter where it
counts as seen (chi-squared, one degree of freedom; of 360 simulated images without jitter two reached 9, none 16)."""

FAR, STEPS = 9.0, 2
"""Widths beyond which a Gaussian is nothing, and places a width at which it is looked at: sums over them are integrals,
both to all digits that numbers have."""

NODES = 41
"""Points along each axis on which the rows that enter a fit are weighed, over four widths."""


@dataclass(frozen=True)
class Slices:
    """Rows of columns: C columns, R rows of each.

    row
        (C, R) row of the image.
    height
        (C, R) that row minus the column's y, in px.
    shift
        (C, R) how far right the column stands in that row, in px.
    weight
        (C, R) inverse variance of the shift but for a factor common to all.
    """

    row: Ints
    height: Floats
    shift: Floats
    weight: Floats


@dataclass(frozen=True)
class Jitter:
    """Rms shift of a row in px; ``std`` is its standard error, ``upper`` what it is at most (95 %), ``seen`` whether it
    stands clearly above nothing; ``rows`` were asked."""

    rms: float
    std: float
    upper: float
    seen: bool
    rows: int


def slices(
    image: NDArray[np.generic], xy: Floats, width: Floats, peak: Floats, variance: tuple[float, float]
) -> Slices | None:
    """The rows of columns, each fitted with a constant, the profile and its derivative along x.

    Parameters
    ----------
    image
        (ny, nx) pixels.
    xy, width, peak
        (C, 2) places in px, (2,) width of the profile along x and y in px, (C,) height above what is around, negative
        of dark columns.
    variance
        Of a pixel of value v: v times the first number plus the second.

    Returns
    -------
    None where columns are too small in pixels, or too few lie inside and have no pixel missing.

    Notes
    -----
    A profile that is not quite the columns' own makes all shifts too large or small by one factor: that by which the
    image's own derivative along x comes out, which is divided out.
    """
    across, down = max(2, int(ACROSS * width[0])), int(DOWN * width[1])
    ny, nx = image.shape
    margin, centre = np.array([across + 2, down]), np.rint(xy).astype(np.int64)
    inside = (centre >= margin).all(axis=1) & (centre < np.array([nx, ny]) - margin).all(axis=1)
    xy, centre, peak = xy[inside], centre[inside], peak[inside]
    row = centre[:, 1, None] + np.arange(-down, down + 1)
    column = centre[:, 0, None] + np.arange(-across - 2, across + 3)
    pixels = image[row[:, :, None], column[:, None, :]].astype(np.float64)
    whole = np.isfinite(pixels).all(axis=(1, 2))
    if 2 * down + 1 < FEWEST_ROWS or whole.sum() < FEWEST_COLUMNS:
        return None
    xy, peak, row, column, pixels = xy[whole], peak[whole], row[whole], column[whole], pixels[whole]
    slope = sum(factor * pixels[:, :, i : i + 2 * across + 1] for i, factor in enumerate(STENCIL))
    pixels, x, height = pixels[:, :, 2:-2], column[:, 2:-2] - xy[:, :1], row - xy[:, 1:]
    along = np.exp(-0.5 * (x / width[0]) ** 2)[:, None, :]
    profile = peak[:, None, None] * np.exp(-0.5 * (height / width[1]) ** 2)[:, :, None] * along
    level = np.median(pixels, axis=(1, 2), keepdims=True)
    expected = variance[0] * (level + profile) + variance[1]
    expected = np.maximum(expected, 1e-3 * np.median(expected))
    per_px = profile * x[:, None, :] / width[0] ** 2
    basis = np.stack([np.ones_like(pixels), np.broadcast_to(along, pixels.shape), per_px], axis=-1)
    weighted = basis / expected[..., None]
    covariance = np.linalg.inv(np.einsum("crxi,crxj->crij", weighted, basis, optimize=True))
    solve = np.einsum("cri,crxi->crx", covariance[:, :, 2], weighted, optimize=True)
    shift, response = (solve * pixels).sum(axis=2), -(solve * slope).sum(axis=2)
    weight = 1 / covariance[:, :, 2, 2]
    return Slices(row, height, shift * float(weight.sum() / (weight * response).sum()), weight)


@dataclass(frozen=True)
class _Sums:
    """What is left after each column's own place and lean.

    band
        (R, ny) information on the rows' shifts, as the lower half of a band.
    rows
        (ny, 1 + S) what shifts, and the shared bends, say of the rows.
    squares
        (1 + S, 1 + S) their weighted sums of squares.
    """

    band: Floats
    rows: Floats
    squares: Floats
    freedom: int

    def loss(self, ratio: float) -> tuple[float, float]:
        """Minus twice the restricted log-likelihood, and the variance factor of a column's row, where the variance of a
        row's shift is ``ratio`` times that factor."""
        from scipy.linalg import cho_solve_banded, cholesky_banded

        band = ratio * self.band
        band[0] += 1
        factor = cholesky_banded(band, lower=True)
        squares = self.squares - ratio * self.rows.T @ cho_solve_banded((factor, True), self.rows)
        shared = squares[1:, 1:]
        rest = float(squares[0, 0] - squares[0, 1:] @ np.linalg.lstsq(shared, squares[1:, 0])[0])
        level = max(rest, np.finfo(float).tiny) / self.freedom
        spread = 2 * float(np.log(factor[0]).sum()) + float(np.linalg.slogdet(shared)[1])
        return self.freedom * float(np.log(level)) + spread, level


def _sums(found: Slices, ny: int) -> _Sums:
    columns, rows = found.row.shape
    own = np.stack([np.ones_like(found.height), found.height], axis=-1)
    scaled = found.height / float(np.abs(found.height).max())
    given = np.stack([found.shift, *(scaled**power for power in range(2, 2 + SHARED))], axis=-1)
    weighted = own * found.weight[..., None]
    inner = -weighted @ np.linalg.inv(weighted.transpose(0, 2, 1) @ own) @ weighted.transpose(0, 2, 1)
    inner[:, np.arange(rows), np.arange(rows)] += found.weight
    left = inner @ given
    band = np.zeros((rows, ny))
    for apart in range(rows):
        values = np.diagonal(inner, -apart, axis1=1, axis2=2)
        band[apart] = np.bincount(found.row[:, : rows - apart].ravel(), values.ravel(), minlength=ny)
    place = found.row.ravel()
    by_row = [np.bincount(place, values, minlength=ny) for values in left.reshape(-1, 1 + SHARED).T]
    squares = np.einsum("cri,crj->ij", given, left)
    return _Sums(band, np.stack(by_row, axis=1), squares, columns * (rows - 2) - SHARED)


def jitter(found: Slices, ny: int) -> Jitter:
    """Rms of the shifts of an image's ``ny`` rows by restricted maximum likelihood.

    Notes
    -----
    The shift of column c in row y is s(y) + place(c) + lean(c) height + a bend shared by all columns + noise: s is
    independent from row to row and has the variance that is looked for; noise has the variances that the weights claim
    but for one factor, which is estimated with it (Patterson and Thompson, Biometrika 58, 545 (1971),
    doi 10.1093/biomet/58.3.545). Where columns are noisy their number in a row helps, where they are not every row that
    one of them covers tells.
    """
    sums, typical = _sums(found, ny), 1 / float(np.median(found.weight))
    ratios = np.concatenate([[0.0], typical * np.geomspace(*RATIOS)])
    losses, levels = np.array([sums.loss(ratio) for ratio in ratios]).T
    best = int(losses.argmin())
    fine = np.linspace(ratios[max(best - 1, 0)], ratios[min(best + 1, len(ratios) - 1)], FINE)
    more, beside = np.array([sums.loss(ratio) for ratio in fine]).T
    ratios, losses, levels = (np.concatenate(pair) for pair in ((ratios, fine), (losses, more), (levels, beside)))
    order = np.argsort(ratios, kind="stable")
    rms, losses = np.sqrt(ratios * levels)[order], losses[order] - losses.min()
    best = int(losses.argmin())
    std, upper = (_crossing(rms, losses, best, loss) for loss in (ONE_SIGMA, ONE_SIDED_95))
    seen = bool(losses[0] > CLEAR)
    return Jitter(float(rms[best]), std - float(rms[best]), upper, seen, len(np.unique(found.row)))


def _crossing(rms: Floats, losses: Floats, best: int, loss: float) -> float:
    """The larger rms at which the likelihood has lost so much."""
    beyond = best + int(np.argmax(losses[best:] > loss))
    if beyond == best:
        return float(rms[-1])
    inner, outer = losses[beyond - 1], losses[beyond]
    return float(rms[beyond - 1] + (rms[beyond] - rms[beyond - 1]) * (loss - inner) / (outer - inner))


def rows_of_fit(width: Floats, peak: float, around: float) -> float:
    """Standard deviation (px) of the rows that say where a column stands along x, as its fit weighs them: so many rows'
    jitter a position averages.

    A row weighs as the squared derivative of the profile along x over the variance, ``around`` plus the profile times
    ``peak``; with peak = 0 all pixels weigh the same, and it is width / sqrt(2).
    """
    steps = np.linspace(0, 4, NODES)
    profile = np.exp(-0.5 * steps[:, None] ** 2) * np.exp(-0.5 * steps**2)
    weight = ((steps * profile) ** 2 / (around + peak * profile)).sum(axis=1)
    return float(width[1] * np.sqrt((weight * steps**2).sum() / (weight.sum() - 0.5 * weight[0])))


def averaged(y: Floats, rows: Floats, share: Floats) -> Floats:
    """(m,) what sums of positions keep of a jitter of rms 1: of columns at ``y`` (m, J) px that average over ``rows``
    (m, J), Gaussian, each with its ``share`` (m, J) of the sum.

    >>> averaged(np.zeros((1, 1)), np.full((1, 1), 3.5), np.ones((1, 1))).round(3).tolist()
    [0.284]
    """
    spread = rows[:, :, None] ** 2 + rows[:, None, :] ** 2
    apart = (y[:, :, None] - y[:, None, :]) ** 2
    overlap = np.exp(-0.5 * apart / spread) / np.sqrt(2 * np.pi * spread)
    return np.asarray(np.sqrt(np.maximum(np.einsum("mi,mij,mj->m", share, overlap, share, optimize=True), 0)))


def averaged_in_one(y: Floats, rows: Floats, share: Floats) -> float:
    """The same of one sum of many positions (J,).

    How far two Gaussians overlap is the integral of their product, and what the sum keeps that of its square: it asks
    for each of J columns once, not for each pair.
    """
    step, reach = float(rows.min()) / STEPS, int(np.ceil(FAR * STEPS * rows.max() / rows.min()))
    node = np.rint(y / step).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    away = (node * step - y[:, None]) / rows[:, None]
    part = share[:, None] * np.exp(-0.5 * away**2) / (np.sqrt(2 * np.pi) * rows[:, None])
    density = np.bincount((node - node.min()).ravel(), part.ravel())
    return float(np.sqrt(step * density @ density))
