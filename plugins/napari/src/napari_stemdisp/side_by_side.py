"""HAADF and ABF next to each other under one camera, both with the columns and the map."""

from __future__ import annotations

from napari.layers import Layer

from .canvas import Canvas
from .layers import KEY

COPIED = ("columns", "displacement")
"""Roles that are shown on both images."""


class SideBySide:
    """Uses the canvas's grid: layers of one tile stand together, so they are put in order, and copies made."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self._copies: list[Layer] = []

    def show(self, on: bool) -> None:
        """Show two tiles, or one."""
        viewer, keeper = self.canvas.viewer, self.canvas.keeper
        images = keeper.signals()
        if not on or len(images) < 2:
            viewer.canvas.grid.enabled = False
            for copy in self._copies:
                copy.visible = False
            return
        tiles = [[images[0]], [images[1]]]
        for role in COPIED:
            own = keeper.find(role)
            if own is not None:
                tiles[0].append(own)
                tiles[1].append(self._copy(own, role))
        rest = [layer for layer in viewer.layers if not any(layer in tile for tile in tiles)]
        with keeper.silence():
            for layer in rest:
                layer.visible = False
            # Tiles are counted from the bottom, hidden layers too.
            for number, layer in enumerate([*tiles[0], *tiles[1], *rest]):
                viewer.layers.move(viewer.layers.index(layer), number)
        for layer in (*tiles[0], *tiles[1]):
            layer.visible = True
        viewer.canvas.grid.shape = (1, 2)
        viewer.canvas.grid.stride = len(tiles[0])
        viewer.canvas.grid.enabled = True

    def _copy(self, own: Layer, role: str) -> Layer:
        """A second layer with the same content, never edited and never taken for the first."""
        state = own.as_layer_data_tuple()
        for copy in self._copies:
            if copy.metadata[KEY]["role"] == f"copy of {role}":
                with self.canvas.keeper.silence():
                    copy.data = own.data
                return copy
        copy = Layer.create(*state)
        copy.name, copy.metadata = f"{own.name} (beside)", {KEY: {"role": f"copy of {role}"}}
        copy.editable = False
        self._copies.append(copy)
        self.canvas.viewer.add_layer(copy)
        return copy
