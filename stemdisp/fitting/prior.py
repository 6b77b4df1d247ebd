"""What is known of columns and of their shape before the image is looked at, and how it pulls on a fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .engine import Gradient, Known
from .problem import Problem, State

Floats = NDArray[np.float64]

TAIL, TAIL_SPREAD, RATIO, RATIO_SPREAD = 0.1, 0.05, 2.2, 0.1
"""Weight of the tail, width ratio of tail and core, and the spreads of the weight and of the ratio's logarithm, before
the image says more: a tail too faint to measure has no ratio of its own, and without this the fit would creep along it
for ever."""

WIDTH_SPREAD = 0.1
"""Spread of the logarithm of groups' widths about that of the first: columns too faint to have a width get one."""

LEAST_SHARE = 0.1
"""A column fainter than this share of others like it counts as so faint where its amplitude divides."""


def prior(problem: Problem, state: State, chi2: float) -> Known:
    """What is known beforehand, in units of a curvature whose inverse times ``chi2`` is a covariance."""
    groups = len(state.shape.log_sigma)
    shape = np.zeros((groups + 4, groups + 4))
    shape[-2, -2], shape[-1, -1] = chi2 / TAIL_SPREAD**2, chi2 / RATIO_SPREAD**2
    alike = chi2 / WIDTH_SPREAD**2
    others = np.arange(1, groups)
    shape[0, 0] = alike * len(others)
    shape[others, others] = alike
    shape[0, others] = shape[others, 0] = -alike
    return Known(chi2 / problem.known**2, shape)


def energy(problem: Problem, state: State, known: Known) -> Floats:
    """(N,) squares that being away from where they are expected adds to columns' squared residuals."""
    squares = known.position * ((problem.expected - state.xy) ** 2).sum(axis=1)
    return np.asarray(np.where(state.free, squares, 0))


def towards_prior(problem: Problem, state: State, gradient: Gradient, known: Known) -> Gradient:
    """The gradient with the pull of what is known beforehand, and without what that does to amplitudes."""
    columns, shape = gradient.columns.copy(), gradient.shape.copy()
    columns[:, 1:] += known.position[:, None] * (problem.expected - state.xy)
    columns[:, 0] -= _profile_bias(state, energy(problem, state, known))
    others = [0, 0, state.shape.tail - TAIL, state.shape.log_ratio - np.log(RATIO)]
    shape -= known.shape @ np.concatenate([state.shape.log_sigma, others])
    return replace(gradient, columns=columns, shape=shape)


def _profile_bias(state: State, energy: Floats) -> Floats:
    """(N,) how strongly amplitudes are drawn up because positions are held, in expectation.

    The brighter a model has a column, the less it is held back from where noise draws it, and the better it fits: in
    each column far less than its error, but alike in all, and thousands of them bend what they share, as the tails of
    bright columns do (the case of Neyman and Scott 1948, doi 10.2307/1914288).  Where a position has the curvature R
    in the image, as the square of the amplitude, and K in what is known, noise leaves squares that fall as R / (R + K)
    grows.  Energy over amplitude has that slope in expectation, to a factor between 1/2 and 1 that depends on how well
    K fits the scatter; on images of the model itself it takes away 85 % of what the tail's width is wrong by.
    """
    there = state.free & (energy > 0)
    if not there.any():
        return np.zeros(len(energy))
    strength = np.abs(state.amplitude)
    strength = np.maximum(strength, LEAST_SHARE * float(np.median(strength[there])))
    there &= strength > 0
    bias = np.zeros(len(energy))
    bias[there] = energy[there] / np.copysign(strength, state.amplitude)[there]
    return bias
