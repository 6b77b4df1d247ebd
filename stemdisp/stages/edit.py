"""Replay changes that were made to columns by hand, on the image they were made on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..flags import Flag
from ..model.columns import Columns
from ..model.micrograph import InputFile
from ..recipe import EditEntry


def edit(columns: Columns, edits: Sequence[EditEntry], inputs: Sequence[InputFile]) -> tuple[Columns, tuple[str, ...]]:
    """Columns with the edits of this image applied, and sentences about those that were not.

    A moved column starts its fit elsewhere (``EDITED``); a deleted one stays in the table, ``EXCLUDED`` from every
    result.
    """
    if not edits:
        return columns, ()
    own = {source.sha256 for source in inputs}
    xy, flags = columns.xy.copy(), columns.flags.copy()
    lost = []
    names = np.array(columns.sites)[columns.site]
    for entry in edits:
        if entry.sha256 not in own:
            continue
        row = np.flatnonzero((names == entry.site) & (columns.hk == (entry.h, entry.k)).all(axis=1))
        if not len(row):
            lost.append(f"{entry.site} ({entry.h}, {entry.k})")
        elif entry.action == "delete":
            flags[row] |= int(Flag.EXCLUDED)
        else:
            xy[row], flags[row] = (entry.x, entry.y), flags[row] | int(Flag.EDITED)
    notes = []
    if lost:
        notes.append(f"edited columns that are not in this analysis: {', '.join(lost)}")
    return columns.replace(xy=xy, flags=flags), tuple(notes)
