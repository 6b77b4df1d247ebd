"""The weights of a cell's columns: the hand sum over its atoms, whatever the zone."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemdisp.crystal import Motif, project
from stemdisp.dipole import UC_CM2_PER_E_A2, Dipole, build_dipole
from stemdisp.errors import RecipeError
from stemdisp.materials import MATERIALS, KTaO3, Zone

CHARGED = [name for name, crystal in MATERIALS.items() if crystal.charge_source]
ZONES: tuple[Zone, ...] = ((0, 0, 1), (1, 0, 0), (1, -1, 0), (1, 1, -2), (2, 1, 0))
pm = st.floats(-50, 50)


def shares(motif: Motif, signal: str = "HAADF") -> dict[str, float]:
    return {
        site: motif.dilution(signal, site)
        for site, inside in zip(motif.sites, motif.content, strict=True)
        if len(inside) > 1
    }


def by_dipole(dipole: Dipole, motif: Motif, moved: dict[str, np.ndarray]) -> np.ndarray:
    """Polarization where all columns of a site stand off by the same (pm, y up)."""
    return sum(w @ moved[motif.sites[s]] for w, s in zip(dipole.weights, dipole.sites, strict=True))


def columns_of(motif: Motif, offsets: dict[str, np.ndarray], signal: str = "HAADF") -> dict[str, np.ndarray]:
    """Displacement of each site's column image where elements (all their atoms) move by ``offsets``."""
    found = {}
    for site, content in zip(motif.sites, motif.content, strict=True):
        host = max(content, key=lambda e: {"O": 0}.get(e, 1))
        part = motif.dilution(signal, site) if len(content) > 1 else 1.0
        found[site] = part * offsets[host] + (1 - part) * offsets["O"]
    return found


@pytest.mark.parametrize("name", CHARGED)
@pytest.mark.parametrize("zone", ZONES)
def test_rigid_sublattices_give_the_hand_sum(name, zone) -> None:
    """Each sublattice moved as a whole: Z_A d_A + Z_B d_B + (Z_par + 2 Z_perp) d_O, in any direction."""
    crystal = MATERIALS[name]
    motif = project(crystal, zone)
    dipole = build_dipole(motif, shares(motif), {}, "visible")
    oxygen = next(atom for atom in crystal.atoms if atom.element == "O")
    offsets = {
        crystal.moving: np.array([12.0, -5.0]),
        crystal.reference: np.array([-3.0, 4.0]),
        "O": np.array([-20.0, 31.0]),
    }
    charges = {
        crystal.moving: crystal.charge(crystal.moving),
        crystal.reference: crystal.charge(crystal.reference),
        "O": oxygen.charge_parallel + 2 * oxygen.charge_perpendicular,
    }
    expected = UC_CM2_PER_E_A2 / crystal.volume_A3 / 100 * sum(charges[e] * offsets[e] for e in offsets)
    found = by_dipole(dipole, motif, columns_of(motif, offsets))
    if zone == (2, 1, 0):  # its oxygen columns lie at no symmetric places
        np.testing.assert_allclose(dipole.weights.sum(axis=0), 0, atol=1e-12)
        return
    # The origin drops out as far as the charges add up to zero: within 0.004 e here.
    np.testing.assert_allclose(found, expected, atol=0.01 * 3)
    assert dipole.warning == ""


PBTIO3 = {"Ti": 0.038, "along": 0.117, "across": 0.117}
BATIO3 = {"Ti": 0.0215, "along": -0.0225, "across": -0.0105}
"""Coordinates along c of the tetragonal cells, less those of the cubic one; A site at 0; oxygen whose bond to Ti lies
along c, and across.  PbTiO3: Nelmes and Kuhs 1985; BaTiO3: Kwei et al. 1993; both from memory."""


@pytest.mark.parametrize(
    ("name", "c_pm", "cell", "about"), [("PbTiO3", 415.2, PBTIO3, 106.5), ("BaTiO3", 403.52, BATIO3, 32.8)]
)
@pytest.mark.parametrize("along_x", [True, False])
def test_tetragonal_cells(name, c_pm, cell, about, along_x) -> None:
    """With the polar axis across the beam, along either axis: the sum over atoms in numbers."""
    crystal, motif = MATERIALS[name], project(MATERIALS[name], (0, 0, 1))
    axis = np.array([1.0, 0.0]) if along_x else np.array([0.0, 1.0])
    part = motif.dilution("HAADF")
    moved = {
        crystal.reference: np.zeros(2),
        "Ti": (part * cell["Ti"] + (1 - part) * cell["across"]) * c_pm * axis,
        # The column at (1/2, 0) has its bond along y.
        "O1": cell["across" if along_x else "along"] * c_pm * axis,
        "O2": cell["along" if along_x else "across"] * c_pm * axis,
    }
    np.testing.assert_allclose(motif.fractions[motif.site("O1")], [0.5, 0])
    found = by_dipole(build_dipole(motif, shares(motif), {}, "visible"), motif, moved)
    z = {"PbTiO3": (7.06, -5.83, -2.56), "BaTiO3": (7.16, -5.69, -2.11)}[name]
    terms = z[0] * cell["Ti"], z[1] * cell["along"], 2 * z[2] * cell["across"]
    hand = 1602.176634 / crystal.volume_A3 * sum(terms) * c_pm / 100
    assert abs(hand) == pytest.approx(about, abs=0.1)
    np.testing.assert_allclose(found, hand * axis, rtol=1e-9, atol=1e-9)
    assert "charges of the cubic phase are too large" in build_dipole(motif, shares(motif), {}, "visible").sentence


