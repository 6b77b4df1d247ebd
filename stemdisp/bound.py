"""The smallest position errors the counts of a synthetic micrograph allow: the Cramer-Rao bound.

Fisher matrix of the model that made the image, with the parameters an estimator has to find: amplitude and position of
every column, widths shared by a site, a smooth background; all neighbours at once, Poisson counts. What is known of a
position beforehand adds to the counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .errors import StageError
from .scene import Truth

Floats = NDArray[np.float64]
Shape = Literal["site", "column", "known"]

PATCH_CORE, PATCH_TAIL = 4.5, 3.3
"""Half width of a column's patch in standard deviations of the core and of the tail, the wider counts; what lies
outside changes the bound by less than 1e-3 of it."""

LEAST_COUNTS = 1e-6
"""Expected counts are not taken below this, so that empty vacuum does not weigh infinitely."""


@dataclass(frozen=True)
class _Patch:
    """The pixels of one column, from ``low`` (x, y) up to but without ``high``, and the derivatives of its model there,
    each (height, width): amplitude, x, y, log width, tail, log ratio."""

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    amplitude: Floats
    x: Floats
    y: Floats
    width: Floats
    tail: Floats
    ratio: Floats

    @property
    def window(self) -> tuple[slice, slice]:
        """Where in the image (rows, columns) the pixels are."""
        return slice(self.low[1], self.high[1]), slice(self.low[0], self.high[0])


@dataclass(frozen=True)
class _Unknowns:
    """The parameters: those of single columns first, then those that columns share, then the background's.

    patches, own
        (M,) columns that are there, and the derivatives (p, height, width) by each one's own parameters.
    first
        (M + 1,) number of each column's first parameter, the last entry being how many there are.
    shared
        (S, ny, nx) derivatives of the image by the shared ones.
    hats
        (ny, KY) and (nx, KX) background functions along y and x, whose products are the derivatives; no columns where
        the background is known.
    """

    patches: list[_Patch]
    own: list[Floats]
    first: NDArray[np.int64]
    shared: Floats
    hats: tuple[Floats, Floats]


def cramer_rao(
    truth: Truth,
    signal: str,
    *,
    free_xy: NDArray[np.bool_] | None = None,
    prior_px: Floats | None = None,
    shape: Shape = "site",
    same_width: tuple[tuple[str, ...], ...] = (),
    tail: bool = False,
    background_px: float | None = None,
) -> Floats:
    """Bound on the standard deviation of every column's position.

    F_ij = sum over pixels of (d mu / d i)(d mu / d j) / mu; the bound is the root of the diagonal of its inverse
    (StatSTEM uses the same measure: De Backer et al., Ultramicroscopy 171, 104, 2016, doi
    10.1016/j.ultramic.2016.08.018).  What is known beforehand of x adds 1 / prior_px^2 to F_xx (Van Trees, Detection,
    Estimation, and Modulation Theory, part I, 1968): the bound then holds for the error over many images whose columns
    are scattered that far around known places.

    Parameters
    ----------
    truth
        What :func:`stemdisp.synthetic.simulate` returned; the counts of all its frames are taken together.
    signal
        Which of its images.
    free_xy
        (N,) columns whose position is unknown (unset = all); the amplitude of every column is.
    prior_px
        (N,) standard deviation, along x and along y, of what is known beforehand of a free column's position, in px;
        NaN = nothing is (unset = of no column).
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
    rows = np.flatnonzero(truth.present)
    unknowns = _unknowns(truth, signal, free, _width_of(truth, shape, same_width), tail=tail, spacing=background_px)
    frames = len(truth.drift_px)
    fisher = _fisher(unknowns, frames / np.maximum(truth.expected[signal], LEAST_COUNTS))
    place = unknowns.first[:-1][free[rows]][:, None] + [1, 2]
    if prior_px is not None:
        known = 1 / np.square(np.where(prior_px > 0, prior_px, np.nan)[free])
        fisher[place, place] += np.where(np.isfinite(known), known, 0)[:, None]
    bound = np.full((len(truth), 2), np.nan)
    bound[free] = np.sqrt(_inverse_diagonal(fisher)[place])
    return bound


