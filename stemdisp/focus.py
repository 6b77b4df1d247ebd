"""Whether columns are as wide at one end of the image as at the other: what focus and thickness do to them."""

from __future__ import annotations

import numpy as np

from .fitting.ellipses import scaled, width
from .fitting.trend import trend
from .model.cells import UnitCells
from .model.columns import Columns
from .model.fields import VectorField
from .model.micrograph import PixelSize
from .model.quality import Check

LARGE_PERCENT, SURE = 3.0, 3.0
"""Change of the width across the image, and standard errors, above both of which it is worth a warning."""

MOST_KNOWN = 0.5
"""Share of the columns that must have a width of their own."""


def width_trend(
    columns: Columns, cells: UnitCells, displacement: VectorField | None, pixel_size: PixelSize | None
) -> list[Check]:
    """Change of the width of the reference columns from one end of the image to the other, along the direction in which
    they widen most; in the bulk alone where there is one, so that an interface is no trend.

    Empty where too few columns have a width of their own.
    """
    bulk = np.ones(len(cells), dtype=bool)
    if displacement is not None and displacement.offset_cells.any():
        bulk = displacement.offset_cells
    rows = np.unique(cells.reference[bulk])
    rows = rows[rows >= 0]
    rows = rows[columns.usable[rows]]
    if np.isfinite(columns.moments[rows]).all(axis=1).sum() < max(MOST_KNOWN * len(rows), 1):
        return []
    scale = np.ones(2) if pixel_size is None else pixel_size.xy_pm
    found = trend(columns.xy[rows] * scale, width(*scaled(columns.moments[rows], columns.moments_cov[rows], scale))[0])
    if found is None:
        return []
    change, std = 100 * found.change / found.mean, 100 * found.change_std / found.mean
    where = "the bulk" if not bulk.all() else "the image"
    sentence = (
        f"from one end of {where} to the other {cells.reference_site} columns widen by {change:.1f} +- {std:.1f} %, "
        f"towards {found.direction_deg:.0f} degrees"
    )
    warn = change > LARGE_PERCENT and change > SURE * std
    if warn:
        sentence += (
            ": a change of focus or thickness, or of the crystal's tilt; as one width is fitted to all, intensities "
            "drift by up to about as much of themselves"
        )
    return [Check("width_trend", change, std, "%", sentence, warn)]
