"""The panel in a real window: the whole way from an image to a map by clicks, and what may go wrong on it."""

from __future__ import annotations

import numpy as np
from window import LONG_MS, Window

import stemdisp
from napari_stemdisp.steps import STEPS
from stemdisp import Micrograph
from stemdisp.pipeline import STAGES


def test_every_step_by_its_own_button(window: Window, small: Micrograph) -> None:
    window.open(small)
    for step in STEPS[1:-1]:
        box = window.panel.boxes[step.key]
        box.open()
        window.rest()
        window.click(f"run_{step.key}")
        window.wait()
        assert window.panel.session.state(step) == "done", window.said
        assert "✓" in box.title.text()
    assert {"columns", "displacement", "interface", "region"} <= {
        str(layer.metadata["stemdisp"]["role"]) for layer in window.viewer.layers
    }
    assert "pm" in window.panel.boxes["polarization"].said.text()


def test_numbers_are_those_of_the_command_line(window: Window, small: Micrograph) -> None:
    window.open(small)
    window.run()
    found, expected = window.panel.session.analysis, stemdisp.analyse(small, stemdisp.recipe_for("KTaO3", "1-10"))
    assert found and found.displacement and expected.displacement
    np.testing.assert_array_equal(found.displacement.uv, expected.displacement.uv)
    arrows = window.layer("displacement")
    assert len(arrows.data) == int(expected.displacement.valid.sum())


def test_only_stale_stages_run_again(window: Window, small: Micrograph) -> None:
    window.open(small)
    window.run()
    ran: list[str] = []
    window.panel.runner.reached.connect(lambda stage, analysis: ran.append(stage))
    window.panel.session.set_value("layers", "minimum_cells", 2)
    window.qtbot.waitUntil(lambda: bool(ran), timeout=LONG_MS)
    window.wait()
    assert ran == list(STAGES)[list(STAGES).index("vacancies") :]


def test_cancel_leaves_everything_as_it_was(window: Window, small: Micrograph) -> None:
    window.open(small)
    window.run()
    before = window.panel.session.analysis
    window.panel.session.set_value("refine", "weak_window", 1.2)
    window.panel.run("polarization")
    assert window.panel.runner.busy
    window.panel.cancel.click()
    window.wait()
    assert window.panel.session.analysis is before
    assert "↻" in window.panel.boxes["refine"].title.text()


def test_each_layer_may_be_deleted_and_drawn_again(window: Window, small: Micrograph) -> None:
    window.open(small)
    window.run()
    roles = ["columns", "displacement", "interface", "region", "lattice", "layer bands"]
    for role in roles:
        window.viewer.layers.remove(window.layer(role))
        window.rest()
        assert role in window.said
    window.panel.session.set_value("layers", "minimum_cells", 2)
    window.wait()
    assert all(window.layer(role) is None for role in roles)
    window.click("restore")
    window.rest()
    assert all(window.layer(role) is not None for role in roles)


def test_layers_may_be_renamed(window: Window, small: Micrograph) -> None:
    window.open(small)
    window.run()
    for layer in window.viewer.layers:
        layer.name = "x" + layer.name
    before = len(window.viewer.layers)
    window.panel.session.set_value("layers", "minimum_cells", 2)
    window.wait()
    assert len(window.viewer.layers) == before


def test_the_image_itself_may_be_deleted(window: Window, small: Micrograph) -> None:
    window.open(small)
    window.run()
    for layer in list(window.panel.canvas.keeper.signals()):
        window.viewer.layers.remove(layer)
        window.rest()
    window.panel.session.set_value("layers", "minimum_cells", 2)
    window.wait()
    assert not window.panel.session.stale


