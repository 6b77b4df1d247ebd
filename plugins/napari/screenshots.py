"""Draw the pictures of README.md: the panel at work on the multislice sample.

xvfb-run -s "-screen 0 1400x900x24" python plugins/napari/screenshots.py [FOLDER]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from napari import Viewer
from napari.layers import Image
from PIL import Image as Picture
from qtpy.QtWidgets import QApplication

from napari_stemdisp.panel import Panel
from napari_stemdisp.samples import interface_multislice

SIZE = (1366, 768)


def rest(seconds: float = 0.5) -> None:
    """Let the window draw."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        QApplication.processEvents()
        time.sleep(0.01)


def finish(panel: Panel) -> None:
    """Until nothing runs."""
    rest()
    while panel.runner.busy:
        rest(0.1)
    rest()


def shoot(viewer: Viewer, path: Path) -> None:
    """Write the window as a PNG."""
    rest()
    shot = np.asarray(viewer.screenshot(canvas_only=False, flash=False))
    Picture.fromarray(shot[..., :3]).save(path, optimize=True)
    print(path)


def fold(panel: Panel, *opened: str) -> None:
    """Open some steps, and close the others."""
    for key, box in panel.boxes.items():
        box.title.setChecked(key in opened)


def main(folder: Path) -> None:
    """All four pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    viewer = Viewer(show=True)
    viewer.window.resize(*SIZE)
    panel = Panel(viewer)
    viewer.window.add_dock_widget(panel, name="STEM displacement", area="right")
    for data, meta, _ in interface_multislice():
        viewer.add_layer(Image(data, **meta))
    rest(1.0)
    fold(panel, "find")
    panel.session.set_value("find", "threshold", 0.2)
    rest(2.0)
    shoot(viewer, folder / "preview.png")
    panel.run("polarization")
    finish(panel)
    fold(panel)
    panel.view_box.columns.setChecked(False)
    panel.results.setCurrentWidget(panel.results.profile)
    shoot(viewer, folder / "map.png")
    panel.view_box.beside.setChecked(True)
    shoot(viewer, folder / "side_by_side.png")
    panel.view_box.beside.setChecked(False)
    edit(viewer, panel)
    shoot(viewer, folder / "edit.png")
    viewer.close()


def edit(viewer: Viewer, panel: Panel) -> None:
    """Take one column out, as a user would, and look at a cell beside it."""
    analysis = panel.session.analysis
    assert analysis is not None and analysis.cells is not None and analysis.interface is not None
    panel.view_box.columns.setChecked(True)
    outermost = np.flatnonzero((analysis.interface.layer == 0) & analysis.cells.complete)
    cell, beside = outermost[len(outermost) // 2], outermost[len(outermost) // 2 + 1]
    layer = panel.canvas.keeper.find("columns")
    assert layer is not None
    viewer.layers.selection.active = layer
    layer.selected_data = {int(analysis.cells.moving[cell])}
    layer.remove_selected()
    finish(panel)
    panel.results.show_cell(int(beside))
    fold(panel, "sites")
    y, x = layer.data_to_world(analysis.cells.xy[cell][::-1])[-2:]
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0.0, y, x), 2.5 * viewer.scene.camera.zoom
    rest()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures")
