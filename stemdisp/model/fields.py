"""Vectors with errors at the cells of the image."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST_OF_LAYER = 3
"""Cells without which a layer has no mean."""


@dataclass(frozen=True)
class Offset:
    """Vector (2,) that was subtracted, its standard error (2,), and the cells (M,) it was measured on."""

    vector: Floats
    std: Floats
    cells: NDArray[np.bool_]


@dataclass(frozen=True)
class VectorField:
    """One vector a cell.

    xy
        (M, 2) where the vectors stand, in px.
    uv
        (M, 2) components (x right, y down) in ``unit``; NaN where there is none.
    cov
        (M, 2, 2) covariance in unit^2.
    offset, offset_std
        (2,) vector that was subtracted from all and its standard error, or None where nothing was subtracted.
    offset_cells
        (M,) cells the offset was measured on (all False where nothing was subtracted).
    beyond
        The same of the cells on the other side of an interface, where that is a crystal too.
    significant
        (M,) whether the vector stands above its error (False discovery controlled), NaN vectors are False; of no length
        where there is no error to judge by.
    assumption
        sentence that a figure or table of this field has to carry.
    distortion
        (2, 2) affine distortion of the scan that was taken out of the vectors (see
        :class:`stemdisp.model.distortion.Distortion`), None where nothing was.
    warning
        sentence on what is wrong with the numbers it was made with; empty where nothing is.
    """

    unit: Literal["pm", "uC/cm2"]
    xy: Floats
    uv: Floats
    cov: Floats
    offset: Floats | None = None
    offset_std: Floats | None = None
    offset_cells: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    beyond: Offset | None = None
    significant: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    assumption: str = ""
    distortion: Floats | None = None
    warning: str = ""

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(M,) cells that have a vector."""
        return np.asarray(np.isfinite(self.uv).all(axis=1))

    @property
    def judged(self) -> bool:
        """Whether it is known which vectors stand above their error."""
        return len(self.significant) == len(self)

    @property
    def magnitude(self) -> Floats:
        """(M,) length of the vectors."""
        return np.asarray(np.hypot(self.uv[:, 0], self.uv[:, 1]))

    @property
    def angle_deg(self) -> Floats:
        """(M,) direction as seen on the screen, counter-clockwise, 0 = right, in (-180, 180]."""
        angle = np.degrees(np.arctan2(-self.uv[:, 1], self.uv[:, 0]))
        return np.where(angle <= -180, 180.0, angle)

    @property
    def std(self) -> Floats:
        """(M, 2) standard deviation of the components."""
        return np.sqrt(np.stack([self.cov[:, 0, 0], self.cov[:, 1, 1]], axis=1))

    def times(self, factor: float, unit: Literal["pm", "uC/cm2"], assumption: str) -> VectorField:
        """All vectors, offsets included, as multiples in another unit."""
        beyond = self.beyond
        if beyond is not None:
            beyond = Offset(beyond.vector * factor, beyond.std * abs(factor), beyond.cells)
        return replace(
            self,
            unit=unit,
            uv=self.uv * factor,
            cov=self.cov * factor**2,
            offset=None if self.offset is None else self.offset * factor,
            offset_std=None if self.offset_std is None else self.offset_std * abs(factor),
            beyond=beyond,
            assumption=assumption,
        )

    def of_side(self, number: int) -> VectorField:
        """As the crystal on one side of an interface (0, or 1 = the other side) has it: with its own offset."""
        if number == 0:
            return self
        if self.beyond is None:
            return replace(self, offset=None, offset_std=None, offset_cells=np.zeros(0, dtype=bool), beyond=None)
        own = self.beyond
        return replace(self, offset=own.vector, offset_std=own.std, offset_cells=own.cells, beyond=None)

    def straight(self, vectors: Floats) -> Floats:
        """(..., 2) other vectors in pm as these are: without the distortion, where it was taken out."""
        return vectors if self.distortion is None else np.asarray(vectors @ np.linalg.inv(self.distortion))

    def largest(self, layer: NDArray[np.int64] | None = None) -> Floats | None:
        """(2,) longest mean of a layer of three cells or more; without ``layer`` (M,) the root mean square along the
        direction in which it is largest. None where there is none."""
        valid = self.valid
        if layer is None:
            if not valid.any():
                return None
            squares, axes = np.linalg.eigh(self.uv[valid].T @ self.uv[valid] / valid.sum())
            return np.asarray(np.sqrt(squares[1]) * axes[:, 1])
        of_layers = (valid & (layer == number) for number in np.unique(layer[layer >= 0]))
        means = [self.uv[cells].mean(axis=0) for cells in of_layers if cells.sum() >= FEWEST_OF_LAYER]
        return max(means, key=lambda mean: float(np.hypot(*mean)), default=None)

    def along(self, direction: Floats) -> Floats:
        """(M,) component along a unit vector (x right, y down)."""
        return np.asarray(self.uv @ direction)
