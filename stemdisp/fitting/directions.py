"""Whether vectors agree in direction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def coherence(vectors: Floats) -> tuple[float, float]:
    """Mean resultant length of the directions of vectors (n, 2), 1 = all alike, and Rayleigh's level at which they are
    random; NaN without a vector of any length.

    Mardia and Jupp, Directional Statistics, 2000, doi 10.1002/9780470316979.

    >>> coherence(np.array([[1.0, 0.0], [2.0, 0.0]]))[0]
    1.0
    """
    length = np.hypot(vectors[:, 0], vectors[:, 1])
    directions = vectors[length > 0] / length[length > 0, None]
    if not len(directions):
        return float("nan"), float("nan")
    resultant = float(np.linalg.norm(directions.mean(axis=0)))
    return resultant, rayleigh(resultant, len(directions))


def rayleigh(resultant: float, n: int) -> float:
    """Level at which ``n`` directions of mean resultant length ``resultant`` are not uniform (second-order
    approximation)."""
    z = n * resultant**2
    return float(min(max(np.exp(-z) * (1 + (2 * z - z**2) / (4 * n)), 0.0), 1.0))
