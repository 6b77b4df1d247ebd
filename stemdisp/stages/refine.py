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
from ..fitted import framed, measured, near_frame
from ..fitting.adapt import Adapted, adapted
from ..fitting.joint import JointFit, fit, initial_state
from ..fitting.problem import POISSON, UNIFORM, Problem, State, confined
from ..fitting.saturation import ceiling, unsaturated
from ..fitting.surround import leaders_of, phantoms
from ..fitting.width import steepest
from ..model.columns import Columns
from ..model.fit import Fit
from ..model.kept import Settled
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

INNER = 0.45
"""Pixels farther from every column than this share of the shortest lattice vector are not fitted."""

MARGIN_A = 3.0
"""How far outside the frame phantom columns are placed (angstrom)."""

LARGE = 1 << 21
"""Images with more pixels are fitted in single precision: positions are then good to about 1e-5 px."""

APART_WIDTHS = 2.3
"""Oxygen nearer to its neighbours than this many widths of a column cannot be told from them: it keeps its place."""

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


def refine(
    signal: Signal,
    columns: Columns,
    lattice: Lattice,
    recipe: RefineSection,
    device: Device = CPU,
    *,
    place: Callable[[Columns], Floats] | None = None,
) -> tuple[Columns, Settled]:
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
    Settled
        Where the fit ended, for columns that are changed by hand later.
    """
    highest = ceiling(signal.image)
    signal = replace(signal, image=unsaturated(signal.image, highest, single=signal.image.size > LARGE))
    excluded = int(signal.image.size - np.count_nonzero(np.isfinite(signal.image)))
    width = _width(signal, columns, lattice)
    problem, n = _problem(signal, columns, lattice, recipe, width)

    def expected(xy: Floats) -> Floats:
        placed = columns if place is None else columns.replace(xy=place(columns.replace(xy=xy[:n])))
        return _expected(problem, placed)

    found = _joint(problem, expected, width, recipe, device)
    table, usual = measured(signal, columns, lattice, found.problem, found.joint, recipe, device)
    joint = found.joint
    settled = Settled(found.problem, joint.state, joint.chi2, joint.faintest, highest, usual, place)
    return table.replace(fits=(_fit(found, excluded),)), settled


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
    free[:n] = framed(signal, columns.xy, lattice)
    cut = ~free
    known = np.full(len(xy), np.inf)
    apart = motif.oxygen & (motif.nearest_A * scale >= APART_WIDTHS * width)
    if signal.contrast > 0 and recipe.oxygen_in_haadf != "free":
        free &= ~motif.oxygen[site] | (apart[site] & (recipe.oxygen_in_haadf == "near"))
    if signal.contrast > 0 and recipe.oxygen_in_haadf == "near":
        known[motif.oxygen[site]] = recipe.oxygen_spread / 100 * scale
        free &= ~(motif.oxygen[site] & near_frame(signal, xy, lattice))
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
