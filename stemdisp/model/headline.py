"""What stands out most: the mean of the strongest layer, where it points and what it may be as polarization."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SURE = 2.0
"""Standard deviations by which a polarization has to differ from zero before its sign counts."""


@dataclass(frozen=True)
class Estimate:
    """Mean polarization by one model, in uC/cm2.

    vector, cov
        (2,) mean in the image frame (x right, y down) and its covariance (2, 2).
    along, along_std
        its component along the mean displacement, with standard deviation.
    """

    model: str
    vector: Floats
    cov: Floats
    along: float
    along_std: float


@dataclass(frozen=True)
class Direction:
    """The direction of low indices nearest to a mean displacement.

    indices, exact
        Its indices; ``exact`` is False where only the projection of [uvw] points there.
    normal
        indices of the interface's outward normal under the same naming of the axes, where there is an interface.
    off_deg, std_deg
        Angle between the two, and its standard deviation.
    """

    indices: tuple[int, int, int]
    exact: bool
    normal: tuple[int, int, int] | None
    off_deg: float
    std_deg: float


@dataclass(frozen=True)
class Headline:
    """The strongest layer of a crystal, or all its cells where there are no layers.

    layer
        number of the layer; None = all cells.
    cells
        how many have a displacement.
    mean_pm, cov_pm
        (2,) mean displacement in the image frame, and its covariance (2, 2).
    significant
        whether it stands above its error.
    direction
        None where its error is too large, or the displacement not significant; ``no_direction`` says which.
    estimates
        the polarization by every model whose numbers are known.
    """

    layer: int | None
    cells: int
    mean_pm: Floats
    cov_pm: Floats
    significant: bool
    direction: Direction | None
    no_direction: str
    estimates: tuple[Estimate, ...]

    @property
    def where(self) -> str:
        """Which cells these are."""
        return "all cells" if self.layer is None else f"layer {self.layer}"

    @property
    def extremes(self) -> tuple[Estimate, Estimate] | None:
        """The models that give the lowest and the highest polarization along the displacement; None of none."""
        if not self.estimates:
            return None
        return min(self.estimates, key=lambda one: one.along), max(self.estimates, key=lambda one: one.along)

    @property
    def sign_may_flip(self) -> bool:
        """Whether models disagree on the sign of the polarization, or one does not know it."""
        found = self.extremes
        return found is not None and (
            found[0].along - SURE * found[0].along_std < 0 < found[1].along + SURE * found[1].along_std
        )
