"""What an image does not show is said and left empty, and everything else is what it was."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stemdisp
from stemdisp.model.analysis import Analysis
from stemdisp.model.micrograph import InputFile, Micrograph, Signal

SHA = "a" * 64

OXYGEN = ("o_contrast", "o_contrast_sem", "vacancy_rich", "o_contrast_p_value")
MEANS = ("normal_pm", "normal_sem_pm", "parallel_pm", "parallel_sem_pm", "magnitude_pm", "polarization_uC_cm2")


@pytest.fixture(scope="module")
def shot(analysed: Callable[..., Any]) -> Any:
    return analysed((1, -1, 0), ("HAADF", "ABF"))


def _with_abf(shot: Any, pixels: Any) -> Micrograph:
    abf = Signal("ABF", np.asarray(pixels), -1)
    return replace(shot.micrograph, signals={**shot.micrograph.signals, "ABF": abf})


def _written(analysis: Analysis, folder: Path) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """Rows of layers.csv, and summary.json."""
    stemdisp.save(analysis, folder)
    with (folder / "layers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return rows, json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def _empty(analysis: Analysis, names: tuple[str, ...], folder: Path) -> str:
    """That columns of the layers are empty everywhere; what was said of it."""
    assert analysis.profile is not None and len(analysis.profile)
    for name in names:
        assert np.isnan(getattr(analysis.profile, name)).all(), name
    rows, summary = _written(analysis, folder)
    assert rows and all(row[name] == "" for row in rows for name in names)
    assert summary["left_out"] == list(analysis.left_out)
    return " | ".join(analysis.left_out)


def _same_displacement(one: Analysis, other: Analysis) -> None:
    assert one.displacement is not None and other.displacement is not None
    np.testing.assert_array_equal(one.displacement.valid, other.displacement.valid)
    np.testing.assert_allclose(one.displacement.uv, other.displacement.uv, atol=1e-9)


def test_without_abf_there_is_no_oxygen(shot: Any, tmp_path: Path) -> None:
    alone = replace(shot.micrograph, signals={"HAADF": shot.micrograph.signals["HAADF"]})
    after = stemdisp.analyse(alone, shot.recipe)
    said = _empty(after, OXYGEN, tmp_path / "out")
    assert "oxygen contrast is left out: it needs an image that shows oxygen, as ABF does" in said
    _same_displacement(after, shot.analysis)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["oxygen"]["vacancy_rich_layers"] == summary["oxygen"]["window_nm"] == []


@pytest.mark.parametrize("what", ["noise", "nothing"])
def test_abf_without_oxygen_leaves_it_out(shot: Any, tmp_path: Path, what: str) -> None:
    shape = shot.micrograph.shape
    pixels = np.full(shape, 7.0) if what == "nothing" else np.random.default_rng(0).poisson(1000, shape).astype(float)
    after = stemdisp.analyse(_with_abf(shot, pixels), shot.recipe)
    assert "oxygen contrast is left out: " in _empty(after, OXYGEN, tmp_path / "out")
    _same_displacement(after, shot.analysis)


@pytest.mark.parametrize("of", ["layer", "region"])
def test_without_a_bulk_nothing_is_subtracted(shot: Any, tmp_path: Path, of: str) -> None:
    away = [[-900.0, -900.0], [-800.0, -900.0], [-800.0, -800.0]]
    values = shot.recipe.model_dump(mode="json") | {"regions": [{"sha256": SHA, "polygon": away}]}
    recipe = stemdisp.Recipe.model_validate(values)
    if of == "layer":
        recipe = shot.recipe.with_values({"displacement": {"bulk_from_layer": 500}})
    after = stemdisp.analyse(replace(shot.micrograph, inputs=(InputFile("a.tif", 1, SHA, "TIFF"),)), recipe)
    said = _empty(after, OXYGEN, tmp_path / "out")
    assert "the reference is left out: " in said and "nothing was subtracted" in said and "no bulk of 3 layers" in said
    assert after.displacement.offset is None
    moved = after.displacement.uv - shot.analysis.displacement.uv
    expected = np.broadcast_to(shot.analysis.displacement.offset, moved.shape)
    np.testing.assert_allclose(moved[after.displacement.valid], expected[after.displacement.valid], atol=1e-9)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["reference"]["offset_pm"] is None


def test_layers_of_few_cells_have_no_mean(shot: Any, tmp_path: Path) -> None:
    counts = shot.analysis.profile.n
    fewest = int(counts.max())
    after = stemdisp.analyse(shot.micrograph, shot.recipe.with_values({"layers": {"minimum_cells": fewest}}))
    few = counts < fewest
    assert few.any() and not few.all()
    for name in MEANS:
        np.testing.assert_array_equal(np.isnan(getattr(after.profile, name)), few, err_msg=name)
    np.testing.assert_array_equal(after.profile.n, counts)
    assert any(f"fewer than {fewest} cells with a displacement" in sentence for sentence in after.left_out)
    none = stemdisp.analyse(shot.micrograph, shot.recipe.with_values({"layers": {"minimum_cells": 1000}}))
    assert "means are left out where a layer has fewer than 1000 cells" in _empty(none, MEANS, tmp_path / "out")
    _same_displacement(none, shot.analysis)
    assert none.decay is None


def test_without_an_interface_there_are_no_layers_and_all_cells(shot: Any, tmp_path: Path) -> None:
    after = stemdisp.analyse(shot.micrograph, shot.recipe.with_values({"interface": {"mode": "none"}}))
    assert after.profile is None and after.decay is None and after.vacancies is None
    assert after.left_out == ("layers are left out: there is no interface to count them from",)
    rows, summary = _written(after, tmp_path / "out")
    assert rows == [] and summary["interface"] is summary["decay"] is summary["oxygen"] is None
    np.testing.assert_array_equal(after.displacement.valid, shot.analysis.displacement.valid)
    assert len(after.columns) == len(shot.analysis.columns)
