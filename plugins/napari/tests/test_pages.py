"""A batch in a real window: its pages are turned, each shows its own result, and no change is lost on the way."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QComboBox, QMessageBox, QToolButton
from window import Window

import stemdisp
from napari_stemdisp.layers import micrograph_of, role
from stemdisp import Analysis
from stemdisp.io.store import save_failure
from stemdisp.model.micrograph import InputFile

PLUGIN = "napari-stemdisp"


@pytest.fixture(scope="session")
def small_one(one_side: Analysis) -> Analysis:
    """A crop of it: another size, and one signal."""
    image = one_side.micrograph.signals["HAADF"].image[:220, :190]
    micrograph = stemdisp.Micrograph(
        "crop", {"HAADF": stemdisp.Signal("HAADF", image.copy(), 1)}, one_side.micrograph.pixel_size
    )
    return stemdisp.analyse(micrograph, stemdisp.recipe_for("KTaO3", "1-10"), device="cpu")


def of_file(analysis: Analysis, name: str) -> Analysis:
    """The analysis as if its image had come from a file."""
    source = InputFile(f"{name}.tif", 1, sha256(name.encode()).hexdigest(), "TIFF")
    return replace(analysis, micrograph=replace(analysis.micrograph, name=name, inputs=(source,)))


@pytest.fixture
def out(tmp_path: Path, one_side: Analysis, two_sides: Analysis, small_one: Analysis) -> Path:
    """The output folder of a batch: done, failed, done, damaged, done."""
    folder = tmp_path / "out"
    stemdisp.save(of_file(one_side, "a"), folder / "a")
    save_failure(folder / "b", stemdisp.StageError("no lattice found; look at the image"), "basis")
    stemdisp.save(of_file(two_sides, "c"), folder / "c")
    stemdisp.save(one_side, folder / "d")
    (folder / "d" / "result.json").write_text("{")
    stemdisp.save(of_file(small_one, "e"), folder / "e")
    return folder


def open_batch(window: Window, folder: Path) -> None:
    window.viewer.open(folder, plugin=PLUGIN)
    window.rest()


def pages(window: Window) -> QComboBox:
    found = window.panel.findChild(QComboBox, "pages")
    assert found is not None
    return found


def images(window: Window) -> list[str]:
    return [layer.name for layer in window.viewer.layers if role(layer) == "signal"]


def drawn(window: Window) -> set[str]:
    """Roles of results that can be seen."""
    return {role(one) for one in window.viewer.layers if one.visible and role(one) not in ("signal", "frames", "")}


def shows(window: Window, analysis: Analysis) -> None:
    """Every number, image and arrow is that of an analysis, and of no other."""
    found = window.panel.session.analysis
    assert found is not None and found.columns is not None and analysis.columns is not None
    np.testing.assert_array_equal(found.columns.xy, analysis.columns.xy)
    assert window.panel.session.recipe == analysis.recipe and not window.panel.session.unsaved
    layers = [layer for layer in window.viewer.layers if role(layer) == "signal"]
    assert len(layers) == len(analysis.micrograph.signals)
    for layer in layers:
        assert micrograph_of(layer) is found.micrograph
        image = analysis.micrograph.signals[layer.metadata["stemdisp"]["signal"]].image
        np.testing.assert_array_equal(layer.data, image)
    assert analysis.displacement is not None
    assert len(window.layer("displacement").data) == int(analysis.displacement.valid.sum())
    np.testing.assert_allclose(window.layer("columns").data[:, ::-1], analysis.columns.xy, atol=1e-3)


def test_pages_are_turned_there_and_back(window: Window, out: Path, one_side, two_sides, small_one) -> None:
    assert not window.panel.pages.isVisible()
    open_batch(window, out)
    assert window.panel.pages.isVisible()
    titles = [pages(window).itemText(number) for number in range(pages(window).count())]
    assert [title.split(" – ")[0] for title in titles] == ["✓ a", "✗ b", "✓ c", "? d", "✓ e"]
    assert titles[1].endswith("– failed") and titles[3].endswith("– damaged")
    assert window.panel.pages.count.text() == "1 of 5"
    back, on = (window.panel.findChild(QToolButton, f"page_{name}") for name in ("previous", "next"))
    assert not back.isEnabled() and on.isEnabled()
    shows(window, one_side)
    count = len(window.viewer.layers)
    window.click("page_next", QToolButton)
    window.rest()
    assert window.said == "b failed: basis: no lattice found; look at the image"
    assert window.panel.status.property("kind") == "error"
    assert not images(window) and not drawn(window) and window.panel.session.micrograph is None
    window.click("page_next", QToolButton)
    window.rest()
    shows(window, two_sides)
    assert window.said.startswith("c: ") and window.panel.status.property("kind") in ("info", "warning")
    assert len(window.viewer.layers) == count and {"columns", "displacement", "interface"} <= drawn(window)
    window.click("page_next", QToolButton)
    window.rest()
    assert window.said.startswith("d damaged: ") and not images(window)
    window.click("page_next", QToolButton)
    window.rest()
    shows(window, small_one)
    assert not on.isEnabled() and window.panel.pages.count.text() == "5 of 5"
    pages(window).activated.emit(0)
    window.rest()
    shows(window, one_side)


def test_changes_stay_with_their_page(window: Window, out: Path, one_side, two_sides) -> None:
    open_batch(window, out)
    session = window.panel.session
    session.draw_interface(np.array([[10.0, 60.0], [190.0, 62.0]]))
    window.wait()
    changed = session.analysis
    assert session.unsaved and pages(window).itemText(0).endswith("✎ not saved")
    pages(window).activated.emit(2)
    window.rest()
    shows(window, two_sides)
    assert "not saved" in pages(window).itemText(0) and "not saved" not in pages(window).itemText(2)
    pages(window).activated.emit(1)
    window.rest()
    pages(window).activated.emit(0)
    window.rest()
    assert window.said.startswith("a: ") and window.said.endswith("; its changes are not saved.")
    assert session.unsaved and session.analysis is changed and len(session.recipe.interfaces) == 1
    assert all(micrograph_of(one) is session.shown for one in window.viewer.layers if role(one) == "signal")
    window.panel.undo()
    window.wait()
    assert not session.unsaved and "not saved" not in pages(window).itemText(0)


def test_what_is_saved_is_no_longer_marked(window: Window, out: Path, tmp_path: Path) -> None:
    open_batch(window, out)
    window.panel.session.set_value("layers", "minimum_cells", 2)
    assert "not saved" in pages(window).itemText(0)
    window.panel.session.save_recipe(tmp_path / "recipe.toml")
    assert "not saved" not in pages(window).itemText(0) and not window.panel.session.unsaved
    window.wait()


@pytest.mark.parametrize("agreed", [True, False])
def test_another_batch_asks_before_changes_go(
    window: Window, out: Path, tmp_path, monkeypatch, two_sides, agreed
) -> None:
    other = tmp_path / "other"
    for name in "xy":
        stemdisp.save(two_sides, other / name)
    asked: list[str] = []

    def question(*said: Any) -> Any:
        asked.append(said[-1])
        return QMessageBox.StandardButton.Yes if agreed else QMessageBox.StandardButton.No

    monkeypatch.setattr(QMessageBox, "question", question)
    open_batch(window, out)
    window.panel.session.set_value("layers", "minimum_cells", 2)
    window.wait()
    pages(window).activated.emit(2)
    window.rest()
    assert not asked
    open_batch(window, other)
    assert len(asked) == 1 and asked[0].startswith("1 image has changes that are not saved")
    assert pages(window).count() == (2 if agreed else 5)
    shown = window.panel.session.shown
    assert (window.panel.pages.pages.batch.name == "other") is agreed
    if agreed:
        shows(window, two_sides)
    else:
        pages(window).activated.emit(0)
        window.rest()
        assert window.panel.session.unsaved and window.panel.session.shown is not shown


def test_an_image_with_changes_is_not_left_without_asking(window: Window, out: Path, monkeypatch, small) -> None:
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    window.open(small)
    window.panel.session.set_value("layers", "minimum_cells", 2)
    open_batch(window, out)  # no: the image stays, and the result is one more in the list
    assert window.panel.session.shown is small and not window.panel.pages.isVisible()
    window.panel.images.activated.emit(1)
    window.rest()
    assert window.panel.session.shown is not small and not answers


def test_a_page_that_is_running_is_stopped(window: Window, out: Path, two_sides) -> None:
    open_batch(window, out)
    window.panel.session.set_value("refine", "weak_window", 1.2)
    window.panel.run("polarization")
    assert window.panel.runner.busy
    pages(window).activated.emit(2)
    window.wait()
    shows(window, two_sides)
    assert "not saved" in pages(window).itemText(0)


def test_a_result_that_was_changed_is_said(window: Window, out: Path) -> None:
    (out / "c" / "analysis.npz").write_bytes(b"PK")
    open_batch(window, out)
    pages(window).activated.emit(2)
    window.rest()
    assert "was changed after it was written" in window.said and not images(window) and not drawn(window)


def test_other_images_stay(window: Window, out: Path, small, two_sides) -> None:
    open_batch(window, out)
    window.open(small)
    before = images(window)
    pages(window).activated.emit(1)
    window.rest()
    assert small.name in " ".join(images(window)) and len(images(window)) < len(before)
    assert window.panel.session.micrograph is None
    pages(window).activated.emit(2)
    window.rest()
    assert window.panel.session.analysis is not None and small.name in " ".join(images(window))
