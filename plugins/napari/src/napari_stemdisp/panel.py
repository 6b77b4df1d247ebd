"""The dock widget: the steps of an analysis, what runs, and what came out."""

from __future__ import annotations

from typing import Any

from napari.layers import Image
from napari.viewer import Viewer
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from stemdisp import Analysis, Micrograph, StemdispError
from stemdisp.batch.work import sentence_of

from .adopt import adopted, fits, leave_with, left_with, pair_up
from .canvas import Canvas
from .export_box import ExportBox
from .layers import micrograph_of
from .pages_box import PagesBox
from .preview import LivePreview
from .reassign_box import ReassignBox
from .results import Results
from .session import Session
from .step_box import StepBox
from .step_forms import fill
from .steps import BY_KEY, STEPS, step_of
from .view_box import ViewBox
from .worker import Runner, Work

SHARES = (380, 320)
"""Heights of the steps and of the results, to begin with."""

COLOURS = {"error": "#E05252", "warning": "#D9922E", "info": ""}


class Panel(QWidget):
    """All of stemdisp for the images of one viewer."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.session = Session()
        self.runner = Runner(self)
        self.canvas = Canvas(napari_viewer, self.session, self)
        self.pages = PagesBox(self.session, self.canvas, self)
        self.preview = LivePreview(self.session, self.canvas, self)
        self._pending: str | None = None
        self._left = False
        self.boxes = {step.key: StepBox(n, step, self) for n, step in enumerate(STEPS, 1)}
        self.forms = {key: fill(box, self.session) for key, box in self.boxes.items()}
        self.reassign = ReassignBox(self.canvas, self)
        self.boxes["sites"].add(self.reassign)
        self.view_box = ViewBox(self.canvas, self)
        self.export = ExportBox(self.session, napari_viewer, self.say, self)
        self.boxes["export"].add(self.export)
        self.results = Results(self.session, self.canvas, self)
        self._lay_out()
        self._connect()
        self._list_images()

    # -- making it

    def _lay_out(self) -> None:
        self.images = QComboBox(self)
        self.images.setObjectName("images")
        self.status = QLabel("Open an image to begin.", self)
        self.status.setObjectName("status")
        self.status.setWordWrap(True)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.restore = QPushButton("Draw again", self)
        self.restore.setObjectName("restore")
        self.restore.hide()
        self.progress = QProgressBar(self)
        self.cancel = QPushButton("Cancel", self)
        self.cancel.setObjectName("cancel")
        self.run_all = QPushButton("Run all steps", self)
        self.run_all.setObjectName("run_all")
        running = QHBoxLayout()
        for widget, share in ((self.run_all, 2), (self.progress, 3), (self.cancel, 1)):
            running.addWidget(widget, share)
        for box in self.boxes.values():
            box.finish()
        steps = QWidget(self)
        column = QVBoxLayout(steps)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        for box in self.boxes.values():
            column.addWidget(box)
        column.addWidget(self.view_box)
        column.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(steps)
        splitter = QSplitter(Qt.Orientation.Vertical, self)
        splitter.addWidget(scroll)
        splitter.addWidget(self.results)
        splitter.setSizes([SHARES[0], SHARES[1]])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.pages)
        layout.addWidget(self.images)
        layout.addLayout(running)
        layout.addWidget(self.status)
        layout.addWidget(self.restore)
        layout.addWidget(splitter, 1)
        self.setMinimumWidth(360)
        self.viewer.canvas.overlays["scale_bar"].visible = True
        self._show_running(None)
        self.boxes["image"].open()

    def _connect(self) -> None:
        for key, box in self.boxes.items():
            box.asked.connect(lambda key=key: self.run(key))
            box.defaults.connect(lambda box=box: [self.session.restore(one) for one in box.step.sections])
        self.run_all.clicked.connect(lambda: self.run("polarization"))
        self.cancel.clicked.connect(self.stop)
        self.restore.clicked.connect(self._restore)
        self.images.activated.connect(self._choose)
        self.pages.turning.connect(self.stop)
        self.pages.turned.connect(self._turned)
        self.runner.reached.connect(self._reached)
        self.runner.failed.connect(self._failed)
        self.runner.ended.connect(self._ended)
        self.canvas.edited.connect(self._edited)
        self.canvas.drawn.connect(self._edited)
        self.canvas.refused.connect(lambda sentence: self.say(sentence, "error"))
        self.canvas.keeper.dropped.connect(self._dropped)
        self.session.said.connect(self.say)
        self.session.opened.connect(self._opened)
        self.session.recipe_changed.connect(self._recipe_changed)
        self.session.analysed.connect(self._analysed)
        self.viewer.layers.events.inserted.connect(self._list_images)
        self.viewer.layers.events.removed.connect(self._list_images)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(150)
        self._rest.timeout.connect(self.catch_up)
        for keys, act in (("Control-Z", self.undo), ("Control-Shift-Z", self.redo)):
            self.viewer.bind_key(keys, lambda viewer, act=act: act(), overwrite=True)
        self.run_all.setToolTip(f"Undo: {QKeySequence('Ctrl+Z').toString()}, redo: Ctrl+Shift+Z, in the viewer")

    # -- which image

    def _list_images(self, *_: Any) -> None:
        """Offer the images of the viewer; take the first where none was open."""
        if self.pages.busy:
            return
        self.pages.soon.start()
        before = self.session.shown
        try:
            pair_up([layer for layer in self.viewer.layers if fits(layer)])
        except StemdispError as error:
            self.say(str(error), "warning")
        found: dict[int, Image] = {}
        for layer in self.viewer.layers:
            if fits(layer):
                own = layer.metadata.get("stemdisp") or {}
                found.setdefault(id(own.get("micrograph", layer)), layer)
        self._offered = list(found.values())
        present = self.images.currentText()
        self.images.clear()
        names = [_name(layer) for layer in self._offered]
        self.images.addItems(names or ["no image is open"])
        if present in names:
            self.images.setCurrentIndex(names.index(present))
        shown = [micrograph_of(layer) for layer in self._offered]
        if self._offered and before is None and not self.pages.bare:
            self._choose(0)
        elif before is not None and before not in shown and self.session.analysis is None:
            # What was open became part of a pair.
            self._choose(next((n for n, one in enumerate(shown) if _holds(one, before)), -1))

    def _choose(self, index: int) -> None:
        """Open the image of a layer."""
        if not 0 <= index < len(self._offered):
            return
        self.stop()
        try:
            micrograph, paths, analysis = adopted(self._offered[index])
        except StemdispError as error:
            self.say(str(error), "error")
            return
        if analysis is not None and (micrograph is self.session.shown or not self.pages.leave()):
            self._list_images()
            return
        self.images.setCurrentIndex(index)
        draft = left_with(self._offered[index]) or self.pages.draft_of(micrograph)
        if draft is None:
            self.session.open(micrograph, paths, analysis)
        else:
            self.session.resume(draft)

    def _turned(self, sentence: str, kind: str) -> None:
        """Another image of the batch is open, or none, for the reason that the sentence says."""
        self._list_images()
        self.say(sentence, kind)

    def _opened(self) -> None:
        self.canvas.keeper.missing.clear()
        self._show_recipe()
        self._analysed()
        micrograph = self.session.micrograph
        if micrograph is None:
            self.say("Open an image to begin.", "info")
        elif micrograph.pixel_size is None and self.session.recipe.image.pixel_size is None:
            self.say(
                "The file has no pixel size: results stay in px. Type it under Image, or take it from the lattice.",
                "warning",
            )
        elif self.session.analysis is None or micrograph.notes:
            self.say(" ".join(micrograph.notes) or "Choose crystal and zone under Image, then run the steps.", "info")

    # -- running

    def run(self, last: str) -> None:
        """Run what is due up to the step ``last``; what runs already is ended first."""
        if self.session.micrograph is None:
            self.say("Open an image to begin.", "warning")
            return
        if self.runner.busy:
            self._pending = last
            self.runner.cancel()
            return
        if self.session.due(last):
            self._start(self.session.work(last), len(self.session.due(last)))
        else:
            self._analysed()

    def catch_up(self) -> None:
        """Run what follows in a moment."""
        if self.runner.busy:
            self._pending = "quick"
            self.runner.cancel()
        elif self.session.quick and self.session.stale:
            self._start(self.session.catch_up(), 1)

    def _start(self, work: Work, count: int) -> None:
        self.progress.setRange(0, count)
        self.progress.setValue(0)
        self._show_running(next(iter(self.session.stale), ""))
        self.runner.start(work)

    def stop(self) -> None:
        """End what runs; what was known before stays."""
        self._pending = None
        self._rest.stop()
        if self.runner.busy:
            self.say("Cancelled; nothing was changed.", "info")
            self.runner.cancel()

    def _reached(self, stage: str, analysis: Analysis) -> None:
        self.progress.setValue(self.progress.value() + 1)
        self.progress.setFormat(f"{stage} done")
        del analysis

    def _failed(self, error: Exception) -> None:
        self.say(str(error) if isinstance(error, StemdispError) else sentence_of(error), "error")

    def _ended(self, analysis: Analysis | None) -> None:
        self._show_running(None)
        pending, self._pending = self._pending, None
        if analysis is not None:
            self.session.take(analysis)
        if pending == "quick":
            self.catch_up()
        elif pending is not None:
            self.run(pending)

    def _show_running(self, stage: str | None) -> None:
        running = stage is not None
        self.progress.setVisible(running)
        self.cancel.setVisible(running)
        self.run_all.setVisible(not running)
        if running:
            self.progress.setFormat(f"{step_of(stage).title.lower()} ..." if stage else "...")

    # -- following changes

    def _recipe_changed(self) -> None:
        self._show_recipe()
        self._show_states()
        if "find" in self.session.stale:
            self.preview.ask()
        elif self.session.quick:
            self._rest.start()

    def _edited(self) -> None:
        """A column was changed by hand: fit what it touches; before the first fit, only list it."""
        if self.session.quick:
            self._rest.stop()
            self.catch_up()
        elif self.session.full is None or "refine" not in self.session.full.seconds:
            self.run("sites")
        else:
            self.say("Noted; run the steps to see what it changes.", "info")

    def undo(self) -> None:
        """Take the last change back."""
        self._undone(self.session.undo(), "nothing to undo")

    def redo(self) -> None:
        """Do it again."""
        self._undone(self.session.redo(), "nothing to redo")

    def _undone(self, what: str | None, nothing: str) -> None:
        if what is None:
            self.say(nothing, "info")
        else:
            self._edited()

    # -- showing

    def say(self, sentence: str, kind: str = "info") -> None:
        """Show one sentence."""
        self.status.setText(sentence)
        colour = COLOURS.get(kind, "")
        self.status.setStyleSheet(f"color: {colour}; font-weight: 600" if colour else "")
        self.status.setProperty("kind", kind)

    def _analysed(self) -> None:
        self.canvas.draw()
        self.results.show_analysis()
        self.reassign.show_sites()
        self._show_states()
        analysis = self.session.analysis
        if analysis is not None and analysis.quality is not None:
            count = len(analysis.warnings)
            told = f"{count} warning{'s' if count != 1 else ''}: {analysis.warnings[0]}" if count else "No warnings."
            self.say(told, "warning" if count else "info")

    def _show_recipe(self) -> None:
        for forms in self.forms.values():
            for form in forms:
                form.show_recipe(self.session.recipe)

    def _show_states(self) -> None:
        for key, box in self.boxes.items():
            box.show_state(self.session.state(BY_KEY[key]), self.session.number(BY_KEY[key]))

    def _dropped(self, role: str) -> None:
        if role == "signal":
            self.say("The image's layer is gone; the analysis goes on without it.", "warning")
            return
        self.restore.setVisible(bool(self.canvas.keeper.missing))
        if self.canvas.keeper.missing:
            self.say(f"The layer of {role} was deleted; nothing else is lost.", "warning")

    def _restore(self) -> None:
        self.canvas.restore()
        self.restore.hide()
        self._show_states()

    def changeEvent(self, event: Any) -> None:
        """The cross of the dock takes the panel out of the window, and the next one from the menu is another."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._leave()
        super().changeEvent(event)

    def closeEvent(self, event: Any) -> None:
        """Leave the viewer as it was."""
        self._leave()
        super().closeEvent(event)

    def _leave(self) -> None:
        """Listen no longer; the image carries what was done with it."""
        if self._left:
            return
        self._left = True
        self.canvas.settle()  # which may begin to run
        self.stop()
        self.preview.stop()
        index = self.images.currentIndex()
        if self.session.micrograph is not None and 0 <= index < len(self._offered):
            leave_with(self._offered[index], self.session.draft())
        self.canvas.close()
        self.viewer.layers.events.inserted.disconnect(self._list_images)
        self.viewer.layers.events.removed.disconnect(self._list_images)


def _name(layer: Image) -> str:
    """The name of a layer's micrograph, or its own."""
    known = micrograph_of(layer)
    return layer.name if known is None else known.name


def _holds(one: Micrograph | None, other: Micrograph) -> bool:
    """Whether all files of another micrograph are among those of one."""
    return one is not None and bool(other.inputs) and all(one.was_read_from(source.sha256) for source in other.inputs)
