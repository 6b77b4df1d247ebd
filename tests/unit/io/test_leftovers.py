"""Unfinished folders after a kill at any moment."""

from __future__ import annotations

import os
from pathlib import Path

from stemdisp.io.leftovers import sweep
from stemdisp.io.store import load, save, save_failure
from stemdisp.model.analysis import Analysis


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_what_was_moved_aside_comes_back(tmp_path: Path, kto: Analysis) -> None:
    folder = save(kto, tmp_path / "a")
    (folder / "mine.txt").write_text("note")
    folder.rename(tmp_path / ".a.tmp-0123456789ab")
    torn = tmp_path / ".a.tmp-ba9876543210"
    torn.mkdir()
    (torn / "columns.csv").write_text("half")
    assert len(sweep(tmp_path)) == 2
    assert load(folder).micrograph.name == kto.micrograph.name
    assert (folder / "mine.txt").read_text() == "note" and not hidden(tmp_path)


def test_of_two_complete_ones_the_newer_takes_the_place(tmp_path: Path, kto: Analysis) -> None:
    old, new = (save(kto, tmp_path / name) for name in ("old", "new"))
    (new / "which.txt").write_text("new")
    os.utime(old, (1, 1))
    old.rename(tmp_path / ".a.tmp-0123456789ab")
    new.rename(tmp_path / ".a.tmp-ba9876543210")
    sweep(tmp_path)
    assert (tmp_path / "a" / "which.txt").read_text() == "new" and not hidden(tmp_path)


def test_a_damaged_one_is_no_result(tmp_path: Path, kto: Analysis) -> None:
    folder = save(kto, tmp_path / "a")
    (folder / "cells.csv").write_text("changed")
    folder.rename(tmp_path / ".a.tmp-0123456789ab")
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_result_is_preferred_to_a_failure(tmp_path: Path, kto: Analysis) -> None:
    save(kto, tmp_path / "a").rename(tmp_path / ".a.tmp-0123456789ab")
    save_failure(tmp_path / "b", ValueError("x"), "find").rename(tmp_path / ".a.tmp-ba9876543210")
    sweep(tmp_path)
    assert [path.name for path in (tmp_path / "a").glob("*.json")] != ["failure.json"]


def test_results_in_place_and_foreign_folders_stay(tmp_path: Path, kto: Analysis) -> None:
    save(kto, tmp_path / "sub" / "a")
    save(kto, tmp_path / "sub" / "gone").rename(tmp_path / "sub" / ".a.tmp-0123456789ab")
    for name in (".git", ".a.tmp-xyz", "a.tmp-0123456789ab"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious").write_text("1")
    assert len(sweep(tmp_path)) == 1
    assert (tmp_path / "sub" / "a" / "result.json").is_file()
    assert all((tmp_path / name / "precious").is_file() for name in (".git", ".a.tmp-xyz", "a.tmp-0123456789ab"))
