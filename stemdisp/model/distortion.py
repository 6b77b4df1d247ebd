"""How the scan distorts the image alike everywhere, as a crystal of known shape tells it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Distortion:
    """The affine map between the ideal lattice and the image, but for a rotation: how the crystal lies nobody knows.

    matrix, std
        (2, 2) symmetric, and the standard deviations of its elements: a true vector (row; right, down; pm) times this
        is the one that the image shows under the pixel size.
    columns
        How many columns it was measured on.
    where
        Which these are.
    """

    matrix: Floats
    std: Floats
    columns: int
    where: str

    def undone(self, vectors: Floats) -> Floats:
        """(..., 2) vectors as they would be without it."""
        return np.asarray(vectors @ np.linalg.inv(self.matrix))

    @property
    def principal(self) -> tuple[float, float]:
        """The relative stretch that departs most from none, and its standard deviation."""
        sizes, axes = np.linalg.eigh(self.matrix)
        most = int(np.abs(sizes - 1).argmax())
        share = np.outer(axes[:, most], axes[:, most])
        # The two equal elements off the diagonal err together.
        own = (np.diag(share) * np.diag(self.std)) ** 2
        return float(sizes[most] - 1), float(np.sqrt(own.sum() + (2 * share[0, 1] * self.std[0, 1]) ** 2))
