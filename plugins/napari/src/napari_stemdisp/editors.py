"""Small editors for one value each, as a field of the recipe asks for it.

Every editor has ``value()``, ``set_value(value)`` and the signal ``edited``, which only a user's action sends: never
``set_value``, and never the mouse wheel, which belongs to the scroll area around.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QWidget,
)

UNITS = {"angstrom": "Å", "uC/cm2 per pm": "µC/cm² per pm"}
"""Units as a form has room for them."""

SHORT = 3
"""Letters of a unit that a box has room for."""

LARGEST = 10**9
"""Where a field has no limit of its own."""

DECIMALS, DIGITS = 9, 6
"""Decimals that a number keeps, and significant digits that are shown of it."""

STEPS = 400
"""Places of a slider."""

WIDE = 100.0
"""From this ratio of its limits on, a slider goes by ratios instead of differences."""


def limits(field: FieldInfo) -> tuple[float | None, float | None]:
    """Smallest and largest value of a field, None where there is no limit (of an excluded limit: the limit)."""
    found: dict[str, float] = {}
    for limit in field.metadata:
        for name in ("ge", "gt", "le", "lt"):
            if hasattr(limit, name):
                found[name[0]] = getattr(limit, name)
    return found.get("g"), found.get("l")


def unit_of(field: FieldInfo) -> str:
    """Unit of a field, empty for none."""
    extra = field.json_schema_extra
    unit = str(extra.get("unit") or "") if isinstance(extra, dict) else ""
    return UNITS.get(unit, unit)


def _one_number(annotation: Any) -> bool:
    """Whether a field holds a number, or a number or None."""
    return annotation in (int, float) or set(get_args(annotation)) in ({int, type(None)}, {float, type(None)})


def suffix(field: FieldInfo) -> str:
    """What stands after a number in its box: the unit, where it is short enough."""
    unit = unit_of(field)
    return f" {unit}" if unit and len(unit) <= SHORT and _one_number(field.annotation) else ""


def unit_beside(field: FieldInfo) -> str:
    """The unit that has to stand beside the field's name, empty where its box shows it."""
    return "" if suffix(field) else unit_of(field)


class StillSpinBox(QSpinBox):
    """A spin box that the mouse wheel does not turn."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the scroll area."""
        event.ignore()


class StillRealBox(QDoubleSpinBox):
    """The same for real numbers, which shows no zeros that say nothing."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the scroll area."""
        event.ignore()

    def textFromValue(self, value: float) -> str:
        """The number with as many digits as it has."""
        return self.locale().toString(value, "g", DIGITS)


class StillComboBox(QComboBox):
    """The same for choices."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the scroll area."""
        event.ignore()


class StillSlider(QSlider):
    """The same for sliders."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the scroll area."""
        event.ignore()


class Editor(QWidget):
    """What all editors have in common: parts side by side."""

    edited = Signal(object)

    def __init__(self, *parts: QWidget) -> None:
        super().__init__()
        self.parts = parts
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for part in parts:
            row.addWidget(part, 1 if part.sizePolicy().expandingDirections() & Qt.Orientation.Horizontal else 0)

    def value(self) -> Any:
        """The value as it stands."""
        raise NotImplementedError

    def set_value(self, value: Any) -> None:
        """Show a value; nothing is sent."""
        raise NotImplementedError