@given(st.lists(st.tuples(pm, pm), min_size=4, max_size=4), st.sampled_from(ZONES), st.sampled_from(CHARGED))
def test_a_shift_of_all_columns_is_no_polarization(vectors, zone, name) -> None:
    motif = project(MATERIALS[name], zone)
    dipole = build_dipole(motif, shares(motif), {}, "visible")
    everywhere = dict.fromkeys(motif.sites, np.array(vectors[0]))
    np.testing.assert_allclose(by_dipole(dipole, motif, everywhere), 0, atol=1e-9)


@pytest.mark.parametrize("zone", [(0, 0, 1), (1, -1, 0)])
def test_a_distorted_scan_is_no_polarization(zone) -> None:
    """Columns stand around each other's centres: a linear map of the picture moves none of them off."""
    motif = project(KTaO3, zone)
    dipole = build_dipole(motif, shares(motif), {}, "visible")
    places = (dipole.offsets + motif.fractions[dipole.sites]) @ motif.cell_A
    for row, column in product((0, 1), repeat=2):
        strain = np.zeros((2, 2))
        strain[row, column] = 0.02
        moved = places @ strain * 100
        np.testing.assert_allclose(np.einsum("eij,ej->i", dipole.weights, moved), 0, atol=1e-9)


def test_hidden_oxygen_moves_as_its_kind_or_as_its_column() -> None:
    """Along [1-10] the oxygen beside K bonds along [001] and carries most of the charge there."""
    motif = project(KTaO3, (1, -1, 0))
    per_pm = UC_CM2_PER_E_A2 / KTaO3.volume_A3 / 100
    up = {"K": np.zeros(2), "Ta": np.zeros(2), "O": np.array([0.0, 10.0])}
    visible = by_dipole(build_dipole(motif, {"K": 0.76}, {}, "visible"), motif, up)
    column = by_dipole(build_dipole(motif, {"K": 0.76}, {}, "column"), motif, up)
    k = -10 * 0.24 / 0.76  # K makes up for the oxygen, so that the column stands still
    np.testing.assert_allclose(visible, [0, per_pm * (1.156 * k + 10 * (2 * -1.684 - 6.408))], atol=1e-9)
    np.testing.assert_allclose(column, [0, per_pm * 10 * 2 * -1.684], atol=1e-9)
    said = [build_dipole(motif, {"K": 0.76}, {}, hidden).sentence for hidden in ("visible", "column")]
    assert "O hidden in the K columns is taken to move as that in columns of its own" in said[0]
    assert "share 0.76" in said[0] and "taken to move as its column" in said[1] and "share" not in said[1]


def test_charges_of_the_recipe_win_and_their_sum_is_watched() -> None:
    motif = project(MATERIALS["PbTiO3"], (0, 0, 1))
    given = {"Pb": (3.44, 3.44), "Ti": (5.18, 5.18), "O": (-2.87, -2.87)}
    dipole = build_dipole(motif, shares(motif), given, "visible")
    assert dipole.excess_e == pytest.approx(0.01) and dipole.warning == "" and "(recipe)" in dipole.sentence
    broken = build_dipole(motif, shares(motif), {"Ti": (5.18, 5.18)}, "visible")
    assert broken.excess_e == pytest.approx(-1.87)
    per_pm = UC_CM2_PER_E_A2 / MATERIALS["PbTiO3"].volume_A3 / 100
    np.testing.assert_allclose(broken.shift, -1.87 * per_pm)
    assert "add up to -1.87 e instead of 0" in broken.warning and "0.47 uC/cm2 for each pm" in broken.warning


def test_what_is_not_known_is_said() -> None:
    motif = project(MATERIALS["BiFeO3"], (0, 0, 1))
    with pytest.raises(
        RecipeError, match=r"BiFeO3 has no known Born effective charge of Bi; give it in .* born_charges"
    ):
        build_dipole(motif, shares(motif), {}, "visible")
    given = {"Bi": (4.4, 4.4), "Fe": (3.5, 3.5), "O": (-3.1, -2.4)}
    assert abs(build_dipole(motif, shares(motif), given, "visible").excess_e) < 0.1
    bare = replace(motif, material=replace(motif.material, atoms=()))
    with pytest.raises(RecipeError, match="given by its columns alone"):
        build_dipole(bare, {}, {}, "visible")
