"""The forms of each step: the recipe's own fields, with their units, ranges and meanings."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QWidget

from stemdisp import Recipe

from .form import Form, MaterialForm, SectionForm
from .session import Session
from .step_box import StepBox

SHOWN = {
    "image": ("pixel_size", "pixel_size_from", "position_signal", "oxygen_signal"),
    "interface": ("mode", "plane"),
    "polarization": ("model", "charge", "kappa"),
}
"""Fields of a section that have a place in the panel, where it is not all of them: the rest says how files are read, or
is written by what is drawn or typed elsewhere."""


class RecipeForm:
    """A form of one section that follows the session's recipe and changes it."""

    def __init__(self, section: str, session: Session, form: Form) -> None:
        self.section, self.session, self.widget = section, session, form
        self.widget.setObjectName(f"form_{section}")
        self.widget.changed.connect(self._changed)

    def _changed(self, field: str, value: Any) -> None:
        if not self._set(field, value):
            self.show_recipe(self.session.recipe)

    def _set(self, field: str, value: Any) -> bool:
        return self.session.set_value(self.section, field, value)

    def show_recipe(self, recipe: Recipe) -> None:
        """Show the values that hold now."""
        self.widget.show_values(getattr(recipe, self.section))


class CrystalForm(RecipeForm):
    """The crystal and its zone."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__("material", session, MaterialForm(parent))

    def _set(self, field: str, value: Any) -> bool:
        return self.session.set_material(**{**self.session.recipe.material.model_dump(), field: value})


def fill(box: StepBox, session: Session) -> list[RecipeForm]:
    """Put the forms of a step into its box, and return them."""
    forms: list[RecipeForm] = []
    for section in box.step.sections:
        if section == "material":
            forms.append(CrystalForm(session, box.body))
            continue
        fields = Recipe.model_fields[section].annotation
        assert fields is not None
        forms.append(RecipeForm(section, session, SectionForm(fields, SHOWN.get(section), box.body)))
    for form in forms:
        box.add(form.widget)
    return forms
