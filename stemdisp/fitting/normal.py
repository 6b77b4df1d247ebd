"""The normal equations of a joint fit: accumulated from tiles, sparse, solved with the shared shape eliminated.

Parameters are ordered (amplitude, x, y) of every column, then the background knots; the shared shape parameters stand
apart as a border, because each of them touches everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .engine import Known
from .tiles import SMOOTHNESS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEIGHBOURHOOD = 24
"""Columns whose parameters are left free when the covariance of one of them is taken."""

SINGULAR = 1e-9
"""Share of the diagonal that is added to it, so that two columns at one place do not part."""


@dataclass
class Normal:
    """Sums over pixels.

    ``gradient`` (3N + K,) and ``border_gradient`` (S,); the curvature of pairs of columns (9, pairs), of columns and
    knots as triplets, of everything with the shape (3N + K, S), and of the shape (S, S); the weighted sum of squares
    and the number of pixels.
    """

    gradient: Floats
    border_gradient: Floats
    pairs: Floats
    border: Floats
    corner: Floats
    triplets: list[tuple[Ints, Ints, Floats]] = field(default_factory=list)
    squares: float = 0.0
    pixels: int = 0

    def scaled(self, factor: float) -> Normal:
        """The sums as if each pixel stood for so many."""
        names = ("gradient", "border_gradient", "pairs", "border", "corner", "squares")
        triplets = [(at, to, values * factor) for at, to, values in self.triplets]
        changes: dict[str, Any] = {name: getattr(self, name) * factor for name in names}
        return replace(self, **changes, triplets=triplets)


@dataclass(frozen=True)
class Factor:
    """A factorised curvature with the shape's border eliminated; solves for as many gradients as one likes."""

    selection: Any
    lu: Any
    stiffness: Any
    border: Floats
    solved: Floats
    schur: Floats
    chosen: Ints

    def step(self, gradient: Floats, border_gradient: Floats, background: Floats) -> tuple[Floats, Floats]:
        """Step of all parameters (3N + K,) and of the shape (S,), zero where not fitted, for their gradients at a
        ``background`` (K,)."""
        own = self.lu.solve(self.selection.T @ (gradient - self.stiffness @ background))
        shape = np.zeros(len(border_gradient))
        if len(self.chosen):
            shape[self.chosen] = np.linalg.solve(self.schur, border_gradient[self.chosen] - self.border.T @ own)
            own = own - self.solved @ shape[self.chosen]
        return np.asarray(self.selection @ own), shape


