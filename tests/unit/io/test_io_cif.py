"""Crystals from CIF files: what a preset knows, a CIF file tells as well; what it does not tell is said in one
sentence."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stemdisp
from stemdisp.crystal import project
from stemdisp.errors import RecipeError
from stemdisp.io.cif import recipe_from_cif
from stemdisp.io.recipe_toml import to_toml
from stemdisp.io.store import load, save
from stemdisp.materials import MATERIALS, format_indices
from stemdisp.model.micrograph import PixelSize
from stemdisp.motion import Motion
from stemdisp.recipe import Recipe
from stemdisp.recipe import load as load_recipe
from stemdisp.scene import Dose, Scene, View

COLUMNS = "loop_\n_atom_site_label\n_atom_site_type_symbol\n" + "".join(f"_atom_site_fract_{c}\n" for c in "xyz")
CUBIC = "_symmetry_space_group_name_H-M 'P m -3 m'\n"
ALL = "_symmetry_space_group_name_H-M 'P 1'\n"
PEROVSKITE = "A1 {a} 0 0 0\nB1 {b} 0.5 0.5 0.5\nO1 O 0.5 0.5 0\n"
FACES = ((0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5))
ZONES = ((0, 0, 1), (1, -1, 0), (1, 1, -2), (1, 1, 0), (1, 0, 0))


def cif(atoms: str, lengths=(4.0, 4.0, 4.0), symmetry: str = ALL, angles=(90, 90, 90), name: str = "test") -> str:
    cell = "".join(f"_cell_length_{c} {v}\n" for c, v in zip("abc", lengths, strict=True))
    cell += "".join(f"_cell_angle_{c} {v}\n" for c, v in zip(("alpha", "beta", "gamma"), angles, strict=True))
    return f"data_{name}\n{cell}{symmetry}{COLUMNS}{atoms}"


POLAR = cif(
    "Pb1 Pb 0 0 0\nTi1 Ti 0.5 0.5 0.538\nO1 O 0.5 0.5 0.117\nO2 O 0.5 0 0.617\n",
    (3.904, 3.904, 4.152),
    "_symmetry_space_group_name_H-M 'P 4 m m'\n",
)
SIMPLE = cif(PEROVSKITE.format(a="Sr", b="Ti"), (3.905,) * 3, CUBIC)


@pytest.fixture
def written(tmp_path):
    """written(text, name): a file with that text (or those bytes)."""

    def write(text: str | bytes, name: str = "crystal.cif") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def refusal(path: Path, zone: str = "001", **choice: str) -> str:
    """The one sentence with which a file is refused."""
    with pytest.raises(RecipeError) as refused:
        recipe_from_cif(path, zone, **choice)
    sentence = str(refused.value)
    assert "\n" not in sentence and sentence.isprintable() and len(sentence) < 500
    return sentence


@pytest.mark.parametrize("name", MATERIALS)
@pytest.mark.parametrize("zone", ZONES)
def test_a_cubic_perovskite_is_the_preset(written, name, zone) -> None:
    preset = project(MATERIALS[name], zone)
    a, b = (atom.element for atom in preset.material.atoms[:2])
    path = written(cif(PEROVSKITE.format(a=a, b=b), (preset.material.lattice_A,) * 3, CUBIC))
    found = recipe_from_cif(
        path, format_indices(zone), moving=preset.material.moving, reference=preset.material.reference
    ).motif()
    np.testing.assert_allclose(found.cell_A, preset.cell_A, atol=2e-6)
    np.testing.assert_allclose(found.indices, preset.indices, atol=1e-9)
    assert found.repeat_A == pytest.approx(preset.repeat_A, abs=1e-6)
    assert found.material.volume_A3 == pytest.approx(preset.material.volume_A3, abs=1e-5)
    order = [found.sites.index(site) for site in preset.sites]
    assert found.sites == preset.sites or set(found.sites) == set(preset.sites)
    assert [found.content[i] for i in order if not found.oxygen[i]] == [
        content for i, content in enumerate(preset.content) if not preset.oxygen[i]
    ]
    away = (found.fractions[order] - preset.fractions + 0.5) % 1 - 0.5
    cations = ~preset.oxygen
    np.testing.assert_allclose(away[cations], 0, atol=2e-6)
    assert found.notes == ()


@pytest.mark.parametrize(("a", "b", "moving"), [("Sr", "Ti", "Ti"), ("K", "Ta", "K"), ("Pb", "Zr", "Zr")])
def test_unasked_the_weaker_of_the_two_strongest_cations_moves(written, a, b, moving) -> None:
    structure = recipe_from_cif(written(cif(PEROVSKITE.format(a=a, b=b), symmetry=CUBIC)), "1-10").structure
    assert structure.moving == moving and {structure.moving, structure.reference} == {a, b}


def test_sites_can_be_chosen(written) -> None:
    path = written(SIMPLE)
    chosen = recipe_from_cif(path, "001", moving="Sr", reference="Ti").structure
    assert (chosen.moving, chosen.reference) == ("Sr", "Ti")
    assert recipe_from_cif(path, "001", moving="Sr").structure.reference == "Ti"
    assert recipe_from_cif(path, "001", reference="Ti").structure.moving == "Sr"
    assert recipe_from_cif(path, "1-10", moving="O", reference="Ti").structure.moving == "O"
    for choice in ({"moving": "Fe"}, {"reference": "Fe"}, {"moving": "Fe", "reference": "Fe"}):
        assert "'Fe' is not among the sites Sr, Ti, O" in refusal(path, **choice)
    assert "both Sr" in refusal(path, moving="Sr", reference="Sr")


def test_a_polar_crystal_from_the_side_says_what_overlaps(written) -> None:
    along = recipe_from_cif(written(POLAR), "001").motif()
    assert along.sites[:2] == ("Pb", "Ti") and along.notes == ()
    np.testing.assert_allclose(along.cell_A, np.eye(2) * 3.904, atol=1e-6)
    side = recipe_from_cif(written(POLAR), "100").motif()
    np.testing.assert_allclose(side.cell_A, [[3.904, 0], [0, 4.152]], atol=1e-6)
    # Only the oxygen 0.079 c below Ti's height shares its column; the other stands 0.421 c away.
    assert side.notes == ("along 100 Ti and O overlap (0.33 A apart): taken as one column",)
    assert side.content[side.site("Ti")] == {"Ti": 1, "O": 1}
    share = 8**1.7 / (8**1.7 + 22**1.7)
    assert side.fractions[side.site("Ti"), 1] == pytest.approx(0.538 + 0.079 * share, abs=1e-5)
    assert recipe_from_cif(written(POLAR), "100").structure.overlaps == side.notes


def test_a_polarization_belongs_to_one_moving_atom(written) -> None:
    """A doubled cell has twice the volume and twice the atoms."""
    atoms = "".join(
        f"{e} {e} {x} {y} {(z + k) / 2}\n"
        for k in range(2)
        for e, x, y, z in [("Sr", 0, 0, 0), ("Ti", 0.5, 0.5, 0.5), *(("O", *face) for face in FACES)]
    )
    double = recipe_from_cif(written(cif(atoms, (3.905, 3.905, 7.81))), "001")
    assert double.structure.volume == pytest.approx(3.905**3, abs=1e-4)
    assert double.structure.volume == recipe_from_cif(written(SIMPLE), "001").structure.volume


def test_symmetry_operations_may_stand_for_the_group(written) -> None:
    operations = "loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'\n'y, z, x'\n'z, x, y'\n"
    listed = recipe_from_cif(written(cif(PEROVSKITE.format(a="Sr", b="Ti"), (3.905,) * 3, operations)), "1-10")
    named = recipe_from_cif(written(SIMPLE), "1-10")
    assert listed.motif().content == named.motif().content


def test_without_symmetry_a_file_is_refused(written) -> None:
    sentence = refusal(written(cif(PEROVSKITE.format(a="Sr", b="Ti"), symmetry="")))
    assert "names no space group" in sentence and "'P 1'" in sentence


def test_partly_occupied_sites_are_refused_by_name(written) -> None:
    rows = "Ba1 Ba 0 0 0 0.6(1)\nSr1 Sr 0 0 0 0.4\nTi1 Ti 0.5 0.5 0.5 1.0\nO1 O 0.5 0.5 0 1\n"
    text = cif(rows, symmetry=CUBIC).replace("_atom_site_fract_z\n", "_atom_site_fract_z\n_atom_site_occupancy\n")
    sentence = refusal(written(text))
    assert "partly occupied sites: Ba1 (0.6), Sr1 (0.4); keep one element" in sentence


def test_the_first_block_with_a_structure_is_taken(written) -> None:
    header = "data_paper\n_publ_author_name 'A. Nobody'\n"
    second = SIMPLE.replace("data_test", "data_other").replace(" Ti ", " Zr ")
    assert recipe_from_cif(written(header + SIMPLE + second), "001").structure.moving == "Ti"
    assert "holds no crystal structure" in refusal(written(header))


def test_what_shows_one_kind_of_column_is_refused_with_what_it_shows(written) -> None:
    iron = cif("Fe1 Fe 0 0 0\n", (2.866,) * 3, "_symmetry_space_group_name_H-M 'I m -3 m'\n")
    assert "along 001 shows the columns Fe; a displacement needs two kinds" in refusal(written(iron))
    assert "shows the columns Fe;" in refusal(written(iron), moving="Fe")
    assert "shows the columns I;" in refusal(written(iron.replace("Fe1 Fe", "I1 I")), moving="I", reference="I")
    assert "along 111 shows the columns Sr, O" in refusal(written(SIMPLE), "111")


def test_cells_of_very_many_columns_are_refused_soon(written) -> None:
    rng = np.random.default_rng(0)
    places = enumerate(rng.random((300, 3)).round(4))
    atoms = "".join(f"X{i} {'Ti' if i % 2 else 'Ba'} {x} {y} {z}\n" for i, (x, y, z) in places)
    assert "different columns in a cell; at most 100" in refusal(written(cif(atoms, (50, 50, 50))))
    many = cif(atoms * 10, (50, 50, 50))
    assert "lists 3000 atoms; at most 2000" in refusal(written(many))
    assert "9 MiB" in refusal(written(b"#" * (9 * 2**20)))


BAD: dict[str, str | bytes] = {
    "empty": "",
    "words": "this is no crystal",
    "binary": bytes(range(256)) * 20,
    "zeros": bytes(4000),
    "cut in the cell": SIMPLE[:60],
    "cut in an atom": SIMPLE[:-8],
    "no atoms": cif(""),
    "atoms without places": cif("Sr1 Sr ? ? ?\n"),
    "places that are no numbers": cif("Sr1 Sr nan 0 0\nTi1 Ti 0.5 0.5 0.5\n"),
    "cell of NaN": cif("Sr1 Sr 0 0 0\n", ("nan",) * 3),
    "cell of nothing": cif("Sr1 Sr 0 0 0\n", (0, 0, 0)),
    "cell unknown": cif("Sr1 Sr 0 0 0\n", ("?",) * 3),
    "cell without end": cif("Sr1 Sr 0 0 0\nTi1 Ti 0.5 0.5 0.5\n", (1e308,) * 3),
    "cell of a micrometre": cif("Sr1 Sr 0 0 0\nTi1 Ti 0.5 0.5 0.5\n", (1e4,) * 3),
    "flat cell": cif("Sr1 Sr 0 0 0\n", angles=(90, 90, 180)),
    "unknown element": cif("Qq1 Qq 0 0 0\nTi1 Ti 0.5 0.5 0.5\n"),
    "placeholder element": cif("X1 X 0 0 0\nTi1 Ti 0.5 0.5 0.5\n"),
    "unknown group": cif("Sr1 Sr 0 0 0\n", symmetry="_symmetry_space_group_name_H-M 'Q z 9'\n"),
    "unknown operation": cif("Sr1 Sr 0 0 0\n", symmetry="loop_\n_symmetry_equiv_pos_as_xyz\n'import os'\n"),
}


@pytest.mark.parametrize("kind", BAD)
def test_broken_files_are_refused_in_one_sentence(written, kind) -> None:
    assert refusal(written(BAD[kind])).startswith("crystal.cif")


def test_what_is_no_file_is_refused(tmp_path) -> None:
    assert "No such file" in refusal(tmp_path / "none.cif")
    (tmp_path / "folder.cif").mkdir()
    assert "cannot be read: " in refusal(tmp_path / "folder.cif")


@pytest.mark.parametrize("zone", ["", "11", "000", "a00"])
def test_nonsense_is_no_zone(written, zone) -> None:
    assert "is not three indices" in refusal(written(SIMPLE), zone)


@pytest.mark.parametrize("name", ["a\nb\x1b[31m.cif", "<script>.cif", "\u00e9\u753b.cif", "x" * 200 + ".cif", "-.cif"])
def test_hostile_names_are_only_names(written, tmp_path, name) -> None:
    recipe = recipe_from_cif(written(SIMPLE, name), "001")
    assert recipe.material.name.isprintable() and len(recipe.material.name) <= 100
    (tmp_path / "recipe.toml").write_text(to_toml(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "recipe.toml") == recipe
    refusal(written("", name))


@pytest.mark.parametrize("zone", ZONES)
def test_the_recipe_needs_the_file_no_more(written, tmp_path, zone) -> None:
    path = written(POLAR)
    recipe = recipe_from_cif(path, format_indices(zone))
    path.unlink()
    toml = tmp_path / "recipe.toml"
    toml.write_text(to_toml(recipe), encoding="utf-8")
    again = load_recipe(toml)
    assert again == recipe and again.digest() == recipe.digest()
    np.testing.assert_array_equal(again.motif().fractions, recipe.motif().fractions)
    assert "crystal.cif, 5 atoms in the cell" in toml.read_text(encoding="utf-8")


change = st.tuples(st.integers(0, len(POLAR)), st.integers(0, 12), st.text("0159.-+?_'\";#\n xyzTiOPb(),", max_size=8))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(change, min_size=1, max_size=4),
    st.sampled_from(["001", "1-10", "100"]),
)
def test_any_text_is_a_recipe_or_a_recipe_error(tmp_path, changes, zone) -> None:
    text = POLAR
    for start, length, other in changes:
        text = text[:start] + other + text[start + length :]
    path = tmp_path / "fuzz.cif"
    path.write_text(text, encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            assert isinstance(recipe_from_cif(path, zone), Recipe)
        except RecipeError as error:
            assert "\n" not in str(error)


def test_an_image_is_analysed_with_the_crystal_of_a_file(written, tmp_path) -> None:
    crystal = MATERIALS["PbTiO3"]
    scene = Scene(
        material=crystal,
        zone=(1, -1, 0),
        view=View(shape=(220, 220), rotation_deg=25.0),
        motion=Motion(uniform_pm=(-7.0, 11.0)),
        dose=Dose(peak_counts=3000),
    )
    image, _ = stemdisp.simulate(scene)
    path = written(cif(PEROVSKITE.format(a="Pb", b="Ti"), (crystal.lattice_A,) * 3, CUBIC))
    preset = stemdisp.analyse(image, stemdisp.recipe_for("PbTiO3", "1-10"))
    ours = stemdisp.analyse(image, recipe_from_cif(path, "1-10"))
    assert ours.columns.sites == preset.columns.sites and len(ours.columns) == len(preset.columns)
    np.testing.assert_allclose(ours.displacement.uv, preset.displacement.uv, atol=0.05)
    np.testing.assert_allclose(np.nanmean(ours.displacement.uv, axis=0), [-7, 11], atol=1.5)
    # A file tells no charges: no polarization unless the recipe brings what it needs.
    assert ours.polarization is None
    given = ours.recipe.with_values({"polarization": {"model": "kappa", "kappa": -4.8}})
    again = stemdisp.analyse(image, given, start=ours)
    np.testing.assert_allclose(again.polarization.uv, preset.polarization.uv, atol=0.3)
    save(again, tmp_path / "result")
    assert load(tmp_path / "result").recipe == given


def test_the_axes_of_a_real_crystal_are_seen(written) -> None:
    """A lattice 6 % longer along c than along a, at the right pixel size."""
    recipe = recipe_from_cif(written(POLAR), "100")
    motif = recipe.motif()
    image, _ = stemdisp.simulate(
        Scene(material=MATERIALS["PbTiO3"], zone=(1, 0, 0), view=View(shape=(220, 220), rotation_deg=0.0))
    )
    cubic = MATERIALS["PbTiO3"].lattice_A
    # Pixels of another height make the cubic lattice of the image that of the file.
    stretched = replace(image, pixel_size=PixelSize(10 * 3.904 / cubic, 10 * 4.152 / cubic, "user"))
    found = stemdisp.analyse(stretched, recipe).lattice
    lengths = np.linalg.norm(found.cell * stretched.pixel_size.xy_pm / 100, axis=1)
    np.testing.assert_allclose(lengths, np.linalg.norm(motif.cell_A, axis=1), rtol=5e-3)
