"""What a first joint fit tells of the image's noise and of how far columns are scattered, and the fit again with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend import CPU, Device
from ..pulse import beat
from .joint import JointFit, Place, fit
from .noise import Noise, estimate_noise
from .problem import POISSON, UNIFORM, Problem
from .tiles import SPARSE, sampled

Floats = NDArray[np.float64]

FEWEST_SCATTERED = 30
"""Columns that tell how far they are scattered."""

CLIPPED, CLIPPED_SHARE = 2.5, 0.9776
"""Standard deviations beyond which a component counts as so far away, and the share of a normal distribution's variance
that is left."""

UNSURE = 1.5
"""Standard deviations more than found that a spread is taken to be: too tight a hold is worse than too loose."""

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
    beat()
    noise, reason = None, "as the recipe says"
    expected = place(joint.state.xy)
    scattered = joint.state.free & np.isfinite(problem.known) & np.isfinite(joint.beforehand)
    departures = _departures(problem, joint, expected, scattered)
    better = replace(problem, expected=expected, known=_spread(problem.known, departures, scattered))
    xy = np.where((~problem.free & (problem.led[:, 0] < 0))[:, None], expected, joint.state.xy)
    # Held otherwise, they come to rest elsewhere.
    of_image = 1 / (1 + departures.noise / better.known[scattered] ** 2)
    xy[scattered] = expected[scattered] + of_image[:, None] * departures.alone
    # Whoever ran away while all was in motion may try again.
    state = replace(joint.state, xy=xy, free=problem.free)
    if estimate:
        used = joint.weight > 0
        level = np.where(used, problem.image - joint.rest, 0)
        noise = estimate_noise(joint.rest, level, used)
        beat()
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


@dataclass(frozen=True)
class _Departures:
    """(n, 2) px how far columns stand from where they are expected in the image ``alone``, whatever was known
    beforehand, and (n,) px^2 the variance of its ``noise`` in that."""

    alone: Floats
    noise: Floats


def _departures(problem: Problem, joint: JointFit, expected: Floats, of: NDArray[np.bool_]) -> _Departures:
    share = np.clip(1 - joint.beforehand[of], 1e-6, 1 - 1e-6)  # of the image in what is known of a position
    alone = joint.expected[of] + (joint.state.xy[of] - joint.expected[of]) / share[:, None]
    return _Departures(alone - expected[of], problem.known[of] ** 2 * (1 - share) / share)


def _spread(known: Floats, departures: _Departures, of: NDArray[np.bool_]) -> Floats:
    """(N,) px; what is ``known`` (N,) of positions beforehand, by how far the fit says they are scattered (empirical
    Bayes): the variance of their departures from where they are expected, less what counting noise gives."""
    if of.sum() < FEWEST_SCATTERED:
        return known
    # In units of its noise a departure does not depend on the amplitude that was found.
    scatter = _clipped_mean(departures.alone**2 / departures.noise[:, None])
    unsure = UNSURE * scatter / np.sqrt(of.sum())
    spread = float(np.sqrt((max(scatter - 1, 0.0) + unsure) / np.mean(1 / departures.noise)))
    before = float(known[of].max())
    if spread == 0:
        return known
    # No finer than it is known, so that it does not depend on where the fit began.
    spread = before * SPREAD_STEP ** round(np.log(spread / before) / np.log(SPREAD_STEP))
    return np.where(np.isfinite(known), min(spread, before), np.inf)


def _clipped_mean(squares: Floats) -> float:
    """Mean of squares of normal deviates, whatever a few outliers do."""
    mean = float(np.median(squares)) / 0.4549
    for _ in range(20):
        mean = float(np.minimum(squares, CLIPPED**2 * mean).mean()) / CLIPPED_SHARE
    return mean
