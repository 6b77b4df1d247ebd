"""One step of the panel: a title with a tick and a number, its form, and the button that runs it."""

from __future__ import annotations

from qtpy.QtCore import Signal, SignalInstance
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from .session import State
from .steps import Step

MARKS: dict[State, str] = {"empty": "○", "done": "✓", "provisional": "≈", "stale": "↻"}
WORDS: dict[State, str] = {"empty": "", "done": "", "provisional": "touched up", "stale": "out of date"}


INDENT = 34
"""px that the number stands to the right of the title's beginning."""


class StepBox(QWidget):
    """A step that folds.  ``asked`` is sent when it is to run, ``defaults`` when its values are to be restored."""

    asked = Signal()
    defaults = Signal()

    def __init__(self, number: int, step: Step, parent: QWidget) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.step, self._number = step, number
        self._shown: tuple[State, str] = ("empty", "")
        self.title = QPushButton(self)
        self.title.setObjectName(f"title_{step.key}")
        self.title.setCheckable(True)
        self.title.setFlat(True)
        self.title.setStyleSheet("text-align: left; padding: 3px; font-weight: 600; border: none")
        self.title.toggled.connect(self._fold)
        self.said = QLabel(self)
        self.said.setObjectName(f"said_{step.key}")
        self.said.setWordWrap(True)
        self.said.setIndent(INDENT)
        self.body = QWidget(self)
        self.body.setVisible(False)
        self.content = QVBoxLayout(self.body)
        self.content.setContentsMargins(12, 2, 4, 6)
        hint = QLabel(step.hint, self.body)
        hint.setWordWrap(True)
        self.content.addWidget(hint)
        self.run = self._button("run", "Run to here", self.asked, shown=bool(step.stages))
        self.reset = self._button("reset", "Restore defaults", self.defaults, shown=bool(step.sections))
        self._buttons = QHBoxLayout()
        self._buttons.addWidget(self.run, 1)
        self._buttons.addWidget(self.reset, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for widget in (self.title, self.said, self.body):
            layout.addWidget(widget)
        self.show_state("empty", "")

    def _button(self, name: str, text: str, clicked: SignalInstance, *, shown: bool) -> QPushButton:
        button = QPushButton(text, self.body)
        button.setObjectName(f"{name}_{self.step.key}")
        button.clicked.connect(clicked)
        button.setVisible(shown)
        return button

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
        self.title.setText(f"{'▾' if self.title.isChecked() else '▸'} {MARKS[state]}  {self._number} {self.step.title}")
        self.title.setToolTip(said or self.step.hint)
        self.said.setText(said)
        self.said.setVisible(bool(said))
        self._shown = (state, number)

    def _fold(self, opened: bool) -> None:
        self.body.setVisible(opened)
        self.show_state(*self._shown)
