"""The radial profile of a column: a Gaussian core with a wider Gaussian tail, both stretched by one metric.

    P(d) = (1 - w) exp(-r^2 / 2 s^2) + w exp(-r^2 / 2 (k s)^2),    r^2 = d' M d,    det M = 1

``s`` belongs to a group of columns (a site), the tail's weight ``w`` and width ratio ``k`` and the metric ``M`` to the
whole image: the probe is one, whatever it meets. ``M = [[1 + m1, m2], [m2, 1 - m1]] / sqrt(1 - m1^2 - m2^2)``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TAIL_WEIGHT = (0.0, 0.5)
TAIL_RATIO = (1.4, 4.0)
MAX_STRETCH = 0.5
"""Bounds of w, of k and of |(m1, m2)|: outside them the tail is background or the core is not a column."""

NO_TAIL = 1e-9
"""A weight below this is none."""


@dataclass(frozen=True)
class Shape:
    """``log_sigma`` (G,) per group, ``stretch`` (m1, m2), tail weight ``w`` and log of the tail's width ratio ``k``."""

    log_sigma: Floats
    stretch: Floats
    tail: float = 0.0
    log_ratio: float = float(np.log(2.2))

    def longest_step(self) -> Floats:
        """Largest change of each parameter that the profile follows about linearly."""
        return np.array([0.25] * len(self.log_sigma) + [0.1, 0.1, 0.1, 0.2])

    @classmethod
    def of_axes(cls, long: float, short: float, angle_deg: float, tail: float, ratio: float) -> Shape:
        """The shape of one group whose core has these standard deviations along its axes (the inverse of
        :meth:`axes`), and the tail's weight and width ratio."""
        turn = np.radians(2 * angle_deg)
        size = (long**2 - short**2) / (long**2 + short**2)
        stretch = size * np.array([-np.cos(turn), np.sin(turn)])
        return cls(np.array([0.5 * np.log(long * short)]), stretch, tail, float(np.log(ratio)))

    @property
    def metric(self) -> Floats:
        """(2, 2) matrix M."""
        m1, m2 = self.stretch
        return np.asarray(np.array([[1 + m1, m2], [m2, 1 - m1]]) / np.sqrt(1 - m1**2 - m2**2))

    def step(self, delta: Floats) -> Shape:
        """The shape after a change of (log_sigma..., m1, m2, w, log k), kept inside the bounds."""
        groups = len(self.log_sigma)
        tail = float(np.clip(self.tail + delta[-2], *TAIL_WEIGHT))
        stretch = self.stretch + delta[groups : groups + 2]
        size = float(np.linalg.norm(stretch))
        return replace(
            self,
            log_sigma=self.log_sigma + delta[:groups],
            stretch=stretch * min(1.0, MAX_STRETCH / max(size, 1e-12)),
            tail=tail if tail > NO_TAIL else 0.0,  # a step that ends at 0 does so but for rounding
            log_ratio=float(np.clip(self.log_ratio + delta[-1], *np.log(TAIL_RATIO))),
        )

    def distance(self, other: Shape) -> float:
        """Largest difference of any parameter."""
        tail = max(abs(self.tail - other.tail), self.tail * abs(self.log_ratio - other.log_ratio))
        return float(
            max(np.abs(self.log_sigma - other.log_sigma).max(), np.abs(self.stretch - other.stretch).max(), tail)
        )

    def axes(self) -> tuple[Floats, float]:
        """Standard deviations (G, 2) of the core along its long and short axis, and the long axis' angle in degrees,
        counter-clockwise as seen (y down), in [0, 180)."""
        values, vectors = np.linalg.eigh(self.metric)
        sigma = np.exp(self.log_sigma)[:, None] / np.sqrt(values)
        angle = np.degrees(np.arctan2(-vectors[1, 0], vectors[0, 0])) % 180.0
        return sigma, float(angle if angle < 180.0 else 0.0)


@dataclass(frozen=True)
class Evaluated:
    """A profile at displacements d, arrays of one shape: value, slope factor ``q`` (dP = q M d . d(centre)), ``r2``
    and the two exponentials."""

    value: Any
    q: Any
    mx: Any
    my: Any
    r2: Any
    core: Any
    wide: Any


