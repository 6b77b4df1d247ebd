"""Unit cells: which rows of the column table belong to one moving column and its reference neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class UnitCells:
    """One cell per moving column.

    hk
        (M, 2) cell indices of the moving column.
    moving
        (M,) row of the moving column.
    reference
        (M, R) rows of its reference neighbours, -1 = missing.
    xy
        (M, 2) centroid of the reference neighbours in px (NaN where incomplete).
    flags
        (M,) bits of :class:`stemdisp.flags.Flag`.
    """

    moving_site: str
    reference_site: str
    hk: NDArray[np.int64]
    moving: NDArray[np.int64]
    reference: NDArray[np.int64]
    xy: NDArray[np.float64]
    flags: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.moving)

    def gather(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(M, R, ...) values of the reference neighbours; NaN where a neighbour is missing.

        ``values`` has one row a column of the table the cells were built from.
        """
        found = np.asarray(values, dtype=float)[self.reference]
        found[self.reference < 0] = np.nan
        return found

    @property
    def complete(self) -> NDArray[np.bool_]:
        """(M,) cells whose centroid is known."""
        return np.asarray(np.isfinite(self.xy).all(axis=1))
