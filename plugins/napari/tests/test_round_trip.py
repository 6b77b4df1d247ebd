"""From files to result folders and back, through the panel: the same as the command line does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner
from window import Window

import stemdisp
from napari_stemdisp.samples import DATA
from stemdisp import Micrograph
from stemdisp.cli import app

PAIR = [DATA / "KTO111_1e5_HAADF.tif", DATA / "KTO111_1e5_ABF.tif"]


def test_two_files_opened_one_by_one_become_a_pair(window: Window) -> None:
    for path in PAIR:
        window.viewer.open(str(path), plugin="napari-stemdisp")
        window.rest()
    found = window.panel.session.micrograph
    assert found is not None and list(found.signals) == ["HAADF", "ABF"] and found.name == "KTO111_1e5"
    assert window.panel.images.count() == 1 and set(window.panel.session.paths) == set(PAIR)


def test_what_was_edited_and_saved_is_what_the_command_line_makes_of_the_recipe(window: Window, tmp_path: Path) -> None:
    window.viewer.open([str(path) for path in PAIR], stack=True, plugin="napari-stemdisp")
    window.rest()
    window.run()
    analysis = window.panel.session.analysis
    assert analysis is not None and analysis.cells is not None, window.said
    layer = window.layer("columns")
    layer.selected_data = {int(analysis.cells.moving[len(analysis.cells) // 2])}
    layer.remove_selected()
    window.wait()
    window.panel.session.draw_interface(np.array([[0.0, 95.0], [385.0, 95.0]]))
    window.wait()
    window.run()
    assert not window.panel.session.stale
    folder = window.panel.export.save_to(tmp_path / "gui")
    assert folder is not None, window.said
    window.panel.session.save_recipe(tmp_path / "recipe.toml")
    arguments = [*map(str, PAIR), "-r", str(tmp_path / "recipe.toml"), "-o", str(tmp_path / "cli"), "--no-figures"]
    assert CliRunner().invoke(app, ["run", *arguments]).exit_code == 0
    for name in ("columns.csv", "cells.csv", "layers.csv", "recipe.toml"):
        assert (folder / name).read_bytes() == (tmp_path / "cli" / folder.name / name).read_bytes(), name


def test_a_saved_result_is_opened_and_gone_on_from(window: Window, small: Micrograph, tmp_path: Path) -> None:
    saved = stemdisp.analyse(small, stemdisp.recipe_for("KTaO3", "1-10"))
    stemdisp.save(saved, tmp_path / "result")
    window.viewer.open(str(tmp_path / "result"), plugin="napari-stemdisp")
    window.rest()
    session = window.panel.session
    assert session.analysis is not None and not session.stale
    assert window.layer("displacement") is not None
    session.set_value("layers", "minimum_cells", 2)
    window.wait()
    assert not session.stale and session.analysis.recipe.layers.minimum_cells == 2


def test_a_stack_has_its_frames_and_the_analysis_of_their_average(window: Window, tmp_path: Path) -> None:
    image = np.asarray(tifffile.imread(PAIR[0]), dtype=np.float32)[:300, :300]
    rng = np.random.default_rng(5)
    frames = np.stack([np.roll(rng.poisson(image), shift, axis=1) for shift in (0, 1, 2)]).astype(np.uint16)
    path = tmp_path / "stack_HAADF.tif"
    tifffile.imwrite(path, frames, imagej=True, resolution=(100.0, 100.0), metadata={"unit": "nm", "axes": "TYX"})
    window.viewer.open(str(path), plugin="napari-stemdisp")
    window.rest()
    layer = next(one for one in window.viewer.layers if one.metadata["stemdisp"]["role"] == "frames")
    assert layer.ndim == 3 and layer.data.shape[0] == 3
    layer.visible = True
    window.viewer.dims.set_current_step(0, 2)
    window.run()
    assert window.panel.session.analysis is not None and window.panel.session.analysis.micrograph.frames == 3
    assert window.layer("displacement") is not None


@pytest.mark.parametrize("content", ["[find]\nthreshold = 9\n", "not toml", "[nothing]\na = 1\n"])
def test_a_broken_recipe_is_a_sentence_in_the_panel(window: Window, tmp_path: Path, content: str) -> None:
    (tmp_path / "recipe.toml").write_text(content)
    before = window.panel.session.recipe
    assert not window.panel.session.load_recipe(tmp_path / "recipe.toml")
    assert window.panel.status.property("kind") == "error" and "recipe.toml" in window.said
    assert window.panel.session.recipe is before
