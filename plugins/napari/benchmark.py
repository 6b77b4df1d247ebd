"""CPU seconds of the panel on large images, drawing included and excluded.

xvfb-run -s "-screen 0 1400x900x24" python plugins/napari/benchmark.py [SIDE ...]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from napari import Viewer
from napari.layers import Image
from qtpy.QtWidgets import QApplication

import stemdisp
from napari_stemdisp.panel import Panel
from napari_stemdisp.reader import layers_of
from stemdisp.scene import Edge, Motion, Scene, View

COLUMNS = {2048: 20_000, 4096: 100_000}
"""Side of the image in px -> columns in it."""

PER_NM2 = 13.3
"""Columns of KTaO3 per square nanometre of such an image, of all sites: a part of it is cap."""

SHOWN = 6
"""Stages whose CPU seconds are printed."""


def seconds(act: Callable[[], object]) -> float:
    """CPU seconds of an action and of the drawing that follows it."""
    began = time.process_time()
    act()
    for _ in range(5):
        QApplication.processEvents()
    return time.process_time() - began


def finish(panel: Panel) -> None:
    """Until nothing runs."""
    QApplication.processEvents()
    while panel.runner.busy:
        QApplication.processEvents()
        time.sleep(0.01)
    QApplication.processEvents()


def measure(side: int) -> None:
    """Print one row a action."""
    pixel_pm = 1000 * np.sqrt(COLUMNS[side] / PER_NM2) / side
    scene = Scene(
        view=View(shape=(side, side), pixel_size_pm=(pixel_pm, pixel_pm)), edge=Edge(), motion=Motion(parallel_pm=20)
    )
    micrograph = stemdisp.simulate(scene.facing(90))[0]
    viewer = Viewer(show=True)
    panel = Panel(viewer)
    viewer.window.add_dock_widget(panel, name="STEM displacement", area="right")
    for data, meta, _ in layers_of(micrograph):
        viewer.add_layer(Image(data, **meta))
    QApplication.processEvents()
    panel.preview.look()
    rows = {}
    panel.session.set_value("find", "threshold", 0.3)
    panel.preview.stop()
    rows["preview after a slider moved"] = seconds(panel.preview.look)
    panel.run("polarization")
    finish(panel)
    analysis = panel.session.analysis
    assert analysis is not None and analysis.columns is not None, panel.status.text()
    rows["drawing a finished analysis"] = seconds(panel.canvas.draw)
    rows["pan"] = seconds(lambda: _pan(viewer))
    panel.session.set_value("layers", "minimum_cells", 4)
    rows["change after the fit: minimum cells"] = seconds(lambda: (panel.catch_up(), finish(panel)))
    if analysis.interface is not None:
        panel.session.draw_interface(analysis.interface.curve - 3.0 * analysis.interface.normal)
        rows["change after the fit: the interface"] = seconds(lambda: (panel.catch_up(), finish(panel)))
        analysis = panel.session.analysis
        assert analysis is not None and analysis.cells is not None and analysis.columns is not None
    row = int(analysis.cells.moving[len(analysis.cells) // 2])
    entry = stemdisp.entry_for(analysis, "move", xy=analysis.columns.xy[row] + 1.0, row=row)
    rows["a column moved by hand"] = seconds(
        lambda: (panel.session.add_edits([entry]), panel.catch_up(), finish(panel))
    )
    print(f"{side} x {side} px, {len(analysis.columns)} columns; CPU s, drawing included:")
    for name, took in rows.items():
        print(f"  {name}: {took:.2f}")
    print(f"  cancel in the middle of the fit: {_cancelled(panel):.2f} s on the clock")
    dear = sorted(analysis.seconds.items(), key=lambda item: -item[1])[:SHOWN]
    print(f"  core alone: {', '.join(f'{name} {took:.2f}' for name, took in dear)}")
    viewer.close()


def _cancelled(panel: Panel) -> float:
    """Seconds from a click on Cancel to the end of what ran."""
    panel.session.set_value("refine", "weak_window", 1.2)
    panel.run("polarization")
    until = time.monotonic() + 2
    while time.monotonic() < until:
        QApplication.processEvents()
    began = time.monotonic()
    panel.stop()
    finish(panel)
    return time.monotonic() - began


def _pan(viewer: Viewer) -> None:
    centre = np.array(viewer.scene.camera.center)
    viewer.scene.camera.center = tuple(centre + [0, 1.0, 1.0])
    viewer.screenshot(canvas_only=True, flash=False)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or COLUMNS:
        measure(int(chosen))
