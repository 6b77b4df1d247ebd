"""A bar that turns the pages of a batch."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QMessageBox, QSizePolicy, QToolButton, QWidget

from stemdisp import Micrograph, StemdispError

from .canvas import Canvas
from .layers import KEY, LayerData, micrograph_of
from .pages import Batch, Pages
from .reader import read_page
from .session import Draft, Session

SHOWN = 24
"""Pages that the open list shows at once."""


def batch_of(layer: Any) -> Batch | None:
    """The batch that a layer's image is a page of."""
    own = layer.metadata.get(KEY)
    found = own.get("batch") if isinstance(own, dict) else None
    return found if isinstance(found, Batch) else None


class PagesBox(QWidget):
    """Previous, next, and a list of all images of a batch with how each ended; hidden where none is open.

    ``turning`` is sent before a page is turned, ``turned`` after, with a sentence and its kind.  Changes that are not
    saved are kept with their page for as long as the batch is open.
    """

    turning = Signal()
    turned = Signal(str, str)

    def __init__(self, session: Session, canvas: Canvas, parent: QWidget) -> None:
        super().__init__(parent)
        self.session, self.canvas = session, canvas
        self.pages: Pages | None = None
        self.busy = False
        self.list = QComboBox(self)
        self.list.setObjectName("pages")
        self.list.setMaxVisibleItems(SHOWN)
        self.list.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.list.activated.connect(self.turn)
        self.count = QLabel(self)
        self.back, self.on = self._button("page_previous", "◀", -1), self._button("page_next", "▶", 1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.back, self.list, self.on, self.count):
            layout.addWidget(widget, 1 if widget is self.list else 0)
        self.soon = QTimer(self)  # a reader's layers come one after the other, and are looked at together
        self.soon.setSingleShot(True)
        self.soon.setInterval(0)
        self.soon.timeout.connect(self._look)
        session.recipe_changed.connect(self._show)
        session.opened.connect(self._show)
        session.kept_changed.connect(self._show)
        self.hide()

    def _button(self, name: str, text: str, step: int) -> QToolButton:
        button = QToolButton(self)
        button.setObjectName(name)
        button.setText(text)
        button.setToolTip("previous image of the batch" if step < 0 else "next image of the batch")
        button.clicked.connect(lambda: self.turn(self.pages.at + step) if self.pages else None)
        return button

    # -- what is open

    def _layers(self) -> list[Any]:
        """Image layers of the page that is open."""
        batch = None if self.pages is None else self.pages.batch
        return [layer for layer in self.canvas.viewer.layers if batch is not None and batch_of(layer) is batch]

    @property
    def here(self) -> bool:
        """Whether the session has the image of the page that is open, and no other."""
        shown = self.session.shown
        return shown is not None and any(micrograph_of(layer) is shown for layer in self._layers())

    @property
    def bare(self) -> bool:
        """Whether the open page has no image."""
        return self.pages is not None and not self._layers()

    def _look(self) -> None:
        """Take up a batch that was opened in the viewer."""
        present = None if self.pages is None else self.pages.batch
        new = [layer for layer in self.canvas.viewer.layers if batch_of(layer) not in (None, present)]
        if not new:
            return
        batch = batch_of(new[-1])
        assert batch is not None
        if not self._may_close():
            for layer in new:  # an image like any other, then
                own = {name: value for name, value in layer.metadata[KEY].items() if name not in ("batch", "page")}
                layer.metadata = {**layer.metadata, KEY: own}
            return
        self._exchange([layer for layer in self.canvas.viewer.layers if batch_of(layer) not in (None, batch)], [])
        own = new[-1].metadata[KEY]
        self.pages = Pages(batch, own["page"])
        self.list.clear()
        self.list.addItems([self.pages.title(number) for number in range(len(self.pages))])
        for number in range(len(self.pages)):
            self.list.setItemData(number, self.pages.sentence(number), Qt.ItemDataRole.ToolTipRole)
        self.show()
        if self.session.shown is not own["micrograph"]:
            self.session.open(own["micrograph"], (), own["analysis"])
        self._say()
        self._show()

    # -- changes that are not saved

    def _may_close(self) -> bool:
        """Whether the batch that is open, and the image that is, may be left for another batch."""
        changed = set() if self.pages is None else set(self.pages.batch.drafts)
        if self.session.unsaved:
            changed.add(self.pages.at if self.pages is not None and self.here else -1)
        return not changed or self._drop(len(changed))

    def _drop(self, count: int) -> bool:
        """Whether the user lets changes go."""
        images = "1 image has" if count == 1 else f"{count} images have"
        said = f"{images} changes that are not saved (8 Export saves them). Drop them?"
        return bool(QMessageBox.question(self, "Not saved", said) == QMessageBox.StandardButton.Yes)

    def leave(self) -> bool:
        """Keep what is not saved of the page that is open, or ask whether it may go; False where the user stays."""
        self.canvas.settle()
        if not self.session.unsaved:
            return True
        if self.pages is not None and self.here:
            self.pages.batch.drafts[self.pages.at] = self.session.draft()
            return True
        return self._drop(1)

    def draft_of(self, micrograph: Micrograph) -> Draft | None:
        """What was kept of the page that is open, where that is its image."""
        if self.pages is None or not any(micrograph_of(layer) is micrograph for layer in self._layers()):
            return None
        return self.pages.batch.drafts.pop(self.pages.at, None)

    # -- turning

    def turn(self, number: int) -> None:
        """Open another page in place of the present one."""
        if self.pages is None or not 0 <= number < len(self.pages) or number == self.pages.at:
            return
        if not self.leave():
            self._show()
            return
        self.turning.emit()
        QGuiApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
        layers: list[LayerData] = []
        said = ""
        try:
            layers = read_page(self.pages.batch, number)
        except StemdispError as error:
            said = str(error)
        except MemoryError:
            said = "the memory of this machine does not suffice for this image"
        finally:
            QGuiApplication.restoreOverrideCursor()
        before = self._seen()
        self._exchange(self._layers(), layers)
        self.pages.at = number
        if layers and self._seen() != before:
            self.canvas.viewer.reset_view()
        self._take_up(layers)
        self._say(said)
        self._show()

    def _say(self, why: str = "") -> None:
        """Say which page is open, or ``why`` there is nothing on it."""
        assert self.pages is not None
        warned = self.pages.batch.entries[self.pages.at].warnings
        changed = "; its changes are not saved" if self.session.unsaved else ""
        kind = "error" if why else "warning" if warned or changed else "info"
        self.turned.emit(why or f"{self.pages.sentence(self.pages.at)}{changed}.", kind)

    def _exchange(self, old: list[Any], new: list[LayerData]) -> None:
        self.busy = True
        try:
            self.canvas.keeper.exchange(old, new)
        finally:
            self.busy = False

    def _take_up(self, layers: list[LayerData]) -> None:
        """Have the session go on with what is on the page, as it was left."""
        assert self.pages is not None
        if not layers:
            self.session.close()
            return
        own = layers[0][1]["metadata"][KEY]
        draft = self.pages.batch.drafts.pop(self.pages.at, None)
        if draft is None:
            self.session.open(own["micrograph"], (), own["analysis"])
            return
        for layer in self._layers():  # the images are those that the draft knows
            layer.metadata = {**layer.metadata, KEY: {**layer.metadata[KEY], "micrograph": draft.shown}}
        self.session.resume(draft)

    def _seen(self) -> tuple[Any, ...]:
        """Size of what is shown, by which the view has to be set anew."""
        layer = next(iter(self._layers()), None)
        return () if layer is None else (layer.data.shape[-2:], tuple(layer.scale[-2:]))

    def _show(self) -> None:
        """Where we are, and which pages have changes that are not saved."""
        if self.pages is None or self.busy:
            return
        at = self.pages.at
        for number in range(len(self.pages)):
            title = self.pages.title(number, changed=number == at and self.here and self.session.unsaved)
            if self.list.itemText(number) != title:
                self.list.setItemText(number, title)
        self.list.setCurrentIndex(at)
        self.count.setText(f"{at + 1} of {len(self.pages)}")
        self.back.setEnabled(at > 0)
        self.on.setEnabled(at + 1 < len(self.pages))
