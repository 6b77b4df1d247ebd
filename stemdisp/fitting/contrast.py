"""How high columns stand above a smooth background, all measured at once, before any of them is fitted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .engine import sums
from .joint import initial_state, linear
from .problem import Problem
from .tiles import coarse_stride

Floats = NDArray[np.float64]


def amplitudes(image: NDArray[np.floating], xy: Floats, sigma: float) -> Floats:
    """(N,) heights of round Gaussians of one width (px) at given places (N, 2), all fitted at once on a smooth
    background."""
    n = len(xy)
    problem = Problem(
        image=image,
        start=xy,
        group=np.zeros(n, dtype=np.int64),
        radius=np.full(n, 5 * sigma),
        inner=np.full(n, 3 * sigma),
        free=np.zeros(n, dtype=bool),
        tied=np.full((n, 3), -1),
        spacing=16 * sigma,
        limit=np.full(n, sigma),
        known=np.full(n, np.inf),
        tolerance=np.full(n, np.inf),
        weights="uniform",
        tail=False,
    )
    state = initial_state(problem, np.array([sigma]))
    return linear(sums(problem, sigma), state, coarse_stride(sigma)).amplitude
