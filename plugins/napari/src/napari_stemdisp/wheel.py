"""The colour wheel on the canvas, where screenshots and exported figures show it too.

napari offers no public way to put a picture on the canvas: this is the only module that uses private parts of it, and
where they are not as expected, ``Wheel.works`` is False and the panel shows a WheelPicture instead.
"""

from __future__ import annotations

import logging
from typing import Any, Literal

import numpy as np
from qtpy.QtGui import QColor

from .wheel_picture import FINE, Legend, WheelPicture

try:
    from napari._vispy.overlays.base import ViewerOverlayMixin, VispyCanvasOverlay
    from napari._vispy.utils.visual import overlay_to_visual
    from napari.components.overlays import CanvasOverlay
    from vispy.scene import Node
    from vispy.scene.visuals import Image
    from vispy.visuals.transforms import STTransform

    FOUND = True
except ImportError as missing:
    logging.getLogger(__name__).warning("no colour wheel on the canvas: %s", missing)
    FOUND = False

__all__ = ["Wheel", "WheelPicture"]

log = logging.getLogger(__name__)

NAME = "stemdisp_wheel"
"""The overlay's name among those of the canvas."""

Position = Literal["bottom_right", "bottom_left", "top_right", "top_left"]

if FOUND:

    class WheelOverlay(CanvasOverlay):
        """What the wheel shows: the length at its rim, and px of the image that an arrow of one unit takes (0 = no
        reference arrow)."""

        full: float = 1.0
        unit: str = ""
        arrow_px: float = 0.0
        arrow_label: str = ""

    class _Picture(Node):
        """A picture with its upper left corner at the origin, smaller by ``FINE`` than its pixels."""

        def __init__(self) -> None:
            super().__init__()
            self.image = Image(np.zeros((2, 2, 4), dtype=np.uint8), interpolation="linear", parent=self)
            self.image.transform = STTransform(scale=(1 / FINE, 1 / FINE))

        def set_gl_state(self, *args: Any, **kwargs: Any) -> None:
            """How it is blended with what lies under it."""
            self.image.set_gl_state(*args, **kwargs)

    class VispyWheelOverlay(ViewerOverlayMixin, VispyCanvasOverlay):
        """Draws a WheelOverlay."""

        overlay: WheelOverlay

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(node=_Picture(), **kwargs)
            for event in ("full", "unit", "arrow_px", "arrow_label", "box", "box_color"):
                getattr(self.overlay.events, event).connect(self._on_look_change)
            self.viewer.canvas.events.background_color.connect(self._on_look_change)
            self.viewer.scene.camera.events.zoom.connect(self._on_zoom_change)
            self.reset()

        def _legend(self) -> Legend:
            layers = self.viewer.layers
            # All layers of one image have its scale.
            pixel = float(layers[0].scale[-1]) if len(layers) else 1.0
            on_screen = self.overlay.arrow_px * pixel * float(self.viewer.scene.camera.zoom)
            return Legend(self.overlay.full, self.overlay.unit, on_screen, self.overlay.arrow_label)

        def _on_zoom_change(self) -> None:
            if self.overlay.visible and self.overlay.arrow_px > 0:
                self._on_look_change()

        def _on_look_change(self) -> None:
            legend, ink = self._legend(), self._get_fgcolor()
            self.node.image.set_data(legend.picture(QColor.fromRgbF(*(float(part) for part in ink[:3]))))
            self.x_size, self.y_size = float(legend.size().width()), float(legend.size().height())
            self.node.image.order = self.node.order
            self._on_position_change()

        def reset(self) -> None:
            """Draw it anew."""
            super().reset()
            self._on_look_change()

        def close(self) -> None:
            """Let go of the camera too."""
            self.viewer.scene.camera.events.zoom.disconnect(self._on_zoom_change)
            super().close()


class Wheel:
    """The wheel of one viewer, hidden until it is shown.

    ``works`` is False where this napari cannot show it; then all methods do nothing.
    """

    def __init__(self, napari_viewer: Any) -> None:
        self._overlay: Any = None
        if not FOUND:
            return
        try:
            overlay_to_visual[WheelOverlay] = VispyWheelOverlay
            overlays = napari_viewer.canvas.overlays
            if NAME not in overlays:
                overlays[NAME] = WheelOverlay()
            self._overlay = overlays[NAME]
        except Exception as error:  # whatever a private part has become: the panel works without
            log.warning("no colour wheel on the canvas: %s", error)

    @property
    def works(self) -> bool:
        """Whether the canvas shows it."""
        return self._overlay is not None

    @property
    def visible(self) -> bool:
        """Whether it is shown now."""
        return self.works and bool(self._overlay.visible)

    @property
    def position(self) -> Position:
        """The corner it stands in, beside what else stands there."""
        return str(self._overlay.position) if self.works else "bottom_right"  # type: ignore[return-value]

    @position.setter
    def position(self, corner: Position) -> None:
        if self.works:
            self._overlay.position = corner

    def show(self, full: float, unit: str, *, arrow_px: float | None = None, arrow_label: str = "") -> None:
        """Show the colours of a map.

        Parameters
        ----------
        full, unit
            Length of the vectors that have the purest colours: the wheel's rim.
        arrow_px
            Px of the image that the map's arrow of one ``unit`` takes: under the wheel stands an arrow of a round
            length, as long as the map would draw it at the present zoom. None = no such arrow.
        arrow_label
            Words after that arrow's length.
        """
        if not self.works:
            return
        try:
            self._overlay.update(
                {"full": float(full), "unit": unit, "arrow_px": float(arrow_px or 0.0), "arrow_label": arrow_label}
            )
            self._overlay.visible = True
        except Exception as error:  # as above
            log.warning("no colour wheel on the canvas: %s", error)
            self._overlay = None

    def hide(self) -> None:
        """Hide it."""
        if self.works:
            self._overlay.visible = False
