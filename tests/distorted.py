"""Images with a known distortion of the scan, and what an analysis makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scenes import EDGE_PLANE, recipe

import stemdisp
from stemdisp.materials import Zone
from stemdisp.model.analysis import Analysis
from stemdisp.model.quality import Check
from stemdisp.scene import Dose, Edge, Look, Motion, Scan, Scene, Truth, Vector, View
from stemdisp.synthetic import simulate

Floats = NDArray[np.float64]

ZONES_SEEN: tuple[Zone, ...] = ((0, 0, 1), (1, -1, 0))
COUNTS = 2000.0
JITTER_PM = 1.0
MOVED_PM = (15.0, -10.0)

AFFINE: dict[str, tuple[Vector, Vector]] = {
    "none": ((1.0, 0.0), (0.0, 1.0)),
    "2 % longer along x": ((1.02, 0.0), (0.0, 1.0)),
    "2 % shorter along y": ((1.0, 0.0), (0.0, 0.98)),
    "sheared by 2 %": ((1.0, 0.02), (0.0, 1.0)),
    "all of it": ((1.015, -0.012), (0.006, 0.985)),
}
"""Linear maps of positions: rows of the matrix act on (x, y)."""


def scene(
    zone: Zone,
    seed: int,
    *,
    affine: tuple[Vector, Vector] = AFFINE["none"],
    jitter_pm: float = 0.0,
    creep_pm: Vector = (0.0, 0.0),
    rotation_deg: float = 3.0,
    counts: float = COUNTS,
    edge: bool = False,
    strained: bool = False,
) -> Scene:
    """KTaO3 with K displaced as a whole; with ``edge`` instead by a decay below an edge that lies along the rows,
    ``strained`` with a crystal beyond it."""
    beyond = Edge(plane=EDGE_PLANE[zone], offset_A=0.0 if strained else 8.0, beyond="vacuum")
    if strained:
        beyond = Edge(plane=EDGE_PLANE[zone], beyond="crystal", step=0.85, beyond_strain=0.01)
    motion = Motion(uniform_pm=MOVED_PM, jitter_pm=2.0)
    if edge:
        motion = Motion(normal_pm=10.0, parallel_pm=24.0, jitter_pm=2.0)
    found = Scene(
        zone=zone,
        seed=seed,
        view=View(shape=(400, 400), rotation_deg=rotation_deg),
        look=Look(tail=0.1),
        dose=Dose(peak_counts=counts, background_counts=0.1 * counts),
        motion=motion,
        edge=beyond if edge else None,
        scan=Scan(row_jitter_pm=jitter_pm, affine=affine, creep_pm=creep_pm),
    )
    return found.facing(90.0) if edge else found


@dataclass(frozen=True, eq=False)
class Measured:
    """An analysis beside the truth of its image."""

    analysis: Analysis
    truth: Truth
    affine: Floats
    creep_pm: Vector

    def check(self, name: str) -> Check:
        """One of the checks."""
        assert self.analysis.quality is not None
        return next(one for one in self.analysis.quality.checks if one.name == name)

    @property
    def _polar(self) -> tuple[Floats, Floats]:
        """Rotation and symmetric part of the true map, for rows: vector @ turn @ stretch."""
        left, sizes, right = np.linalg.svd(self.affine.T)
        return left @ right, right.T @ np.diag(sizes) @ right

    @property
    def distortion_error_percent(self) -> Floats:
        """(3,) stretch along x and y, and shear: measured minus true."""
        assert self.analysis.distortion is not None
        off = 100 * (self.analysis.distortion.matrix - self._polar[1])
        return np.array([off[0, 0], off[1, 1], 2 * off[0, 1]])

    @property
    def cells_pm(self) -> Floats:
        """(M, 2) measured displacements, NaN where there are none."""
        assert self.analysis.displacement is not None
        return self.analysis.displacement.uv

    @property
    def bias_pm(self) -> Floats:
        """(2,) mean over cells of measured minus true displacement."""
        assert self.analysis.displacement is not None and self.analysis.cells and self.analysis.columns
        rows, true = self.truth.cells("HAADF")
        near = self.truth.nearest(self.analysis.columns.xy[self.analysis.cells.moving], within_px=6.0)
        of = np.full(len(self.truth), -1)
        of[rows] = np.arange(len(rows))
        at = np.where(near >= 0, of[near], -1)
        chosen = (at >= 0) & self.analysis.displacement.valid
        return np.asarray((self.cells_pm[chosen] - true[at[chosen]] @ self._polar[0]).mean(axis=0))

    @property
    def true_drift_pm(self) -> float:
        """Rms of the drift over the extent of the reference columns, beyond what is affine."""
        assert self.analysis.columns is not None
        columns = self.analysis.columns
        y = columns.xy[columns.of_site("Ta") & columns.usable, 1]
        extent = float(np.ptp(y)) / (self.analysis.micrograph.shape[0] - 1)
        return float(np.hypot(*self.creep_pm)) * extent**2 * 2 / 3 / 5**0.5


def measured(one: Scene, correct: str = "none") -> Measured:
    """The analysis of an image, with the distortion taken out or not."""
    image, truth = simulate(one)
    analysis = stemdisp.analyse(image, recipe(one).with_values({"displacement": {"correct": correct}}))
    return Measured(analysis, truth, np.array(one.scan.affine), one.scan.creep_pm)
