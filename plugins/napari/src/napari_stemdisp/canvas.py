"""The session on the canvas: draws what is known, and turns what the user does to layers into changes of the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Points, Shapes
from qtpy.QtCore import QObject, Qt, QTimer, Signal
from qtpy.QtWidgets import QApplication

from stemdisp import Analysis, StemdispError, entry_for
from stemdisp.recipe import EditEntry

from . import arrows, drawing, outlines
from .layers import Keeper
from .session import Session
from .wheel import Wheel

DRAG_MS = 150
"""A drag of a line counts when it rests for this long."""

CLICK_REACH = 0.6
"""A click farther from a cell than this, in distances of neighbouring cells, chooses none."""


@dataclass
class View:
    """What is shown: ``what`` arrows are, how long (1 = long ones reach the next cell), what beside them, and whether
    images are a ``light`` background to them."""

    what: str = "displacement"
    length: float = 1.0
    errors: bool = False
    magnitude: bool = False
    light: bool = True


class Canvas(QObject):
    """Layers of one viewer for one session.

    ``edited`` is sent when columns were changed by hand, ``drawn`` when a line was, ``picked`` with the number of a
    clicked cell, ``picked_column`` with that of a clicked column, ``refused`` with a sentence.
    """

    edited = Signal()
    drawn = Signal()
    picked = Signal(int)
    picked_column = Signal(int)
    refused = Signal(str)

    def __init__(self, viewer: ViewerModel, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self.viewer, self.session, self.view = viewer, session, View()
        self.keeper = Keeper(viewer)
        self.wheel = Wheel(viewer)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DRAG_MS)
        self._timer.timeout.connect(self._take_lines)
        self._drawn: Analysis | None = None
        self._leaving: list[int] = []
        self._changed: set[str] = set()
        self._heard: set[int] = set()
        viewer.mouse_drag_callbacks.append(self._click)

    def close(self) -> None:
        """Stop listening to the viewer."""
        self._timer.stop()
        self.keeper.close()
        self.wheel.hide()
        if self._click in self.viewer.mouse_drag_callbacks:
            self.viewer.mouse_drag_callbacks.remove(self._click)

    # -- from the session to the layers

    def draw(self, *, anew: bool = False) -> None:
        """Bring every layer up to date with what is known: those whose numbers changed, or all ``anew``."""
        analysis = self.keeper.analysis = self.session.analysis
        before, self._drawn = None if anew else self._drawn, analysis

        def changed(*names: str) -> bool:
            return before is None or any(getattr(before, name) is not getattr(analysis, name) for name in names)

        if analysis is None:
            for role in ("columns", "lattice", "displacement", "errors", "magnitude", "layer bands", "marks"):
                self.keeper.hide(role)
            self.wheel.hide()
            return
        self.keeper.hide("preview")
        if self.session.shown is not None:
            self.keeper.regrid(self.session.shown, analysis.micrograph)
        if changed("lattice"):
            drawing.draw_lattice(self.keeper, analysis)
        if changed("columns"):
            drawing.draw_columns(self.keeper, analysis)
        # What is being dragged stays in the hand.
        if analysis.cells is not None and "interface" in analysis.seconds and not (_held() and self._timer.isActive()):
            outlines.draw_interface(self.keeper, analysis)
        if analysis.displacement is not None and changed("displacement"):
            outlines.draw_region(self.keeper, analysis)
        poorer = before is None or drawing.poor_layers(before) != drawing.poor_layers(analysis)
        if analysis.displacement is not None and (poorer or changed("interface", "displacement")):
            drawing.draw_cells(self.keeper, analysis)
        if changed("displacement", "polarization", "interface", "columns"):
            self.draw_map()
        self.keeper.sign()
        self._listen()

    def draw_map(self) -> None:
        """Arrows, wheel, errors and lengths."""
        analysis = self.session.analysis
        if analysis is None:
            return
        scale = arrows.draw_arrows(self.keeper, analysis, self.view.what, self.view.length)
        arrows.draw_errors(self.keeper, analysis, self.view.what, scale, shown=self.view.errors)
        arrows.draw_lengths(self.keeper, analysis, self.view.what, scale, shown=self.view.magnitude)
        drawing.dim(self.keeper, light=self.view.light and scale is not None)
        if scale is None:
            self.wheel.hide()
            return
        self.wheel.show(scale.full, scale.unit, arrow_px=scale.px_per_unit)

    def mark(self, chosen: np.ndarray) -> None:
        """Ring chosen cells (M,)."""
        if self.session.analysis is not None:
            drawing.draw_marks(self.keeper, self.session.analysis, chosen)

    def restore(self) -> None:
        """Draw again what the user deleted."""
        for role in list(self.keeper.missing):
            self.keeper.restore(role)
        self.draw(anew=True)

    # -- from the layers to the session

    def _listen(self) -> None:
        """Hear of changes to layers that were made since."""
        for role, heard in (("columns", self._columns_changed), ("interface", self._line), ("region", self._line)):
            layer = self.keeper.find(role)
            if layer is not None and id(layer) not in self._heard:
                self._heard.add(id(layer))
                layer.events.data.connect(heard)

    def _columns_changed(self, event: Any) -> None:
        """A column was added, moved or deleted on its layer."""
        if self.keeper.quiet or self.session.analysis is None:
            return
        layer, action = event.source, str(getattr(event.action, "value", event.action))
        if action == "removing":
            # Afterwards the layer no longer says which they were.
            self._leaving = [_row(layer, int(index)) for index in event.data_indices]
        if action not in ("added", "changed", "removed"):
            return
        try:
            entries = self._entries(layer, action, [int(index) for index in event.data_indices])
        except StemdispError as error:
            self.refused.emit(str(error))
            self.draw(anew=True)
            return
        if self.session.add_edits(entries):
            self.edited.emit()

    def _entries(self, layer: Points, action: str, indices: list[int]) -> list[EditEntry]:
        """The entries of the recipe that changes of points stand for."""
        analysis = self.session.analysis
        assert analysis is not None
        if action == "removed":
            return [entry_for(analysis, "delete", row=row) for row in self._leaving]
        places = [np.asarray(layer.data[index], dtype=float)[-2:][::-1] for index in indices]
        if action == "added":
            return [entry_for(analysis, "add", xy=xy) for xy in places]
        rows = [_row(layer, index) for index in indices]
        return [entry_for(analysis, "move", xy=xy, row=row) for xy, row in zip(places, rows, strict=True)]

    def reassign(self, site: str) -> None:
        """Give the selected columns another site, in the cell that the lattice has there."""
        analysis, layer = self.session.analysis, self.keeper.find("columns")
        if analysis is None or analysis.columns is None or analysis.lattice is None or not isinstance(layer, Points):
            return
        rows = sorted(int(row) for row in layer.selected_data)
        if not rows:
            self.refused.emit("No column is selected: select some on the layer 'columns' first.")
            return
        lattice = analysis.lattice
        cell = lattice.fractional(analysis.columns.xy[rows]) - lattice.motif.fractions[lattice.motif.site(site)]
        try:
            entries = [
                entry_for(analysis, "reassign", row=row, to=(site, int(h), int(k)))
                for row, (h, k) in zip(rows, np.round(cell), strict=True)
            ]
        except StemdispError as error:
            self.refused.emit(str(error))
            return
        if self.session.add_edits(entries):
            self.edited.emit()

    def _line(self, event: Any) -> None:
        if self.keeper.quiet:
            return
        found = self.keeper.find("interface")
        self._changed.add("interface" if event.source is found else "region")
        self._timer.start()

    def settle(self) -> None:
        """Take in at once what was drawn last: the image is about to change."""
        if self._timer.isActive():
            self._timer.stop()
            self._take_lines()

    def _take_lines(self) -> None:
        """The interface or the region was dragged, drawn or deleted; not before the mouse lets it go."""
        if _held():
            self._timer.start()
            return
        changed = False
        for role, take in (("interface", self.session.draw_interface), ("region", self.session.draw_region)):
            layer = self.keeper.find(role)
            if role in self._changed and isinstance(layer, Shapes):
                changed |= take(outlines.points_of(layer))
        self._changed.clear()
        if changed:
            self.drawn.emit()

    def _click(self, viewer: ViewerModel, event: Any) -> Any:
        """A click without a drag chooses a cell, or the column of the active layer of columns."""
        if event.button != 1 or event.type != "mouse_press":
            return
        active = viewer.layers.selection.active
        if isinstance(active, Points | Shapes) and str(active.mode) not in ("pan_zoom", "select"):
            return
        yield
        moved = False
        while event.type == "mouse_move":
            moved = True
            yield
        image = next(iter(self.keeper.signals()), None)
        if not moved and image is not None:
            y, x = image.world_to_data(event.position)[-2:]
            self.choose(np.array([x, y]), column=active is not None and active is self.keeper.find("columns"))

    def choose(self, xy: np.ndarray, *, column: bool) -> None:
        """Choose the cell, or the ``column``, nearest to a point (x, y) px."""
        analysis = self.session.analysis
        if analysis is None or analysis.columns is None:
            return
        places = analysis.columns.xy if column or analysis.cells is None else analysis.cells.xy
        away = np.hypot(*(places - xy).T)
        reach = CLICK_REACH * drawing.spacing_px(analysis.columns) * (1 if column else 2)
        if not np.isfinite(away).any() or np.nanmin(away) > reach:
            return
        (self.picked_column if column else self.picked).emit(int(np.nanargmin(away)))


def _row(layer: Points, index: int) -> int:
    """Row in the table of the column that a point shows."""
    return int(layer.features["column"].iloc[index])


def _held() -> bool:
    """Whether a button of the mouse is down."""
    return bool(QApplication.mouseButtons() != Qt.MouseButton.NoButton)
