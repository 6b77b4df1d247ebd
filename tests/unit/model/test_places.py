"""Places of a lattice that is displaced differently from place to place."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from stemdisp.crystal import project
from stemdisp.materials import KTaO3
from stemdisp.model.columns import Columns
from stemdisp.model.lattice import Lattice
from stemdisp.model.places import Places


@pytest.fixture
def places() -> Places:
    """Columns of twelve by twelve cells, displaced by up to two cells from one side to the other."""
    motif = project(KTaO3, (0, 0, 1))
    cell = motif.cell_A * 10 * [1, -1]
    lattice = Lattice(motif, np.zeros(2), cell[0], cell[1])
    hk = np.tile(np.array(list(product(range(12), repeat=2))), (len(motif.sites), 1))
    site = np.repeat(np.arange(len(motif.sites)), 144)
    ideal = lattice.position(hk, site)
    bent = ideal + np.stack([0.15 * ideal[:, 0], np.zeros(len(ideal))], axis=1)
    return Places(Columns.at(bent, motif.sites, ("HAADF",), site=site, hk=hk), lattice)


def test_every_column_is_where_its_neighbours_say(places: Places) -> None:
    columns = places.columns
    for row in range(0, len(columns), 7):
        site, (h, k) = int(columns.site[row]), columns.hk[row].tolist()
        assert places.at(columns.xy[row]) == (site, (h, k))
        assert np.hypot(*(places.of(site, (h, k)) - columns.xy[row])) < places.half_px
        assert not places.refused(site, (h, k), columns.xy[row])


def test_a_place_too_far_away_is_refused(places: Places) -> None:
    site, (h, k) = int(places.columns.site[70]), places.columns.hk[70].tolist()
    said = places.refused(site, (h, k), places.columns.xy[70] + [2 * places.half_px, 0])
    assert "more than half the shortest distance" in said
