"""A small image of two interlaced square lattices, and the problem of fitting it, for tests of the joint fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stemdisp.backend import CPU, Device
from stemdisp.fitting.joint import JointFit, fit, initial_state
from stemdisp.fitting.problem import Problem, State
from stemdisp.fitting.profile import Shape, at_rim, evaluate

Floats = NDArray[np.float64]

SHAPE = (66, 74)
TRUE = Shape(np.log([2.4, 2.7]), np.array([0.06, -0.03]), 0.12, float(np.log(2.2)))
BRIGHT, FAINT = 400.0, 80.0
DEVICES = {"compiled": CPU, "arrays": replace(CPU, compiled=False)}


def grid() -> tuple[Floats, Floats]:
    """True places (N, 2), displaced at random, and groups (N,) of two interlaced square lattices."""
    rng = np.random.default_rng(3)
    x, y = np.meshgrid(np.arange(10, 66, 13.0), np.arange(8, 60, 13.0))
    xy = np.concatenate([np.stack([x.ravel(), y.ravel()], axis=1), np.stack([x.ravel(), y.ravel()], axis=1) + 6.5])
    xy = xy[(xy < [SHAPE[1] - 7, SHAPE[0] - 7]).all(axis=1)]
    return xy + rng.normal(0, 0.3, xy.shape), (xy[:, 0] % 13 < 5).astype(np.int64)


def drawn(xy: Floats, group: Floats, shape: Shape = TRUE) -> Floats:
    """Expected counts on a background that hats 20 px apart can follow; profiles end, at zero, 20 px away."""
    y, x = np.indices(SHAPE).astype(float)
    image = 30 + 0.1 * x - 0.05 * y
    rim = at_rim(shape, np.exp(shape.log_sigma), np.full(2, 20.0))[0]
    for place, g in zip(xy, group, strict=True):
        profile = evaluate(shape, np.exp(shape.log_sigma[g]), x - place[0], y - place[1], np).value
        image += np.where(np.hypot(x - place[0], y - place[1]) <= 20, (BRIGHT, FAINT)[g] * (profile - rim[g]), 0)
    return image


def noisy(seed: int = 0) -> Floats:
    """The image with counting noise."""
    return np.random.default_rng(seed).poisson(drawn(*grid())).astype(float)


def problem_of(image: Floats, xy: Floats, group: Floats, **changes) -> Problem:
    n = len(xy)
    values = {
        "image": image,
        "start": xy,
        "expected": xy,
        "centre": xy,
        "group": group,
        "radius": np.full(n, 20.0),
        "inner": np.full(n, 6.0),
        "free": np.ones(n, dtype=bool),
        "tied": np.full((n, 3), -1),
        "led": np.full((n, 3), -1),
        "beside": np.zeros((n, 2)),
        "spacing": 20.0,
        "limit": np.full(n, 3.0),
        "known": np.full(n, np.inf),
        "tolerance": np.full(n, 1e-4),
    }
    return Problem(**(values | changes))


def found_in(problem: Problem, device: Device, width: float = 2.5, **options) -> JointFit:
    """The fit from one width for all and a tail of 0.1."""
    begin = initial_state(problem, np.array([width, width]), 0.1)
    return fit(problem, begin, **({"max_iterations": 100, "device": device} | options))


def moved(state: State, vector: Floats) -> State:
    """A state with all parameters in the order of the equations changed."""
    n, g = len(state.xy), len(state.shape.log_sigma)
    columns, knots, shape = np.split(vector, [3 * n, 3 * n + len(state.background)])
    amplitude, x, y = columns.reshape(-1, 3).T
    new = Shape(
        state.shape.log_sigma + shape[:g],
        state.shape.stretch + shape[g : g + 2],
        float(state.shape.tail + shape[-2]),
        float(state.shape.log_ratio + shape[-1]),
    )
    return State(
        state.xy + np.stack([x, y], axis=1), state.amplitude + amplitude, state.background + knots, new, state.free
    )


def state_of(problem: Problem) -> State:
    """Not the answer, but near it."""
    first = initial_state(problem, np.array([2.6, 2.6]), 0.1)
    amplitude = np.where(problem.group == 0, 380.0, 90.0)
    return replace(first, amplitude=amplitude, shape=replace(first.shape, stretch=TRUE.stretch))
