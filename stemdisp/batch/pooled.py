"""Layer profiles over all images of a batch: every image's mean of a layer is one sample.

Images weigh alike.  Weights of 1/sem^2 would be best if images differed by their errors alone; but specimen, tilt and
thickness differ too, by an amount that few images tell badly, and then an image with small errors would decide for all.
The scatter of equal samples holds both parts, and their mean is right whatever the parts are.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..model.brief import QUANTITIES, Brief, Kind, SideLayers
from ..model.pooled import PooledProfile, Spread

Floats = NDArray[np.float64]


def _mean(values: Sequence[float]) -> float:
    """Mean by an exact sum, which no order of the images changes; NaN of none."""
    return math.fsum(values) / len(values) if values else math.nan


def spread_of(values: Sequence[float], sems: Sequence[float]) -> tuple[float, float, float, int]:
    """Mean, scatter and standard error of the mean of samples, and how many there are.

    Parameters
    ----------
    values, sems
        A sample each and its own standard error; NaN where there is none, and the sample does not count.

    Returns
    -------
    The plain mean; the standard deviation between samples (NaN of fewer than two); the standard error: that deviation
    over the root of their number, which includes what each errs by, but never less than their own errors make of the
    mean: few samples may agree by chance.
    """
    known = [(value, sem) for value, sem in zip(values, sems, strict=True) if math.isfinite(value)]
    n = len(known)
    mean = _mean([value for value, _ in known])
    own = math.sqrt(math.fsum(sem**2 for _, sem in known)) / n if n else math.nan
    if n < 2:
        return mean, math.nan, own, n
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value, _ in known) / (n - 1))
    sem = sd / math.sqrt(n)
    return mean, sd, sem if math.isnan(own) else max(sem, own), n


def _spread(sides: Sequence[SideLayers], rows: Sequence[dict[int, int]], layers: Sequence[int], name: str) -> Spread:
    """One quantity, layer by layer; ``rows`` say in which row each image has a layer."""
    found = []
    for layer in layers:
        at = [(one, row[layer]) for one, row in zip(sides, rows, strict=True) if layer in row]
        found.append(spread_of([one.means[name][n] for one, n in at], [one.sems[name][n] for one, n in at]))
    mean, sd, sem, images = np.array(found, dtype=np.float64).reshape(-1, 4).T
    return Spread(mean, sd, sem, images.astype(np.int64))


def _measured(sides: Sequence[SideLayers]) -> list[dict[int, int]]:
    """For every image, layers that say anything and in which row they stand."""
    found = []
    for side in sides:
        known = np.any([np.isfinite(means) for means in side.means.values()], axis=0)
        found.append({int(layer): n for n, layer in enumerate(side.layer) if known[n]})
    return found


def _profile(kind: Kind, members: Sequence[tuple[Brief, SideLayers]]) -> PooledProfile:
    sides = [side for _, side in members]
    rows = _measured(sides)
    layers = sorted({layer for row in rows for layer in row})
    distances, cells = [], []
    for layer in layers:
        at = [(side, row[layer]) for side, row in zip(sides, rows, strict=True) if layer in row]
        distances.append(_mean([side.distance_nm[n] for side, n in at if math.isfinite(side.distance_nm[n])]))
        cells.append(sum(int(side.n[n]) for side, n in at if side.n[n] >= 0))
    return PooledProfile(
        kind=kind,
        images=len(members),
        recipes=len({brief.recipe for brief, _ in members}),
        layer=np.array(layers, dtype=np.int64),
        distance_nm=np.array(distances),
        cells=np.array(cells, dtype=np.int64),
        spreads={name: _spread(sides, rows, layers, name) for name in QUANTITIES},
    )


def pool(briefs: Iterable[Brief]) -> list[PooledProfile]:
    """Pool the layers of images, kind by kind; kinds of most images first.

    Only layers of the same crystal, zone axis, family of planes, side of the interface and model of the polarization
    are compared.  The order of the images changes nothing.
    """
    members: dict[Kind, list[tuple[Brief, SideLayers]]] = defaultdict(list)
    for brief in briefs:
        for side in brief.sides:
            members[side.kind].append((brief, side))
    profiles = (_profile(*one) for one in members.items())
    return sorted((one for one in profiles if len(one)), key=lambda one: (-one.images, one.kind))
