"""Fit again the columns of one signal that were changed by hand, and those around them, while all others stay.

Everything that all columns share (profile, background, weights, what a site usually looks like) is taken from the last
fit of the whole image: what is found here is where that fit would have ended but for what a few columns change of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..backend import CPU, Device
from ..errors import StageError
from ..fitted import WINDOW_WIDTHS, framed, measured, near_frame
from ..fitting.patch import MARGIN, box, fit_patch
from ..fitting.problem import COLUMNWISE, Problem, State, background_at
from ..fitting.saturation import unsaturated
from ..flags import Flag
from ..model.columns import Columns
from ..model.kept import Settled
from ..model.lattice import Lattice
from ..model.micrograph import Signal
from ..recipe import RefineSection

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

AROUND = 1.0
"""Columns as near to one that was changed as so many of their profiles' radii are fitted again."""

APART = 4.0
"""Changes as far apart as so many radii have nothing to do with each other."""


BY_HAND = int(Flag.PREDICTED | Flag.EDITED | Flag.EXCLUDED)
"""What is known of a column before it is fitted."""


@dataclass(frozen=True)
class Change:
    """Columns as they were listed for the last fit of the whole image, and as they are listed with other edits: both
    with the places (N, 2) px in the position signal that a fit starts from."""

    before: Columns
    after: Columns

    @cached_property
    def kept(self) -> Ints:
        """(N,) row before of each row after, -1 where there was none."""
        return self.before.rows_of(self.after.site, self.after.hk)

    @cached_property
    def moved(self) -> Mask:
        """(N,) rows after that were not there before, or elsewhere."""
        known = self.kept >= 0
        there = self.before.xy[np.where(known, self.kept, 0)]
        return np.asarray(~known | (self.after.xy != there).any(axis=1))

    @property
    def nothing(self) -> bool:
        """Whether the same columns are listed as before, at the same places, with the same flags."""
        same = not self.moved.any() and not len(self.left)
        return same and bool((self.after.flags == self.before.flags).all())

    @cached_property
    def left(self) -> Ints:
        """Rows before that are no longer there."""
        gone = self.after.rows_of(self.before.site, self.before.hk) < 0
        gone[self.kept[self.moved & (self.kept >= 0)]] = True
        return np.flatnonzero(gone)


def retouch(
    signal: Signal,
    table: Columns,
    settled: Settled,
    change: Change,
    starts: Floats,
    lattice: Lattice,
    recipe: RefineSection,
    *,
    device: Device = CPU,
) -> Columns:
    """The columns of one signal after a change by hand.

    Parameters
    ----------
    signal
        Raw image.
    table, settled
        Columns as the fit of the whole image measured them, and where that fit ended.
    change
        What was listed then, and the N columns listed now.
    starts
        (N, 2) px where these are looked for in this signal, as far as they were moved or added.
    lattice
        Average lattice, for sites and scale.
    recipe
        Window of weak columns, tolerance, iterations.
    device
        Where windows are fitted.

    Returns
    -------
    Columns
        The N rows. Those that were moved or added, and those around them and around what they left, are fitted again;
        all others are as in ``table``.

    Raises
    ------
    StageError
        A column was added of a site of which no other is there to go by.
    """
    now = _placed(_continued(signal, settled, change, starts, lattice), settled, change)
    n = len(change.after)
    spots = np.concatenate([now.state.xy[:n][change.moved | now.pulled], settled.state.xy[change.left]])
    found = _carried(table, change)
    for rows in _patches(now.problem, now.state, spots, n):
        now, part = _patched(signal, now, settled, change, rows, lattice, recipe, device=device)
        if settled.place is not None:
            now = _placed(now, settled, change)
            if now.pulled[rows].any():
                now, part = _patched(signal, now, settled, change, rows, lattice, recipe, device=device)
        arrays = {name: array.copy() for name, array in found.arrays().items()}
        for name, array in part.arrays().items():
            arrays[name][rows] = array
        found = found.replace(**arrays)
    return found


@dataclass(frozen=True)
class _Now:
    """The joint problem of the columns listed now and those beyond the frame, where all are by now, rows (N,) that are
    held somewhere or near it, and which of those are to be held elsewhere than so far."""

    problem: Problem
    state: State
    held: Mask
    pulled: Mask


def _continued(signal: Signal, settled: Settled, change: Change, starts: Floats, lattice: Lattice) -> _Now:
    """The problem of the columns listed now: those moved or added at their ``starts``, all others as they were."""
    old, moved, n = settled.problem, np.flatnonzero(change.moved), len(change.after)
    model = np.array([_alike(settled, change, int(row)) for row in moved], dtype=np.int64)
    rows = change.kept.copy()
    rows[rows < 0] = model[change.kept[moved] < 0]
    rows = np.concatenate([rows, np.arange(len(change.before), len(old.start))])
    values = {name: getattr(old, name)[rows] for name in COLUMNWISE}
    xy, amplitude, place = settled.state.xy[rows], settled.state.amplitude[rows], starts[moved]
    inside = framed(signal, place, lattice) & ~(np.isfinite(old.known[model]) & near_frame(signal, place, lattice))
    xy[moved] = values["start"][moved] = values["expected"][moved] = place
    values["free"][moved] = old.free[model] & inside
    # Its height is found where it stands.
    amplitude[moved] = settled.state.amplitude[model]
    problem = replace(old, **values, tied=np.full((len(rows), 3), -1), led=np.full((len(rows), 3), -1))
    # What the frame cuts moves along with others and is held nowhere.
    held = (np.isfinite(problem.known) | ~problem.free) & (old.led[rows, 0] < 0)
    state = replace(settled.state, xy=xy, amplitude=amplitude, free=problem.free)
    return _Now(problem, state, held[:n], np.zeros(n, dtype=bool))


