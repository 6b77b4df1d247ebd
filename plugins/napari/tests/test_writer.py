"""Layers written as files: the same bytes as the core's, and sentences where there is nothing to write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import stemdisp
from napari_stemdisp import writer
from napari_stemdisp.reader import layers_of
from napari_stemdisp.samples import DATA
from stemdisp.batch.job import Options
from stemdisp.batch.run import Terms, run_sets
from stemdisp.io.pairs import group_inputs
from stemdisp.io.tables import write_columns_csv

PLUGIN = "napari-stemdisp"

TIMES = {"result.json", "summary.json", "report.html"}
"""Files that say when and how long."""


def columns_of(analysis: stemdisp.Analysis) -> tuple:
    metadata = {"stemdisp": {"role": "columns", "analysis": analysis}}
    return analysis.columns.xy[:, ::-1], {"name": "columns", "metadata": metadata}, "points"


def test_columns_are_the_core_s_table(make_napari_viewer, tmp_path, analysis):
    data, meta, _ = columns_of(analysis)
    layer = make_napari_viewer().add_points(data, **meta)
    assert layer.save(str(tmp_path / "mine.csv"), plugin=PLUGIN) == [str(tmp_path / "mine.csv")]
    write_columns_csv(analysis, tmp_path / "core.csv")
    assert (tmp_path / "mine.csv").read_bytes() == (tmp_path / "core.csv").read_bytes()


def test_points_of_others_are_left_to_napari(make_napari_viewer, tmp_path):
    layer = make_napari_viewer().add_points(np.zeros((3, 2)), name="spots")
    with pytest.raises(stemdisp.StemdispError, match="spots holds no columns"):
        layer.save(str(tmp_path / "a.csv"), plugin=PLUGIN)
    layer.save(str(tmp_path / "a.csv"))
    assert (tmp_path / "a.csv").read_text().startswith("index,")


def test_a_result_is_what_the_command_line_writes(make_napari_viewer, tmp_path):
    sets = group_inputs([DATA / "KTO111_1e5_HAADF.tif", DATA / "KTO111_1e5_ABF.tif"])
    (outcome,) = run_sets(
        sets, stemdisp.recipe_for("KTaO3", "1-10"), tmp_path / "cli", Options(device="cpu"), terms=Terms(jobs=0)
    )
    analysis = stemdisp.load(outcome.folder)
    viewer = make_napari_viewer()
    for data, meta, _ in layers_of(analysis.micrograph, analysis=analysis):
        viewer.add_image(data, **meta)
    data, meta, _ = columns_of(analysis)
    viewer.add_points(data, **meta)
    viewer.add_vectors(np.zeros((2, 2, 2)), metadata=meta["metadata"])
    folder = tmp_path / "gui" / "KTO111_1e5"
    assert viewer.layers.save(str(folder), plugin=PLUGIN) == [str(folder)]
    written, expected = (json.loads((one / "result.json").read_text()) for one in (folder, outcome.folder))
    assert written["outputs"].keys() == expected["outputs"].keys()
    assert {k: v for k, v in written["outputs"].items() if k not in TIMES} == {
        k: v for k, v in expected["outputs"].items() if k not in TIMES
    }
    assert any(name.startswith("figures/") for name in written["outputs"])
    summaries = (json.loads((one / "summary.json").read_text()) for one in (folder, outcome.folder))
    one, other = ({k: v for k, v in found.items() if "seconds" not in k} for found in summaries)
    assert one == other
    assert (folder / "report.html").stat().st_size > 10000
    with pytest.raises(stemdisp.StemdispError, match="exists; choose another name"):
        viewer.layers.save(str(folder), plugin=PLUGIN)


def test_layers_of_others_are_saved_as_before(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    viewer.add_image(np.random.default_rng(0).random((16, 16)))
    viewer.add_points(np.zeros((3, 2)))
    viewer.layers.save(str(tmp_path / "folder"))
    assert sorted(path.suffix for path in (tmp_path / "folder").iterdir()) == [".csv", ".tif"]


def test_the_analysis_of_results_is_the_newest(analysis):
    old = analysis.having(notes=("older",))
    image = {"metadata": {"stemdisp": {"role": "signal", "analysis": old}}}
    assert writer._analysis([image]) is old
    assert writer._analysis([image, columns_of(analysis)[1]]) is analysis
    assert writer._analysis([{"metadata": {}}, {}, columns_of(analysis)[1]]) is analysis


def test_what_belongs_to_none_or_to_several_is_refused(tmp_path: Path, analysis):
    with pytest.raises(stemdisp.StemdispError, match="belong to no analysis"):
        writer.write_result(str(tmp_path / "a"), [(np.zeros((8, 8)), {"name": "x"}, "image")])
    two = [columns_of(analysis), columns_of(analysis.having(notes=("another",)))]
    with pytest.raises(stemdisp.StemdispError, match=r"belong to 2 analyses \(KTaO3_interface\)"):
        writer.write_result(str(tmp_path / "a"), two)
    assert not (tmp_path / "a").exists()


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path, analysis):
    data, meta, _ = columns_of(analysis)
    with pytest.raises(stemdisp.StemdispError, match="cannot be written"):
        writer.write_columns(str(tmp_path / "nowhere" / "columns.csv"), data, meta)
