"""Names of directions: right, the same for turned and mirrored pictures, and none where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemdisp.crystal import Motif, project
from stemdisp.direction import LARGEST_INDEX, nearest_direction
from stemdisp.materials import KTaO3, Zone

ZONES: tuple[Zone, ...] = ((0, 0, 1), (1, -1, 0), (1, 1, -2))
SAME: dict[Zone, tuple[np.ndarray, ...]] = {
    (0, 0, 1): (np.array([[0.0, 1], [-1, 0]]), np.array([[-1.0, 0], [0, 1]])),
    (1, -1, 0): (np.array([[-1.0, 0], [0, 1]]), np.array([[1.0, 0], [0, -1]])),
    (1, 1, -2): (np.array([[-1.0, 0], [0, -1]]),),
}
"""Operations on the screen, in the frame of the cell, that carry the picture of the crystal onto itself."""
angles = st.floats(-180, 180)


def unit(degrees: float) -> np.ndarray:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


def on_screen(motif: Motif, indices: tuple[int, int, int]) -> np.ndarray:
    steps = np.vstack([motif.indices, motif.zone]).astype(float)
    return np.linalg.solve(steps.T, np.array(indices, dtype=float))[:2] @ motif.cell_A


@pytest.mark.parametrize(
    ("zone", "indices"),
    [
        *(((0, 0, 1), one) for one in ((1, 0, 0), (1, 1, 0), (2, 1, 0))),
        *(((1, -1, 0), one) for one in ((1, 1, 0), (0, 0, 1), (1, 1, 1), (1, 1, 2), (2, 2, 1))),
        *(((1, 1, -2), one) for one in ((1, 1, 1), (1, -1, 0))),
    ],
)
def test_a_direction_has_its_name(zone, indices) -> None:
    motif = project(KTaO3, zone)
    found = nearest_direction(motif, 30 * on_screen(motif, indices))
    assert found is not None and found.exact and found.normal is None
    assert found.indices == indices and found.off_deg == pytest.approx(0, abs=1e-6)


@given(st.sampled_from(ZONES), angles)
def test_the_name_lies_in_the_plane_of_the_image_and_is_the_nearest(zone, angle) -> None:
    motif = project(KTaO3, zone)
    found = nearest_direction(motif, unit(angle))
    assert found is not None and not np.dot(found.indices, zone)
    assert max(map(abs, found.indices)) <= LARGEST_INDEX and 0 <= found.off_deg <= 30


@given(st.sampled_from(ZONES), angles, st.sampled_from([None, 1, -1]))
def test_turned_and_mirrored_crystals_say_the_same(zone, angle, sign) -> None:
    """With the outward normal of an interface too, which turns with the picture."""
    motif = project(KTaO3, zone)
    plane = {(0, 0, 1): (1, 0, 0), (1, -1, 0): (1, 1, 1), (1, 1, -2): (1, 1, 1)}[zone]
    normal = None if sign is None else tuple(sign * i for i in plane)
    one = nearest_direction(motif, unit(angle), normal)
    for turn in SAME[zone]:
        turned = None if normal is None else turned_plane(motif, normal, turn)
        other = nearest_direction(motif, unit(angle) @ turn, turned)
        assert other is not None and one is not None
        assert other.off_deg == pytest.approx(one.off_deg, abs=1e-6)
        if off_the_middle(motif, angle):
            assert (other.indices, other.normal) == (one.indices, one.normal)


def turned_plane(motif: Motif, plane: tuple[int, int, int], turn: np.ndarray) -> tuple[int, int, int]:
    """The normal of a cubic crystal, turned on the screen."""
    seen = on_screen(motif, plane) @ turn
    h, k, w = np.rint(np.linalg.solve(motif.cell_A.T, seen) @ motif.indices + beam_part(motif, seen)).astype(int)
    return int(h), int(k), int(w)


def beam_part(motif: Motif, seen: np.ndarray) -> np.ndarray:
    """What makes a combination of the projected vectors stand across the beam."""
    along = np.linalg.solve(motif.cell_A.T, seen) @ motif.indices
    zone = np.array(motif.zone)
    return -zone * (along @ zone) / (zone @ zone)


def off_the_middle(motif: Motif, angle: float) -> bool:
    """Whether rounding cannot decide which of two names is nearer."""
    near = [nearest_direction(motif, unit(angle + step)).indices for step in (-1e-3, 1e-3)]
    return near[0] == near[1]


def test_a_normal_tells_equivalent_directions_apart() -> None:
    motif = project(KTaO3, (1, -1, 0))
    across = on_screen(motif, (1, 1, -2))
    assert nearest_direction(motif, across).indices == (1, 1, 2)
    assert nearest_direction(motif, across, (1, 1, 1)).indices == (1, 1, -2)
    assert nearest_direction(motif, -across, (1, 1, 1)).indices == (-1, -1, 2)
    told = nearest_direction(motif, -across, (-1, -1, -1))
    assert told.normal == (1, 1, 1) and told.indices == (1, 1, -2)


def test_crystals_that_are_not_cubic_are_named_by_their_projection() -> None:
    motif = project(KTaO3, (0, 0, 1))
    other = replace(motif, material=replace(KTaO3, lattice_A=None), cell_A=np.array([[3.0, 0.0], [0.5, 5.0]]))
    found = nearest_direction(other, np.array([0.5, 5.0]))
    assert found is not None and not found.exact and found.indices == (0, 1, 0) and found.off_deg < 1e-6


@pytest.mark.parametrize("vector", [(0.0, 0.0), (np.nan, 1.0)])
def test_no_vector_has_no_direction(vector) -> None:
    assert nearest_direction(project(KTaO3, (0, 0, 1)), np.array(vector)) is None
