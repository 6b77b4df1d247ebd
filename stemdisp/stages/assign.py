"""Give every column its site and cell: walk the brightest sublattice from a seed, then place the other sites among it.

Indexing happens once, here.  Columns no peak stood for are predicted from their neighbours; at the rim of the crystal,
where a site has only part of its neighbours, a column is listed only if the image shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import StageError
from ..fitting.contrast import amplitudes
from ..fitting.grid import Grid, distinct, means, usual
from ..fitting.onward import FEWEST, onward
from ..fitting.peaks import Terms, finite, summits, tall_enough
from ..fitting.walk import walk
from ..flags import Flag
from ..model.columns import Columns
from ..model.lattice import Lattice
from ..model.micrograph import Signal
from ..recipe import AssignSection

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ALL, CUT, RIM = 0, 1, 2
"""What stands around a place: all neighbours, some outside the frame, or some missing inside it."""

EVIDENCE = 0.45
"""Contrast, as a share of the median of its site, that a column at the rim of the crystal must show."""

TYPICAL = 300
"""Columns of a site that tell its usual contrast."""

TYPICAL_SIGMA_A = 0.5
"""Width of a column (angstrom, standard deviation) good enough to compare contrasts."""

DARK = 0.2
"""Below this share of the usual contrast a column that the frame cuts is not there, if its rim is not either."""

RIM_SHARE, RIM_CONTRAST = 0.8, 0.7
"""A rim of weak columns is real if this share of them shows its contrast, and their median reaches this much of the
usual."""

FAINTEST, SMOOTHING = 0.12, 0.14
"""Height over its surroundings, in parts of the tallest, of a spot that may be a column of a fainter crystal, and
smoothing in shortest lattice vectors that it is looked for with."""

FAINT = 0.08
"""Sites fainter than this share of the brightest cannot be judged one by one; at the rim they are listed only when
complete."""


@dataclass(frozen=True)
class _Anchors:
    """Brightest-site columns: cell (n, 2), place (n, 2) px; and the cell vectors (2, 2) px that fit them best.

    Predictions use the mean over neighbours and these vectors, not those of the walk, which depend on its path.
    """

    hk: Ints
    xy: Floats
    cell: Floats

    @classmethod
    def fitted(cls, hk: Ints, xy: Floats) -> _Anchors:
        """With cell vectors by least squares."""
        design = np.column_stack([np.ones(len(hk)), hk])
        return cls(hk, xy, np.asarray(np.linalg.lstsq(design, xy, rcond=None)[0][1:], dtype=np.float64))

    def joined(self, hk: Ints, xy: Floats) -> _Anchors:
        """With more of them."""
        return _Anchors(np.concatenate([self.hk, hk]), np.concatenate([self.xy, xy]), self.cell)


def assign(peaks: Columns, lattice: Lattice, signal: Signal, recipe: AssignSection) -> Columns:
    """Columns of all sites of the crystal that contains the lattice's origin.

    Parameters
    ----------
    peaks
        Bare maxima.
    lattice
        Average lattice; its origin must lie in the crystal.
    signal
        The image, to judge columns at the rim.
    recipe
        ``tolerance`` in shortest column distances; ``minimum_cells``.

    Returns
    -------
    Columns
        N rows inside the frame, ordered by site, h, k; ``PREDICTED`` where no peak stood.

    Raises
    ------
    StageError
        Fewer than ``minimum_cells`` columns of the brightest site continue the lattice.
    """
    motif = lattice.motif
    brightest = int(motif.contrast(signal.name).argmax())
    tolerance = recipe.tolerance * motif.shortest_distance_A * 100 / float(lattice.scale_pm.mean())
    seed_hk = np.array([(h, k) for h in range(-2, 3) for k in range(-2, 3)])
    seeds = lattice.position(seed_hk, np.full(len(seed_hk), brightest))
    found = walk(peaks.xy, seeds, seed_hk, lattice.cell, tolerance)
    if len(found.row) < recipe.minimum_cells:
        raise StageError(
            f"{signal.name}: no lattice found: {len(found.row)} {motif.sites[brightest]} columns continue the lattice, "
            f"{recipe.minimum_cells} are needed; check material, zone and pixel size"
        )
    ny, nx = signal.image.shape
    anchors = _fill_holes(_Anchors.fitted(found.hk, peaks.xy[found.row]))
    anchors = _over_fainter_rows(anchors, lattice, signal, tolerance / 2)
    anchors = _to_the_frame(anchors, lattice, signal)
    parts = [_candidates(anchors, lattice, site, brightest, (ny, nx)) for site in range(len(motif.sites))]
    site = np.concatenate([np.full(len(hk), s) for s, (hk, _, _) in enumerate(parts)])
    hk, xy, around = (np.concatenate([part[i] for part in parts]) for i in range(3))
    order = np.lexsort((hk[:, 1], hk[:, 0], site))
    order = order[_inside(xy[order], (ny, nx))]
    flags, xy = _claim_peaks(xy[order], peaks, tolerance / 2)
    table = Columns.at(
        xy,
        motif.sites,
        (signal.name,),
        site=site[order],
        hk=hk[order],
        island=np.zeros(len(order), dtype=np.int64),
        flags=flags,
    )
    return table.take(_shown(hk[order], xy, site[order], around[order], lattice, signal))


def _fill_holes(anchors: _Anchors) -> _Anchors:
    """Add cells that no peak stands for and that have anchors on both sides along a or along b."""
    place = Grid.of(anchors.hk)
    row = np.arange(len(anchors.hk))
    holes, ends = [], []
    for step in np.eye(2, dtype=np.int64):
        empty = place.at(anchors.hk + step) < 0
        for gap in (2, 3):
            other = place.at(anchors.hk + gap * step)
            across = np.flatnonzero(empty & (other >= 0))
            for n in range(1, gap):
                holes.append(anchors.hk[across] + n * step)
                ends.append(np.stack([row[across], other[across]], axis=1))
            empty &= other < 0
    hk, index, _ = distinct(np.concatenate(holes))
    if not len(hk):
        return anchors
    # A hole between several pairs is placed by the one that was walked to last.
    last, pairs = np.zeros(len(hk), dtype=np.int64), np.concatenate(ends)
    order = np.argsort(pairs[:, 0], kind="stable")
    last[index[order]] = order
    xy = np.mean([anchors.xy[end] + (hk - anchors.hk[end]) @ anchors.cell for end in pairs[last].T], axis=0)
    return anchors.joined(hk, xy)


def _over_fainter_rows(anchors: _Anchors, lattice: Lattice, signal: Signal, tolerance: float) -> _Anchors:
    """Add rows of columns fainter than what was looked for, as those of another crystal in the same lattice."""
    ny, nx = signal.image.shape
    short = float(np.linalg.norm(lattice.cell, axis=1).min())
    frame = np.array([[0, 0], [nx - 1, ny - 1]]) + 0.5 * short * np.array([[1], [-1]])
    steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    beside = (anchors.xy[:, None] + steps @ anchors.cell).reshape(-1, 2)
    free = Grid.of(anchors.hk).at((anchors.hk[:, None] + steps).reshape(-1, 2)) < 0
    if (free & ((beside > frame[0]) & (beside < frame[1])).all(axis=1)).sum() < FEWEST:
        return anchors
    image = signal.contrast * finite(signal.image)
    spots, heights = summits(Terms.of(image), 0.5 * short, max(0.7, SMOOTHING * short))
    spots = spots[tall_enough(heights, FAINTEST)]
    hk, xy = onward(anchors.hk, anchors.xy, anchors.cell, spots, tolerance, frame)
    return _fill_holes(anchors.joined(hk, xy)) if len(hk) else anchors


def _inside(xy: Floats, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(n,) positions within the frame (its pixels' outer edges)."""
    return np.asarray(((xy > -0.5) & (xy < np.array([shape[1], shape[0]]) - 0.5)).all(axis=1))