def _width_of(truth: Truth, shape: Shape, same_width: tuple[tuple[str, ...], ...]) -> NDArray[np.int64] | None:
    """(N,) number of the width parameter of each column, -1 where it is known; None = each has its own."""
    if shape == "known":
        return np.full(len(truth), -1)
    if shape == "column":
        return None
    leader = {name: group[0] for group in same_width for name in group}
    present = [leader.get(name, name) for name in truth.site[truth.present].tolist()]
    number = np.full(len(truth), -1)
    number[truth.present] = np.unique(present, return_inverse=True)[1]
    return number


def _patch(truth: Truth, signal: str, row: int) -> _Patch:
    """The derivatives of the model of one column on the pixels it reaches."""
    ny, nx = truth.expected[signal].shape
    metric, sigma, place = truth.metric, float(truth.sigma_A[row]), truth.position(signal)[row]
    widest = sigma * max(PATCH_CORE, PATCH_TAIL * truth.tail_ratio if truth.tail > 0 else 0.0)
    reach = widest * np.sqrt(np.diag(np.linalg.inv(metric)))
    low = np.clip(np.ceil(place - reach), 0, [nx, ny]).astype(np.int64)
    high = np.clip(np.floor(place + reach) + 1, 0, [nx, ny]).astype(np.int64)
    d = np.stack(np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1])), axis=-1) - place
    pull = d @ metric
    squared = (pull * d).sum(axis=-1)
    height, core_var, tail_var = float(truth.amplitude[signal][row]), sigma**2, (sigma * truth.tail_ratio) ** 2
    core = np.exp(-squared / (2 * core_var))
    wide = np.exp(-squared / (2 * tail_var))
    slope = height * ((1 - truth.tail) * core / core_var + truth.tail * wide / tail_var)
    return _Patch(
        low=low,
        high=high,
        amplitude=(1 - truth.tail) * core + truth.tail * wide,
        x=slope * pull[..., 0],
        y=slope * pull[..., 1],
        width=slope * squared,
        tail=height * (wide - core),
        ratio=height * truth.tail * wide * squared / tail_var,
    )


def _unknowns(
    truth: Truth,
    signal: str,
    free: NDArray[np.bool_],
    width_of: NDArray[np.int64] | None,
    *,
    tail: bool,
    spacing: float | None,
) -> _Unknowns:
    """The parameters that :func:`cramer_rao` was asked for, and the derivatives of the image by them."""
    shape = truth.expected[signal].shape
    widths = 0 if width_of is None else int(width_of.max(initial=-1)) + 1
    shared = np.zeros((widths + 2 * tail, *shape))
    patches, own = [], []
    for row in np.flatnonzero(truth.present).tolist():
        patch = _patch(truth, signal, row)
        terms = [patch.amplitude, patch.x, patch.y] if free[row] else [patch.amplitude]
        if width_of is None:
            terms.append(patch.width)
        elif width_of[row] >= 0:
            shared[width_of[row]][patch.window] += patch.width
        if tail:
            shared[-2][patch.window] += patch.tail
            shared[-1][patch.window] += patch.ratio
        patches.append(patch)
        own.append(np.stack(terms))
    first = np.concatenate([[0], np.cumsum([len(terms) for terms in own], dtype=np.int64)])
    hats = (np.zeros((shape[0], 0)), np.zeros((shape[1], 0)))
    if spacing is not None:
        hats = (_hats(shape[0], spacing), _hats(shape[1], spacing))
    return _Unknowns(patches, own, first, shared, hats)


def _hats(length: int, spacing: float) -> Floats:
    """(length, knots) linear hat functions on knots from the first to the last pixel, about ``spacing`` apart."""
    knots = max(round((length - 1) / spacing), 1) + 1
    place = np.linspace(0, knots - 1, length)
    return np.asarray(np.maximum(1 - np.abs(place[:, None] - np.arange(knots)), 0))


