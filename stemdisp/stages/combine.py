"""One table from several signals: cations from the signal the recipe trusts for positions, oxygen from the one that
shows it, and so the cations that the first does not resolve.

The shift between the signals (scan, tilt, detector) is measured on the brightest site's columns and taken off, so that
no distance is ever taken between positions of two signals that were not aligned on the same columns.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..flags import Flag
from ..model.columns import Columns
from ..model.lattice import Lattice


def combine(
    by_signal: Mapping[str, Columns],
    lattice: Lattice,
    positions: str,
    oxygen: str,
    *,
    shifts: Mapping[str, tuple[float, float]] | None = None,
) -> tuple[Columns, dict[str, tuple[float, float]]]:
    """Columns (N rows, as in every signal) with oxygen, and what is not resolved, from another signal, and the shift
    (x, y) px of each signal.

    ``positions`` and ``oxygen`` name the signals; the shift is the median over the reference site's columns usable in
    both, unless ``shifts`` says it.
    """
    base = by_signal[positions]
    motif = lattice.motif
    anchor = base.of_site(motif.material.reference)
    found = dict(shifts or {})
    for name, columns in by_signal.items():
        both = anchor & base.usable & columns.usable
        shift = np.median(columns.xy[both] - base.xy[both], axis=0) if both.any() else np.zeros(2)
        found.setdefault(name, (float(shift[0]), float(shift[1])))
    if oxygen == positions:
        return base, found
    other = by_signal[oxygen]
    shoulder = (base.flags & int(Flag.UNRESOLVED)) > 0
    rows = motif.oxygen[base.site]
    if shoulder.any() and not (shoulder & ((other.flags & int(Flag.UNRESOLVED)) > 0)).any():
        # Its brighter neighbours are pulled towards a shoulder: no position of the first signal is used then.
        rows = np.ones(len(base), dtype=bool)
    merged: dict[str, NDArray[np.generic]] = {
        name: np.where(rows.reshape(-1, *[1] * (array.ndim - 1)), getattr(other, name), array)
        for name, array in base.arrays().items()
    }
    merged["xy"] = np.where(rows[:, None], other.xy - np.array(found[oxygen]), base.xy)
    merged["signal"] = rows.astype(np.int64)
    return base.replace(signals=(positions, oxygen), fits=(*base.fits, *other.fits), **merged), found
