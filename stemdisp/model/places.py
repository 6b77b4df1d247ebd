"""Where the lattice has a column, by the columns around it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .columns import Columns
from .lattice import Lattice

Floats = NDArray[np.float64]

AROUND = 8
"""Columns that say together by how much the lattice is displaced where they are."""


@dataclass(frozen=True)
class Places:
    """The places of a crystal whose columns are listed, whether one is listed there or not."""

    columns: Columns
    lattice: Lattice

    @cached_property
    def _off(self) -> Floats:
        """(N, 2) px from where the average lattice has columns to where they are."""
        return self.columns.xy - self.lattice.position(self.columns.hk, self.columns.site)

    @property
    def half_px(self) -> float:
        """Half of the shortest distance between two columns, in px."""
        return 50 * self.lattice.motif.shortest_distance_A / float(self.lattice.scale_pm.mean())

    def of(self, site: int, hk: tuple[int, int]) -> Floats:
        """(2,) px where the columns around, itself apart, say that the column of a site and cell belongs."""
        ideal = self.lattice.position(np.array([hk]), np.array([site]))[0]
        away = np.hypot(*(self.columns.xy - self._off - ideal).T)
        away[(self.columns.site == site) & (self.columns.hk == hk).all(axis=1)] = np.inf
        return np.asarray(ideal + self._shift(away))

    def at(self, xy: Floats) -> tuple[int, tuple[int, int]]:
        """Site and cell whose place is nearest to ``xy`` (2,) px."""
        lattice, best = self.lattice, (np.inf, 0, (0, 0))
        near = xy - self._shift(np.hypot(*(self.columns.xy - xy).T))
        for site, fraction in enumerate(lattice.motif.fractions):
            h, k = np.rint(lattice.fractional(near) - fraction).astype(int).tolist()
            for hk in ((h + dh, k + dk) for dh in (-1, 0, 1) for dk in (-1, 0, 1)):
                away = float(np.hypot(*(lattice.position(np.array([hk]), np.array([site]))[0] - near)))
                best = min(best, (away, site, hk))
        return best[1], best[2]

    def _shift(self, away: Floats) -> Floats:
        """(2,) px by which the lattice is displaced at the columns with the smallest distances (N,)."""
        rows = np.argsort(away, kind="stable")[:AROUND]
        return np.asarray(np.median(self._off[rows[np.isfinite(away[rows])]], axis=0))

    def refused(self, site: int, hk: tuple[int, int], xy: Floats) -> str:
        """Why no column of a site and cell can be at ``xy`` (2,) px; empty where it can."""
        away = float(np.hypot(*(xy - self.of(site, hk))))
        if away <= self.half_px:
            return ""
        return (
            f"lies {away:.1f} px from where the lattice has it, more than half the shortest distance between columns "
            f"({self.half_px:.1f} px)"
        )
