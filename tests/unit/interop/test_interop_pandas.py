"""The tables as data frames."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from stemdisp.errors import StemdispError
from stemdisp.interop.pandas import to_pandas
from stemdisp.io.tables import CELLS, COLUMNS, LAYERS, TABLES, write_csv
from stemdisp.model.analysis import Analysis

pandas = pytest.importorskip("pandas", reason="pandas is not installed")


def test_frames_are_the_tables(kto: Analysis, tmp_path: Path) -> None:
    frames = to_pandas(kto)
    assert list(frames) == ["columns", "cells", "layers"]
    for name, first in (("columns", COLUMNS), ("cells", CELLS), ("layers", LAYERS)):
        frame, table = frames[name], TABLES[name](kto)
        assert tuple(frame.columns[: len(first)]) == first
        write_csv(table, tmp_path / f"{name}.csv")
        read = pandas.read_csv(tmp_path / f"{name}.csv")
        assert list(read.columns) == list(frame.columns)
        numbers = [head for head in frame if frame[head].dtype.kind in "fi"]
        assert len(numbers) > 5
        for head in numbers:
            np.testing.assert_allclose(
                read[head].astype(float), frame[head].astype("Float64").astype(float), rtol=1e-11
            )
    layer = frames["cells"]["layer"]
    assert str(layer.dtype) == "Int64", "whole numbers, some of which do not exist"
    assert kto.interface is not None
    assert layer.isna().sum() == (kto.interface.layer < 0).sum()


def test_of_an_analysis_that_did_not_begin(kto: Analysis) -> None:
    frames = to_pandas(Analysis(kto.micrograph, kto.recipe))
    assert [len(frame) for frame in frames.values()] == [0, 0, 0]


def test_missing_package_is_said(kto: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(StemdispError, match="pip install pandas"):
        to_pandas(kto)