class NormalEquations:
    """Where each chunk's products belong; prepared once for many iterations.

    ``listed`` are the chunks' column lists (T, L) with -1 for none; ``knots`` (rows, columns) of the background grid.
    """

    def __init__(self, listed: list[Ints], group: Ints, knots: tuple[int, int]) -> None:
        self.n = len(group)
        self.group = group
        self.groups = int(group.max()) + 1
        self.knots = knots
        self.size = 3 * self.n + knots[0] * knots[1]
        keys = [self._keys(columns) for columns in listed]
        unique = np.unique(np.concatenate([np.unique(key) for key in keys]))
        self.pair = unique[unique >= 0]
        # The slot behind the last pair collects what belongs to none.
        self._slots = [
            np.where(key >= 0, np.searchsorted(self.pair, key), len(self.pair)).astype(np.int32).ravel() for key in keys
        ]

    def _keys(self, columns: Ints) -> Ints:
        both = (columns[:, :, None] >= 0) & (columns[:, None, :] >= 0)
        return np.where(both, columns[:, :, None] * self.n + columns[:, None, :], -1)

    def empty(self) -> Normal:
        """Zero sums."""
        shapes = self.groups + 4
        return Normal(
            np.zeros(self.size),
            np.zeros(shapes),
            np.zeros((9, len(self.pair) + 1)),
            np.zeros((self.size, shapes)),
            np.zeros((shapes, shapes)),
        )

    def add_gradient(
        self, total: Normal, columns: Ints, slopes: Floats, shared: Floats, nodes: Ints, knots: Floats
    ) -> None:
        """Add a chunk: ``slopes`` (T, L, 3), ``shared`` (T, L, 5) of (log sigma, m1, m2, w, log k), ``knots`` (T,
        K)."""
        real = columns >= 0
        rows = columns[real]
        for i in range(3):
            total.gradient[i : 3 * self.n : 3] += np.bincount(rows, slopes[real][:, i], self.n)
        total.gradient[3 * self.n :] += np.bincount(nodes.ravel(), knots.ravel(), self.size - 3 * self.n)
        total.border_gradient[: self.groups] += np.bincount(self.group[rows], shared[real][:, 0], self.groups)
        total.border_gradient[self.groups :] += shared[real][:, 1:].sum(axis=0)

    def add_curvature(self, total: Normal, chunk: int, columns: Ints, nodes: Ints, product: Floats) -> None:
        """Add products (T, J, J) of chunk number ``chunk`` with rows ordered (amplitudes, x, y, knots, shape)."""
        length, k = columns.shape[1], nodes.shape[1]
        for i in range(3):
            for j in range(i, 3):
                block = product[:, i * length : (i + 1) * length, j * length : (j + 1) * length]
                sums = np.bincount(self._slots[chunk], block.ravel(), len(self.pair) + 1)
                total.pairs[3 * i + j] += sums
        index = np.concatenate([3 * columns, 3 * columns + 1, 3 * columns + 2, 3 * self.n + nodes], axis=1)
        real = np.concatenate([columns >= 0] * 3 + [np.ones_like(nodes, dtype=bool)], axis=1)
        inner = 3 * length + k
        np.add.at(total.border, index[real], product[:, :inner, inner:][real])
        total.corner += product[:, inner:, inner:].sum(axis=0)
        at = np.broadcast_to(index[:, :, None], (*index.shape, k))
        to = np.broadcast_to(3 * self.n + nodes[:, None, :], at.shape)
        keep = np.broadcast_to(real[:, :, None], at.shape)
        total.triplets.append((at[keep], to[keep], product[:, :inner, 3 * length : inner][keep]))

    def _blocks(self, total: Normal) -> Floats:
        """(pairs, 3, 3) curvature of pairs of columns; the lower triangle is the transposed pair's upper one."""
        blocks = total.pairs[:, :-1].T.reshape(-1, 3, 3).copy()
        transposed = np.searchsorted(self.pair, self.pair % self.n * self.n + self.pair // self.n)
        for i, j in ((1, 0), (2, 0), (2, 1)):
            blocks[:, i, j] = blocks[transposed, j, i]
        return blocks

    def matrix(self, total: Normal) -> tuple[Any, Any]:
        """Curvature of columns and knots, and of the penalty on uneven knots: sparse CSC matrices (3N + K, 3N + K)."""
        from scipy.sparse import coo_matrix, diags

        blocks = self._blocks(total)
        first, second = 3 * (self.pair // self.n), 3 * (self.pair % self.n)
        step = np.arange(3)
        rows = np.broadcast_to(first[:, None, None] + step[:, None], blocks.shape).ravel()
        columns = np.broadcast_to(second[:, None, None] + step, blocks.shape).ravel()
        pairs = coo_matrix((blocks.ravel(), (rows, columns)), shape=(self.size, self.size))
        at, to, values = (np.concatenate([t[i] for t in total.triplets]) for i in range(3))
        knots = coo_matrix((values, (at, to)), shape=(self.size, self.size)).tocsc()
        own_rows = np.concatenate([np.ones(3 * self.n), np.zeros(self.size - 3 * self.n)])
        cross = diags(own_rows) @ knots
        own = knots.diagonal()[3 * self.n :]
        return (pairs.tocsc() + knots + cross.T).tocsc(), self._stiffness(
            float(np.median(own[own > 0])) if (own > 0).any() else 0.0
        )

    def _stiffness(self, typical: float) -> Any:
        """Curvature of the penalty on differences of neighbouring background knots, as a sparse matrix."""
        from scipy.sparse import coo_matrix

        node = 3 * self.n + np.arange(self.knots[0] * self.knots[1]).reshape(self.knots)
        one = np.concatenate([node[:, 1:].ravel(), node[1:].ravel()])
        two = np.concatenate([node[:, :-1].ravel(), node[:-1].ravel()])
        stiff = np.full(len(one), SMOOTHNESS * typical)
        rows, columns = np.concatenate([one, two, one, two]), np.concatenate([one, two, two, one])
        values = np.concatenate([stiff, stiff, -stiff, -stiff])
        return coo_matrix((values, (rows, columns)), shape=(self.size, self.size)).tocsc()

    def selection(self, free: NDArray[np.bool_], tied: Ints) -> Any:
        """Sparse (3N + K, m) matrix from the m parameters that are fitted to all of them.

        ``free`` (N, 2) says whether amplitude and position of a column are its own; ``tied`` (N, 3) are the rows whose
        mean amplitude the others take.
        """
        from scipy.sparse import coo_matrix

        own = np.ones(self.size, dtype=bool)
        own[: 3 * self.n] = free[:, [0, 1, 1]].ravel()
        place = np.cumsum(own) - 1
        rows, columns, values = [np.flatnonzero(own)], [place[own]], [np.ones(int(own.sum()))]
        bound = np.flatnonzero(tied[:, 0] >= 0)
        for i in range(tied.shape[1]):
            rows.append(3 * bound)
            columns.append(place[3 * tied[bound, i]])
            values.append(np.full(len(bound), 1 / tied.shape[1]))
        index = (np.concatenate(rows), np.concatenate(columns))
        return coo_matrix((np.concatenate(values), index), shape=(self.size, int(own.sum()))).tocsc()

    def factorise(
        self, total: Normal, selection: Any, shape_free: NDArray[np.bool_], known: Known, damping: float
    ) -> Factor:
        """Prepare the solution of these equations for the parameters of ``selection`` and the shape's free ones.

        ``damping`` is added to the diagonal relative to itself (Marquardt).
        """
        from scipy.sparse import diags
        from scipy.sparse.linalg import splu

        curvature, stiffness = self.matrix(total)
        beforehand = np.zeros(self.size)
        beforehand[1 : 3 * self.n : 3] = beforehand[2 : 3 * self.n : 3] = known.position
        matrix = selection.T @ (curvature + stiffness + diags(beforehand)) @ selection
        diagonal = matrix.diagonal()
        lift = damping * diagonal + np.where(diagonal > 0, SINGULAR * diagonal, 1.0)
        chosen = np.flatnonzero(shape_free)
        border, corner = (
            selection.T @ total.border[:, chosen],
            (total.corner + known.shape)[np.ix_(chosen, chosen)],
        )
        factor = splu(
            (matrix + diags(lift)).tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        solved = factor.solve(border) if len(chosen) else border
        schur = corner - border.T @ solved + np.diag((damping + 1e-9) * np.diag(corner) + 1e-30)
        return Factor(selection, factor, stiffness[:, 3 * self.n :], border, solved, schur, chosen)

    def covariance(self, total: Normal, xy: Floats, free: NDArray[np.bool_], known: Floats) -> Floats:
        """(N, 3, 3) inverse curvature of each column's (amplitude, x, y) with its nearest neighbours free as well.

        ``free`` (N, 2) as in :meth:`selection`, ``known`` (N,) curvature of positions known beforehand. Background and
        shape are held: they are known from so many pixels that they add nothing visible.
        """
        from scipy.spatial import cKDTree

        blocks = self._blocks(total)
        own = np.flatnonzero(self.pair // self.n == self.pair % self.n)
        blocks[own[:, None], [1, 2], [1, 2]] += known[self.pair[own] // self.n, None]
        near = cKDTree(xy).query(xy, k=min(NEIGHBOURHOOD, self.n))[1].reshape(self.n, -1)
        free3 = free[:, [0, 1, 1]]
        result = np.full((self.n, 3, 3), np.nan)
        for first in range(0, self.n, 256):
            rows = near[first : first + 256]
            key = rows[:, :, None] * self.n + rows[:, None, :]
            slot = np.minimum(np.searchsorted(self.pair, key), len(self.pair) - 1)
            known = self.pair[slot] == key
            local = np.where(known[..., None, None], blocks[slot], 0.0).transpose(0, 1, 3, 2, 4)
            size = 3 * rows.shape[1]
            local = local.reshape(len(rows), size, size)
            held = ~free3[rows].reshape(len(rows), size)
            local[held[:, :, None] | held[:, None, :]] = 0.0
            own = np.einsum("nii->ni", local)
            own += np.where(held | (own <= 0), 1.0, 1e-9 * own.max(axis=1, keepdims=True) * (own <= 0) + 1e-12 * own)
            mine = np.linalg.solve(local, np.broadcast_to(np.eye(size)[:, :3], (len(rows), size, 3)))[:, :3]
            mine[held[:, :3, None] | held[:, None, :3]] = np.nan
            result[first : first + 256] = mine
        return result
