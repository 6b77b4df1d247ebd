"""Measure every column's position to a small fraction of a pixel, all columns of an image together.

Reads the raw pixels, never filtered ones.  One joint fit (fitting.joint) of amplitudes, positions, one width per group
of sites, one tail and a smooth background, with phantom columns outside the frame; then each weak column again on the
image minus all others, on a plane shrunk by empirical Bayes (fitting.local).  A single Gaussian per column, or
neighbours left out of the model, would make displacements at an interface where there are none.

Covariances are the inverse curvature of the fit times its mean square residual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..backend import CPU, Device
from ..fitting.absorbed import Crystal, undone
from ..fitting.adapt import Adapted, adapted
from ..fitting.discs import disc_sums
from ..fitting.ellipses import Ellipses, fit_ellipses
from ..fitting.joint import JointFit, fit, initial_state
from ..fitting.local import LocalFit, LocalProblem, fit_windows
from ..fitting.problem import POISSON, UNIFORM, Problem, State, background_at, confined
from ..fitting.resolve import resolved
from ..fitting.saturation import saturated
from ..fitting.surround import inside_share, leaders_of, phantoms
from ..fitting.width import steepest
from ..flags import Flag
from ..model.columns import Columns
from ..model.fit import Fit
from ..model.lattice import Lattice
from ..model.micrograph import Signal
from ..recipe import RefineSection

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SIGMA_A, WIDTH_A = 0.5, (0.3, 1.4)
"""Width (angstrom) of a column, from thermal motion and probe of an aberration-corrected microscope, that the fit
starts from where the image shows none; and between which limits it starts."""

RADIUS_BRIGHT_A, RADIUS_FAINT_A = 4.0, 3.2
"""Where profiles of bright and of faint columns end (angstrom).  With 12 % of the peak in the tail, 3.2 and 2.2 stretch
displacements by 6 %; these do by 1 %."""

FAINT = 0.3
"""Contrast relative to the brightest site below which a site is faint."""

GAUSSIAN_WIDTHS = 6.0
"""Where profiles without a tail end at the latest, in starting widths."""

WINDOW_WIDTHS = 2.5
"""Radius of the window of weak columns, at least, in widths: in less than about two the slopes of the plane take a part
of the displacement, and in blurred images turn its sign."""

INNER = 0.45
"""Pixels farther from every column than this share of the shortest lattice vector are not fitted."""

MARGIN_A = 3.0
"""How far outside the frame phantom columns are placed (angstrom)."""

CORE_A, CORE_SHARE = 0.6, 0.7
"""A column with less than this share of a core of this radius (angstrom) inside the frame keeps its place."""

LARGE = 1 << 21
"""Images with more pixels are fitted in single precision: positions are then good to about 1e-5 px."""

APART_WIDTHS = 2.3
"""Oxygen nearer to its neighbours than this many widths of a column cannot be told from them: it keeps its place."""

BESIDE_A = 2.5
"""Oxygen columns nearer to the frame than this (angstrom) keep their place."""

LIMIT = 0.45
"""How far a column may move from its start, as a share of the distance to its nearest neighbour in the crystal."""

LOOSE = 10.0
"""Weak columns are fitted again: in the joint fit they need only be as sharp as their neighbours' positions can
feel."""

LOOSER = 50.0
"""The same of columns that are held near where they are expected, and only lean on their neighbours."""

FARTHEST = 4.0
"""A column goes no farther than so many standard deviations from where it is known beforehand to be."""

TAIL_START = 0.1
"""Tail weight the fit starts from."""

MOSTLY_KNOWN = 0.5
"""A column whose position is known beforehand to more than this share is held."""

WEAK_SNR, WEAK_SHARE = 3.0, 1 / 3
"""A column is weak below this many standard deviations, or this share of its site's median contrast."""


