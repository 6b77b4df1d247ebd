"""The whole result folder written from Python: what the command line leaves."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

import stemdisp
from stemdisp.batch.result import write_result
from stemdisp.model.analysis import Analysis


def test_report_and_record_are_there(kto: Analysis, tmp_path: Path) -> None:
    started = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    folder = write_result(kto, tmp_path / "KTO111", figures=False, started=started)
    record = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert {path.name for path in folder.iterdir()} == {*record["outputs"], "result.json"}
    assert {"report.html", "columns.csv", "recipe.toml"} <= set(record["outputs"])
    assert record["started"] == "2026-01-02T03:04:05+00:00"
    assert stemdisp.load(folder).micrograph.name == kto.micrograph.name
    with pytest.raises(FileExistsError):
        write_result(kto, folder, figures=False)
    write_result(kto, folder, figures=False, overwrite=True)
