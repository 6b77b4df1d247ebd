"""Forms of the recipe's sections, made from their fields: names, units, limits and meaning stand in the recipe."""

from __future__ import annotations

from html import escape
from typing import Any, NoReturn

from pydantic import ValidationError
from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QFormLayout, QLabel, QVBoxLayout, QWidget

import stemdisp
from stemdisp import materials
from stemdisp.errors import RecipeError
from stemdisp.io.recipe_toml import describe
from stemdisp.recipe import MaterialSection
from stemdisp.section import Section

from .editors import Automatic, Editor, StillComboBox, editor_for, unit_beside

RED_ON_DARK, RED_ON_LIGHT = "#ff8a80", "#b00020"
"""Readable on the backgrounds of napari's two themes."""

SIGNALS = {"haadf": "HAADF", "abf": "ABF", "bf": "BF"}


def words(name: str) -> str:
    """A field's name in words.

    >>> words("oxygen_in_haadf")
    'oxygen in HAADF'
    """
    return " ".join(SIGNALS.get(word, word) for word in name.split("_"))


def tooltip(text: str) -> str:
    """Text as a tool tip that breaks lines."""
    return f"<qt>{escape(text)}</qt>"


class Row(QWidget):
    """An editor, and under it why its value was refused."""

    def __init__(self, editor: Editor) -> None:
        super().__init__()
        self.editor = editor
        self._told = QLabel()
        self._told.setWordWrap(True)
        self._told.setVisible(False)
        self._told.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._colour()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        column.addWidget(editor)
        column.addWidget(self._told)

    @property
    def sentence(self) -> str:
        """Why the value was refused; empty where it was not."""
        return self._told.text()

    def refuse(self, sentence: str) -> None:
        """Say why; an empty sentence takes it back."""
        self._told.setText(sentence)
        self._told.setVisible(bool(sentence))

    def _colour(self) -> None:
        dark = self.palette().color(QPalette.ColorRole.Window).lightness() < 128
        sheet = f"color: {RED_ON_DARK if dark else RED_ON_LIGHT}"
        if self._told.styleSheet() != sheet:
            self._told.setStyleSheet(sheet)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange) and hasattr(self, "_told"):
            self._colour()


class Form(QWidget):
    """Rows of editors of one section; ``changed`` is sent when the user gave a field another good value."""

    changed = Signal(str, object)

    def __init__(self, section: Section, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._section = section
        self._rows: dict[str, Row] = {}
        self._layout = QFormLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setVerticalSpacing(4)
        self._layout.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self._layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)

    @property
    def section(self) -> Section:
        """The last good values."""
        return self._section

    def row(self, name: str) -> Row:
        """The row of a field."""
        return self._rows[name]

    def _add(self, name: str, editor: Editor) -> None:
        field, row = type(self._section).model_fields[name], Row(editor)
        told, unit = tooltip(describe(field)), unit_beside(field)
        label = QLabel(f"{words(name)} ({unit})" if unit else words(name))
        label.setToolTip(told)
        editor.setToolTip(told)
        self._layout.addRow(label, row)
        self._rows[name] = row
        editor.edited.connect(lambda value: self._on_edited(name, value))

    def show_values(self, section: Section) -> None:
        """Show the values of a section; nothing is sent."""
        self._section = section
        for name, row in self._rows.items():
            row.editor.set_value(getattr(section, name))
            row.refuse("")

    def restore_defaults(self) -> None:
        """Give every shown field its default; ``changed`` is sent for those that had another value."""
        defaults = {name: type(self._section).model_fields[name].default for name in self._rows}
        before = self._section
        self.show_values(before.model_copy(update=defaults))
        for name, value in defaults.items():
            if getattr(before, name) != value:
                self.changed.emit(name, value)

    def suggest(self, name: str, value: Any) -> None:
        """Show, greyed, what was found for a field that is left to the program."""
        editor = self._rows[name].editor
        if isinstance(editor, Automatic):
            editor.suggest(value)

    def _validated(self, name: str, value: Any) -> Section:
        """The section with another value; raises ValueError with one sentence."""
        try:
            return type(self._section).model_validate(self._section.model_dump() | {name: value})
        except ValidationError as error:
            _retell(error)

    def _on_edited(self, name: str, value: Any) -> None:
        row, before = self._rows[name], getattr(self._section, name)
        try:
            section = self._validated(name, value)
        except ValueError as error:
            kept = "auto" if before is None else before
            row.refuse(f"{error}; it stays {kept}")
            return
        row.refuse("")
        self._section = section
        if getattr(section, name) != before:
            self.changed.emit(name, getattr(section, name))


def _retell(error: ValidationError) -> NoReturn:
    said = str(error.errors()[0]["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    raise ValueError(said) from error


class SectionForm(Form):
    """The form of a section of the recipe.

    Parameters
    ----------
    section_class
        The section; its defaults are shown.
    names
        Fields to show, in this order; None = all.
    """

    def __init__(
        self, section_class: type[Section], names: tuple[str, ...] | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(section_class(), parent)
        for name in section_class.model_fields if names is None else names:
            self._add(name, editor_for(section_class.model_fields[name]))
        self.show_values(self._section)


class Suggestions(Editor):
    """A line of text with words to choose from."""

    def __init__(self, suggested: tuple[str, ...]) -> None:
        self._box = StillComboBox()
        self._box.setEditable(True)
        self._box.setInsertPolicy(StillComboBox.InsertPolicy.NoInsert)
        self._box.addItems(list(suggested))
        super().__init__(self._box)
        self._shown = ""
        self._box.activated.connect(self._on_finished)
        self._box.lineEdit().editingFinished.connect(self._on_finished)

    def value(self) -> str:
        """The text."""
        return self._box.currentText().strip()

    def set_value(self, value: str) -> None:
        """Show a text."""
        self._shown = value
        self._box.setCurrentText(value)

    def _on_finished(self) -> None:
        if self.value() != self._shown:
            self._shown = self.value()
            self.edited.emit(self._shown)


class MaterialForm(Form):
    """Crystal and zone axis: presets to choose from, or others by name.

    ``described`` is the name of the crystal that the recipe's [structure] describes, empty where it has none.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(MaterialSection(), parent)
        self.described = ""
        self._add("name", Suggestions(tuple(materials.MATERIALS)))
        self._add("zone", Suggestions(tuple(materials.format_indices(zone) for zone in materials.ZONES)))
        self.show_values(self._section)

    def _validated(self, name: str, value: Any) -> Section:
        section = super()._validated(name, value)
        assert isinstance(section, MaterialSection)
        if section.name != self.described:
            try:
                stemdisp.recipe_for(section.name, section.zone)
            except RecipeError as error:
                raise ValueError(str(error).removeprefix("recipe: ")) from error
        return section