def _candidates(
    anchors: _Anchors, lattice: Lattice, site: int, brightest: int, shape: tuple[int, int]
) -> tuple[Ints, Floats, Ints]:
    """Cells (n, 2) and places (n, 2) of a site, from all the anchors around each place, and what is around it (n,):
    all its anchors, some outside the frame, or some missing."""
    motif = lattice.motif
    if site == brightest:
        return anchors.hk, anchors.xy, np.full(len(anchors.hk), ALL)
    offsets = motif.around(motif.sites[site], motif.sites[brightest])
    targets = (anchors.hk[:, None, :] - offsets).reshape(-1, 2)
    step = motif.fractions[site] - motif.fractions[brightest] - offsets
    places = (anchors.xy[:, None, :] + step @ anchors.cell).reshape(-1, 2)
    hk, index, count = distinct(targets)
    xy = means(places, index, count)
    beside = (xy[:, None, :] - step @ anchors.cell).reshape(-1, 2)
    unseen = (~_inside(beside, shape)).reshape(len(hk), len(offsets)).sum(axis=1)
    around = np.where(count >= len(offsets), ALL, np.where(count + unseen >= len(offsets), CUT, RIM))
    return hk, xy, around


def _to_the_frame(anchors: _Anchors, lattice: Lattice, signal: Signal) -> _Anchors:
    """Add the columns that the frame cuts, where no maximum can be seen, as far as the image shows them."""
    ny, nx = signal.image.shape
    steps = np.array([(h, k) for h in (-1, 0, 1) for k in (-1, 0, 1) if h or k])
    high = np.array([nx, ny]) - 1
    reach = 0.5 * np.linalg.norm(lattice.cell, axis=1).min()
    xy = (anchors.xy[:, None, :] + steps @ anchors.cell).reshape(-1, 2)
    cut = _inside(xy, (ny, nx)) & ((xy < reach) | (xy > high - reach)).any(axis=1)
    hk = (anchors.hk[:, None, :] + steps).reshape(-1, 2)
    cut &= Grid.of(anchors.hk).at(hk) < 0
    if not cut.any():
        return anchors
    cells, index, count = distinct(hk[cut])
    more = anchors.joined(cells, means(xy[cut], index, count))
    brightest = np.full(len(more.hk), int(lattice.motif.contrast(signal.name).argmax()))
    around = np.where(np.arange(len(more.hk)) < len(anchors.hk), ALL, RIM)
    seen = _shown(more.hk, more.xy, brightest, around, lattice, signal)
    return _Anchors(more.hk[seen], more.xy[seen], more.cell)