def test_moving_a_column_is_followed_and_undone(window: Window, small: Micrograph) -> None:
    window.open(small)
    window.run()
    analysis = window.panel.session.analysis
    assert analysis and analysis.cells and analysis.columns
    row = int(analysis.cells.moving[len(analysis.cells) // 2])
    layer = window.layer("columns")
    layer.selected_data = {row}
    layer._move([row], layer.data[row] + [1.0, 1.5])
    layer.events.data(value=layer.data, action="changed", data_indices=(row,), vertex_indices=((),))
    window.wait()
    touched = window.panel.session.analysis
    assert touched is not analysis and window.panel.session.edits == 1
    assert "≈" in window.panel.boxes["refine"].title.text()
    window.panel.undo()
    window.wait()
    assert window.panel.session.edits == 0
    np.testing.assert_allclose(window.panel.session.analysis.columns.xy, analysis.columns.xy)


def test_deleting_a_column_empties_its_cell(window: Window, small: Micrograph) -> None:
    window.open(small)
    window.run()
    analysis = window.panel.session.analysis
    assert analysis and analysis.cells
    cell = len(analysis.cells) // 2
    layer = window.layer("columns")
    layer.selected_data = {int(analysis.cells.moving[cell])}
    layer.remove_selected()
    window.wait()
    now = window.panel.session.analysis
    assert now and now.displacement and not now.displacement.valid[cell]
    assert len(window.layer("columns").data) == len(now.columns)


def test_two_columns_deleted_one_after_the_other_are_the_right_ones(window: Window, small: Micrograph) -> None:
    """The second before the first was followed: the layer's points are no longer those of the table."""
    window.open(small)
    window.run()
    analysis = window.panel.session.analysis
    assert analysis and analysis.cells
    rows = [int(analysis.cells.moving[n]) for n in (3, 20)]
    layer = window.layer("columns")
    for number, row in enumerate(rows):
        layer.selected_data = {row - number}
        layer.remove_selected()
    window.wait()
    excluded = np.flatnonzero(window.panel.session.analysis.columns.flags & int(stemdisp.Flag.EXCLUDED))
    assert excluded.tolist() == rows


def test_a_column_gets_another_site(window: Window, small: Micrograph) -> None:
    """An oxygen column becomes potassium where the lattice has potassium beside it, or a sentence says why not."""
    window.open(small)
    window.run()
    window.click("reassign")
    assert "No column is selected" in window.said
    analysis = window.panel.session.analysis
    assert analysis and analysis.columns
    layer = window.layer("columns")
    layer.selected_data = {int(np.flatnonzero(analysis.columns.of_site("O"))[10])}
    window.panel.reassign.sites.setCurrentText("K")
    window.click("reassign")
    window.wait()
    entries = window.panel.session.recipe.edits
    assert [entry.action for entry in entries] == ["reassign"] and entries[0].to_site == "K"
    window.panel.undo()
    window.wait()
    np.testing.assert_array_equal(window.panel.session.analysis.columns.xy, analysis.columns.xy)


def test_dragging_the_interface_counts_layers_anew(window: Window, small: Micrograph) -> None:
    window.open(small)
    window.run()
    before = window.panel.session.analysis
    layer = window.layer("interface")
    line = np.array(layer.data[0]) + [25.0, 0.0]
    layer.data = [line]
    window.qtbot.waitUntil(lambda: bool(window.panel.session.recipe.interfaces), timeout=LONG_MS)
    window.wait()
    now = window.panel.session.analysis
    assert now and before and now.interface and before.interface
    assert now.interface.layer.max() < before.interface.layer.max()
    window.panel.undo()
    window.wait()
    np.testing.assert_array_equal(window.panel.session.analysis.interface.layer, before.interface.layer)


def test_an_uncalibrated_image_asks_for_its_pixel_size(window: Window, small: Micrograph) -> None:
    window.open(small.with_pixel_size(None))
    assert window.panel.status.property("kind") == "warning" and "pixel size" in window.said
    window.run()
    assert window.panel.session.analysis.cells is not None
    window.panel.session.set_value("image", "pixel_size", [14.0, 14.0])
    window.run()
    assert window.layer("displacement") is not None
    assert str(window.panel.canvas.keeper.signals()[0].units[0]) == "nanometer"


def test_an_image_without_a_lattice_is_a_sentence(window: Window) -> None:
    noise = np.random.default_rng(1).normal(size=(200, 200))
    window.viewer.add_image(noise, name="noise")
    window.rest()
    window.run()
    assert window.panel.status.property("kind") == "error" and "lattice" in window.said
    assert not window.panel.runner.busy


def test_a_colour_picture_is_a_sentence(window: Window) -> None:
    window.viewer.add_image(np.zeros((50, 60, 3), dtype=np.uint8), name="photo", rgb=True)
    window.rest()
    assert "colour" in window.said and window.panel.session.micrograph is None


def test_several_images_are_offered(window: Window, small: Micrograph) -> None:
    window.open(small)
    other = Micrograph("second", {"HAADF": stemdisp.Signal("HAADF", small.signals["HAADF"].image[::-1].copy())})
    window.open(other)
    assert window.panel.images.count() == 2
    window.panel._choose(1)
    assert window.panel.session.micrograph.name == "second"


def test_the_panel_fits_a_small_screen(window: Window, small: Micrograph) -> None:
    window.open(small)
    for box in window.panel.boxes.values():
        box.open()
    window.rest()
    assert window.panel.width() <= 520 and window.viewer.window._qt_window.height() <= 768


def test_another_image_is_drawn_in_the_place_of_the_first(window: Window, small: Micrograph) -> None:
    window.open(small)
    window.run()
    other = Micrograph(
        "second", {"HAADF": stemdisp.Signal("HAADF", small.signals["HAADF"].image[:, ::-1].copy())}, small.pixel_size
    )
    window.open(other)
    window.panel._choose(1)
    window.rest()
    assert not window.layer("displacement").visible
    window.run()
    assert window.layer("displacement").visible and window.layer("columns").visible
    # Mirrored: what moved to the right moves to the left.
    outermost = np.asarray(window.layer("displacement").features["layer"]) == 0
    assert window.layer("displacement").data[outermost, 1, 1].mean() < 0


def test_only_what_changed_is_drawn_again(window: Window, small: Micrograph) -> None:
    window.open(small)
    window.run()
    drawn: list[str] = []
    for role in ("columns", "displacement", "lattice"):
        layer = window.layer(role)
        (layer.events.data if role != "lattice" else layer.events.set_data).connect(
            lambda event, role=role: drawn.append(role)
        )
    window.panel.session.set_value("layers", "minimum_cells", 2)
    window.wait()
    assert "columns" not in drawn
