"""Measure every column's position to a small fraction of a pixel, all columns of an image together.

Reads the raw pixels, never filtered ones.  One joint fit (fitting.joint) of amplitudes, positions, one width per group
of sites, one tail and a smooth background, with phantom columns outside the frame; then each weak column again on the
image minus all others, on a plane shrunk by empirical Bayes (fitting.local).  A single Gaussian per column, or
neighbours left out of the model, would make displacements at an interface where there are none.

Covariances are the inverse curvature of the fit times its mean square residual.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..backend import CPU, Device
from ..fitting.joint import background_at, fit, initial_state
from ..fitting.local import LocalFit, LocalProblem, cut_windows, fit_windows
from ..fitting.problem import JointFit, Problem
from ..fitting.surround import inside_share, phantoms
from ..flags import Flag
from ..model.columns import Columns
from ..model.lattice import Lattice
from ..model.micrograph import Signal
from ..recipe import RefineSection

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SIGMA_A = 0.5
"""Width (angstrom) the fit starts from: thermal motion and probe of an aberration-corrected microscope."""

RADIUS_BRIGHT_A, RADIUS_FAINT_A = 3.2, 2.2
"""Where profiles end (angstrom): the tail of the brightest site counts under its neighbours, that of a faint site does
not."""

FAINT = 0.3
"""Contrast relative to the brightest site below which a site is faint."""

INNER = 0.45
"""Pixels farther from every column than this share of the shortest lattice vector are not fitted."""

MARGIN_A = 3.0
"""How far outside the frame phantom columns are placed (angstrom)."""

CORE_A, CORE_SHARE = 0.6, 0.7
"""A column with less than this share of a core of this radius (angstrom) inside the frame keeps its place."""

LIMIT = 0.35
"""How far a column may move from its start, in shortest column distances."""

LOOSE = 10.0
"""Weak columns are fitted again: in the joint fit they need only be as sharp as their neighbours' positions can
feel."""

TAIL_START = 0.1
"""Tail weight the fit starts from."""

WEAK_SNR, WEAK_SHARE = 3.0, 1 / 3
"""A column is weak below this many standard deviations, or this share of its site's median contrast."""


def refine(signal: Signal, columns: Columns, lattice: Lattice, recipe: RefineSection, device: Device = CPU) -> Columns:
    """Sub-pixel positions of all columns in one signal.

    Parameters
    ----------
    signal
        Raw image.
    columns
        Assigned columns with starting positions; a start may be off by half a pixel to two.
    lattice
        Average lattice, for phantoms and scale.
    recipe
        Weights, profile, oxygen in HAADF, background, window, tolerance, iterations.
    device
        Where the sums over pixels are computed.

    Returns
    -------
    Columns
        The same rows with ``xy``, ``cov`` (px^2), ``amplitude``, ``sigma`` (px), ``background``, ``residual`` and
        ``flags``.
    """
    problem, n = _problem(signal, columns, lattice, recipe)
    scale = 100 / float(lattice.scale_pm.mean())
    groups = int(problem.group.max()) + 1
    tail = TAIL_START if problem.tail else 0.0
    start = initial_state(problem, np.full(groups, SIGMA_A * scale), tail)
    joint = fit(problem, start, max_iterations=recipe.max_iterations, device=device)
    strength = lattice.motif.contrast(signal.name)[columns.site]
    again = np.flatnonzero((strength < 1) & joint.state.free[:n])
    local = _refit(signal, problem, joint, again, scale * recipe.weak_window, recipe, device)
    table = _table(signal, columns, problem, joint, again, local)
    moving = joint.moving[: len(columns)].copy()
    moving[again] = local.moving
    return table.replace(flags=_flags(signal, table, problem, lattice, joint.runaway[: len(columns)], moving))


def _framed(signal: Signal, columns: Columns, lattice: Lattice) -> NDArray[np.bool_]:
    """(N,) columns of which enough lies inside the frame to measure where they are."""
    core = CORE_A * 100 / float(lattice.scale_pm.mean())
    ny, nx = signal.image.shape
    return inside_share(columns.xy, (ny, nx), core) >= CORE_SHARE


