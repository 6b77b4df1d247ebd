"""Scatter of places between repeated measurements, each with a shift and an affine distortion of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST = 6
"""Places that tell the shift and the affine distortion of a measurement; three would fit whatever they are."""


def without_affine(off: Floats, xy: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """What is left of offsets when each measurement's affine map of them is taken out.

    Parameters
    ----------
    off
        (F, N, 2) offsets of N places from ``xy`` in F measurements, NaN where there is none.
    xy
        (N, 2) the places.
    weight
        (N,) of each in the fit.

    Returns
    -------
    (F, N, 2) what is left, NaN in measurements of fewer than :data:`FEWEST` places; (F, N) share of its own offset that
    each place loses to the fit; and (F, 2, 2) the linear part of the maps.
    """
    middle, size = np.nanmean(xy, axis=0), float(np.nanstd(xy)) or 1.0
    design = np.column_stack([np.ones(len(xy)), (xy - middle) / size])
    left, lost, maps = np.full_like(off, np.nan), np.full(off.shape[:2], np.nan), np.full((len(off), 2, 2), np.nan)
    for number, one in enumerate(off):
        rows = np.flatnonzero(np.isfinite(one).all(axis=1) & np.isfinite(xy).all(axis=1) & (weight > 0))
        if len(rows) < FEWEST:
            continue
        own = design[rows]
        inverse = np.linalg.pinv(own.T @ (weight[rows, None] * own))
        solution = inverse @ own.T @ (weight[rows, None] * one[rows])
        left[number, rows] = one[rows] - own @ solution
        lost[number, rows] = weight[rows] * np.einsum("ni,ij,nj->n", own, inverse, own)
        maps[number] = solution[1:] / size
    return left, lost, maps


def correlation(left: Floats, group: NDArray[np.int64]) -> float:
    """How alike members of a group (N,) are in what is left (F, N, 2), against its mean over the measurements: the mean
    product of two of them over the mean square; NaN where no group has two."""
    off, known = left - _mean(left), _known(left)
    products, pairs, squares = 0.0, 0.0, 0.0
    for one, there in zip(off, known, strict=True):
        own, places = one[there], group[there]
        if not len(own):
            continue
        _, place, count = np.unique(places, return_inverse=True, return_counts=True)
        sums = np.stack([np.bincount(place, own[:, axis]) for axis in (0, 1)], axis=1)
        square = np.bincount(place, (own**2).sum(axis=1))
        several = count > 1
        products += float(((sums**2).sum(axis=1) - square)[several].sum())
        pairs += float((count * (count - 1))[several].sum())
        squares += float(square.sum() / max(known.sum(), 1))
    return products / pairs / squares if pairs and squares else np.nan


def _known(left: Floats) -> NDArray[np.bool_]:
    """(F, N) places that a measurement has."""
    return np.asarray(np.isfinite(left).all(axis=2))


def _mean(left: Floats) -> Floats:
    """(N, 2) mean over the measurements; NaN where there is none."""
    known = np.isfinite(left)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, left, 0.0).sum(axis=0) / known.sum(axis=0))


def variance_of_mean(left: Floats, lost: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """(N, 2) variance of the mean of what is left (F, N, 2), NaN where fewer than two measurements have the place, and
    (N,) how many have it; what the fits took of the scatter (``lost``, F x N) is given back."""
    known = _known(left)
    count = known.sum(axis=0)
    squares = (np.where(known[..., None], left - _mean(left), 0.0) ** 2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        kept = 1 - np.where(known, lost, 0.0).sum(axis=0) / count
        variance = squares / ((count - 1) * count * kept)[:, None]
    return np.where((count > 1)[:, None], variance, np.nan), count
