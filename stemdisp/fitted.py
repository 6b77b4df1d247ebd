"""Make a table of what the fits of a signal found: positions, errors, and flags that say what to think of them.

Weak columns come from a second fit, each alone on the image minus all others (fitting.local); of all others such a fit
says how far another model would place them elsewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .backend import CPU, Device
from .fitting.absorbed import Crystal, undone
from .fitting.discs import disc_sums
from .fitting.ellipses import Ellipses, fit_ellipses, width
from .fitting.grid import usual as usual_around
from .fitting.joint import JointFit
from .fitting.local import LocalFit, LocalProblem, fit_windows
from .fitting.problem import Problem, background_at
from .fitting.resolve import resolved
from .fitting.surround import inside_share
from .flags import Flag
from .model.columns import Columns
from .model.kept import Usual
from .model.lattice import Lattice
from .model.micrograph import Signal
from .pulse import beat
from .recipe import RefineSection

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WINDOW_WIDTHS = 2.5
"""Radius of the window of weak columns, at least, in widths: in less than about two the slopes of the plane take a part
of the displacement, and in blurred images turn its sign."""

CORE_A, CORE_SHARE = 0.6, 0.7
"""A column with less than this share of a core of this radius (angstrom) inside the frame keeps its place."""

BESIDE_A = 2.5
"""Oxygen columns nearer to the frame than this (angstrom) keep their place."""

OWN_WIDTHS = (0.6, 1.6)
"""Widths of a column as an ellipse of its own, in those of its site, that are believed: where columns overlap much,
what is undone of their neighbours outgrows them."""

MOSTLY_KNOWN = 0.5
"""A column whose position is known beforehand to more than this share is held."""

WEAK_SNR, WEAK_SHARE = 3.0, 1 / 3
"""A column is weak below this many standard deviations, or this share of its site's median contrast."""

ROUNDING = 8.0
"""An error is at least as large as so many roundings of the background: of an image of one value no other is left."""


def measured(
    signal: Signal,
    columns: Columns,
    lattice: Lattice,
    problem: Problem,
    joint: JointFit,
    recipe: RefineSection,
    device: Device = CPU,
    *,
    usual: Usual | None = None,
) -> tuple[Columns, Usual]:
    """The table of a joint fit, and what its columns are judged by.

    Parameters
    ----------
    signal
        The image that was fitted.
    columns
        The N columns that the fit began with, the first of the problem's.
    lattice
        Average lattice, for sites and scale.
    problem, joint
        What was fitted and where it ended.
    recipe
        Window of weak columns, tolerance, iterations.
    device
        Where windows are fitted.
    usual
        What the columns are judged by where they are not all of the image; None = they are, and say it themselves.

    Returns
    -------
    Columns
        The same rows with ``xy``, ``cov`` (px^2), ``amplitude``, ``sigma`` (px), ``background``, ``residual`` and
        ``flags``.
    Usual
        As given, or as these columns say.
    """
    n, scale = len(columns), 100 / float(lattice.scale_pm.mean())
    placed = np.isfinite(problem.known[:n])
    strength = lattice.motif.contrast(signal.name)[columns.site]
    again = np.flatnonzero((strength < 1) & joint.state.free[:n] & ~placed)
    window = max(scale * recipe.weak_window, WINDOW_WIDTHS * float(np.exp(joint.state.shape.log_sigma).max()))
    local = _refit(problem, joint, again, window, recipe, device, ridge=None if usual is None else usual.ridge)
    beat()
    table = _table(signal, columns, problem, joint, again, local, device)
    beat()
    whole = usual is None
    if usual is None:
        usual = Usual(local.ridge, _heights(signal, table), _shoulders(signal, table, lattice, problem, joint))
    moving = joint.moving[:n].copy()
    moving[again] = local.moving
    flags = _flags(signal, table, problem, lattice, joint.runaway[:n], moving, usual.height)
    flags = flags | np.where(joint.beforehand[:n] > MOSTLY_KNOWN, int(Flag.HELD), 0)
    shoulder = usual.shoulder[table.site] & problem.free[:n] & ~placed
    table = table.replace(flags=flags | np.where(shoulder, int(Flag.UNRESOLVED), 0))
    beat()
    return _alone(table, lattice, problem, joint, again, device, all_of_it=whole), usual