def refine(
    signal: Signal,
    columns: Columns,
    lattice: Lattice,
    recipe: RefineSection,
    device: Device = CPU,
    *,
    place: Callable[[Columns], Floats] | None = None,
) -> Columns:
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
    place
        Says from fitted columns where all belong (N, 2) px, for oxygen that the recipe holds there or near; None =
        where ``columns`` have it.

    Returns
    -------
    Columns
        The same rows with ``xy``, ``cov`` (px^2), ``amplitude``, ``sigma`` (px), ``background``, ``residual`` and
        ``flags``.
    """
    signal, excluded = _without_ceiling(signal)
    scale, width = 100 / float(lattice.scale_pm.mean()), _width(signal, columns, lattice)
    problem, n = _problem(signal, columns, lattice, recipe, width)

    def expected(xy: Floats) -> Floats:
        placed = columns if place is None else columns.replace(xy=place(columns.replace(xy=xy[:n])))
        return _expected(problem, placed)

    found = _joint(problem, expected, width, recipe, device)
    problem, joint = found.problem, found.joint
    placed = np.isfinite(problem.known[:n])
    strength = lattice.motif.contrast(signal.name)[columns.site]
    again = np.flatnonzero((strength < 1) & joint.state.free[:n] & ~placed)
    window = max(scale * recipe.weak_window, WINDOW_WIDTHS * float(np.exp(joint.state.shape.log_sigma).max()))
    local = _refit(signal, problem, joint, again, window, recipe, device)
    table = _table(signal, columns, problem, joint, again, local, device)
    moving = joint.moving[:n].copy()
    moving[again] = local.moving
    flags = _flags(signal, table, problem, lattice, joint.runaway[:n], moving)
    flags = flags | np.where(joint.beforehand[:n] > MOSTLY_KNOWN, int(Flag.HELD), 0)
    shoulder = _shoulders(signal, table.replace(flags=flags), lattice, problem, joint) & problem.free[:n] & ~placed
    return _alone(table, lattice, problem, joint, again, device).replace(
        flags=flags | np.where(shoulder, int(Flag.UNRESOLVED), 0), fits=(_fit(found, excluded),)
    )


def _without_ceiling(signal: Signal) -> tuple[Signal, int]:
    """The signal as real numbers without saturated pixels, and how many pixels are missing."""
    image = signal.image.astype(np.float32 if signal.image.size > LARGE else np.float64)
    image[saturated(signal.image)] = np.nan
    return replace(signal, image=image), int(image.size - np.count_nonzero(np.isfinite(image)))


def _fit(found: Adapted, excluded: int) -> Fit:
    """What a report says of a fit."""
    noise, shape = found.noise, found.joint.state.shape
    counted = noise is not None and noise.poisson
    return Fit(
        engine=found.joint.engine,
        weights="uniform" if found.problem.variance == UNIFORM else "poisson",
        gain=noise.gain if counted and noise else None,
        dark=noise.dark if counted and noise else None,
        reason=found.reason,
        iterations=found.joint.iterations,
        tail=shape.tail if found.problem.tail else 0.0,
        tail_ratio=float(np.exp(shape.log_ratio)) if found.problem.tail else 1.0,
        excluded=excluded,
    )


def _alone(
    columns: Columns, lattice: Lattice, problem: Problem, joint: JointFit, again: Ints, device: Device
) -> Columns:
    """Columns with what a second fit says of each alone: moments as an ellipse of its own, and how far from its
    position another model has it. That is the joint fit for weak columns, the ellipse for all others."""
    n = len(columns)
    away, moments, covariance = np.full((n, 2), np.nan), np.full((n, 3), np.nan), np.full((n, 3, 3), np.nan)
    away[again] = joint.state.xy[again] - columns.xy[again]
    others = np.setdiff1d(np.flatnonzero(problem.free[:n]), again)
    for rows in (others, again):
        own = fit_ellipses(problem, joint, rows, device)
        moments[rows], covariance[rows] = own.moments, own.covariance
        if rows is others:
            away[rows] = own.xy - columns.xy[rows]
    crystal = Crystal(lattice.cell, lattice.motif.fractions @ lattice.cell, columns.site, columns.hk)
    own = undone(Ellipses(columns.xy, moments, covariance), problem, joint, crystal)
    return columns.replace(xy_sys=away, moments=own.moments, moments_cov=own.covariance)


def _width(signal: Signal, columns: Columns, lattice: Lattice) -> float:
    """Width (px) of the brightest site's columns that the fit starts from."""
    motif = lattice.motif
    scale = 100 / float(lattice.scale_pm.mean())
    brightest = columns.site == int(motif.contrast(signal.name).argmax())
    reach = min(WIDTH_A[1] * scale, 0.5 * float(np.linalg.norm(lattice.cell, axis=1).min()))
    seen = steepest(signal.contrast * signal.image, columns.xy[brightest], reach)
    return float(np.clip(SIGMA_A * scale if np.isnan(seen) else seen, WIDTH_A[0] * scale, WIDTH_A[1] * scale))


def _expected(problem: Problem, placed: Columns) -> Floats:
    """(N, 2) where columns are expected, if oxygen belongs where it is ``placed``."""
    n, expected = len(placed), problem.expected.copy()
    anew = (problem.led[:n, 0] < 0) & (np.isfinite(problem.known[:n]) | ~problem.free[:n])
    expected[:n][anew] = placed.xy[anew]
    return expected


def _joint(
    problem: Problem, place: Callable[[Floats], Floats], width: float, recipe: RefineSection, device: Device
) -> Adapted:
    """The joint fit, with weights as the noise demands, and without a tail where a tail does not end within the window:
    such a tail takes the place of background and neighbours.

    ``place`` says from where all columns are where they are expected.
    """
    sigma = np.full(int(problem.group.max()) + 1, width)

    def roughly(problem: Problem, start: State) -> JointFit:
        return fit(problem, start, max_iterations=recipe.max_iterations, rough=True, place=place, device=device)

    joint, tailed = None, problem.tail
    if tailed:
        start = initial_state(problem, sigma, TAIL_START)
        tailed = confined(start, problem)
        if tailed:
            joint = roughly(problem, start)
            tailed = confined(joint.state, problem)
    if joint is None or not tailed:
        problem = replace(problem, tail=False)
        joint = roughly(problem, initial_state(problem, sigma))
    estimate = recipe.weights == "auto"
    return adapted(problem, joint, place, estimate=estimate, max_iterations=recipe.max_iterations, device=device)


