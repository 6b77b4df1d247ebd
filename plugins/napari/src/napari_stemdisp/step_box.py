"""One step of the panel: a title with a tick and a number, its form, and the button that runs it."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QToolButton, QVBoxLayout, QWidget

from .session import State
from .steps import Step

MARKS: dict[State, str] = {"empty": "○", "done": "✓", "provisional": "≈", "stale": "↻"}
WORDS: dict[State, str] = {"empty": "", "done": "", "provisional": "touched up", "stale": "out of date"}


class StepBox(QWidget):
    """A step that folds.  ``asked`` is sent when it is to run, ``defaults`` when its values are to be restored."""

    asked = Signal()
    defaults = Signal()

    def __init__(self, number: int, step: Step, parent: QWidget) -> None:
        super().__init__(parent)
        self.step, self._number = step, number
        self.title = QToolButton(self)
        self.title.setObjectName(f"title_{step.key}")
        self.title.setCheckable(True)
        self.title.setSizePolicy(self.title.sizePolicy().Policy.Expanding, self.title.sizePolicy().Policy.Fixed)
        self.title.setStyleSheet("QToolButton {text-align: left; padding: 4px; font-weight: 600}")
        self.title.toggled.connect(self._fold)
        self.body = QWidget(self)
        self.body.setVisible(False)
        self.content = QVBoxLayout(self.body)
        self.content.setContentsMargins(12, 2, 4, 6)
        hint = QLabel(step.hint, self.body)
        hint.setWordWrap(True)
        self.content.addWidget(hint)
        self.run = QPushButton(f"Run to here: {step.title.lower()}", self.body)
        self.run.setObjectName(f"run_{step.key}")
        self.run.clicked.connect(self.asked)
        self.reset = QPushButton("Restore defaults", self.body)
        self.reset.setObjectName(f"reset_{step.key}")
        self.reset.clicked.connect(self.defaults)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run, 2)
        buttons.addWidget(self.reset, 1)
        self.run.setVisible(bool(step.stages))
        self.reset.setVisible(bool(step.sections))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.title)
        layout.addWidget(self.body)
        self._buttons = buttons
        self.show_state("empty", "")

    def add(self, widget: QWidget) -> None:
        """Put a form or a button into the step, above its own buttons."""
        self.content.addWidget(widget)

    def finish(self) -> None:
        """Put the step's own buttons below what was added."""
        self.content.addLayout(self._buttons)

    def open(self) -> None:
        """Unfold."""
        self.title.setChecked(True)

    def show_state(self, state: State, number: str) -> None:
        """Tick, title, and the number, or that it is out of date."""
        said = " · ".join(filter(None, (number, WORDS[state])))
        self.title.setText(
            f"{'▾' if self.title.isChecked() else '▸'} {MARKS[state]}  {self._number} {self.step.title}"
            + (f"   {said}" if said else "")
        )
        self.title.setToolTip(said or self.step.hint)
        self._shown = (state, number)

    def _fold(self, opened: bool) -> None:
        self.body.setVisible(opened)
        self.show_state(*self._shown)
