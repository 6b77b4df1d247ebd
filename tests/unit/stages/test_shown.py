"""Oxygen that another signal shows far from where it was held is placed there; else it stays."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.crystal import project
from stemdisp.flags import Flag
from stemdisp.materials import KTaO3
from stemdisp.model.columns import Columns
from stemdisp.model.lattice import Lattice
from stemdisp.stages.shown import FEWEST, shown

PX_PM = 10.0
MOTIF = project(KTaO3, (1, -1, 0))
LATTICE = Lattice(MOTIF, np.zeros(2), *(MOTIF.cell_A * [1, -1] * 100 / PX_PM))


def columns(moved_pm: float, std_pm: float = 1.0, n: int = 8) -> tuple[Columns, np.ndarray]:
    hk = np.array([(h, k) for h in range(n) for k in range(n) for _ in MOTIF.sites])
    site = np.tile(np.arange(len(MOTIF.sites)), n * n)
    held = LATTICE.position(hk, site)
    oxygen = MOTIF.oxygen[site]
    draw = np.random.default_rng(0).normal(0, std_pm / PX_PM, held.shape)
    xy = held + np.where(oxygen[:, None], np.array([moved_pm / PX_PM, 0.0]) + draw, 0.0)
    cov = np.broadcast_to(np.eye(2) * (std_pm / PX_PM) ** 2, (len(xy), 2, 2)).copy()
    return Columns.at(xy, MOTIF.sites, ("HAADF", "ABF"), site=site, hk=hk, cov=cov), held


def test_oxygen_goes_where_it_is_seen() -> None:
    table, held = columns(30.0)
    flags = table.flags.copy()
    flags[np.flatnonzero(MOTIF.oxygen[table.site])[3]] = int(Flag.WEAK)
    table = table.replace(flags=flags)
    places = shown(table, held, LATTICE, 10.0)
    assert places is not None
    moved = MOTIF.oxygen[table.site] & table.usable
    np.testing.assert_array_equal(places[moved], table.xy[moved])
    np.testing.assert_array_equal(places[~moved], held[~moved])


@pytest.mark.parametrize(("moved", "std"), [(0.0, 1.0), (8.0, 1.0), (0.0, 40.0), (30.0, 1.0)])
def test_what_is_near_or_noise_changes_nothing(moved, std) -> None:
    table, held = columns(moved, std)
    assert (shown(table, held, LATTICE, 10.0) is None) == (moved < 30)


def test_few_columns_say_nothing() -> None:
    table, held = columns(30.0, n=3)
    assert np.count_nonzero(MOTIF.oxygen[table.site]) < FEWEST
    assert shown(table, held, LATTICE, 10.0) is None