class Choice(Editor):
    """One of some words."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self._box = StillComboBox()
        self._box.addItems(list(words))
        super().__init__(self._box)
        self._box.activated.connect(lambda _: self.edited.emit(self.value()))

    def value(self) -> str:
        """The chosen word."""
        return self._box.currentText()

    def set_value(self, value: str) -> None:
        """Choose a word."""
        self._box.setCurrentText(value)


class Switch(Editor):
    """Yes or no."""

    def __init__(self) -> None:
        self._box = QCheckBox()
        super().__init__(self._box)
        self._box.clicked.connect(lambda _: self.edited.emit(self.value()))

    def value(self) -> bool:
        """Whether it is on."""
        return self._box.isChecked()

    def set_value(self, value: bool) -> None:
        """Switch it."""
        self._box.setChecked(value)


class Whole(Editor):
    """A whole number."""

    def __init__(self, field: FieldInfo) -> None:
        low, high = limits(field)
        self._box = StillSpinBox()
        self._box.setRange(int(low if low is not None else -LARGEST), int(high if high is not None else LARGEST))
        _prepare(self._box, field)
        super().__init__(self._box)
        self._box.valueChanged.connect(self.edited.emit)

    def value(self) -> int:
        """The number."""
        return self._box.value()

    def set_value(self, value: int) -> None:
        """Show a number."""
        with QSignalBlocker(self._box):
            self._box.setValue(value)


class Real(Editor):
    """A real number; beside it a slider where it has two limits."""

    def __init__(self, field: FieldInfo, *, slider: bool = True) -> None:
        low, high = limits(field)
        self._low, self._high = low, high
        self._box = StillRealBox()
        self._box.setDecimals(DECIMALS)
        self._box.setRange(-LARGEST if low is None else low, LARGEST if high is None else high)
        self._box.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        _prepare(self._box, field)
        self.slider = StillSlider(Qt.Orientation.Horizontal) if slider and None not in (low, high) else None
        super().__init__(self._box, *([self.slider] if self.slider else []))
        self._set_box(self._start())
        self._box.valueChanged.connect(self._on_typed)
        if self.slider:
            self.slider.setRange(0, STEPS)
            self.slider.setMinimumWidth(60)
            self._place_slider()
            self.slider.valueChanged.connect(self._on_slid)

    def _start(self) -> float:
        """Where a value begins that had been left to the program."""
        if self._low is None or self._high is None:
            return max(0.0, self._low or 0.0)
        middle = math.sqrt(self._low * self._high) if self._by_ratio else (self._low + self._high) / 2
        return float(f"{middle:.1g}")

    @property
    def _by_ratio(self) -> bool:
        return self._low is not None and self._high is not None and self._low > 0 and self._high / self._low >= WIDE

    def value(self) -> float:
        """The number."""
        return self._box.value()

    def set_value(self, value: float) -> None:
        """Show a number."""
        self._set_box(value)
        self._place_slider()

    def _set_box(self, value: float) -> None:
        with QSignalBlocker(self._box):
            self._box.setValue(value)

    def _on_typed(self) -> None:
        self._place_slider()
        self.edited.emit(self.value())

    def _place_slider(self) -> None:
        if self.slider is None or self._low is None or self._high is None:
            return
        value = self.value()
        if self._by_ratio:
            part = math.log(max(value, self._low) / self._low) / math.log(self._high / self._low)
        else:
            part = (value - self._low) / (self._high - self._low)
        with QSignalBlocker(self.slider):
            self.slider.setValue(round(part * STEPS))

    def _on_slid(self, place: int) -> None:
        assert self._low is not None and self._high is not None
        part = place / STEPS
        if self._by_ratio:
            value = float(f"{self._low * (self._high / self._low) ** part:.2g}")
        else:
            span = self._high - self._low
            value = round(self._low + part * span, 2 - math.floor(math.log10(span)))
        self._set_box(min(max(value, self._low), self._high))
        self.edited.emit(self.value())


class Text(Editor):
    """What is written in one line, read by ``read``, written by ``write``."""

    def __init__(self, read: Callable[[str], Any] = str, write: Callable[[Any], str] = str, hint: str = "") -> None:
        self._line, self._read, self._write = QLineEdit(), read, write
        self._line.setPlaceholderText(hint)
        super().__init__(self._line)
        self._line.editingFinished.connect(self._on_finished)
        self._shown = ""

    def value(self) -> Any:
        """The value; text that cannot be read as one is given as it is, for the recipe to refuse."""
        text = self._line.text().strip()
        try:
            return self._read(text)
        except (ValueError, TypeError):
            return text

    def set_value(self, value: Any) -> None:
        """Show a value."""
        self._shown = self._write(value)
        self._line.setText(self._shown)

    def _on_finished(self) -> None:
        if self._line.text() != self._shown:
            self._shown = self._line.text()
            self.edited.emit(self.value())


class Pair(Editor):
    """Two real numbers."""

    def __init__(self, field: FieldInfo) -> None:
        self._both = Real(field, slider=False), Real(field, slider=False)
        super().__init__(*self._both)
        for one in self._both:
            one.edited.connect(lambda _: self.edited.emit(self.value()))

    def value(self) -> tuple[float, float]:
        """The two."""
        first, second = self._both
        return first.value(), second.value()

    def set_value(self, value: tuple[float, float]) -> None:
        """Show two."""
        for one, number in zip(self._both, value, strict=True):
            one.set_value(number)


class Automatic(Editor):
    """A value, or None = the program finds it."""

    def __init__(self, editor: Editor) -> None:
        self.box, self.editor = QCheckBox("auto"), editor
        self.box.setChecked(True)
        editor.setEnabled(False)
        super().__init__(self.box, editor)
        self.box.clicked.connect(self._on_clicked)
        editor.edited.connect(self.edited)

    def value(self) -> Any:
        """The value, None where it is left to the program."""
        return None if self.box.isChecked() else self.editor.value()

    def set_value(self, value: Any) -> None:
        """Show a value or None."""
        self.box.setChecked(value is None)
        self.editor.setEnabled(value is not None)
        if value is not None:
            self.editor.set_value(value)

    def suggest(self, value: Any) -> None:
        """Show, greyed, what the program found; a user who takes over begins there."""
        if self.box.isChecked():
            self.editor.set_value(value)

    def _on_clicked(self, automatic: bool) -> None:
        self.editor.setEnabled(not automatic)
        # A line without text is no value yet: the user is about to write one.
        if automatic or self.editor.value() != "":
            self.edited.emit(self.value())
        else:
            self.editor.setFocus()


def _prepare(box: QSpinBox | QDoubleSpinBox, field: FieldInfo) -> None:
    """Unit, focus and width of a spin box; a typed number counts when it is finished."""
    box.setSuffix(suffix(field))
    box.setKeyboardTracking(False)
    box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    box.setMinimumWidth(70)
    box.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.strip("()[]").replace(";", ",").split(",") if part.strip())


def _table(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text if text.startswith('{') else '{' + text + '}'}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise ValueError(text) from error


def _written_table(value: dict[str, tuple[float, ...]]) -> str:
    return ", ".join(f"{name} = [{', '.join(f'{one:g}' for one in pair)}]" for name, pair in value.items())


def editor_for(field: FieldInfo, annotation: Any = None) -> Editor:
    """The editor of a field by its type."""
    kind = field.annotation if annotation is None else annotation
    base, inside = get_origin(kind), get_args(kind)
    if base in (Union, UnionType) and type(None) in inside:
        return Automatic(editor_for(field, next(one for one in inside if one is not type(None))))
    if base is Literal:
        return Choice(tuple(str(word) for word in inside))
    if kind is bool:
        return Switch()
    if kind is int:
        return Whole(field)
    if kind is float:
        return Real(field)
    if inside == (float, float) and base is tuple:
        return Pair(field)
    if base is tuple:
        return Text(_numbers, lambda value: ", ".join(f"{one:g}" for one in value), "x0, y0, x1, y1")
    if base is dict:
        return Text(_table, _written_table, "O = [-5.8, -2.6]")
    return Text()
