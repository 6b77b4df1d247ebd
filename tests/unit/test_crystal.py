"""The projected crystal: sites, neighbours and planes agree with a crystal built atom by atom."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from stemdisp.crystal import SAME_COLUMN_A, Motif, project
from stemdisp.errors import RecipeError
from stemdisp.materials import MATERIALS, KTaO3, Material

A = KTaO3.lattice_A
ZONES = ((0, 0, 1), (1, -1, 0), (1, 1, -2), (1, 1, 0), (1, 0, 0))
every_zone = pytest.mark.parametrize("zone", ZONES)
every_crystal = pytest.mark.parametrize("crystal", MATERIALS.values(), ids=lambda m: m.name)


def columns(motif: Motif, reach: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Site numbers and places of all columns of cells -reach..reach."""
    cells = np.array(list(product(range(-reach, reach + 1), repeat=2)))
    site = np.tile(np.arange(len(motif.sites)), len(cells))
    return site, (np.repeat(cells, len(motif.sites), axis=0) + motif.fractions[site]) @ motif.cell_A


def screen(motif: Motif, crystal: Material) -> np.ndarray:
    """(3, 2) axes of the screen in the crystal: right is a, the beam comes towards the viewer."""
    beam = np.array(motif.zone) / np.linalg.norm(motif.zone)
    a = motif.indices[0] * crystal.lattice_A
    right = a - (a @ beam) * beam
    right = right / np.linalg.norm(right)
    return np.stack([right, np.cross(beam, right)], axis=1)


@pytest.mark.parametrize(
    ("zone", "sites", "content", "repeat"),
    [
        ((0, 0, 1), ("K", "Ta", "O1", "O2"), ({"K": 1}, {"Ta": 1, "O": 1}, {"O": 1}, {"O": 1}), A),
        ((1, -1, 0), ("K", "Ta", "O"), ({"K": 1, "O": 1}, {"Ta": 1}, {"O": 2}), A * 2**0.5),
        ((1, 1, -2), ("K", "Ta", "O"), ({"K": 1, "O": 1}, {"Ta": 1}, {"O": 2}), A * 6**0.5),
    ],
)
def test_columns_of_the_zones(zone, sites, content, repeat) -> None:
    motif = project(KTaO3, zone)
    assert motif.sites == sites
    assert motif.content == content
    assert motif.repeat_A == pytest.approx(repeat)
    assert [motif.sites[i] for i in np.flatnonzero(motif.oxygen)] == [s for s in sites if s.startswith("O")]


@every_crystal
@every_zone
def test_every_atom_projects_onto_a_column_that_contains_it(crystal, zone) -> None:
    motif = project(crystal, zone)
    axes = screen(motif, crystal)
    site, places = columns(motif, reach=7)
    for atom, cell in product(crystal.atoms, product((-1, 0, 1), repeat=3)):
        seen = crystal.lattice_A * (np.array(atom.fraction) + cell) @ axes
        distance = np.linalg.norm(places - seen, axis=1)
        assert distance.min() < 1e-6
        assert atom.element in motif.content[site[distance.argmin()]]


@every_crystal
@every_zone
def test_density_is_the_crystals(crystal, zone) -> None:
    motif = project(crystal, zone)
    atoms = sum(sum(content.values()) for content in motif.content)
    volume = abs(np.linalg.det(motif.cell_A)) * motif.repeat_A
    assert atoms / volume == pytest.approx(len(crystal.atoms) / crystal.volume_A3)


@every_crystal
@every_zone
def test_the_frame_is_that_of_the_screen(crystal, zone) -> None:
    """a points right, b lies counter-clockwise of it, and the indices project onto both."""
    motif = project(crystal, zone)
    assert motif.cell_A[0, 1] == 0 and motif.cell_A[0, 0] > 0
    assert np.linalg.det(motif.cell_A) > 0
    vectors = motif.indices * crystal.lattice_A
    np.testing.assert_allclose(vectors @ screen(motif, crystal), motif.cell_A, atol=1e-9)
    # Together with the beam they are the volume of whole unit cells.
    along = np.array(zone) / np.linalg.norm(zone) * motif.repeat_A
    assert np.linalg.det(np.stack([*vectors, along])) == pytest.approx(crystal.volume_A3)


@every_crystal
def test_perovskites_look_alike(crystal) -> None:
    """The cells of all presets are KTaO3's but for their size, A in the corner."""
    for zone in ZONES:
        one, other = project(KTaO3, zone), project(crystal, zone)
        np.testing.assert_allclose(other.cell_A / crystal.lattice_A, one.cell_A / A, atol=1e-9)
        np.testing.assert_allclose(other.fractions, one.fractions, atol=1e-9)
        assert other.notes == ()
        assert other.sites[:2] == (crystal.atoms[0].element, crystal.atoms[1].element)


def test_closest_columns() -> None:
    """[1-10]: K-O to Ta along [001] and Ta to O along [110]; [001]: everything beside oxygen is half a cell away."""
    assert project(KTaO3, (1, -1, 0)).shortest_distance_A == pytest.approx(A / 8**0.5)
    assert project(KTaO3, (0, 0, 1)).shortest_distance_A == pytest.approx(A / 2)
    along = project(KTaO3, (1, -1, 0))
    assert set(along.closest) == {"Ta", "O"}