def _shoulders(
    signal: Signal, columns: Columns, lattice: Lattice, problem: Problem, joint: JointFit
) -> NDArray[np.bool_]:
    """(N,) columns of sites that, as fitted in the middle of the crystal, are no maxima of their own."""
    sites = np.unique(columns.site)
    group = np.array([problem.group[: len(columns)][columns.site == s][0] for s in sites])
    height = np.array([np.median(signal.contrast * columns.amplitude[columns.site == s]) for s in sites])
    sigma = np.exp(joint.state.shape.log_sigma)[group]
    places = lattice.motif.fractions[sites] @ lattice.cell
    seen = resolved(places, lattice.cell, np.maximum(height, 0), sigma, joint.state.shape)
    return np.isin(columns.site, sites[~seen])


def _framed(signal: Signal, columns: Columns, lattice: Lattice) -> NDArray[np.bool_]:
    """(N,) columns of which enough lies inside the frame to measure where they are."""
    core = CORE_A * 100 / float(lattice.scale_pm.mean())
    ny, nx = signal.image.shape
    return inside_share(columns.xy, (ny, nx), core) >= CORE_SHARE


def _problem(
    signal: Signal, columns: Columns, lattice: Lattice, recipe: RefineSection, width: float
) -> tuple[Problem, int]:
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
    cut = ~free
    known = np.full(len(xy), np.inf)
    apart = motif.oxygen & (motif.nearest_A * scale >= APART_WIDTHS * width)
    if signal.contrast > 0 and recipe.oxygen_in_haadf != "free":
        free &= ~motif.oxygen[site] | (apart[site] & (recipe.oxygen_in_haadf == "near"))
    if signal.contrast > 0 and recipe.oxygen_in_haadf == "near":
        known[motif.oxygen[site]] = recipe.oxygen_spread / 100 * scale
        # What stands beyond the frame is known too badly for faint columns beside it.
        beside = np.minimum(xy, np.array([nx - 1, ny - 1]) - xy).min(axis=1) < BESIDE_A * scale
        free &= ~(motif.oxygen[site] & beside)
    group = (~bright).astype(np.int64) if signal.contrast > 0 else site.astype(np.int64)
    tail = recipe.profile == "tailed" and signal.contrast > 0
    radius = np.where(strength[site] < FAINT, RADIUS_FAINT_A, RADIUS_BRIGHT_A) * scale
    leaders, beside = leaders_of(xy, site, free, cut, lattice.cell)
    problem = Problem(
        image=signal.image,
        start=xy,
        expected=xy,
        centre=xy,
        group=group,
        radius=radius if tail else np.minimum(radius, GAUSSIAN_WIDTHS * width),
        inner=np.full(len(xy), INNER * np.linalg.norm(lattice.cell, axis=1).min()),
        free=free,
        tied=np.concatenate([np.full((n, 3), -1), tied]),
        led=leaders,
        beside=beside,
        spacing=recipe.background_spacing * float(np.linalg.norm(lattice.cell, axis=1).min()),
        known=known,
        limit=np.minimum(LIMIT * motif.nearest_A[site] * scale, FARTHEST * known),
        tolerance=recipe.tolerance * np.where(np.isfinite(known), LOOSER, np.where(bright, 1.0, LOOSE)),
        variance=UNIFORM if recipe.weights == "uniform" else POISSON,
        tail=tail,
    )
    return problem, n


def _refit(
    signal: Signal, problem: Problem, joint: JointFit, rows: Ints, radius: float, recipe: RefineSection, device: Device
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
    return fit_windows(local, tolerance=recipe.tolerance, max_iterations=recipe.max_iterations)


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
) -> Ints:
    """Flags (N,) of fitted columns; those of earlier stages that stay true are kept."""
    free, framed = problem.free[: len(columns)], _framed(signal, columns, lattice)
    missing = (~np.isfinite(signal.image)).astype(np.float32)
    under = disc_sums(missing, columns.xy, CORE_A * 100 / float(lattice.scale_pm.mean()))
    flags = columns.flags & int(Flag.PREDICTED | Flag.EDITED | Flag.EXCLUDED)
    for flag, where in (
        (Flag.EDGE, ~free & ~framed),
        (Flag.FIXED_POSITION, ~free & framed),
        (Flag.FAR_FROM_LATTICE, runaway),
        (Flag.NO_CONVERGENCE, moving & free & ~runaway),
        (Flag.BAD_PIXELS, under > 0),
    ):
        flags = flags | np.where(where, int(flag), 0)
    height = signal.contrast * columns.amplitude
    for site in np.unique(columns.site):
        of_site = columns.site == site
        low = (height < WEAK_SHARE * np.median(height[of_site])) | (height < WEAK_SNR * columns.amplitude_std)
        flags = flags | np.where(of_site & low, int(Flag.WEAK), 0)
    return flags