def evaluate(shape: Shape, sigma: Any, dx: Any, dy: Any, xp: Any) -> Evaluated:
    """The profile at (dx, dy) px from its centre; ``sigma`` broadcasts against them; ``xp`` is their array
    namespace."""
    m = shape.metric
    mx = m[0, 0] * dx + m[0, 1] * dy
    my = m[1, 0] * dx + m[1, 1] * dy
    r2 = dx * mx + dy * my
    inverse = 1.0 / sigma**2
    core = xp.exp(-0.5 * inverse * r2)
    if shape.tail == 0.0:
        return Evaluated(core, core * inverse, mx, my, r2, core, None)
    wide_inverse = inverse * np.exp(-2 * shape.log_ratio)
    wide = xp.exp(-0.5 * wide_inverse * r2)
    value = (1 - shape.tail) * core + shape.tail * wide
    q = (1 - shape.tail) * inverse * core + shape.tail * wide_inverse * wide
    return Evaluated(value, q, mx, my, r2, core, wide)


def at_rim(shape: Shape, sigma: Floats, radius: Floats) -> tuple[Floats, Floats]:
    """Height (N,) at distances ``radius`` from the centre, the stretch left aside, and its derivatives (N, 3) by log
    sigma, w and log k: what is taken off a profile that ends there, so that it does not end in a step."""
    r2 = radius**2
    core, wide_inverse = np.exp(-0.5 * r2 / sigma**2), np.exp(-2 * shape.log_ratio) / sigma**2
    wide = np.exp(-0.5 * wide_inverse * r2)
    by_core, by_wide = (1 - shape.tail) * core * r2 / sigma**2, shape.tail * wide * wide_inverse * r2
    height = (1 - shape.tail) * core + shape.tail * wide
    return height, np.stack([by_core + by_wide, wide - core, by_wide], axis=1)


def shape_slopes(shape: Shape, at: Evaluated, sigma: Any, dx: Any, dy: Any, xp: Any) -> list[Any]:
    """Derivatives of the profile by its own log sigma, m1, m2, w and log k (arrays like ``dx``)."""
    m1, m2 = shape.stretch
    norm = 1.0 / np.sqrt(1 - m1**2 - m2**2)
    half_q = 0.5 * at.q
    by_m1 = -half_q * (norm * (dx * dx - dy * dy) + norm**2 * m1 * at.r2)
    by_m2 = -half_q * (norm * 2 * dx * dy + norm**2 * m2 * at.r2)
    wide_inverse = np.exp(-2 * shape.log_ratio) / sigma**2
    wide = xp.exp(-0.5 * wide_inverse * at.r2) if at.wide is None else at.wide
    return [at.q * at.r2, by_m1, by_m2, wide - at.core, shape.tail * wide_inverse * wide * at.r2]


def pulls(shape: Shape, at: Evaluated, sigma: Any, dx: Any, dy: Any, residual: Any, xp: Any, *, tail: bool) -> Any:
    """Sums over pixels (last axis) of ``residual`` times the profile and its derivatives by x, y, log sigma, m1, m2, w
    and log k: (..., 8).  Without ``tail`` the last two are zero.

    All derivatives but the tail's are moments of q times the residual, so no array of derivatives is made.
    """
    m1, m2 = shape.stretch
    m = shape.metric
    norm = 1.0 / np.sqrt(1 - m1**2 - m2**2)

    def over_pixels(one: Any, two: Any) -> Any:
        return xp.einsum("...p,...p->...", one, two)

    slope = at.q * residual
    slope_x, slope_y = slope * dx, slope * dy
    x, y = slope_x.sum(axis=-1), slope_y.sum(axis=-1)
    xx, xy, yy = over_pixels(slope_x, dx), over_pixels(slope_x, dy), over_pixels(slope_y, dy)
    r2 = m[0, 0] * xx + 2 * m[0, 1] * xy + m[1, 1] * yy
    sums = [
        over_pixels(at.value, residual),
        m[0, 0] * x + m[0, 1] * y,
        m[1, 0] * x + m[1, 1] * y,
        r2,
        -0.5 * (norm * (xx - yy) + norm**2 * m1 * r2),
        -0.5 * (2 * norm * xy + norm**2 * m2 * r2),
    ]
    if tail:
        wide_inverse = np.exp(-2 * shape.log_ratio) / sigma**2
        wide = (xp.exp(-0.5 * wide_inverse * at.r2) if at.wide is None else at.wide) * residual
        sums += [wide.sum(axis=-1) - over_pixels(at.core, residual)]
        sums += [shape.tail * wide_inverse[..., 0] * over_pixels(wide, at.r2)]
    else:
        sums += [xp.zeros_like(x), xp.zeros_like(x)]
    return xp.stack(sums, axis=-1)
