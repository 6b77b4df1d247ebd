"""Crystals from CIF files as a user names them on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import tifffile
from typer.testing import CliRunner

import stemdisp
from stemdisp import recipe as recipes
from stemdisp.cli import app
from stemdisp.materials import KTaO3
from stemdisp.scene import Scene, View

CIF = f"""data_test
_cell_length_a {KTaO3.lattice_A}
_cell_length_b {KTaO3.lattice_A}
_cell_length_c {KTaO3.lattice_A}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
K1 K 0 0 0
Ta1 Ta 0.5 0.5 0.5
O1 O 0.5 0.5 0
"""


def stemdisp_(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def crystal(tmp_path) -> Path:
    path = tmp_path / "KTO.cif"
    path.write_text(CIF)
    return path


@pytest.fixture
def image(tmp_path) -> Path:
    pixels = stemdisp.simulate(Scene(view=View(shape=(200, 200))))[0].signals["HAADF"].image
    path = tmp_path / "a_HAADF.tif"
    tifffile.imwrite(path, pixels, imagej=True, resolution=(100, 100), metadata={"unit": "nm"})
    return path


def test_recipe_prints_the_crystal_of_a_file(tmp_path, crystal) -> None:
    printed = stemdisp_("recipe", crystal, "--zone", "110", "--moving", "Ta", "--reference", "K")
    assert printed.exit_code == 0, printed.stderr
    path = tmp_path / "r.toml"
    path.write_text(printed.stdout)
    crystal.unlink()
    structure = recipes.load(path).structure
    assert (structure.moving, structure.reference) == ("Ta", "K")
    assert stemdisp_("check", path).exit_code == 0


def test_run_takes_the_crystal_of_a_file(tmp_path, crystal, image) -> None:
    done = stemdisp_("run", image, "--material", crystal, "--zone", "1-10", "-o", tmp_path / "out", "--no-figures")
    assert done.exit_code == 0, done.stderr
    folder = tmp_path / "out" / "a_HAADF"
    assert recipes.load(folder / "recipe.toml").structure.moving == "K"
    assert stemdisp.load(folder).columns.sites == ("K", "Ta", "O")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--zone", "110", "--moving", "Fe"], "'Fe' is not among the sites"),
        (["--zone", "111"], "shows the columns"),
        (["--zone", "1x0"], "is not three indices"),
    ],
)
def test_what_a_file_cannot_give_ends_with_2_in_one_line(crystal, options, sentence) -> None:
    done = stemdisp_("recipe", crystal, *options)
    assert done.exit_code == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and sentence in done.stderr and done.stderr.count("\n") == 1


def test_sites_are_chosen_in_files_only() -> None:
    done = stemdisp_("recipe", "KTaO3", "--zone", "1-10", "--moving", "Ta")
    assert done.exit_code == 2 and "KTaO3 brings its own" in done.stderr


def test_a_file_that_is_not_there_ends_with_2(tmp_path, image) -> None:
    done = stemdisp_("run", image, "--material", tmp_path / "no.cif", "--zone", "001", "-o", tmp_path / "out")
    assert done.exit_code == 2 and "no.cif cannot be read" in done.stderr and not (tmp_path / "out").exists()
