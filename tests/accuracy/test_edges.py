"""The interface within half a layer, whatever ends the crystal and whichever way it faces; none where there is none.

The same at eight directions is printed by ``make bench``.
"""

from __future__ import annotations

import numpy as np
import pytest
from edges import KINDS, compare, found_in, scene, without_edge

from stemdisp.materials import Zone

ZONES_SEEN: tuple[Zone, ...] = ((1, -1, 0), (0, 0, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_within_half_a_layer(kind: str) -> None:
    for number, zone in enumerate(ZONES_SEEN):
        direction = float(np.random.default_rng([number, list(KINDS).index(kind)]).uniform(0, 360))
        found = compare(*found_in(scene(kind, direction, zone, seed=40 + number)))
        assert found is not None, f"none found at {direction:.0f} degrees"
        print(f"{direction:.0f} degrees: off by {found.worst:.2f} layers at most, stated {found.std:.2f}")
        assert found.worst < 0.5 and found.turned_deg < 1


def test_none_where_the_crystal_fills_the_image() -> None:
    assert [found_in(one)[0] for one in without_edge(10)] == [None] * 10
