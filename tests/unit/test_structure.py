"""A projected cell written by hand: as good as a preset, and wrong in one clear sentence."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import stemdisp
from stemdisp.crystal import project
from stemdisp.errors import RecipeError
from stemdisp.io.recipe_toml import to_toml
from stemdisp.materials import KTaO3
from stemdisp.motion import Motion
from stemdisp.recipe import load, parse
from stemdisp.scene import Scene, View

GOOD = """
[material]
name = "made by hand"
zone = "1-10"

[structure]
a = [2.8201, 0.0]
b = [0.0, 3.9883]
moving = "K"
reference = "Ta"
a_indices = [0, 1, 0]
b_indices = [0, 0, 1]
repeat = 5.6403
volume = 63.44

[[structure.sites]]
name = "K"
x = 0.0
y = 0.0
atoms = { K = 1, O = 1 }

[[structure.sites]]
name = "Ta"
x = 0.0
y = 0.5
atoms = { Ta = 1 }

[[structure.sites]]
name = "O"
x = 0.5
y = 0.5
atoms = { O = 2 }
"""


def values() -> dict[str, Any]:
    return tomllib.loads(GOOD)


def test_a_good_table_is_the_presets_motif() -> None:
    ours, preset = parse(values()).motif(), project(KTaO3, (1, -1, 0))
    order = [ours.sites.index(name) for name in preset.sites]
    np.testing.assert_allclose(ours.cell_A, preset.cell_A, atol=1e-4)
    # The preset's a goes half as far up the other diagonal: its columns stand at the same places or half a cell on.
    assert {name: ours.content[i] for name, i in zip(preset.sites, order, strict=True)} == {
        name: content for name, content in zip(preset.sites, preset.content, strict=True)
    }
    assert ours.rows((1, 1, 1)) == preset.rows((1, 1, 1))
    np.testing.assert_allclose(ours.contrast("HAADF")[order], preset.contrast("HAADF"))
    assert ours.material.volume_A3 == 63.44 and ours.repeat_A == 5.6403
    np.testing.assert_array_equal(ours.neighbours("K", "Ta"), [[0, -1], [0, 0]])


def test_it_survives_being_written(tmp_path) -> None:
    recipe = parse(values() | {"polarization": {"model": "kappa", "kappa": -2.0}})
    path = tmp_path / "recipe.toml"
    path.write_text(to_toml(recipe), encoding="utf-8")
    assert load(path) == recipe and load(path).digest() == recipe.digest()


def test_places_outside_the_cell_are_those_inside_it() -> None:
    moved = values()
    moved["structure"]["sites"][1]["y"] = -0.5
    np.testing.assert_allclose(parse(moved).motif().fractions, parse(values()).motif().fractions)


def _site(i: int, **changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda table: table["sites"][i].update(changes)


def _field(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda table: table.update(changes)


WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "collinear": (_field(b=[5.64, 0.0]), "a and b span 0 square angstrom"),
    "clockwise": (_field(b=[0.0, -3.99]), "b left of a"),
    "infinite": (_field(b=[0.0, float("inf")]), "span inf"),
    "not a number": (_field(b=[0.0, float("nan")]), "span nan"),
    "one number": (_field(a=[2.82]), r"\[structure\] a 1.*required"),
    "words": (_field(a="wide"), r"\[structure\] a = 'wide'"),
    "unknown element": (_site(1, atoms={"Qq": 1}), "Qq is not the symbol of an element"),
    "no atoms": (_site(1, atoms={}), "at least 1 item"),
    "minus one atom": (_site(1, atoms={"Ta": -1}), "Ta = -1: must be above 0"),
    "far outside": (_site(1, x=7.0), "less than or equal to 2"),
    "bad name": (_site(1, name="<b>"), "pattern"),
    "unknown moving": (_field(moving="Sr"), "moving = 'Sr' is not among the sites K, Ta, O"),
    "unknown reference": (_field(reference="Sr"), "reference = 'Sr' is not among the sites K, Ta, O"),
    "the same site": (_field(reference="K"), "moving and reference are both K; name two sites"),
    "site twice": (_site(2, name="Ta"), "site Ta is listed twice"),
    "overlap": (_site(2, x=0.1, y=0.52), r"Ta and O overlap: 0\.29 A apart, at least 0\.6"),
    "no even neighbours": (_site(0, x=0.929, y=0.066), "no set of Ta columns is centred on a K column"),
    "one site": (lambda table: table.update(sites=table["sites"][:1]), "at least 2 items"),
    "no sites": (lambda table: table.pop("sites"), r"\[structure\] sites.*required"),
    "no moving site": (lambda table: table.pop("moving"), r"\[structure\] moving.*required"),
    "no volume": (_field(volume=0), "greater than 0"),
    "unknown key": (_field(refrence="Ta"), "unknown key .*refrence; did you mean reference"),
    "unknown key of a site": (_site(0, atom={"K": 1}), "unknown key .*atom; did you mean atoms"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_one_sentence(kind) -> None:
    spoil, sentence = WRONG[kind]
    bad = values()
    spoil(bad["structure"])
    with pytest.raises(RecipeError, match=sentence) as refused:
        parse(bad, "recipe mine.toml")
    shown = str(refused.value)
    assert shown.startswith("recipe mine.toml: ") and "\n" not in shown and ": :" not in shown and len(shown) < 300


def test_a_good_table_needs_no_more_than_the_cell_and_its_sites() -> None:
    short = values()
    for name in ("a_indices", "b_indices", "repeat", "volume"):
        del short["structure"][name]
    assert parse(short).motif().sites == ("K", "Ta", "O")


@pytest.fixture(scope="module")
def image():
    scene = Scene(view=View(shape=(220, 230), rotation_deg=17.0), motion=Motion(uniform_pm=(9.0, -6.0)))
    return stemdisp.simulate(scene)[0]


def test_the_table_measures_what_the_preset_measures(image) -> None:
    preset = stemdisp.analyse(image, stemdisp.recipe_for("KTaO3", "1-10"))
    ours = stemdisp.analyse(image, parse(values() | {"polarization": {"charge": 1.156, "model": "moving_site"}}))
    for site in ("K", "Ta"):
        one, other = (a.columns.xy[a.columns.of_site(site) & a.columns.usable] for a in (preset, ours))
        assert len(one) == len(other) > 30
        nearest = np.linalg.norm(one[:, None] - other, axis=2).min(axis=1)
        assert nearest.max() < 0.01
    means = [np.nanmean(a.displacement.uv, axis=0) for a in (preset, ours)]
    np.testing.assert_allclose(*means, atol=0.2)
    # The preset's dilution was measured; that of a table is the part of the column's weight.
    share = preset.lattice.motif.dilution("HAADF") / ours.lattice.motif.dilution("HAADF")
    np.testing.assert_allclose(
        np.nanmean(ours.polarization.uv, axis=0), share * np.nanmean(preset.polarization.uv, axis=0), rtol=0.05
    )


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("moving_site", "moving_site: made by hand has no Born effective charge of K; set [polarization] charge"),
        ("full", "full: made by hand is given by its columns alone, without atoms and their charges"),
    ],
)
def test_a_polarization_without_charges_is_empty_and_says_why(image, model, said) -> None:
    found = stemdisp.analyse(image, parse(values() | {"polarization": {"model": model}}))
    assert found.polarization is not None and not found.polarization.valid.any()
    assert found.displacement is not None and found.displacement.valid.any()
    assert any(f"the polarization is left out: {said}" in sentence for sentence in found.left_out)
    assert stemdisp.analyse(image, parse(values())).polarization is None


def test_planes_are_named_by_the_indices_or_by_the_cell_alone() -> None:
    """Without indices as if the beam were along 001; with indices that cannot be, one sentence."""
    values = tomllib.loads(GOOD)
    named = parse(values).motif()
    assert named.rows((0, 0, 1)) == (0, 1)
    del values["structure"]["a_indices"], values["structure"]["b_indices"]
    assert parse(values).motif().rows((0, 1, 0)) == (0, 1)
    values["structure"]["a_indices"] = [1, 0, 0]
    with pytest.raises(RecipeError, match="belong together; give both or none"):
        parse(values)
    values["structure"]["b_indices"] = [0, 1, 0]
    with pytest.raises(RecipeError, match="a_indices, b_indices and zone 1-10 lie in one plane"):
        parse(values)