def framed(signal: Signal, xy: Floats, lattice: Lattice) -> NDArray[np.bool_]:
    """(N,) places (N, 2) px of which enough lies inside the frame to measure a column there."""
    core = CORE_A * 100 / float(lattice.scale_pm.mean())
    ny, nx = signal.image.shape
    return inside_share(xy, (ny, nx), core) >= CORE_SHARE


def near_frame(signal: Signal, xy: Floats, lattice: Lattice) -> NDArray[np.bool_]:
    """(N,) places (N, 2) px so near to the frame that oxygen there keeps its place: what stands beyond the frame is
    known too badly for faint columns beside it."""
    ny, nx = signal.image.shape
    away = np.minimum(xy, np.array([nx - 1, ny - 1]) - xy).min(axis=1)
    return np.asarray(away < BESIDE_A * 100 / float(lattice.scale_pm.mean()))


def _heights(signal: Signal, columns: Columns) -> Floats:
    """(S,) median contrast of each site, NaN where none is listed."""
    height, found = signal.contrast * columns.amplitude, np.full(len(columns.sites), np.nan)
    for site in np.unique(columns.site):
        found[site] = np.median(height[columns.site == site])
    return found


def _alone(
    columns: Columns,
    lattice: Lattice,
    problem: Problem,
    joint: JointFit,
    again: Ints,
    device: Device,
    *,
    all_of_it: bool,
) -> Columns:
    """Columns with what a second fit says of each alone: moments as an ellipse of its own, and how far from its
    position another model has it. That is the joint fit for weak columns, the ellipse for all others.

    What neighbours take of an ellipse is undone; without ``all_of_it``, all columns of an image, there are no moments.
    """
    n = len(columns)
    away, moments, covariance = np.full((n, 2), np.nan), np.full((n, 3), np.nan), np.full((n, 3, 3), np.nan)
    away[again] = joint.state.xy[again] - columns.xy[again]
    others = np.setdiff1d(np.flatnonzero(problem.free[:n]), again)
    for rows in (others, again) if all_of_it else (others,):
        own = fit_ellipses(problem, joint, rows, device)
        moments[rows], covariance[rows] = own.moments, own.covariance
        if rows is others:
            away[rows] = own.xy - columns.xy[rows]
        beat()
    if not all_of_it:
        return columns.replace(xy_sys=away)
    crystal = Crystal(lattice.cell, lattice.motif.fractions @ lattice.cell, columns.site, columns.hk)
    own = undone(Ellipses(columns.xy, moments, covariance), problem, joint, crystal)
    shared = np.exp(joint.state.shape.log_sigma)[problem.group[:n]]
    ratio = width(own.moments, own.covariance)[0] / shared
    alien = ~((ratio > OWN_WIDTHS[0]) & (ratio < OWN_WIDTHS[1]))
    own.moments[alien], own.covariance[alien] = np.nan, np.nan
    return columns.replace(xy_sys=away, moments=own.moments, moments_cov=own.covariance)


def _shoulders(
    signal: Signal, columns: Columns, lattice: Lattice, problem: Problem, joint: JointFit
) -> NDArray[np.bool_]:
    """(S,) sites that, as fitted in the middle of the crystal, are no maxima of their own."""
    sites = np.unique(columns.site)
    group = np.array([problem.group[: len(columns)][columns.site == s][0] for s in sites])
    height = _heights(signal, columns)[sites]
    sigma = np.exp(joint.state.shape.log_sigma)[group]
    places = lattice.motif.fractions[sites] @ lattice.cell
    seen = resolved(places, lattice.cell, np.maximum(height, 0), sigma, joint.state.shape)
    shoulder = np.zeros(len(columns.sites), dtype=bool)
    shoulder[sites[~seen]] = True
    return shoulder


