"""How near to the true edge the interface is found, for every kind of edge, all around."""

from __future__ import annotations

import numpy as np
from edges import KINDS, compare, found_in, scene, without_edge
from markdown import Table, say

from stemdisp.materials import Zone

DIRECTIONS_DEG = tuple(float(turn) for turn in np.arange(8) * 45 + 7)
FULL_IMAGES = 24
ZONES_SEEN: tuple[Zone, ...] = ((1, -1, 0), (0, 0, 1))


def interfaces() -> str:
    """A row for each kind of edge: distances of the whole line from the true one, in layers."""
    rows = []
    for kind in KINDS:
        say(f"interfaces: {kind}")
        found = [
            compare(*found_in(scene(kind, turn, ZONES_SEEN[number % 2], seed=number)))
            for number, turn in enumerate(DIRECTIONS_DEG)
        ]
        seen = [one for one in found if one is not None]
        off = np.concatenate([one.off for one in seen])
        rows.append(
            (
                kind,
                f"{len(seen)} of {len(found)}",
                f"{np.sqrt((off**2).mean()):.2f}",
                f"{np.abs(off).max():.2f}",
                f"{sum(one.worst < 0.5 for one in seen)} of {len(found)}",
            )
        )
    called = sum(found_in(one)[0] is not None for one in without_edge(FULL_IMAGES))
    head = ("what lies beyond", "found", "rms (layers)", "worst place (layers)", "within half a layer everywhere")
    note = (
        f"Images of 5 nm of KTaO3 along [1-10] and [001] with 1000 counts, the normal at {len(DIRECTIONS_DEG)} "
        f"directions all around. An interface was seen in {called} of {FULL_IMAGES} images that a crystal fills."
    )
    return str(Table("Where the interface is", head, rows, note))
