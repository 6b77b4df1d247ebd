"""How much of a column's own shape the joint fit has put into its neighbours, and how to take it back.

The joint fit gives all columns of a group one shape.  What a column really has of its own it then puts, in part, into
what it may change: heights and places of the columns beside it.  The image without these lacks that part, the more so
the nearer and the freer the neighbours are; and a column as wide as its neighbours' distance shows theirs as well.

To first order this is linear, and of a crystal it is the same in every cell: with P the projection onto what the joint
fit may change, Q_j what a change of moments of column j makes of the image and L_i the fit of column i alone,

    seen_i = sum_j T_ij true_j,    T_ij = L_i (1 - P) Q_j.

T comes from the mean crystal, cell by cell alike, and is solved for the true moments.  Errors are those of L (1 - P)
with the same solution, and of neighbours whose places are known beforehand but not exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .ellipses import WINDOW_WIDTHS, Ellipses
from .grid import Grid
from .joint import JointFit
from .problem import FAINTEST, Problem, background_at, variance_model
from .profile import Shape

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

REACH = 1.25
"""Radius of the part of the crystal that is looked at, in radii of the widest profile."""

FINEST = 2.0
"""Pixels per width of the narrowest column at most: finer ones are looked at in coarser steps."""

STIFF = 1e-9
"""Relative stiffness of what the joint fit may change: below it nothing differs."""

LEAST, LOUDEST = 0.002, 0.05
"""Neighbours of which a column shows less than the first share are left aside, for the noise those of less than the
second: many together show where all change alike, but not in their noise."""

ROUNDS = 4
"""How often the moments of neighbours are put in: bright columns show little of faint ones, so one or two would do."""

ELEMENTS = np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]])
"""Change of a (2, 2) matrix of second moments by its elements xx, xy and yy."""


@dataclass(frozen=True)
class Crystal:
    """Where columns (n) belong in their lattice.

    cell
        (2, 2) cell vectors in px, one a row.
    places
        (S, 2) px; where the sites stand in a cell.
    site, hk
        (n,) and (n, 2) site and cell of each column.
    """

    cell: Floats
    places: Floats
    site: Ints
    hk: Ints


@dataclass(frozen=True)
class Response:
    """Of one site: the columns (m) whose moments its own show, as their sites (m,) and cells (m, 2) from its own, the
    first being itself, and by how much (m, 3, 3).

    ``lone`` (3, 3) is the covariance of its moments as of a column alone, ``noise`` that of the true ones from the same
    pixels, and ``misplaced`` what places make that are known beforehand, but not exactly.
    """

    site: Ints
    hk: Ints
    matrix: Floats
    lone: Floats
    noise: Floats
    misplaced: Floats

    def covariance(self, found: Floats) -> Floats:
        """(n, 3, 3) of true moments where the fit of columns alone says ``found`` (n, 3, 3)."""
        share = np.einsum("ij,nji->n", np.linalg.inv(self.lone), found) / 3
        return np.asarray(share[:, None, None] * self.noise + self.misplaced)


def responses(problem: Problem, joint: JointFit, crystal: Crystal) -> list[Response | None]:
    """The response of every site; None of sites that are held, whose places are known beforehand, or that cannot be
    told from their neighbours, as in an image that shows no columns.

    Heights, freedom and background are the medians of each site, the shape that of the joint fit.
    """
    mean = _mean(problem, joint, crystal)
    told = np.isinf(mean.known) & (mean.height != 0)
    found: list[Response | None] = []
    for site in range(len(crystal.places)):
        try:
            found.append(_response(mean, site, told) if told[site] else None)
        except np.linalg.LinAlgError:
            found.append(None)
    return found


@dataclass(frozen=True)
class _Mean:
    """The mean crystal: of each site (S,) height, width and spread of what is known beforehand of its place, 0 where
    it is held."""

    shape: Shape
    cell: Floats
    places: Floats
    height: Floats
    sigma: Floats
    known: Floats
    radius: float
    inner: float
    background: float
    variance: tuple[float, float]
    noise: float


def _mean(problem: Problem, joint: JointFit, crystal: Crystal) -> _Mean:
    n, count = len(crystal.site), len(crystal.places)
    state = joint.state
    height, sigma, known = np.zeros(count), np.ones(count), np.zeros(count)
    for site in range(count):
        rows = np.flatnonzero(crystal.site == site)
        if len(rows):
            height[site] = np.median(state.amplitude[rows])
            sigma[site] = np.exp(state.shape.log_sigma)[problem.group[rows[0]]]
            free = problem.free[rows]
            known[site] = np.median(problem.known[rows][free]) if 2 * free.sum() > len(rows) else 0.0
    background = float(np.median(background_at(problem, state, state.xy[:n])))
    return _Mean(
        state.shape,
        crystal.cell,
        crystal.places,
        height,
        sigma,
        known,
        REACH * float(problem.radius.max()),
        float(problem.inner.max()),
        background,
        problem.variance,
        joint.chi2,
    )


def _response(mean: _Mean, centre: int, told: Mask) -> Response:
    """Of one site, as to the moments of the sites that are ``told`` (S,)."""
    site, hk, place = _around(mean, centre)
    pixels, step = _pixels(mean, place)
    parts = [_profile(mean, int(s), pixels - at) for s, at in zip(site, place, strict=True)]
    root = _weights(mean, np.sum([part.heights for part in parts], axis=0))
    span, beforehand, misplaced = [root], [0.0], []
    for s, part in zip(site, parts, strict=True):
        span.append(part.heights * root)
        beforehand.append(0.0)
        if mean.known[s] > 0:
            span += list(part.places * root)
            beforehand += [mean.noise / (mean.known[s] * step) ** 2] * 2
        if np.isfinite(mean.known[s]):
            misplaced += list(mean.known[s] * part.places * root)
    changed = np.array(span).T
    normal = _product(changed.T, changed) + np.diag(beforehand)
    # Columns of which only the rim is in view are hardly told apart; a trace of stiffness holds them.
    normal[np.diag_indices(len(normal))] *= 1 + STIFF
    inverse = _inverse(normal)

    def left(of: Floats) -> Floats:
        return of - _product(changed, _product(inverse, _product(changed.T, of)))

    near = np.flatnonzero(told[site] & (np.hypot(*place.T) <= mean.radius / REACH))
    near = near[np.argsort(np.hypot(*place[near].T), kind="stable")]
    made = left(np.stack([parts[k].moments for k in near]).reshape(3 * len(near), -1).T * root[:, None])

    def fit_of(k: int) -> tuple[Floats, Floats]:
        alone = _alone(mean, int(site[k]), place[k], pixels, root)
        return alone, _product(alone, made).reshape(3, len(near), 3).transpose(1, 0, 2)

    own, matrix = fit_of(int(near[0]))
    # What neighbours show by themselves is taken off, with its noise.
    pure = own.copy()
    for number in range(1, len(near)):
        if np.abs(matrix[number]).max() > LOUDEST:
            beside, shown = fit_of(int(near[number]))
            pure -= matrix[number] @ np.linalg.solve(shown[number], beside)
    pure = left(np.linalg.solve(matrix[0], pure).T).T
    by_place = _product(pure, np.array(misplaced).T) if misplaced else np.zeros((3, 1))
    own, pure, by_place = (_product(part, part.T) for part in (own, pure, by_place))
    return Response(site[near], hk[near], matrix, own, pure, by_place)


def _product(one: Floats, other: Floats) -> Floats:
    """(n, m) product of (n, k) and (k, m), added up in one order; ``@`` adds it up as threads of BLAS share it."""
    return np.asarray(np.einsum("nk,km->nm", one, other))


def _inverse(matrix: Floats) -> Floats:
    """Of a symmetric, positive definite matrix (n, n), eliminated in one order (Gauss and Jordan); LAPACK's depends on
    its threads.  Raises LinAlgError where the matrix is not positive definite."""
    n = len(matrix)
    rows = np.concatenate([matrix, np.eye(n)], axis=1)
    for k in range(n):
        if not rows[k, k] > 0:
            raise np.linalg.LinAlgError("not positive definite")
        pivot = rows[k] / rows[k, k]
        rows -= rows[:, k, None] * pivot
        rows[k] = pivot
    return rows[:, n:]


def _around(mean: _Mean, centre: int) -> tuple[Ints, Ints, Floats]:
    """Sites (m,), cells (m, 2) and places (m, 2) px of the columns around one, from its own place and cell."""
    reach = mean.radius + 2 * float(mean.sigma.max())
    most = int(np.ceil(reach * np.linalg.norm(np.linalg.inv(mean.cell), axis=0).max())) + 1
    steps = np.arange(-most, most + 1)
    cells = np.stack([axis.ravel() for axis in np.meshgrid(steps, steps, indexing="ij")], axis=1)
    there = np.flatnonzero(mean.height != 0)
    hk, site = np.repeat(cells, len(there), axis=0), np.tile(there, len(cells))
    place = hk @ mean.cell + mean.places[site] - mean.places[centre]
    near = np.hypot(*place.T) <= reach
    return site[near], hk[near], place[near]


def _pixels(mean: _Mean, columns: Floats) -> tuple[Floats, float]:
    """(p, 2) places of pixels around a column that the joint fit uses, given where columns (m, 2) are, and the step
    between them: of profiles that are sampled finely sums are integrals, and few pixels are enough."""
    step = max(1.0, float(mean.sigma[mean.height != 0].min()) / FINEST)
    half = np.ceil(mean.radius / step)
    line = np.arange(-half, half + 1) * step
    pixels = np.stack([axis.ravel() for axis in np.meshgrid(line, line)], axis=1)
    pixels = pixels[np.hypot(*pixels.T) <= mean.radius]
    nearest = np.linalg.norm(pixels[:, None] - columns, axis=2).min(axis=1)
    return pixels[nearest <= mean.inner], step


def _weights(mean: _Mean, heights: Floats) -> Floats:
    """(p,) roots of the weights of pixels in which columns add ``heights`` to the background."""
    offset, gain, floor = variance_model(mean.variance, FAINTEST * float(np.abs(heights).max()))
    return np.asarray(1 / np.sqrt(np.maximum(offset + gain * (mean.background + heights), floor)))


@dataclass(frozen=True)
class _Part:
    """What a column adds to pixels (p,), and by how much that changes with its place (2, p) and moments (3, p)."""

    heights: Floats
    places: Floats
    moments: Floats


def _profile(mean: _Mean, site: int, d: Floats) -> _Part:
    shape = mean.shape
    inverse = shape.metric / mean.sigma[site] ** 2
    pull = d @ inverse
    squared = (pull * d).sum(axis=1)
    narrower = np.exp(-2 * shape.log_ratio)
    core = mean.height[site] * (1 - shape.tail) * np.exp(-squared / 2)
    wide = mean.height[site] * shape.tail * np.exp(-squared * narrower / 2)
    slope = core + narrower * wide
    # dS^-1 = -S^-1 dS S^-1.
    moments = np.array([0.5 * slope * ((pull @ change) * pull).sum(axis=1) for change in ELEMENTS])
    return _Part(core + wide, slope * pull.T, moments)


def _alone(mean: _Mean, site: int, place: Floats, pixels: Floats, root: Floats) -> Floats:
    """(3, p) what makes moments of weighted pixels in the fit of a column alone, without a tail and on a slope."""
    d = pixels - place
    used = np.hypot(*d.T) <= WINDOW_WIDTHS * float(mean.sigma[mean.height != 0].max())
    part = _profile(replace(mean, shape=replace(mean.shape, tail=0.0)), site, d[used])
    design = np.column_stack([*part.moments, part.heights, *part.places, np.ones(int(used.sum())), d[used]])
    found = np.zeros((3, len(pixels)))
    found[:, used] = np.linalg.pinv(design * root[used, None])[:3]
    return found


def undone(seen: Ellipses, problem: Problem, joint: JointFit, crystal: Crystal) -> Ellipses:
    """Ellipses of all columns (n,) of the crystal with what the joint fit has put into their neighbours taken back.

    A neighbour without moments of its own counts as if it had those of its group. Columns of which the profile reaches
    beyond the frame, to neighbours nobody sees, and those of sites without an answer, have none.
    """
    usual = _usual(problem, joint, crystal)
    off, covariance = seen.moments - usual, seen.covariance.copy()
    own, others, answered = off.copy(), [], np.zeros(len(off), dtype=bool)
    for site, answer in enumerate(responses(problem, joint, crystal)):
        rows = np.flatnonzero(crystal.site == site)
        if answer is None or not len(rows):
            continue
        answered[rows] = True
        back = np.linalg.inv(answer.matrix[0])
        own[rows] = off[rows] @ back.T
        covariance[rows] = answer.covariance(seen.covariance[rows])
        for to, step, matrix in zip(answer.site[1:], answer.hk[1:], answer.matrix[1:], strict=True):
            if np.abs(matrix).max() > LEAST:
                there = np.flatnonzero(crystal.site == to)
                at = Grid.of(crystal.hk[there], there).at(crystal.hk[rows] + step)
                others.append((rows[at >= 0], at[at >= 0], back @ matrix))
    true = own
    for _ in range(ROUNDS):
        known, following = np.nan_to_num(true), own.copy()
        for rows, beside, matrix in others:
            following[rows] -= known[beside] @ matrix.T
        true = following
    ny, nx = problem.image.shape
    from_frame = np.minimum(seen.xy, np.array([nx - 1, ny - 1]) - seen.xy).min(axis=1)
    told = answered & (from_frame > problem.radius[: len(from_frame)])
    return Ellipses(
        seen.xy,
        np.where(told[:, None], usual + true, np.nan),
        np.where(told[:, None, None], covariance, np.nan),
    )


def _usual(problem: Problem, joint: JointFit, crystal: Crystal) -> Floats:
    """(n, 3) moments of the core that the joint fit gives all columns of a group."""
    round_ = np.linalg.inv(joint.state.shape.metric)[[0, 0, 1], [0, 1, 1]]
    sigma = np.exp(joint.state.shape.log_sigma)[problem.group[: len(crystal.site)]]
    return np.asarray(sigma[:, None] ** 2 * round_)
