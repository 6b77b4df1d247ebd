"""The projected crystal: sites, neighbours and planes agree with a crystal built atom by atom."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from stemdisp.crystal import Motif, project
from stemdisp.errors import RecipeError
from stemdisp.materials import KTaO3

A = KTaO3.lattice_A
ZONES = KTaO3.zones


def columns(motif: Motif, reach: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Site numbers and places of all columns of cells -reach..reach."""
    cells = np.array(list(product(range(-reach, reach + 1), repeat=2)))
    site = np.tile(np.arange(len(motif.sites)), len(cells))
    return site, (np.repeat(cells, len(motif.sites), axis=0) + motif.fractions[site]) @ motif.cell_A


@pytest.mark.parametrize(
    ("zone", "sites", "content", "repeat"),
    [
        ((0, 0, 1), ("K", "Ta", "O1", "O2"), ({"K": 1}, {"Ta": 1, "O": 1}, {"O": 1}, {"O": 1}), A),
        ((1, -1, 0), ("K", "Ta", "O"), ({"K": 1, "O": 1}, {"Ta": 1}, {"O": 2}), A * 2**0.5),
    ],
)
def test_columns_of_the_zones(zone, sites, content, repeat) -> None:
    motif = project(KTaO3, zone)
    assert motif.sites == sites
    assert motif.content == content
    assert motif.repeat_A == pytest.approx(repeat)
    assert [motif.sites[i] for i in np.flatnonzero(motif.oxygen)] == [s for s in sites if s.startswith("O")]


@pytest.mark.parametrize("zone", ZONES)
def test_every_atom_projects_onto_a_column_that_contains_it(zone) -> None:
    motif = project(KTaO3, zone)
    right = motif.cell_3d[0] / np.linalg.norm(motif.cell_3d[0])
    up = np.cross(np.array(zone) / np.linalg.norm(zone), right)
    site, places = columns(motif, reach=6)
    for atom, cell in product(KTaO3.atoms, product((-1, 0, 1), repeat=3)):
        seen = A * (np.array(atom.fraction) + cell) @ np.stack([right, up], axis=1)
        distance = np.linalg.norm(places - seen, axis=1)
        assert distance.min() < 1e-6
        assert atom.element in motif.content[site[distance.argmin()]]


@pytest.mark.parametrize("zone", ZONES)
def test_density_is_the_crystals(zone) -> None:
    motif = project(KTaO3, zone)
    atoms = sum(sum(content.values()) for content in motif.content)
    volume = abs(np.linalg.det(motif.cell_A)) * motif.repeat_A
    assert atoms / volume == pytest.approx(len(KTaO3.atoms) / KTaO3.volume_A3)


@pytest.mark.parametrize("zone", ZONES)
def test_the_frame_is_that_of_the_screen(zone) -> None:
    """a points right, b lies counter-clockwise of it, and both frames give the same lengths."""
    motif = project(KTaO3, zone)
    assert motif.cell_A[0, 1] == 0 and motif.cell_A[0, 0] > 0
    assert np.linalg.det(motif.cell_A) > 0
    np.testing.assert_allclose(motif.cell_A @ motif.cell_A.T, motif.cell_3d @ motif.cell_3d.T, atol=1e-9)
    np.testing.assert_allclose(motif.cell_3d @ np.array(zone), 0, atol=1e-9)


def test_closest_columns() -> None:
    """[1-10]: K-O to Ta along [001] and Ta to O along [110]; [001]: everything beside oxygen is half a cell away."""
    assert project(KTaO3, (1, -1, 0)).shortest_distance_A == pytest.approx(A / 8**0.5)
    assert project(KTaO3, (0, 0, 1)).shortest_distance_A == pytest.approx(A / 2)


@pytest.mark.parametrize(("zone", "number", "distance"), [((0, 0, 1), 4, A / 2**0.5), ((1, -1, 0), 2, A / 2)])
def test_reference_neighbours(zone, number, distance) -> None:
    motif = project(KTaO3, zone)
    offsets = motif.neighbours("K", "Ta")
    vectors = (offsets + motif.fractions[motif.site("Ta")] - motif.fractions[motif.site("K")]) @ motif.cell_A
    assert len(offsets) == number
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), distance)
    np.testing.assert_allclose(vectors.sum(axis=0), 0, atol=1e-9)


@pytest.mark.parametrize("zone", ZONES)
def test_neighbourhood_is_mutual(zone) -> None:
    motif = project(KTaO3, zone)
    here, back = motif.neighbours("K", "Ta"), motif.neighbours("Ta", "K")
    assert {tuple(-o) for o in here} == {tuple(o) for o in back}


@pytest.mark.parametrize(
    ("zone", "plane", "spacing"),
    [
        ((1, -1, 0), (1, 1, 1), 2.3027),
        ((1, -1, 0), (1, 1, -1), 2.3027),
        ((1, -1, 0), (2, 2, 2), 2.3027),
        ((1, -1, 0), (0, 0, 1), A),
        ((1, -1, 0), (1, 1, 0), A / 2**0.5),
        ((1, -1, 0), (1, 1, 2), A / 6**0.5),
        ((0, 0, 1), (1, 0, 0), A),
        ((0, 0, 1), (1, 1, 0), A / 2**0.5),
    ],
)
def test_planes(zone, plane, spacing) -> None:
    motif = project(KTaO3, zone)
    rows = motif.rows(plane)
    g = motif.reciprocal(rows)
    assert 1 / np.linalg.norm(g) == pytest.approx(spacing, abs=6e-5)
    cells = np.array(list(product(range(-3, 4), repeat=2)))
    ranks = cells @ np.array(rows)
    np.testing.assert_allclose(cells @ motif.cell_A @ g, ranks, atol=1e-9)
    assert set(np.diff(np.unique(ranks))) == {1}
    # The normal is that of the crystal plane: g is along (hkl) in three dimensions too.
    normal = np.linalg.pinv(motif.cell_3d) @ np.array(rows, dtype=float)
    assert normal @ np.array(plane) == pytest.approx(np.linalg.norm(normal) * np.linalg.norm(plane))


def test_opposite_planes_have_opposite_normals() -> None:
    motif = project(KTaO3, (1, -1, 0))
    assert motif.rows((-1, -1, -1)) == tuple(-i for i in motif.rows((1, 1, 1)))


@pytest.mark.parametrize(("zone", "plane"), [((0, 0, 1), (1, 1, 1)), ((1, -1, 0), (1, 0, 0)), ((1, -1, 0), (0, 0, 0))])
def test_planes_the_beam_crosses_are_refused(zone, plane) -> None:
    with pytest.raises(RecipeError, match="does not contain the zone axis"):
        project(KTaO3, zone).rows(plane)


def test_unknown_sites_are_refused() -> None:
    with pytest.raises(RecipeError, match="'Ti' is not in KTaO3; there is K, Ta, O"):
        project(KTaO3, (1, -1, 0)).site("Ti")


def test_contrast_follows_the_power_law() -> None:
    motif = project(KTaO3, (1, -1, 0))
    np.testing.assert_allclose(motif.contrast("HAADF"), [0.125, 1, 0.047], atol=6e-4)
    np.testing.assert_allclose(motif.contrast("ABF"), [0.71, 1, 0.53], atol=6e-3)