def test_ktao3_along_112() -> None:
    motif = project(KTaO3, (1, 1, -2))
    np.testing.assert_allclose(motif.cell_A, [[A / 3**0.5, 0], [0, A / 2**0.5]], atol=1e-9)
    np.testing.assert_allclose(motif.cell_A.diagonal(), [2.3027, 2.8201], atol=1e-4)
    vectors = [
        (offset + motif.fractions[motif.site("Ta")] - motif.fractions[motif.site("K")]) @ motif.cell_A
        for offset in motif.neighbours("K", "Ta")
    ]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1.1513, 1.1513], atol=1e-4)
    assert set(motif.closest) == {"K", "Ta"}


@pytest.mark.parametrize(
    ("zone", "number", "distance"),
    [
        ((0, 0, 1), 4, A / 2**0.5),
        ((1, 0, 0), 4, A / 2**0.5),
        ((1, -1, 0), 2, A / 2),
        ((1, 1, 0), 2, A / 2),
        ((1, 1, -2), 2, A / 12**0.5),
    ],
)
@every_crystal
def test_reference_neighbours(crystal, zone, number, distance) -> None:
    motif = project(crystal, zone)
    moving, reference = motif.site(crystal.moving), motif.site(crystal.reference)
    offsets = motif.neighbours(crystal.moving, crystal.reference)
    vectors = (offsets + motif.fractions[reference] - motif.fractions[moving]) @ motif.cell_A
    assert len(offsets) == number
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), distance * crystal.lattice_A / A)
    np.testing.assert_allclose(vectors.sum(axis=0), 0, atol=1e-9)


@every_crystal
@every_zone
def test_neighbourhood_is_mutual(crystal, zone) -> None:
    motif = project(crystal, zone)
    one, other = crystal.moving, crystal.reference
    here, back = motif.neighbours(one, other), motif.neighbours(other, one)
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
        ((1, 1, -2), (1, 1, 1), 2.3027),
        ((1, 1, -2), (1, -1, 0), A / 2**0.5),
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
    normal = screen(motif, KTaO3) @ g
    assert normal @ np.array(plane) == pytest.approx(np.linalg.norm(normal) * np.linalg.norm(plane))


def test_opposite_planes_have_opposite_normals() -> None:
    motif = project(KTaO3, (1, -1, 0))
    assert motif.rows((-1, -1, -1)) == tuple(-i for i in motif.rows((1, 1, 1)))


@pytest.mark.parametrize(
    ("zone", "plane"),
    [((0, 0, 1), (1, 1, 1)), ((1, -1, 0), (1, 0, 0)), ((1, -1, 0), (0, 0, 0)), ((1, 1, -2), (0, 0, 1))],
)
def test_planes_the_beam_crosses_are_refused(zone, plane) -> None:
    with pytest.raises(RecipeError, match="does not contain the zone axis"):
        project(KTaO3, zone).rows(plane)


@every_crystal
def test_zones_in_which_both_sites_share_a_column_are_refused(crystal) -> None:
    with pytest.raises(RecipeError, match="along 111 ") as refused:
        project(crystal, (1, 1, 1))
    sentence = str(refused.value)
    assert f"the {crystal.moving} columns" in sentence or f"its {crystal.moving} columns" in sentence
    assert f"the {crystal.reference} columns" in sentence or f"its {crystal.reference} columns" in sentence
    assert "choose another zone" in sentence and "\n" not in sentence


def test_a_crystal_without_atoms_is_refused() -> None:
    with pytest.raises(RecipeError, match="X has no lattice parameter"):
        project(Material("X", "A", "B"), (0, 0, 1))


def test_unknown_sites_are_refused() -> None:
    with pytest.raises(RecipeError, match="'Ti' is not in KTaO3; there is K, Ta, O"):
        project(KTaO3, (1, -1, 0)).site("Ti")


def test_contrast_follows_the_power_law() -> None:
    motif = project(KTaO3, (1, -1, 0))
    np.testing.assert_allclose(motif.contrast("HAADF"), [0.125, 1, 0.047], atol=6e-4)
    np.testing.assert_allclose(motif.contrast("ABF"), [0.71, 1, 0.53], atol=6e-3)
    np.testing.assert_array_equal(motif.contrast("BF"), motif.contrast("ABF"))


def test_measured_dilution_wins_over_the_power_law_in_every_zone_of_a_family() -> None:
    for zone in ((1, -1, 0), (1, 1, 0), (0, 1, -1)):
        assert project(KTaO3, zone).dilution("HAADF") == 0.76
        assert project(KTaO3, zone).dilution("ABF") == 0.69
    assert project(KTaO3, (1, -1, 0)).dilution("DF4") == pytest.approx(19**1.7 / (19**1.7 + 8**1.7))


def test_dilution_is_the_share_of_the_moving_element_in_its_column() -> None:
    motif = project(MATERIALS["PbTiO3"], (0, 0, 1))
    assert motif.dilution("HAADF") == pytest.approx(22**1.7 / (22**1.7 + 8**1.7))
    assert motif.dilution("ABF") == pytest.approx(22**0.6 / (22**0.6 + 8**0.6))
    assert project(MATERIALS["PbTiO3"], (1, -1, 0)).dilution("HAADF") == 1


@every_crystal
@every_zone
def test_columns_stand_apart(crystal, zone) -> None:
    assert project(crystal, zone).shortest_distance_A > SAME_COLUMN_A
