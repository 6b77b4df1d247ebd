"""How high columns stand above a smooth background, all measured at once, before any of them is fitted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .joint import JointModel, initial_state
from .problem import Problem
from .tiles import coarse_stride

Floats = NDArray[np.float64]


def amplitudes(image: Floats, xy: Floats, sigma: float) -> Floats:
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
        tolerance=np.full(n, np.inf),
        weights="uniform",
        tail=False,
    )
    state, model, stride = initial_state(problem, np.array([sigma])), JointModel(problem, sigma), coarse_stride(sigma)
    normal, equations = model.normal(state, stride, curvature=True), model.grid(stride).equations
    free = np.stack([np.ones(n, dtype=bool), problem.free], axis=1)
    nothing = np.zeros(equations.groups + 4, dtype=bool)
    step, _ = equations.factorise(normal, equations.selection(free, problem.tied), nothing, 0.0).step(
        normal, state.background
    )
    return np.asarray(state.amplitude + step[: 3 * n : 3])