def _problem(signal: Signal, columns: Columns, lattice: Lattice, recipe: RefineSection) -> tuple[Problem, int]:
    """The joint problem of listed columns and phantoms, and how many are listed."""
    ny, nx = signal.image.shape
    motif, n = lattice.motif, len(columns)
    scale = 100 / float(lattice.scale_pm.mean())
    outside, outside_site, tied = phantoms(
        columns.xy, columns.site, columns.hk, lattice.cell, (ny, nx), MARGIN_A * scale
    )
    xy = np.concatenate([columns.xy, outside])
    site = np.concatenate([columns.site, outside_site])
    strength = motif.contrast(signal.name)
    bright = strength[site] == 1
    free = np.zeros(len(xy), dtype=bool)
    free[:n] = _framed(signal, columns, lattice)
    if signal.contrast > 0 and recipe.oxygen_in_haadf == "fixed":
        free &= ~motif.oxygen[site]
    group = (~bright).astype(np.int64) if signal.contrast > 0 else site.astype(np.int64)
    problem = Problem(
        image=signal.image.astype(float),
        start=xy,
        group=group,
        radius=np.where(strength[site] >= FAINT, RADIUS_BRIGHT_A, RADIUS_FAINT_A) * scale,
        inner=np.full(len(xy), INNER * np.linalg.norm(lattice.cell, axis=1).min()),
        free=free,
        tied=np.concatenate([np.full((n, 3), -1), tied]),
        spacing=recipe.background_spacing * float(np.linalg.norm(lattice.cell, axis=1).min()),
        limit=np.full(len(xy), LIMIT * motif.shortest_distance_A * scale),
        tolerance=recipe.tolerance * np.where(bright, 1.0, LOOSE),
        weights=recipe.weights,
        tail=recipe.profile == "tailed" and signal.contrast > 0,
    )
    return problem, n


def _refit(
    signal: Signal, problem: Problem, joint: JointFit, rows: Ints, radius: float, recipe: RefineSection, device: Device
) -> LocalFit:
    """The weak columns again, on the image minus everything else."""
    rest = np.where(joint.weight > 0, problem.image - joint.model, 0.0)
    sigma = np.exp(joint.state.shape.log_sigma)[problem.group[rows]]
    start = joint.state.xy[rows]
    windows = cut_windows(rest, joint.weight, start, radius, device)
    local = LocalProblem(windows, joint.state.shape, sigma, start, problem.limit[rows], device)
    return fit_windows(
        local.with_own(joint.state.amplitude[rows]),
        tolerance=recipe.tolerance,
        max_iterations=recipe.max_iterations,
    )


def _table(
    signal: Signal, columns: Columns, problem: Problem, joint: JointFit, again: Ints, local: LocalFit
) -> Columns:
    """The column table of both fits, still with the flags it had."""
    n, state = len(columns), joint.state
    xy, amplitude, covariance = state.xy[:n].copy(), state.amplitude[:n].copy(), joint.covariance[:n].copy()
    xy[again], amplitude[again], covariance[again] = local.xy, local.amplitude, local.covariance
    sigma, angle = state.shape.axes()
    core = 1.5 * float(sigma.max())
    used = (joint.weight > 0).astype(np.float64)
    around = cut_windows(np.where(used > 0, problem.image - joint.model, 0.0), used, xy, core)
    misfit = np.sqrt((around.weight * around.data**2).sum(axis=1) / np.maximum(around.weight.sum(axis=1), 1))
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
) -> Ints:
    """Flags (N,) of fitted columns; those of earlier stages that stay true are kept."""
    free, framed = problem.free[: len(columns)], _framed(signal, columns, lattice)
    missing = (~np.isfinite(signal.image)).astype(np.float64)
    under = cut_windows(missing, np.ones_like(missing), columns.xy, CORE_A * 100 / float(lattice.scale_pm.mean()))
    flags = columns.flags & int(Flag.PREDICTED | Flag.EDITED | Flag.EXCLUDED)
    for flag, where in (
        (Flag.EDGE, ~free & ~framed),
        (Flag.FIXED_POSITION, ~free & framed),
        (Flag.FAR_FROM_LATTICE, runaway),
        (Flag.NO_CONVERGENCE, moving & free & ~runaway),
        (Flag.BAD_PIXELS, (under.data * under.weight).sum(axis=1) > 0),
    ):
        flags = flags | np.where(where, int(flag), 0)
    height = signal.contrast * columns.amplitude
    for site in np.unique(columns.site):
        of_site = columns.site == site
        low = (height < WEAK_SHARE * np.median(height[of_site])) | (height < WEAK_SNR * columns.amplitude_std)
        flags = flags | np.where(of_site & low, int(Flag.WEAK), 0)
    return flags