def _claim_peaks(xy: Floats, peaks: Columns, tolerance: float) -> tuple[Ints, Floats]:
    """Flags (n,) and starts (n, 2): a place with a peak within ``tolerance`` px starts there, the others are
    predicted."""
    from scipy.spatial import cKDTree

    _, near = map(np.asarray, cKDTree(peaks.xy).query(xy, distance_upper_bound=tolerance))
    claimed = near < len(peaks)
    start = np.where(claimed[:, None], peaks.xy[np.where(claimed, near, 0)], xy)
    return np.where(claimed, 0, int(Flag.PREDICTED)), start


def _shown(hk: Ints, xy: Floats, site: Ints, around: Ints, lattice: Lattice, signal: Signal) -> NDArray[np.bool_]:
    """(N,) columns to list: those with all their neighbours, and others whose contrast is what is usual for their site.

    Contrasts come from a linear fit together with all neighbours, so that the tail of a bright one is not taken for a
    column. A weak column at the rim cannot be told from an atom of an amorphous cap: a rim of them counts as a whole or
    not at all. Where only the frame hides a neighbour a column is listed, unless it is as dark as such a rim beside it.
    """
    rims, cuts = (
        [np.flatnonzero((around == kind) & (site == s)) for s in range(len(lattice.motif.sites))] for kind in (RIM, CUT)
    )
    strength = lattice.motif.contrast(signal.name)
    listed = np.ones(len(xy), dtype=bool)
    if not (around == RIM).any():
        return listed
    typical = _typical(xy, site, around)
    wanted = np.isin(np.arange(len(xy)), np.concatenate([*rims, *typical.values()]))
    for s, (rim, cut) in enumerate(zip(rims, cuts, strict=True)):
        wanted[cut] = _beside(hk[cut], hk[rim])
        near = np.flatnonzero((site == s) & (around == ALL))
        wanted[near] |= _beside(hk[near], hk[rim])
    sigma = TYPICAL_SIGMA_A * 100 / float(lattice.scale_pm.mean())
    contrast = signal.contrast * amplitudes(signal.image, xy, sigma, wanted)
    relative = np.full(len(xy), np.nan)
    for s, rows in typical.items():
        own = np.flatnonzero((site == s) & wanted)
        relative[own] = contrast[own] / usual(contrast[own], hk[own], float(np.median(contrast[rows])))
    faint = strength[site] < FAINT
    listed = (around != RIM) | (~faint & (relative >= EVIDENCE))
    for weak in np.flatnonzero(strength < 1):
        for members in _groups(hk[rims[weak]]):
            rim, cut = rims[weak][members], cuts[weak]
            share = (relative[rim] >= EVIDENCE).mean()
            if share < RIM_SHARE or np.median(relative[rim]) < RIM_CONTRAST:
                listed[rim] = False
                listed[cut] &= ~(_beside(hk[cut], hk[rim]) & (relative[cut] < DARK))
    return np.asarray(listed)


def _typical(xy: Floats, site: Ints, around: Ints) -> dict[int, NDArray[np.intp]]:
    """Rows that tell what contrast is usual for each site: those with all their neighbours, in the middle of the
    crystal."""
    inner = np.flatnonzero(around == ALL)
    order = inner[np.argsort(np.hypot(*(xy[inner] - xy[inner].mean(axis=0)).T), kind="stable")]
    return {int(s): order[site[order] == s][:TYPICAL] for s in np.unique(site[inner])}


def _beside(hk: Ints, some: Ints) -> NDArray[np.bool_]:
    """(N,) whether one of ``some`` cells (n, 2) is that of a column or touches it, by side or corner."""
    there, steps = Grid.of(some), np.array([(h, k) for h in (-1, 0, 1) for k in (-1, 0, 1)])
    found = np.zeros(len(hk), dtype=bool)
    for step in steps:
        found |= there.at(hk + step) >= 0
    return found


def _groups(hk: Ints) -> list[Ints]:
    """Rows of cells (n, 2) that touch, by side or corner."""
    from scipy.ndimage import label

    if not len(hk):
        return []
    place = tuple((hk - hk.min(axis=0)).T)
    grid = np.zeros(np.ptp(hk, axis=0) + 1, dtype=bool)
    grid[place] = True
    numbers = np.asarray(label(grid, structure=np.ones((3, 3)))[0])[place]
    return [np.flatnonzero(numbers == n) for n in np.unique(numbers)]