def _alike(settled: Settled, change: Change, row: int) -> int:
    """Row before of a column of the site of ``row`` that is fitted as those of its site are."""
    site = int(change.after.site[row])
    others = np.flatnonzero(change.before.site == site)
    if not len(others):
        name = change.after.sites[site]
        raise StageError(f"no column of {name} is there to go by; run the whole analysis again with this edit")
    height = np.abs(settled.state.amplitude[others] - np.median(settled.state.amplitude[others]))
    return int(others[np.lexsort((height, ~settled.problem.free[others]))[0]])


def _placed(now: _Now, settled: Settled, change: Change) -> _Now:
    """With columns that are held expected where the others say by now."""
    if settled.place is None:
        return replace(now, pulled=np.zeros(len(now.held), dtype=bool))
    problem, n, kept = now.problem, len(change.after), change.kept
    expected = problem.expected.copy()
    was = settled.place(change.before.replace(xy=settled.state.xy[: len(change.before)]))
    there = settled.place(change.after.replace(xy=now.state.xy[:n]))
    known = now.held & ~change.moved
    expected[:n][known] = settled.problem.expected[kept[known]] + there[known] - was[kept[known]]
    expected[:n][now.held & change.moved] = there[now.held & change.moved]
    pulled = np.hypot(*(expected - problem.expected)[:n].T) > problem.tolerance[:n]
    xy = now.state.xy.copy()
    anew = (now.held & change.moved & pulled) | (now.held & ~problem.free[:n])
    xy[:n][anew] = expected[:n][anew]
    return _Now(replace(problem, expected=expected), replace(now.state, xy=xy), now.held, pulled)


def _patches(problem: Problem, state: State, spots: Floats, n: int) -> list[Ints]:
    """Rows (n,) around places (M, 2) px of the image, one list for each group of places that are near each other."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    if not len(spots):
        return []
    radius = float(problem.radius.max())
    one, two = cKDTree(spots).query_pairs(APART * radius, output_type="ndarray").T
    links = coo_matrix((np.ones(len(one)), (one, two)), shape=(len(spots), len(spots)))
    count, group = connected_components(links, directed=False)
    columns, found = cKDTree(state.xy[:n]), []
    for number in range(count):
        near = columns.query_ball_point(spots[group == number], AROUND * radius)
        found.append(np.unique(np.concatenate([np.array(rows, dtype=np.int64) for rows in near])))
    return found


def _patched(
    signal: Signal,
    now: _Now,
    settled: Settled,
    change: Change,
    rows: Ints,
    lattice: Lattice,
    recipe: RefineSection,
    *,
    device: Device,
) -> tuple[_Now, Columns]:
    """The fit of some rows: where they are by now, and their part of the table."""
    scale, state = 100 / float(lattice.scale_pm.mean()), now.state
    widest = float(np.exp(state.shape.log_sigma).max())
    part = box(now.problem, state.xy, rows, max(scale * recipe.weak_window, WINDOW_WIDTHS * widest) + MARGIN)
    pixels = unsaturated(signal.image[part], settled.ceiling, single=now.problem.image.dtype == np.float32)
    patch = fit_patch(
        now.problem,
        state,
        pixels,
        rows,
        part,
        chi2=settled.chi2,
        faintest=settled.faintest,
        max_iterations=recipe.max_iterations,
    )
    start = change.after.take(rows).replace(xy=patch.problem.start)
    seen = replace(signal, image=patch.problem.image)
    table, _ = measured(seen, start, lattice, patch.problem, patch.joint, recipe, device, usual=settled.usual)
    xy, amplitude = state.xy.copy(), state.amplitude.copy()
    xy[rows], amplitude[rows] = patch.joint.state.xy + patch.corner, patch.joint.state.amplitude
    place = table.xy + patch.corner
    ground = background_at(settled.problem, settled.state, place)
    return replace(now, state=replace(state, xy=xy, amplitude=amplitude)), table.replace(xy=place, background=ground)


def _carried(table: Columns, change: Change) -> Columns:
    """The table with the rows listed now, measured as far as they were there before."""
    after = change.after
    found = table.take(np.maximum(change.kept, 0))
    flags = (found.flags & ~BY_HAND) | (after.flags & BY_HAND)
    return found.replace(site=after.site, hk=after.hk, island=after.island, flags=flags)
