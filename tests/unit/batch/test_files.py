"""Folders from Python."""

from __future__ import annotations

from pathlib import Path

import batches
import pytest

import stemdisp


def test_a_folder_is_analysed_and_then_known(tmp_path: Path) -> None:
    (image,) = batches.small_images(tmp_path / "in" / "sub", 1)
    recipe = stemdisp.recipe_for("KTaO3", "001")
    asked = {"recursive": True, "jobs": 0, "figures": False}
    (first,) = stemdisp.analyse_files([tmp_path / "in"], recipe, tmp_path / "out", **asked)
    assert (first.name, first.status) == (f"sub/{image.stem}", "done")
    assert stemdisp.load(first.folder).displacement is not None
    (again,) = stemdisp.analyse_files([tmp_path / "in"], recipe, tmp_path / "out", **asked)
    assert again.status == "skipped"
    with pytest.raises(stemdisp.ReadError, match="no image in"):
        stemdisp.analyse_files([tmp_path / "in"], recipe, tmp_path / "out")
