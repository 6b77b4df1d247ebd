"""The average lattice of the crystal in the image, and the grid on which columns are found again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..crystal import Motif

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lattice:
    """Origin and cell vectors in px (x right, y down) of a known motif.

    ``origin`` is where the motif's (0, 0) of cell (0, 0) lies; ``a`` and ``b`` are the images of the motif's cell
    vectors.
    """

    motif: Motif
    origin: Floats
    a: Floats
    b: Floats

    @property
    def cell(self) -> Floats:
        """(2, 2) rows a and b in px."""
        return np.stack([self.a, self.b])

    @property
    def angle_deg(self) -> float:
        """Angle between a and b in degrees, in px space."""
        cosine = self.a @ self.b / (np.linalg.norm(self.a) * np.linalg.norm(self.b))
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))

    @property
    def rotation_deg(self) -> float:
        """Direction of a as seen on the screen, counter-clockwise from the right, in (-180, 180]."""
        return float(np.degrees(np.arctan2(-self.a[1], self.a[0])))

    @property
    def _metric(self) -> Floats:
        # Rows of ``motif.cell_A`` have y up: flip to y down before comparing.
        to_ideal = np.linalg.solve(self.cell, self.motif.cell_A * [1, -1])
        return np.asarray(to_ideal @ to_ideal.T)

    @property
    def scale_pm(self) -> Floats:
        """(2,) size of a pixel along x and y in pm that makes the measured cell the ideal one."""
        return np.asarray(100 * np.sqrt(np.diag(self._metric)))

    @property
    def shear_deg(self) -> float:
        """Departure of the scan's x and y axes from a right angle, as the ideal cell sees it."""
        cosine = self._metric[0, 1] / np.sqrt(self._metric[0, 0] * self._metric[1, 1])
        return float(np.degrees(np.arcsin(np.clip(cosine, -1, 1))))

    def position(self, hk: NDArray[np.integer], site: NDArray[np.integer]) -> Floats:
        """(N, 2) ideal position in px of columns with cells ``hk`` (N, 2) and motif sites ``site`` (N,)."""
        return np.asarray(self.origin + (hk + self.motif.fractions[site]) @ self.cell)

    def fractional(self, xy: Floats) -> Floats:
        """(N, 2) positions ``xy`` in px as multiples of a and b from the origin."""
        return np.asarray((xy - self.origin) @ np.linalg.inv(self.cell))
