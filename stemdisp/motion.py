"""How the columns of a synthetic micrograph stand off the ideal lattice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Vector = tuple[float, float]
Pattern = Literal["none", "wall", "turn", "vortex", "vortices"]


@dataclass(frozen=True, kw_only=True)
class Motion:
    """How columns stand off the ideal lattice, in pm.

    The moving site of layer n is displaced by (normal, parallel) exp(-n / decay_layers), or by row n of ``layers_pm``
    where that is given (nothing below its last row), and everywhere by ``uniform_pm`` (right, down). ``site_pm`` maps
    any site to a displacement (right, down) of all its columns, on top of that: a polar cell has one a site.
    ``jitter_pm`` is the rms of a random displacement of every column along each axis. ``tilt_pm`` maps a signal to a
    further apparent shift (right, down) of the moving site in that signal alone.

    ``pattern`` adds a domain pattern of ``pattern_pm`` far from its middle at ``pattern_at_A`` (crystal frame, from the
    image centre), which it takes ``pattern_width_A`` to reach: a 180-degree wall across the cell vector a, beyond which
    the moving site is displaced at right angles to a, counter-clockwise of it, and the other way on its other side; a
    90-degree wall (``turn``) at 45 degrees to a, at which it turns from a to the direction counter-clockwise of it, so
    that head follows tail; a vortex that closes the flux counter-clockwise as seen; or, in the layers of a stack,
    ``vortices`` in a row, ``pattern_width_A`` apart, that turn alternately, counter-clockwise nearest to the middle.
    """

    normal_pm: float = 0.0
    parallel_pm: float = 0.0
    decay_layers: float = 3.0
    layers_pm: tuple[Vector, ...] = ()
    uniform_pm: Vector = (0.0, 0.0)
    site_pm: Mapping[str, Vector] = field(default_factory=dict)
    jitter_pm: float = 0.0
    tilt_pm: Mapping[str, Vector] = field(default_factory=dict)
    pattern: Pattern = "none"
    pattern_pm: float = 0.0
    pattern_width_A: float = 6.0
    pattern_at_A: Vector = (0.0, 0.0)

    def of_pattern_pm(self, place_A: Floats) -> Floats:
        """(N, 2) displacement by the pattern at places (N, 2), both in the crystal frame: pattern_pm tanh(d / width),
        d = distance from the wall or from the middle of the vortex."""
        away = place_A - self.pattern_at_A
        if self.pattern == "none":
            return np.zeros_like(away)
        if self.pattern == "wall":
            return np.asarray(self.pattern_pm * np.tanh(away[:, :1] / self.pattern_width_A) * [0.0, 1.0])
        if self.pattern == "turn":
            share = 0.5 + 0.5 * np.tanh(away @ np.array([[1.0], [1.0]]) / np.sqrt(2) / self.pattern_width_A)
            return np.asarray(self.pattern_pm * np.concatenate([1 - share, share], axis=1))
        distance = np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
        around = away[:, ::-1] * [-1.0, 1.0] / distance
        return np.asarray(self.pattern_pm * np.tanh(distance / self.pattern_width_A) * around)

    def of_vortices_pm(self, along_A: Floats, height_A: Floats, thickness_A: float) -> Floats:
        """(N, 2) displacement (along a layer, across it) at places (N,) along it and heights (N,) above its middle: the
        curl of cos(pi along / width) cos(pi height / thickness), ``pattern_pm`` across half-way between two vortices.
        """
        along = np.pi * (along_A - self.pattern_at_A[0]) / self.pattern_width_A
        height = np.pi * height_A / thickness_A
        flat = -self.pattern_width_A / thickness_A * np.cos(along) * np.sin(height)
        return np.asarray(self.pattern_pm * np.stack([flat, np.sin(along) * np.cos(height)], axis=1))
