"""Phantoms stand where the lattice goes on outside the frame, and nowhere else."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from stemdisp.fitting.surround import inside_share, phantoms

CELL = np.array([[11.0, 1.5], [-1.0, 12.0]])
FRAME = (90, 100)
MARGIN = 14.0
FRACTIONS = np.array([[0.0, 0.0], [0.5, 0.5]])


def lattice() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, sites and cells of a lattice that reaches far beyond the frame."""
    cells = np.array(list(product(range(-6, 16), repeat=2)))
    site, hk = np.repeat([0, 1], len(cells)), np.tile(cells, (2, 1))
    return (hk + FRACTIONS[site]) @ CELL + [2.3, 3.1], site, hk


@pytest.fixture
def split() -> tuple:
    xy, site, hk = lattice()
    high = np.array([FRAME[1], FRAME[0]]) - 1
    inside = ((xy >= 0) & (xy <= high)).all(axis=1)
    near = ((xy > -MARGIN) & (xy < high + MARGIN)).all(axis=1) & ~inside
    return xy, site, hk, inside, near


def test_they_continue_the_lattice(split) -> None:
    xy, site, hk, inside, near = split
    places, sites, tied = phantoms(xy[inside], site[inside], hk[inside], CELL, FRAME, MARGIN)
    found = {(s, *np.round(p, 6)) for s, p in zip(sites, places, strict=True)}
    true = {(s, *np.round(p, 6)) for s, p in zip(site[near], xy[near], strict=True)}
    assert len(found) == len(places)
    assert found <= true
    # A place more than one cell from all listed columns cannot be known: those are few.
    assert len(true - found) <= 0.15 * len(true)
    assert (site[inside][tied] == sites[:, None]).all()


def test_each_takes_its_amplitude_from_its_nearest_kin(split) -> None:
    xy, site, hk, inside, _ = split
    rows = np.flatnonzero(inside)
    places, sites, tied = phantoms(xy[rows], site[rows], hk[rows], CELL, FRAME, MARGIN)
    for place, s, own in zip(places, sites, tied, strict=True):
        kin = np.sort(np.hypot(*(xy[rows][site[rows] == s] - place).T))[:3]
        np.testing.assert_allclose(np.sort(np.hypot(*(xy[rows][own] - place).T)), kin)


def test_a_hole_inside_the_frame_stays_empty(split) -> None:
    xy, site, hk, inside, _ = split
    hole = np.hypot(*(xy - [50, 45]).T).argmin()
    rows = np.flatnonzero(inside & (np.arange(len(xy)) != hole))
    places, _, _ = phantoms(xy[rows], site[rows], hk[rows], CELL, FRAME, MARGIN)
    assert np.hypot(*(places - xy[hole]).T).min() > 5


def test_far_from_the_frame_there_are_none() -> None:
    places, sites, tied = phantoms(
        np.array([[200.0, 200.0], [212.0, 200.0]]),
        np.zeros(2, int),
        np.array([[0, 0], [1, 0]]),
        CELL,
        (400, 400),
        MARGIN,
    )
    assert places.shape == (0, 2) and sites.shape == (0,) and tied.shape == (0, 3)


def test_beyond_the_end_of_the_crystal_there_are_none(split) -> None:
    xy, site, hk, inside, _ = split
    # The crystal ends at h = 4, well before the frame's right side.
    rows = inside & (hk[:, 0] <= 4)
    places, sites, _ = phantoms(xy[rows], site[rows], hk[rows], CELL, FRAME, MARGIN)
    h = ((places - [2.3, 3.1]) @ np.linalg.inv(CELL) - FRACTIONS[sites])[:, 0]
    # Where a single neighbour is in sight one more may be taken for granted.
    assert len(places) and h.max() < 5.5 and (h > 4.5).sum() <= 2
    lonely = phantoms(np.array([[3.0, 40.0]]), np.zeros(1, int), np.zeros((1, 2), int), CELL, FRAME, MARGIN)
    assert len(lonely[0]) == 0


@pytest.mark.parametrize(
    ("place", "share"), [((50.0, 45.0), 1.0), ((-0.5, 45.0), 0.5), ((-0.5, 89.5), 0.25), ((-30.0, 45.0), 0.0)]
)
def test_share_of_a_disc_inside(place, share) -> None:
    assert inside_share(np.array([place]), FRAME, 6.0)[0] == pytest.approx(share, abs=0.05)
