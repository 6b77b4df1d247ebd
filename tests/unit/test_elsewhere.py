"""Positions from elsewhere as the start of an analysis."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

import stemdisp
from stemdisp.errors import CalibrationError, ReadError, RecipeError, StageError
from stemdisp.figures.save import save_figures
from stemdisp.model.analysis import Analysis
from stemdisp.motion import Motion
from stemdisp.report import write_report
from stemdisp.report.content import subtitle
from stemdisp.report.words import paragraph
from stemdisp.scene import Edge, Scene, Truth, View

ROUNDING_PM = 1e-6
"""Positions have 12 digits in a file."""


def scene(zone: str, rotation_deg: float = 13.0, **more: Any) -> tuple[Scene, stemdisp.Recipe]:
    indices = {"1-10": (1, -1, 0), "001": (0, 0, 1)}[zone]
    plane = {"1-10": (1, 1, 1), "001": (0, 1, 0)}[zone]
    view = View(shape=(260, 280), rotation_deg=rotation_deg)
    made = Scene(zone=indices, view=view, edge=Edge(plane=plane), motion=Motion(parallel_pm=25, uniform_pm=(6, 4)))
    return made, stemdisp.recipe_for("KTaO3", zone).with_values(more)


def table_of(truth: Truth) -> dict[str, Any]:
    here = truth.present
    return {"x": truth.xy[here, 0], "y": truth.xy[here, 1], "site": truth.site[here]}


def given(truth: Truth, recipe: stemdisp.Recipe, **more: Any) -> Analysis:
    how = {"unit": "px", "origin": 0, "pixel_size": 10, "shape": (260, 280)} | more
    return stemdisp.from_positions(table_of(truth), recipe, **how)


def matched(one: Analysis, other: Analysis) -> tuple[Any, Any]:
    """Displacements (n, 2) of the same cells of two analyses."""
    assert one.displacement is not None and other.displacement is not None
    a, b = one.displacement, other.displacement
    distance, near = cKDTree(a.xy[a.valid]).query(b.xy[b.valid])
    assert a.valid.sum() == b.valid.sum() > 10
    assert distance.max() < 1e-8
    return a.uv[a.valid][near], b.uv[b.valid]


@pytest.mark.parametrize("zone", ["1-10", "001"])
@pytest.mark.parametrize("signals", [("HAADF",), ("HAADF", "ABF")])
def test_own_columns_give_the_same_displacements(zone: str, signals: Any, tmp_path: Path) -> None:
    made, recipe = scene(zone)
    image, _ = stemdisp.simulate(stemdisp.Scene(**{**vars(made), "signals": signals}))
    whole = stemdisp.analyse(image, recipe)
    stemdisp.save(whole, tmp_path / "image")
    again = stemdisp.from_positions(tmp_path / "image" / "columns.csv", recipe, shape=image.shape)
    np.testing.assert_allclose(*matched(whole, again), atol=ROUNDING_PM)
    assert whole.profile is not None and again.profile is not None
    np.testing.assert_allclose(again.profile.parallel_pm, whole.profile.parallel_pm, atol=ROUNDING_PM)
    np.testing.assert_allclose(again.profile.o_contrast, whole.profile.o_contrast, atol=1e-9)
    assert set(again.warnings) <= set(whole.warnings)
    assert again.micrograph.inputs[0].name == "columns.csv"


@pytest.mark.parametrize("zone", ["1-10", "001"])
@pytest.mark.parametrize("rotation_deg", [0.0, 27.0, -118.0, 170.0])
def test_true_positions_give_true_displacements(zone: str, rotation_deg: float) -> None:
    made, recipe = scene(zone, rotation_deg, displacement={"reference": "none"})
    _, truth = stemdisp.simulate(made)
    found = given(truth, recipe)
    rows, true_pm = truth.cells()
    assert found.displacement is not None and found.cells is not None and found.columns is not None
    valid = found.displacement.valid
    distance, near = cKDTree(truth.xy[rows]).query(found.columns.xy[found.cells.moving[valid]])
    assert distance.max() == 0
    assert valid.sum() > 0.8 * len(rows)
    np.testing.assert_allclose(found.displacement.uv[valid], true_pm[near], atol=ROUNDING_PM)
    assert found.interface is not None


def test_order_of_rows_does_not_matter() -> None:
    made, recipe = scene("1-10")
    _, truth = stemdisp.simulate(made)
    table, order = table_of(truth), np.random.default_rng(3).permutation(int(truth.present.sum()))
    how: dict[str, Any] = {"unit": "px", "origin": 0, "pixel_size": 10, "shape": (260, 280)}
    one = stemdisp.from_positions(table, recipe, **how)
    other = stemdisp.from_positions({name: values[order] for name, values in table.items()}, recipe, **how)
    assert one.displacement is not None and other.displacement is not None
    np.testing.assert_array_equal(one.displacement.uv, other.displacement.uv)
    np.testing.assert_array_equal(one.columns.hk if one.columns else 0, other.columns.hk if other.columns else 1)


def test_units_origin_and_pixels_that_are_not_square_say_the_same() -> None:
    made, recipe = scene("001")
    made = Scene(**{**vars(made), "view": View(shape=(260, 280), pixel_size_pm=(10.0, 12.0))})
    _, truth = stemdisp.simulate(made)
    table = table_of(truth)
    px = given(truth, recipe, pixel_size=(10, 12))
    from_1 = stemdisp.from_positions(
        {**table, "x": table["x"] + 1, "y": table["y"] + 1}, recipe, unit="px", origin=1, pixel_size=(10, 12)
    )
    nm = stemdisp.from_positions({"x_nm": table["x"] / 100, "y_nm": table["y"] * 0.012, "site": table["site"]}, recipe)
    no_edge = recipe.with_values({"interface": {"mode": "none"}})
    alike = stemdisp.from_positions(table, no_edge, unit="px", origin=0, pixel_size=(10, 12))
    assert px.interface is not None and from_1.interface is None
    np.testing.assert_allclose(*matched(alike, from_1), atol=ROUNDING_PM)
    assert nm.displacement is not None and alike.displacement is not None
    valid = alike.displacement.valid
    np.testing.assert_allclose(
        np.sort(nm.displacement.magnitude[nm.displacement.valid]),
        np.sort(alike.displacement.magnitude[valid]),
        atol=1e-6,
    )


def test_what_is_not_known_is_said_and_left_out() -> None:
    made, recipe = scene("1-10")
    _, truth = stemdisp.simulate(made)
    found = given(truth, recipe, shape=None, pixel_size=None, unit=None, origin=None)
    assert found.displacement is None and found.cells is not None
    for said in ("no unit is named", "no pixel size is known", "frame of the positions is not known"):
        assert any(said in warning for warning in found.warnings), said
    found = given(truth, recipe, shape=None)
    assert found.displacement is not None
    assert np.isnan(found.displacement.std).all(), "no errors were given"
    assert not found.displacement.judged
    assert "stand above their error" not in paragraph(found)
    by_lattice = given(truth, recipe.with_values({"image": {"pixel_size_from": "lattice"}}), pixel_size=None)
    assert by_lattice.micrograph.pixel_size is not None
    np.testing.assert_allclose(by_lattice.micrograph.pixel_size.xy_pm, 10, rtol=1e-2)


def test_a_crystal_that_fills_the_frame_has_no_edge() -> None:
    """Enough cells to look for a boundary between two crystals, and no brightness to see one by."""
    made = Scene(zone=(0, 0, 1), view=View(shape=(420, 420)))
    _, truth = stemdisp.simulate(made)
    found = given(truth, stemdisp.recipe_for("KTaO3", "001"), shape=(420, 420))
    assert found.cells is not None and found.cells.complete.sum() > 60
    assert found.interface is None and not any("boundaries" in warning for warning in found.warnings)


def test_errors_are_those_given() -> None:
    made, recipe = scene("001")
    _, truth = stemdisp.simulate(made)
    found = stemdisp.from_positions(
        {**table_of(truth), "x_std": np.full(truth.present.sum(), 0.2), "y_std": np.full(truth.present.sum(), 0.1)},
        recipe,
        unit="px",
        origin=0,
        pixel_size=10,
    )
    assert found.displacement is not None
    expected = np.array([2.0, 1.0]) * np.sqrt(1.25)  # one column against the mean of four
    np.testing.assert_allclose(found.displacement.std[found.displacement.valid] / expected, 1)


def test_amplitudes_tell_sites_and_labels_may_have_other_names() -> None:
    made, recipe = scene("1-10")
    _, truth = stemdisp.simulate(made)
    how: dict[str, Any] = {"unit": "px", "origin": 0, "pixel_size": 10, "shape": (260, 280)}
    table, named = table_of(truth), given(truth, recipe)
    bright = {"x": table["x"], "y": table["y"], "amplitude": truth.amplitude["HAADF"][truth.present]}
    np.testing.assert_allclose(*matched(named, stemdisp.from_positions(bright, recipe, **how)), atol=ROUNDING_PM)
    other = {"Ta": "sublattice 0", "K": "k", "O": "O"}
    labelled = {**table, "site": [other[str(name)] for name in table["site"]]}
    found = stemdisp.from_positions(labelled, recipe, sites={"sublattice 0": "Ta"}, **how)
    np.testing.assert_allclose(*matched(named, found), atol=ROUNDING_PM)
    with pytest.raises(RecipeError, match="'sublattice 0' is no site of KTaO3, which has K, Ta, O"):
        stemdisp.from_positions(labelled, recipe, **how)
    with pytest.raises(StageError, match="sites are not known: label every column with one of K, Ta, O"):
        stemdisp.from_positions({"x": table["x"], "y": table["y"]}, recipe, **how)
    with pytest.raises(StageError, match="1 of .* columns have no site"):
        stemdisp.from_positions({**table, "site": ["", *table["site"][1:]]}, recipe, **how)
    some = table["site"] != "K"
    with pytest.raises(StageError, match="no column is labelled K"):
        stemdisp.from_positions({name: values[some] for name, values in table.items()}, recipe, **how)


def test_stray_positions_are_left_out_and_said() -> None:
    made, recipe = scene("1-10")
    _, truth = stemdisp.simulate(made)
    table = table_of(truth)
    ta = np.argmax(table["site"] == "Ta")
    stray = {"x": table["x"][ta] + 9, "y": table["y"][ta] + 3, "site": "Ta"}
    found = stemdisp.from_positions(
        {name: np.append(values, stray[name]) for name, values in table.items()},
        recipe,
        unit="px",
        origin=0,
        pixel_size=10,
        shape=(260, 280),
    )
    assert any("are those of no column of the crystal" in warning for warning in found.warnings)
    np.testing.assert_allclose(*matched(given(truth, recipe), found), atol=ROUNDING_PM)


def test_what_is_wrong_is_said() -> None:
    made, recipe = scene("1-10")
    _, truth = stemdisp.simulate(made)
    table = table_of(truth)
    twice = {name: np.append(values, values[5]) for name, values in table.items()}
    with pytest.raises(ReadError, match="2 columns are listed twice"):
        stemdisp.from_positions(twice, recipe)
    with pytest.raises(StageError, match="1 columns are too few"):
        stemdisp.from_positions({"x": [1.0], "y": [2.0], "amplitude": [1.0]}, recipe)
    few = {name: values[truth.xy[truth.present][:, 1] < 60][:6] for name, values in table.items()}
    with pytest.raises(StageError, match="no lattice found|both are needed"):
        stemdisp.from_positions(few, recipe, unit="px", origin=0, pixel_size=10)
    with pytest.raises(ReadError, match="beyond an image of 100 x 200 px; check the shape"):
        given(truth, recipe, shape=(200, 100))
    with pytest.raises(StageError, match="no lattice found"):
        rng = np.random.default_rng(1)
        noise = {**table, "x": rng.uniform(0, 270, len(table["x"])), "y": rng.uniform(0, 250, len(table["y"]))}
        stemdisp.from_positions(noise, recipe, unit="px", origin=0, pixel_size=10)
    with pytest.raises(CalibrationError, match="must lie between"):
        given(truth, recipe, pixel_size=1000)
    positions = stemdisp.Positions("other", stemdisp.Columns.at(truth.xy, ("Ta",)))
    with pytest.raises(RecipeError, match="on pixels already"):
        stemdisp.from_positions(positions, recipe, unit="nm")


def test_it_is_an_ordinary_analysis_on_a_plain_ground(tmp_path: Path) -> None:
    made, recipe = scene("1-10")
    _, truth = stemdisp.simulate(made)
    found = given(truth, recipe)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paths = save_figures(found, tmp_path / "figures")
        write_report(found, paths, tmp_path / "report.html")
        stemdisp.save(found, tmp_path / "result")
    assert {path.stem for path in paths} >= {"columns", "displacement", "components", "layers", "polarization", "maps"}
    assert "positions from HAADF, no image" in subtitle(found)
    back = stemdisp.load(tmp_path / "result")
    assert back.displacement is not None and found.displacement is not None
    np.testing.assert_array_equal(back.displacement.uv, found.displacement.uv)
    assert back.micrograph.blank and found.seconds.keys() >= {"refine", "quality"}


def test_later_stages_run_again_and_earlier_ones_say_why_not() -> None:
    made, recipe = scene("1-10")
    _, truth = stemdisp.simulate(made)
    found = given(truth, recipe)
    other = recipe.with_values({"displacement": {"reference": "none"}})
    again = stemdisp.analyse(found.micrograph, other, found)
    assert again.displacement is not None and again.displacement.offset is None
    with pytest.raises(StageError, match="every pixel has the same value"):
        stemdisp.analyse(found.micrograph, recipe)
