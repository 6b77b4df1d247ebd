"""The smallest position errors the counts of a synthetic micrograph allow: the Cramer-Rao bound.

Fisher matrix of the model that made the image, with the parameters an estimator has to find: amplitude and position of
every column, widths shared by a site, a smooth background; all neighbours at once, Poisson counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from .errors import StageError
from .scene import Truth

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Floats = NDArray[np.float64]
Shape = Literal["site", "column", "known"]

PATCH_CORE, PATCH_TAIL = 4.5, 3.3
"""Half width of a column's patch in standard deviations of the core and of the tail, the wider counts; what lies
outside changes the bound by less than 1e-3 of it."""

LEAST_COUNTS = 1e-6
"""Expected counts are not taken below this, so that empty vacuum does not weigh infinitely."""


@dataclass(frozen=True)
class _Patch:
    """Pixels (P,) of one column and the derivatives of its model there: amplitude, x, y, log width, tail, log ratio."""

    pixels: NDArray[np.int64]
    amplitude: Floats
    x: Floats
    y: Floats
    width: Floats
    tail: Floats
    ratio: Floats


def cramer_rao(
    truth: Truth,
    signal: str,
    *,
    free_xy: NDArray[np.bool_] | None = None,
    shape: Shape = "site",
    same_width: tuple[tuple[str, ...], ...] = (),
    tail: bool = False,
    background_px: float | None = None,
) -> Floats:
    """Bound on the standard deviation of every column's position.

    F_ij = sum over pixels of (d mu / d i)(d mu / d j) / mu; the bound is the root of the diagonal of its inverse
    (StatSTEM uses the same measure: De Backer et al., Ultramicroscopy 171, 104, 2016, doi
    10.1016/j.ultramic.2016.08.018).

    Parameters
    ----------
    truth
        What :func:`stemdisp.synthetic.simulate` returned; the counts of all its frames are taken together.
    signal
        Which of its images.
    free_xy
        (N,) columns whose position is unknown (unset = all); the amplitude of every column is.
    shape
        Whether the core width is unknown per site, unknown per column, or known.
    same_width
        Groups of sites that share one width, e.g. (("K", "O"),).
    tail
        Whether the tail's weight and width ratio are unknown.
    background_px
        Distance of the knots of the unknown background (bilinear between them); unset = the background is known.

    Returns
    -------
    (N, 2) standard deviation along x and y in px; NaN for missing columns and those whose position is known.

    Raises
    ------
    StageError
        Where the counts do not determine the parameters (for example a tail that is not there).
    """
    free = truth.present if free_xy is None else truth.present & free_xy
    jacobian, columns_of = _jacobian(truth, signal, free, _width_of(truth, shape, same_width), tail)
    if background_px is not None:
        jacobian = _with_background(jacobian, truth.expected[signal].shape, background_px)
    frames = len(truth.drift_px)
    expected = np.maximum(truth.expected[signal].ravel(), LEAST_COUNTS) / frames
    variance = _inverse_diagonal(jacobian, expected)
    bound = np.full((len(truth), 2), np.nan)
    bound[free] = np.sqrt(variance[columns_of])
    return bound


def _width_of(truth: Truth, shape: Shape, same_width: tuple[tuple[str, ...], ...]) -> NDArray[np.int64]:
    """(N,) number of the width parameter of each column, -1 where it is known."""
    if shape == "known":
        return np.full(len(truth), -1)
    if shape == "column":
        return np.arange(len(truth))
    leader = {name: group[0] for group in same_width for name in group}
    return np.unique([leader.get(name, name) for name in truth.site.tolist()], return_inverse=True)[1]


def _patch(truth: Truth, signal: str, row: int) -> _Patch:
    """The derivatives of the model of one column on the pixels it reaches."""
    ny, nx = truth.expected[signal].shape
    metric, sigma, place = truth.metric, float(truth.sigma_A[row]), truth.position(signal)[row]
    widest = sigma * max(PATCH_CORE, PATCH_TAIL * truth.tail_ratio if truth.tail > 0 else 0.0)
    reach = widest * np.sqrt(np.diag(np.linalg.inv(metric)))
    low = np.clip(np.ceil(place - reach), 0, [nx, ny]).astype(int)
    high = np.clip(np.floor(place + reach) + 1, 0, [nx, ny]).astype(int)
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1])))
    d = np.stack([x, y], axis=1) - place
    pull = d @ metric
    squared = (pull * d).sum(axis=1)
    height, core_var, tail_var = float(truth.amplitude[signal][row]), sigma**2, (sigma * truth.tail_ratio) ** 2
    core = np.exp(-squared / (2 * core_var))
    wide = np.exp(-squared / (2 * tail_var))
    slope = height * ((1 - truth.tail) * core / core_var + truth.tail * wide / tail_var)
    return _Patch(
        pixels=(y * nx + x).astype(np.int64),
        amplitude=(1 - truth.tail) * core + truth.tail * wide,
        x=slope * pull[:, 0],
        y=slope * pull[:, 1],
        width=slope * squared,
        tail=height * (wide - core),
        ratio=height * truth.tail * wide * squared / tail_var,
    )


def _jacobian(
    truth: Truth, signal: str, free: NDArray[np.bool_], width_of: NDArray[np.int64], tail: bool
) -> tuple[csc_array, NDArray[np.int64]]:
    """Derivatives of the image (pixels x parameters) and the numbers (M, 2) of the x and y of the M free columns."""
    from scipy.sparse import coo_array

    rows = np.flatnonzero(truth.present)
    kinds, width_number = np.unique(width_of[rows], return_inverse=True)
    first_width = len(rows) + 2 * int(free.sum())
    known = int(kinds[0] == -1) if len(kinds) else 0
    first_tail = first_width + len(kinds) - known
    pixels, numbers, values = [], [], []
    positions = np.empty((int(free.sum()), 2), dtype=np.int64)
    positions[:] = len(rows) + np.arange(positions.size).reshape(-1, 2)
    place = dict(zip(np.flatnonzero(free).tolist(), positions.tolist(), strict=True))
    for number, row in enumerate(rows.tolist()):
        patch = _patch(truth, signal, row)
        terms = [(number, patch.amplitude)]
        terms += zip(place.get(row, ()), (patch.x, patch.y), strict=False)
        if width_of[row] >= 0:
            terms.append((first_width + int(width_number[number]) - known, patch.width))
        if tail:
            terms += [(first_tail, patch.tail), (first_tail + 1, patch.ratio)]
        for parameter, derivative in terms:
            pixels.append(patch.pixels)
            numbers.append(np.full(len(derivative), parameter))
            values.append(derivative)
    shape = (truth.expected[signal].size, first_tail + 2 * tail)
    joined = (np.concatenate(values), (np.concatenate(pixels), np.concatenate(numbers)))
    return coo_array(joined, shape=shape).tocsc(), positions


def _hats(length: int, spacing: float) -> Floats:
    """(length, knots) linear hat functions on knots from the first to the last pixel, about ``spacing`` apart."""
    knots = max(round((length - 1) / spacing), 1) + 1
    place = np.linspace(0, knots - 1, length)
    return np.asarray(np.maximum(1 - np.abs(place[:, None] - np.arange(knots)), 0))


def _with_background(jacobian: csc_array, shape: tuple[int, ...], spacing: float) -> csc_array:
    from scipy.sparse import csc_array, hstack, kron

    hats = kron(csc_array(_hats(shape[0], spacing)), csc_array(_hats(shape[1], spacing)))
    return csc_array(hstack([jacobian, hats], format="csc"))


def _inverse_diagonal(jacobian: csc_array, expected: Floats) -> Floats:
    """Diagonal of the inverse Fisher matrix; the parameters are scaled to unit information first."""
    from scipy.linalg import LinAlgError, cholesky, solve_triangular
    from scipy.sparse import diags_array

    fisher = (jacobian.T @ diags_array(1 / expected) @ jacobian).toarray()
    scale = np.sqrt(np.diag(fisher))
    try:
        factor = cholesky(fisher / np.outer(scale, scale), lower=True) if scale.all() else None
    except LinAlgError:
        factor = None
    if factor is None:
        raise StageError("bound: the counts do not determine all parameters; leave fewer of them free")
    inverse = solve_triangular(factor, np.eye(len(factor)), lower=True)
    return np.asarray((inverse**2).sum(axis=0) / scale**2)
