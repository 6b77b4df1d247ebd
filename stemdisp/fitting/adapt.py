"""What a first joint fit tells of the image's noise and of how far columns are scattered, and the fit again with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend import CPU, Device
from .joint import JointFit, Place, fit
from .noise import Noise, estimate_noise
from .problem import POISSON, UNIFORM, Problem
from .tiles import SPARSE, sampled

Floats = NDArray[np.float64]

FEWEST_SCATTERED = 30
"""Columns that tell how far they are scattered."""

MEDIAN_ERROR = 1.65
"""Relative standard deviation of a variance estimated by the median of the squares of two components, times the root of
the number of columns."""

SPREAD_STEP = 1.25
"""Factor between two spreads that are told apart."""

OFFSET_STEP = 0.5
"""The offset of the variance is rounded to so many times that of the median pixel: less changes no weight worth another
fit, and an image gets the same weights whatever way it is turned."""


@dataclass(frozen=True)
class Adapted:
    """The problem as it was fitted at last, its answer, the noise (None = not asked), and why pixels weigh as they
    do."""

    problem: Problem
    joint: JointFit
    noise: Noise | None
    reason: str


def adapted(
    problem: Problem,
    joint: JointFit,
    place: Place,
    *,
    estimate: bool,
    max_iterations: int,
    device: Device = CPU,
) -> Adapted:
    """A rough fit ended with what it says itself: weights as the residual's noise demands, where ``estimate``, and
    columns known beforehand held as tightly as they are scattered about where ``place`` expects them by now."""
    noise, reason = None, "as the recipe says"
    expected = place(joint.state.xy)
    better = replace(problem, expected=expected, known=_spread(problem, joint, expected))
    stays = ~problem.free & (problem.led[:, 0] < 0)
    # Whoever ran away while all was in motion may try again.
    state = replace(joint.state, xy=np.where(stays[:, None], expected, joint.state.xy), free=problem.free)
    if estimate:
        used = joint.weight > 0
        level = np.where(used, problem.image - joint.rest, 0)
        noise = estimate_noise(joint.rest, level, used)
        seen = sampled(level, SPARSE)[sampled(used, SPARSE)]
        variance, reason = _variance(noise, float(np.median(seen)) if seen.size else 0.0)
        better = replace(better, variance=variance)
    again = fit(
        better,
        state,
        max_iterations=max_iterations,
        near=True,
        curvature=joint.curvature if better.variance == problem.variance else None,
        device=device,
    )
    return Adapted(better, again, noise, reason)


def _variance(noise: Noise, typical: float) -> tuple[tuple[float, float], str]:
    """(offset, gain) of the pixels' variance up to a factor, and why."""
    if not noise.poisson:
        x, y = noise.correlation
        if noise.correlated:
            why = f"noise of neighbours is correlated ({x:.2f} along x, {y:.2f} along y): filtered or interpolated"
        else:
            why = "noise does not grow with brightness"
        return UNIFORM, f"all pixels weigh the same: {why}"
    offset = noise.offset / noise.gain
    known = f"variance is {noise.gain:.3g} x (value {'+' if offset >= 0 else '-'} {abs(offset):.3g})"
    median = typical + offset
    share = OFFSET_STEP * round(offset / (OFFSET_STEP * median)) if median > 0 else 0.0
    if share >= 1:
        return UNIFORM, f"all pixels weigh the same: {known}, which hardly grows"
    if share == 0:
        return POISSON, f"pixels weigh 1 / expected counts: {known}"
    return (typical * share / (1 - share), 1.0), f"pixels weigh 1 / expected variance: {known}"


def _spread(problem: Problem, joint: JointFit, expected: Floats) -> Floats:
    """(N,) px; what is known of positions beforehand, by how far the fit says they are scattered (empirical Bayes): the
    variance of their departures from where they are ``expected``, less what counting noise gives."""
    of = joint.state.free & np.isfinite(problem.known) & np.isfinite(joint.beforehand)
    if of.sum() < FEWEST_SCATTERED:
        return problem.known
    share = np.clip(1 - joint.beforehand[of], 1e-6, 1 - 1e-6)  # of the image in what is known of a position
    alone = joint.expected[of] + (joint.state.xy[of] - joint.expected[of]) / share[:, None]
    away = alone - expected[of]
    # A median of squares is that of a normal distribution, whatever a few outliers do.
    scatter = np.median(away**2, axis=0).mean() / 0.4549
    noise = np.median(problem.known[of] ** 2 * (1 - share) / share)
    before = float(problem.known[of].max())
    # One standard deviation more than found: few columns tell it badly, and too tight a hold is worse than too loose.
    unsure = MEDIAN_ERROR * scatter / np.sqrt(of.sum())
    spread = float(np.sqrt(max(scatter - noise, 0.0) + unsure))
    if spread == 0:
        return problem.known
    # No finer than it is known, so that it does not depend on where the fit began.
    spread = before * SPREAD_STEP ** round(np.log(spread / before) / np.log(SPREAD_STEP))
    return np.where(np.isfinite(problem.known), min(spread, before), np.inf)
