"""Compare a profile that was measured elsewhere with the layers of the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..fitting.ranks import spearman
from ..model.external import ExternalProfile, RankCorrelation
from ..model.profile import Profile, numbers_of
from ..profile_entry import ProfileEntry

Floats = NDArray[np.float64]

FEWEST_LAYERS = 4
"""Layers with both values that a correlation needs: of three, any order is likely."""


def external(entry: ProfileEntry, profile: Profile | None) -> ExternalProfile:
    """The profile at the distances of the layers, and how it goes with what the image says there.

    Parameters
    ----------
    entry
        The profile: distances from the interface, values and their errors.
    profile
        Means of the layers; None where the image has none, and the profile then stands by itself.

    Returns
    -------
    ExternalProfile
        The value at a layer is v = (1 - w) v1 + w v2 of the two nearest distances, its variance
        (1 - w)^2 s1^2 + w^2 s2^2, as errors of different distances are taken for independent.
    """
    distance, value = np.array(entry.distance_nm), np.array(entry.value)
    error = np.array(entry.error) if entry.error else np.full(len(value), np.nan)
    depth = profile.distance_nm if profile is not None else np.zeros(0)
    at_layers, at_layers_error = _interpolated(depth, distance, value, error)
    nothing = np.full(len(depth), np.nan)
    return ExternalProfile(
        name=entry.name,
        unit=entry.unit,
        distance_nm=distance,
        value=value,
        error=error,
        at_layers=at_layers,
        at_layers_error=at_layers_error,
        o_contrast=_correlation(at_layers, nothing if profile is None else profile.o_contrast),
        displacement=_correlation(at_layers, nothing if profile is None else profile.magnitude_pm),
        warning=_warning(entry, profile, np.isfinite(at_layers)),
    )


def _interpolated(depth: Floats, distance: Floats, value: Floats, error: Floats) -> tuple[Floats, Floats]:
    """Values and their errors at ``depth`` (L,); NaN beyond the first and the last distance."""
    inside = (depth >= distance[0]) & (depth <= distance[-1])
    after = np.clip(np.searchsorted(distance, depth), 1, len(distance) - 1)
    weight = (depth - distance[after - 1]) / (distance[after] - distance[after - 1])
    found = (1 - weight) * value[after - 1] + weight * value[after]
    variance = ((1 - weight) * error[after - 1]) ** 2 + (weight * error[after]) ** 2
    return np.where(inside, found, np.nan), np.where(inside, np.sqrt(variance), np.nan)


def _correlation(one: Floats, other: Floats) -> RankCorrelation:
    known = np.isfinite(one) & np.isfinite(other)
    n = int(known.sum())
    if n < FEWEST_LAYERS:
        return RankCorrelation(float("nan"), float("nan"), n)
    return RankCorrelation(*spearman(one[known], other[known]), n)


def _warning(entry: ProfileEntry, profile: Profile | None, covered: NDArray[np.bool_]) -> str:
    """What of the profile could not be compared."""
    shown = " ".join(entry.name.split())
    what = f"external profile {shown}, {entry.distance_nm[0]:.3g} to {entry.distance_nm[-1]:.3g} nm"
    if profile is None or not len(profile):
        return f"{what}: the image has no layers to compare it with; its comparison is left out"
    if covered.all():
        return ""
    if not covered.any():
        depth = profile.distance_nm[np.isfinite(profile.distance_nm)]
        reach = f" ({depth.min():.3g} to {depth.max():.3g} nm)" if len(depth) else ""
        return f"{what}: it covers none of the layers{reach}; their values and the comparison are left out"
    missing = numbers_of([int(n) for n in profile.layer[~covered]])
    return f"{what}: it does not cover {missing}, which have no value of it and are left out of the comparison"
