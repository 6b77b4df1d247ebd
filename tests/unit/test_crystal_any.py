"""Any crystal, not only a cubic one: triclinic, hexagonal and centred cells along any zone axis."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemdisp.crystal import Motif, Projection, project, project_atoms
from stemdisp.errors import RecipeError
from stemdisp.materials import KTaO3, Material

FACES = ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))
BODY = ((0, 0, 0), (0.5, 0.5, 0.5))
RHOMBOHEDRAL = ((0, 0, 0), (2 / 3, 1 / 3, 1 / 3), (1 / 3, 2 / 3, 2 / 3))
ZONES = ((0, 0, 1), (1, -1, 0), (1, 1, -2), (1, 1, 0), (1, 0, 0), (1, 2, 0), (1, 1, 1))

Crystal = tuple[np.ndarray, tuple[str, ...], np.ndarray]


def centred(cell: np.ndarray, basis: dict[str, tuple[float, float, float]], points) -> Crystal:
    """Cell, elements and fractions of a basis on every point of a centred lattice."""
    fractions = np.array([np.add(place, point) % 1 for place in basis.values() for point in points])
    return cell, tuple(e for e in basis for _ in points), fractions


def hexagonal(a: float, c: float) -> np.ndarray:
    return np.array([[a, 0, 0], [-a / 2, a * 3**0.5 / 2, 0], [0, 0, c]])


SI = centred(np.eye(3) * 5.431, {"Si": (0, 0, 0)}, [np.add(f, s) for f in FACES for s in ((0, 0, 0), (0.25,) * 3)])
GAAS = centred(np.eye(3) * 5.653, {"Ga": (0, 0, 0), "As": (0.25, 0.25, 0.25)}, FACES)
IRON = centred(np.eye(3) * 2.866, {"Fe": (0, 0, 0)}, BODY)
CRYSTALS: dict[str, Crystal] = {
    "Si": SI,
    "GaAs": GAAS,
    "Fe": IRON,
    "rhombohedral": centred(hexagonal(5.2, 13.8), {"Li": (0, 0, 0.28), "Nb": (0, 0, 0)}, RHOMBOHEDRAL),
    "hexagonal": (
        hexagonal(3.25, 5.2),
        ("Zn", "Zn", "O", "O"),
        np.array([[1, 2, 0], [2, 1, 1.5], [1, 2, 1.146], [2, 1, 2.646]]) / 3,
    ),
    "triclinic": (
        np.array([[5.1, 0, 0], [-0.6, 6.2, 0], [-1.7, 0.9, 6.8]]),
        ("Ba", "Ti", "O", "O"),
        np.array([[0.1, 0.2, 0.3], [0.62, 0.55, 0.41], [0.3, 0.8, 0.75], [0.85, 0.35, 0.9]]),
    ),
}
every_crystal = pytest.mark.parametrize("name", CRYSTALS)
every_zone = pytest.mark.parametrize("zone", ZONES)


def motif_of(seen: Projection, zone=(0, 0, 1)) -> Motif:
    return Motif(Material("X", seen.sites[0], seen.sites[-1]), zone, **vars(seen))


def atoms_per_volume(seen: Projection) -> float:
    atoms = sum(sum(content.values()) for content in seen.content)
    return atoms / (abs(np.linalg.det(seen.cell_A)) * seen.repeat_A)


@every_crystal
@every_zone
def test_density_is_the_crystals(name, zone) -> None:
    cell, elements, fractions = CRYSTALS[name]
    seen = project_atoms(cell, elements, fractions, zone)
    assert atoms_per_volume(seen) == pytest.approx(len(elements) / abs(np.linalg.det(cell)))


@every_crystal
@every_zone
def test_every_atom_stands_in_a_column_that_contains_it(name, zone) -> None:
    """Within 0.6 A of its centre, to be exact: that is what one column means."""
    cell, elements, fractions = CRYSTALS[name]
    seen = project_atoms(cell, elements, fractions, zone)
    beam = np.array(zone) @ cell
    beam /= np.linalg.norm(beam)
    right = seen.indices[0] @ cell
    right -= right @ beam * beam
    right /= np.linalg.norm(right)
    screen = np.stack([right, np.cross(beam, right)], axis=1)
    np.testing.assert_allclose(seen.indices @ cell @ screen, seen.cell_A, atol=1e-6)
    for element, shift in product(range(len(elements)), ((0, 0, 0), (1, -1, 2))):
        place = (fractions[element] + shift) @ cell @ screen
        away = place @ np.linalg.inv(seen.cell_A) - seen.fractions
        distance = np.linalg.norm(((away + 0.5) % 1 - 0.5) @ seen.cell_A, axis=1)
        assert any(d < 0.6 and elements[element] in c for d, c in zip(distance, seen.content, strict=True))


@pytest.mark.parametrize(
    ("name", "zone", "sites", "area"),
    [
        ("Si", (0, 0, 1), ("Si",), 5.431**2 / 8),
        ("Si", (1, 1, 0), ("Si1", "Si2"), 5.431**2 / 8**0.5),
        ("GaAs", (0, 0, 1), ("Ga", "As"), 5.653**2 / 4),
        ("GaAs", (1, 1, 0), ("Ga", "As"), 5.653**2 / 8**0.5),
        ("Fe", (0, 0, 1), ("Fe",), 2.866**2 / 2),
        ("Fe", (1, 1, 1), ("Fe",), 2.866**2 / 3**0.5),
        ("rhombohedral", (0, 0, 1), ("Nb",), 5.2**2 * 3**0.5 / 6),
    ],
)
def test_centred_lattices_have_their_primitive_cell(name, zone, sites, area) -> None:
    seen = project_atoms(*CRYSTALS[name], zone)
    assert seen.sites == sites
    assert np.linalg.det(seen.cell_A) == pytest.approx(area, rel=1e-6)


def test_the_dumbbell_of_silicon() -> None:
    seen = project_atoms(*SI, (1, 1, 0))
    assert motif_of(seen).shortest_distance_A == pytest.approx(5.431 / 4)


@pytest.mark.parametrize("n", [2, 3, 5, 7])
def test_a_supercell_is_the_crystal(n) -> None:
    """Also where the copies are listed with few digits."""
    atoms = [(atom.element, np.array(atom.fraction)) for atom in KTaO3.atoms]
    cells = list(product(range(n), range(n), range(2)))
    seen = project_atoms(
        np.diag([n, n, 2]) * KTaO3.lattice_A,
        tuple(element for _ in cells for element, _ in atoms),
        np.array([(place + cell) / [n, n, 2] for cell in cells for _, place in atoms]).round(4),
        (0, 0, 1),
    )
    once = project(KTaO3, (0, 0, 1))
    assert seen.sites == once.sites
    np.testing.assert_allclose(seen.cell_A, once.cell_A, atol=1e-9)
    whole = motif_of(seen)
    assert whole.rows((2 * n, n, 0)) == (2, 1) and whole.rows((n, 0, 0)) == (1, 0)


@pytest.mark.parametrize(
    ("name", "zone", "plane", "spacing"),
    [
        ("Si", (1, 1, 0), (1, -1, 1), 5.431 / 3**0.5),
        # Face centring puts planes between those of mixed indices.
        ("Si", (1, 1, 0), (0, 0, 1), 5.431 / 2),
        ("Si", (1, 1, 0), (1, -1, 0), 5.431 / 8**0.5),
        ("GaAs", (0, 0, 1), (1, 0, 0), 5.653 / 2),
        ("Fe", (0, 0, 1), (1, 0, 0), 2.866 / 2),
        ("Fe", (0, 0, 1), (1, 1, 0), 2.866 / 2**0.5),
        ("hexagonal", (0, 0, 1), (1, 0, 0), 3.25 * 3**0.5 / 2),
        ("hexagonal", (0, 0, 1), (1, 1, 0), 3.25 / 2),
        ("triclinic", (0, 0, 1), (1, 2, 0), None),
        ("triclinic", (1, 1, -2), (1, 1, 1), None),
    ],
)
def test_planes_are_as_far_apart_as_in_the_crystal(name, zone, plane, spacing) -> None:
    """1 / |g| of the three-dimensional crystal, and a part of it where centring adds planes."""
    cell = CRYSTALS[name][0]
    motif = motif_of(project_atoms(*CRYSTALS[name], zone), zone)
    g = np.linalg.norm(np.linalg.inv(cell) @ np.array(plane))
    seen = 1 / np.linalg.norm(motif.reciprocal(motif.rows(plane)))
    assert seen == pytest.approx(1 / g if spacing is None else spacing, rel=1e-6)
    assert 1 / (g * seen) == pytest.approx(round(1 / (g * seen)), abs=1e-6)


def test_atoms_that_almost_stand_on_each_other_are_one_column_at_their_weighted_centre() -> None:
    cell, places = np.eye(3) * 4.0, np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0.58, 0.5]])
    seen = project_atoms(cell, ("Pb", "Ti", "O"), places, (0, 0, 1))
    assert seen.sites == ("Pb", "Ti") and seen.content[1] == {"Ti": 1, "O": 1}
    share = 8**1.7 / (8**1.7 + 22**1.7)
    np.testing.assert_allclose(seen.fractions[1], [0.5, 0.5 + 0.08 * share])
    assert seen.notes == ("along 001 Ti and O overlap (0.32 A apart): taken as one column",)


def test_columns_across_the_border_of_the_cell_are_one() -> None:
    places = np.array([[0.02, 0, 0], [0.98, 0, 0.5], [0.5, 0.5, 0.5]])
    seen = project_atoms(np.eye(3) * 4.0, ("Pb", "O", "Ti"), places, (0, 0, 1))
    assert seen.sites == ("Pb", "Ti") and seen.content[0] == {"Pb": 1, "O": 1}


def test_zones_of_too_high_indices_are_refused() -> None:
    with pytest.raises(RecipeError, match="is too far from the crystal's axes; choose lower indices"):
        project_atoms(*CRYSTALS["triclinic"], (31, -17, 23))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-0.4, 0.4), min_size=6, max_size=6),
    st.lists(st.tuples(*[st.floats(0, 1, exclude_max=True)] * 3), min_size=1, max_size=6),
    st.tuples(*[st.integers(-2, 2)] * 3).filter(any),
)
def test_no_atom_is_lost_in_any_crystal(skew, places, zone) -> None:
    cell = 5 * np.eye(3)
    cell[np.triu_indices(3)] += skew
    elements = ("K", "Ta", "O", "O", "O", "Ta")[: len(places)]
    seen = project_atoms(cell, elements, np.array(places), zone)
    # A period may be off by the 0.05 A within which columns count as equal.
    assert atoms_per_volume(seen) == pytest.approx(len(places) / abs(np.linalg.det(cell)), rel=0.02)
    assert np.linalg.det(seen.cell_A) > 0 and seen.cell_A[0, 1] == 0
    assert len(set(seen.sites)) == len(seen.sites) == len(seen.fractions) == len(seen.content)
