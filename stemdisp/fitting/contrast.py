"""How high columns stand above a smooth background, measured together with all that stands around them, before any of
them is fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pulse import beat
from .tiles import SMOOTHNESS, Chunk, cut, hats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

REACH, INNER = 5.0, 3.0
"""Where a profile ends, and how far from every column pixels are not looked at, in widths."""

HELD = 1e-6
"""Pull towards nothing, relative to what its pixels know of a column wanted: columns of which hardly a tail is looked
at feel it."""

SAMPLING = 0.8
"""Distance of the pixels looked at, in widths at most."""

SPACING = 16.0
"""Distance of the background's knots in widths."""

SAMPLES = 1 << 16
"""Tiles x columns x pixels worked on at once."""


def amplitudes(image: NDArray[Any], xy: Floats, sigma: float, wanted: Mask | None = None) -> Floats:
    """(N,) heights of round Gaussians of one width (px) at given places (N, 2), fitted at once on a smooth background.

    Parameters
    ----------
    image
        Pixels that are not finite are left out.
    xy, sigma
        Where the columns are and how wide, in px.
    wanted
        (N,) columns whose height matters (all, unless given); the others have NaN.
    """
    from scipy.spatial import cKDTree

    found = np.full(len(xy), np.nan)
    wanted = np.ones(len(xy), dtype=bool) if wanted is None else wanted
    if not wanted.any():
        return found
    # Pixels within reach of a column wanted are looked at, so what reaches these is all that has to be modelled.
    near = cKDTree(xy[wanted]).query(xy, distance_upper_bound=2 * REACH * sigma)[0]
    rows = np.flatnonzero(np.isfinite(near))
    found[rows] = _fitted(image, xy[rows], sigma, wanted[rows])
    return np.where(wanted, found, np.nan)


def _fitted(image: NDArray[Any], xy: Floats, sigma: float, wanted: Mask) -> Floats:
    """(N,) heights of all columns, by the normal equations of heights and background."""
    from scipy.sparse import coo_matrix, csc_matrix, diags
    from scipy.sparse.linalg import splu

    shape, spacing, n = (image.shape[0], image.shape[1]), SPACING * sigma, len(xy)
    stride = max(1, 2 * ((int(SAMPLING * sigma) + 1) // 2) - 1)
    chunks = cut(shape, xy, np.full(n, REACH * sigma), spacing=spacing, width=sigma, stride=stride, samples=SAMPLES)
    knots = hats(shape, spacing)
    grid = (len(knots[1]), len(knots[0]))
    size = n + grid[0] * grid[1]
    level = float(np.nanmedian(image.ravel()[chunks[0].pixels]))
    right, parts = np.zeros(size), []
    for chunk in chunks:
        beat()
        jacobian, values = _jacobian(image, chunk, xy, sigma, level, wanted)
        index = np.concatenate([chunk.columns, n + chunk.nodes], axis=1)
        real = index >= 0
        pulls = (jacobian @ values[:, :, None])[:, :, 0]
        right += np.bincount(index[real], pulls[real], size)
        both = real[:, :, None] & real[:, None, :]
        at, to = (np.broadcast_to(i, both.shape)[both] for i in (index[:, :, None], index[:, None, :]))
        parts.append((at, to, (jacobian @ jacobian.transpose(0, 2, 1))[both]))
    at, to, product = (np.concatenate(column) for column in zip(*parts, strict=True))
    matrix = coo_matrix((product, (at, to)), shape=(size, size)).tocsc()
    own = matrix.diagonal()
    used = np.flatnonzero(own > 0)
    seen = own[used][used >= n]
    held = np.where(np.arange(size) < n, HELD * float(np.median(own[:n][wanted])), 0.0)
    matrix = matrix + diags(held) + _stiffness(n, grid, SMOOTHNESS * float(np.median(seen)) if len(seen) else 1.0)
    solver = splu(
        csc_matrix(matrix[used][:, used]),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    solved = np.zeros(size)
    solved[used] = solver.solve(right[used])
    return solved[:n]


def _jacobian(
    image: NDArray[Any], chunk: Chunk, xy: Floats, sigma: float, level: float, wanted: Mask
) -> tuple[Floats, Floats]:
    """Profiles of columns and knots (T, L + K, P) at a chunk's pixels, and what these show (T, P) above ``level``; both
    zero where there is nothing to see."""
    x, y = chunk.coordinates(np)
    rows = np.maximum(chunk.columns, 0)
    place = xy[rows]
    away = (x - place[:, :, 0, None]) ** 2 + (y - place[:, :, 1, None]) ** 2
    profile = np.where(chunk.within, np.exp(away / (-2 * sigma**2)), 0.0)
    values = image.ravel()[chunk.pixels].astype(np.float64) - level
    used = chunk.inside & np.isfinite(values) & (profile.max(axis=1) >= np.exp(-0.5 * INNER**2))
    used &= (chunk.within & wanted[rows][:, :, None]).any(axis=1)
    return np.concatenate([profile, chunk.hat], axis=1) * used[:, None, :], np.where(used, values, 0.0)


def _stiffness(n: int, grid: tuple[int, int], stiff: float) -> Any:
    """Curvature of a penalty on differences of neighbouring knots, behind ``n`` columns, as a sparse matrix."""
    from scipy.sparse import coo_matrix

    node = n + np.arange(grid[0] * grid[1]).reshape(grid)
    one = np.concatenate([node[:, 1:].ravel(), node[1:].ravel()])
    two = np.concatenate([node[:, :-1].ravel(), node[:-1].ravel()])
    rows, columns = np.concatenate([one, two, one, two]), np.concatenate([one, two, two, one])
    values = np.repeat([stiff, -stiff], 2 * len(one))
    size = n + node.size
    return coo_matrix((values, (rows, columns)), shape=(size, size)).tocsc()
