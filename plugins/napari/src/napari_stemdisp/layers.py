"""The layers of results: found by the role in their metadata, never by name, and updated in place.

Layers are never removed and added again to change them: that loses what the user set, and can crash the canvas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer
from numpy.typing import NDArray
from psygnal import Signal

from stemdisp import Analysis, Micrograph

KEY = "stemdisp"

ORDER = (
    "signal",
    "frames",
    "magnitude",
    "layer bands",
    "vacancies",
    "lattice",
    "region",
    "interface",
    "preview",
    "columns",
    "errors",
    "displacement",
    "marks",
)
"""Roles from the bottom to the top."""


IMAGES = ("signal", "frames")
"""Roles of images; all others are results, drawn by the panel."""

LayerData = tuple[Any, dict[str, Any], str]
"""Data, keywords and kind of a layer, as napari takes them from readers."""


def role(layer: Layer) -> str:
    """What a layer is to stemdisp; empty for layers of others."""
    own = layer.metadata.get(KEY)
    return str(own.get("role", "")) if isinstance(own, dict) else ""


def micrograph_of(layer: Layer) -> Micrograph | None:
    """The micrograph whose signal an image layer shows."""
    own = layer.metadata.get(KEY)
    found = own.get("micrograph") if isinstance(own, dict) else None
    return found if isinstance(found, Micrograph) else None


def grid_of(micrograph: Micrograph) -> dict[str, Any]:
    """Scale, units and names of the axes that all layers on the pixels of a micrograph share."""
    size = micrograph.pixel_size
    if size is None:
        return {"scale": (1.0, 1.0), "units": ("pixel", "pixel"), "axis_labels": ("y", "x")}
    return {"scale": (size.y_pm / 1000, size.x_pm / 1000), "units": ("nm", "nm"), "axis_labels": ("y", "x")}


def give(layer: Layer, **style: Any) -> None:
    """Set what a layer does not have already: setting it all the same would draw everything again."""
    for name, value in style.items():
        if not np.array_equal(getattr(layer, name), value):
            setattr(layer, name, value)


def _which(metadata: Mapping[str, Any]) -> tuple[str, str]:
    """Role and signal of a layer of an image."""
    own = metadata[KEY]
    return own["role"], own["signal"]


def _take_over(layer: Image, data: Any, meta: Mapping[str, Any]) -> None:
    """Show another image on a layer; colours and visibility stay as the user set them."""
    layer.data = data
    layer.units, layer.scale = meta["units"], meta["scale"]
    layer.name, layer.metadata = meta["name"], {**layer.metadata, **meta["metadata"]}
    layer.contrast_limits = meta["contrast_limits"]


def place(layer: Layer, data: NDArray[np.float64]) -> None:
    """Give a layer other points or arrows: a hidden one would go on with the numbers of those it showed, which may be
    more than there are now."""
    layer.data = data
    if not layer.visible:
        layer.set_view_slice()


class Keeper:
    """Layers of one viewer by role.

    A layer that the user deletes is not drawn again before :meth:`restore`; ``dropped`` says so.  Layers that are drawn
    carry the ``analysis`` that they show, for those who save them.
    """

    dropped = Signal(str)

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self.missing: set[str] = set()
        self.hidden: set[str] = set()
        self.quiet = False
        self.analysis: Analysis | None = None
        viewer.layers.events.removed.connect(self._removed)

    def close(self) -> None:
        """Listen no longer."""
        self.viewer.layers.events.removed.disconnect(self._removed)

    def find(self, wanted: str) -> Layer | None:
        """The layer of a role, None where there is none."""
        return next((layer for layer in self.viewer.layers if role(layer) == wanted), None)

    def signals(self, micrograph: Micrograph | None = None) -> list[Image]:
        """Image layers that show signals, of one micrograph or of all."""
        found = [one for one in self.viewer.layers if role(one) == "signal"]
        return [one for one in found if micrograph is None or micrograph_of(one) is micrograph]

    def put(self, wanted: str, make: Callable[[], Layer], update: Callable[[Any], None]) -> Layer | None:
        """Update the layer of a role, or make it where it was never drawn; None where the user deleted it."""
        if wanted in self.missing:
            return None
        with self.silence():
            layer = self.find(wanted)
            if layer is None:
                layer = make()
                layer.metadata = {KEY: {"role": wanted}}
                active = self.viewer.layers.selection.active
                self.viewer.layers.insert(self._place(wanted), layer)
                self.viewer.layers.selection.active = active or layer
            update(layer)
            if wanted in self.hidden:
                self.hidden.discard(wanted)
                layer.visible = True
            layer.metadata = {**layer.metadata, KEY: {"role": wanted, "analysis": self.analysis}}
        return layer

    def sign(self) -> None:
        """Have layers of results whose numbers did not change carry the analysis that is shown now, too."""
        for layer in self.viewer.layers:
            if role(layer) not in ("", "signal", "frames", "preview"):
                layer.metadata = {**layer.metadata, KEY: {**layer.metadata[KEY], "analysis": self.analysis}}

    def hide(self, wanted: str) -> None:
        """Leave nothing of a role to be seen until it is drawn again."""
        layer = self.find(wanted)
        if layer is not None and layer.visible:
            layer.visible = False
            self.hidden.add(wanted)

    def restore(self, wanted: str) -> None:
        """Draw a role again that the user deleted."""
        self.missing.discard(wanted)

    def regrid(self, shown: Micrograph, now: Micrograph) -> None:
        """Give all results, and the images of the micrograph ``shown``, the pixel size that it has ``now``."""
        grid = grid_of(now)
        for layer in self.viewer.layers:
            known = micrograph_of(layer)
            if role(layer) not in ("", "magnitude") and (known is None or known is shown):
                extra = layer.ndim - 2
                scale = (*layer.scale[:extra], *grid["scale"])
                # Setting what is set already draws everything again.
                if not np.array_equal(layer.scale, scale):
                    layer.units = (*layer.units[:extra], *grid["units"])
                    layer.scale = scale

    def exchange(self, old: Sequence[Layer], new: Sequence[LayerData]) -> None:
        """Show other images in place of ``old`` ones, and nothing of what was drawn on these.

        An image of the same signal takes over its layer, with what the user set of it; only others come and go.
        """
        for wanted in ORDER:
            if wanted not in IMAGES:
                self.hide(wanted)
        left = {_which(layer.metadata): layer for layer in reversed(old)}
        with self.silence():
            for data, meta, _ in new:
                layer = left.pop(_which(meta["metadata"]), None)
                if layer is None:
                    self.viewer.layers.insert(self._place(meta["metadata"][KEY]["role"]), Image(data, **meta))
                else:
                    _take_over(layer, data, meta)
                    old = [one for one in old if one is not layer]
            for layer in old:
                self.viewer.layers.remove(layer)

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Changes of layers inside the block are the program's, not the user's."""
        before, self.quiet = self.quiet, True
        try:
            yield
        finally:
            self.quiet = before

    def _place(self, wanted: str) -> int:
        """Index at which a new layer keeps the order of roles."""
        rank = ORDER.index(wanted)
        above = [
            number
            for number, layer in enumerate(self.viewer.layers)
            if role(layer) in ORDER and ORDER.index(role(layer)) > rank
        ]
        return min(above, default=len(self.viewer.layers))

    def _removed(self, event: Any) -> None:
        gone = role(event.value)
        if gone and gone not in IMAGES and not self.quiet:
            self.missing.add(gone)
        if gone:
            self.dropped.emit(gone)