def _refit(
    problem: Problem,
    joint: JointFit,
    rows: Ints,
    radius: float,
    recipe: RefineSection,
    device: Device,
    *,
    ridge: float | None,
) -> LocalFit:
    """The weak columns again, on the image minus everything else."""
    local = LocalProblem(
        image=joint.rest,
        weight=joint.weight,
        radius=radius,
        shape=joint.state.shape,
        sigma=np.exp(joint.state.shape.log_sigma)[problem.group[rows]],
        start=joint.state.xy[rows],
        limit=problem.limit[rows],
        own=joint.state.amplitude[rows],
        device=device,
    )
    return fit_windows(local, tolerance=recipe.tolerance, max_iterations=recipe.max_iterations, ridge=ridge)


def _table(
    signal: Signal,
    columns: Columns,
    problem: Problem,
    joint: JointFit,
    again: Ints,
    local: LocalFit,
    device: Device,
) -> Columns:
    """The column table of both fits, still with the flags it had."""
    n, state = len(columns), joint.state
    xy, amplitude, covariance = state.xy[:n].copy(), state.amplitude[:n].copy(), joint.covariance[:n].copy()
    xy[again], amplitude[again], covariance[again] = local.xy, local.amplitude, local.covariance
    held = ~problem.free[:n]
    xy[held] = problem.expected[:n][held]
    sigma, angle = state.shape.axes()
    core = 1.5 * float(sigma.max())
    used = (joint.weight > 0).astype(joint.rest.dtype)
    misfit = np.sqrt(disc_sums(joint.rest**2, xy, core, device) / np.maximum(disc_sums(used, xy, core, device), 1))
    return columns.replace(
        signals=(signal.name,),
        signal=np.zeros(n, dtype=np.int64),
        xy=xy,
        cov=covariance[:, 1:, 1:],
        amplitude=amplitude,
        amplitude_std=np.sqrt(covariance[:, 0, 0]),
        background=background_at(problem, state, xy),
        sigma=sigma[problem.group[:n]],
        angle_deg=np.full(n, angle),
        residual=misfit / np.abs(amplitude),
    )


def _flags(
    signal: Signal,
    columns: Columns,
    problem: Problem,
    lattice: Lattice,
    runaway: NDArray[np.bool_],
    moving: NDArray[np.bool_],
    usual: Floats,
) -> Ints:
    """Flags (N,) of fitted columns, by the ``usual`` contrast (S,) of sites; those of earlier stages that stay true are
    kept."""
    free, inside = problem.free[: len(columns)], framed(signal, columns.xy, lattice)
    missing = (~np.isfinite(signal.image)).astype(np.float32)
    under = disc_sums(missing, columns.xy, CORE_A * 100 / float(lattice.scale_pm.mean()))
    flags = columns.flags & int(Flag.PREDICTED | Flag.EDITED | Flag.EXCLUDED)
    for flag, where in (
        (Flag.EDGE, ~free & ~inside),
        (Flag.FIXED_POSITION, ~free & inside),
        (Flag.FAR_FROM_LATTICE, runaway),
        (Flag.NO_CONVERGENCE, moving & free & ~runaway),
        (Flag.BAD_PIXELS, under > 0),
    ):
        flags = flags | np.where(where, int(flag), 0)
    height = signal.contrast * columns.amplitude
    rounding = ROUNDING * float(np.finfo(problem.image.dtype).eps) * np.abs(columns.background)
    weak = height < WEAK_SNR * np.hypot(columns.amplitude_std, rounding)
    for site in np.unique(columns.site):
        rows = columns.site == site
        weak[rows] |= height[rows] < WEAK_SHARE * usual_around(height[rows], columns.hk[rows], float(usual[site]))
    return flags | np.where(weak, int(Flag.WEAK), 0)
