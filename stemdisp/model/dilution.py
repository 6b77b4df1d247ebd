"""How much of the moving atom's displacement its column's image shows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .fields import VectorField


@dataclass(frozen=True)
class Dilution:
    """A column that holds other atoms beside the moving one moves less in the image than that atom.

    share, std
        Displacement of the column's image over that of the moving atom, where the others stay, and its standard
        deviation; 1 and 0 where the column holds that atom alone.
    sentence
        The assumption, to be printed wherever a corrected displacement is.
    """

    share: float
    std: float
    sentence: str

    def undone(self, field: VectorField) -> VectorField:
        """Displacements of the moving atoms from those of their columns; the share's error, common to all, included."""
        uv = field.uv / self.share
        common = (self.std / self.share) ** 2 * uv[:, :, None] * uv[:, None, :]
        return replace(field, uv=uv, cov=field.cov / self.share**2 + np.nan_to_num(common), assumption=self.sentence)