def _fisher(unknowns: _Unknowns, information: Floats) -> Floats:
    """The Fisher matrix of all parameters; ``information`` (ny, nx) is that of a pixel, 1 / variance.

    A column's own parameters meet only those of the columns whose patches overlap its own.
    """
    patches, first, (along_y, along_x) = unknowns.patches, unknowns.first, unknowns.hats
    columns, shared = int(first[-1]), len(unknowns.shared)
    size = columns + shared + along_y.shape[1] * along_x.shape[1]
    fisher = np.zeros((size, size))
    low = np.array([patch.low for patch in patches]).reshape(-1, 2)
    high = np.array([patch.high for patch in patches]).reshape(-1, 2)
    weighed = [own * information[patch.window] for own, patch in zip(unknowns.own, patches, strict=True)]
    for i, one in enumerate(patches):
        rows = slice(first[i], first[i + 1])
        from_, to = np.maximum(low[i], low[i:]), np.minimum(high[i], high[i:])
        for j in (i + np.flatnonzero((from_ < to).all(axis=1))).tolist():
            (x0, y0), (x1, y1) = from_[j - i], to[j - i]
            mine = weighed[i][:, y0 - low[i, 1] : y1 - low[i, 1], x0 - low[i, 0] : x1 - low[i, 0]]
            theirs = unknowns.own[j][:, y0 - low[j, 1] : y1 - low[j, 1], x0 - low[j, 0] : x1 - low[j, 0]]
            fisher[rows, first[j] : first[j + 1]] = mine.reshape(len(mine), -1) @ theirs.reshape(len(theirs), -1).T
        fisher[rows, columns : columns + shared] = np.tensordot(
            weighed[i], unknowns.shared[:, *one.window], axes=((1, 2), (1, 2))
        )
        fisher[rows, columns + shared :] = _on_hats(weighed[i], along_y[one.window[0]], along_x[one.window[1]])
    lit = unknowns.shared * information
    fisher[columns : columns + shared, columns : columns + shared] = np.tensordot(
        lit, unknowns.shared, axes=((1, 2), (1, 2))
    )
    fisher[columns : columns + shared, columns + shared :] = _on_hats(lit, along_y, along_x)
    fisher[columns + shared :, columns + shared :] = _hats_on_hats(information, along_y, along_x)
    upper = np.triu(fisher)
    return np.asarray(upper + np.triu(fisher, 1).T)


def _on_hats(images: Floats, along_y: Floats, along_x: Floats) -> Floats:
    """(M, KY * KX) sums of images (M, h, w) times the product of every pair of functions."""
    size = along_y.shape[1] * along_x.shape[1]
    return np.asarray((along_y.T @ (images @ along_x)).reshape(len(images), size))


def _hats_on_hats(information: Floats, along_y: Floats, along_x: Floats) -> Floats:
    """(K, K) information on the background's functions."""
    ky, kx = along_y.shape[1], along_x.shape[1]
    found = np.zeros((ky, kx, ky, kx))
    for i in range(ky):
        for j in range(i, min(i + 2, ky)):  # hats overlap with the next one only
            rows = np.flatnonzero(along_y[:, i] * along_y[:, j])
            lit = (along_y[rows, i] * along_y[rows, j]) @ information[rows]
            found[i, :, j] = found[j, :, i] = along_x.T @ (lit[:, None] * along_x)
    return found.reshape(ky * kx, ky * kx)


def _inverse_diagonal(fisher: Floats) -> Floats:
    """Diagonal of the inverse Fisher matrix; the parameters are scaled to unit information first."""
    from scipy.linalg import LinAlgError, cholesky, lapack

    scale = np.sqrt(np.diag(fisher))
    try:
        factor = cholesky(fisher / np.outer(scale, scale), lower=True) if scale.all() else None
    except LinAlgError:
        factor = None
    if factor is None:
        raise StageError("bound: the counts do not determine all parameters; leave fewer of them free")
    inverse, _ = lapack.dtrtri(factor, lower=1)
    return np.asarray((inverse**2).sum(axis=0) / scale**2)
