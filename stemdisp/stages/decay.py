"""Fit how the displacement dies away from the interface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model.profile import Decay, Profile

Floats = NDArray[np.float64]

FEWEST_LAYERS = 4
"""Layers with a mean that a decay needs: it has three parameters."""

STARTS = (1.0, 3.0, 10.0)
"""Lengths, in layers, that the fit is begun with."""

LONGEST = 0.5
"""Longest length believed, in parts of the depth that is seen: beyond, a decay is a slope."""


def decay(profile: Profile, reference: NDArray[np.int64]) -> Decay | None:
    """The exponential that the layers' mean vectors follow, each by its standard error.

    Parameters
    ----------
    profile
        Means of the layers.
    reference
        Numbers of the layers whose mean was subtracted from all: what is left of the decay there was subtracted with
        it.

    Returns
    -------
    Decay | None
        None where fewer than four layers have a mean, none is significant, or the length cannot be told: shorter than
        its error, or longer than half of what is seen.
    """
    from scipy.optimize import least_squares

    mean = np.stack([profile.normal_pm, profile.parallel_pm], axis=1)
    error = np.stack([profile.normal_sem_pm, profile.parallel_sem_pm], axis=1)
    known = np.isfinite(mean).all(axis=1) & (error > 0).all(axis=1) & np.isfinite(profile.distance_nm)
    if known.sum() < FEWEST_LAYERS or not (profile.significant[known] == 1).any():
        return None
    distance, mean, error = profile.distance_nm[known], mean[known], error[known]
    deep = np.isin(profile.layer[known], reference)
    weight = profile.n[known] * deep / max(float(profile.n[known][deep].sum()), 1.0)
    spacing = float(np.median(np.diff(np.sort(distance))))
    if not spacing > 0:
        return None

    def misfit(values: Floats) -> Floats:
        falling = np.exp(-distance / np.exp(values[2]))
        model = values[:2] * (falling - weight @ falling)[:, None]
        return np.asarray(((mean - model) / error).ravel())

    fits = [least_squares(misfit, [*mean[distance.argmin()], np.log(n * spacing)], max_nfev=200) for n in STARTS]
    best = min(fits, key=lambda fit: float(fit.cost))
    slopes = np.asarray(best.jac, dtype=np.float64)
    curvature = slopes.T @ slopes
    if not np.isfinite(curvature).all() or np.linalg.cond(curvature) > 1e12:
        return None
    normal, parallel, log_length = best.x
    chi2 = float(2 * best.cost) / (2 * len(distance) - 3)
    # Where layers scatter about the curve by more than their errors, so do its parameters.
    std = np.sqrt(np.diag(np.linalg.inv(curvature)) * max(chi2, 1.0))
    length = float(np.exp(log_length))
    if std[2] >= 1 or length > LONGEST * float(np.ptp(distance)):
        return None
    return Decay(float(normal), float(std[0]), float(parallel), float(std[1]), length, length * float(std[2]), chi2)
