"""Measured images of others: where they are, and what is asked of them in tests and benchmark alike.

``sample_data`` has one of them.  The others are not part of the project: they lie beside it, in ``shared/data``, or are
missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import SAMPLES
from numpy.typing import NDArray
from scipy.spatial import cKDTree

import stemdisp
from stemdisp.model.analysis import Analysis
from stemdisp.model.micrograph import Micrograph, Signal

BARIUM_TITANATE = SAMPLES / "BTO_crystal_1.dm4"
BESIDE = Path(__file__).parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Beside:
    """Files of one area in the folder beside the project, and how a user would analyse them."""

    pattern: str
    material: str
    zone: str
    pixel_size: float | None = None

    @property
    def paths(self) -> list[Path]:
        """The files, those of HAADF first; empty where the folder is missing."""
        return sorted(BESIDE.glob(self.pattern), key=lambda path: ("ADF" not in path.name, path.name))

    def read(self, **how: object) -> Micrograph:
        """The files, read as a user would."""
        return stemdisp.read(*self.paths, pixel_size=self.pixel_size, **how)

    def analyse(self) -> Analysis:
        """The whole analysis."""
        return stemdisp.analyse(self.read(), stemdisp.recipe_for(self.material, self.zone))


PAIR = Beside("adf_abf_perovskite/*.hdf5", "SrTiO3", "1-10", 9.3263)
STACK = Beside("abf_stack/*.hspy", "SrTiO3", "1-10")
VELOX = Beside("velox_four_detectors/*.emd", "SrTiO3", "001")
NCEM = Beside("ncem_emd_units/*.emd", "KTaO3", "1-10")


def barium_titanate(part: tuple[slice, slice] = (slice(None), slice(None))) -> Analysis:
    """The measured BaTiO3 image, or a part of it."""
    image = stemdisp.read(BARIUM_TITANATE)
    (signal,) = image.signals.values()
    cut = Micrograph(image.name, {signal.name: Signal(signal.name, signal.image[part])}, image.pixel_size)
    return stemdisp.analyse(cut, stemdisp.recipe_for("BaTiO3", "001"))


def same_cells(whole: Analysis, part: Analysis, corner: tuple[int, int]) -> NDArray[np.float64]:
    """(n, 2) displacement in a part of an image, which begins at ``corner`` (x, y) px, minus that of the same cells in
    the whole, in pm."""
    assert whole.displacement is not None and part.displacement is not None
    one, other = whole.displacement, part.displacement
    distance, near = cKDTree(one.xy[one.valid]).query(other.xy[other.valid] + corner)
    return other.uv[other.valid][distance < 3] - one.uv[one.valid][near[distance < 3]]
