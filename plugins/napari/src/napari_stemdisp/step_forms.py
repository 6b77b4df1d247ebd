"""The forms of each step: the recipe's own fields, with their units, ranges and meanings."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QWidget
from stemdisp import Recipe

from .form import MaterialForm, SectionForm
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

    def __init__(self, section: str, session: Session, parent: QWidget) -> None:
        fields = Recipe.model_fields[section].annotation
        self.section, self.session = section, session
        self.widget: Any = SectionForm(fields, SHOWN.get(section), parent)
        self.widget.setObjectName(f"form_{section}")
        self.widget.changed.connect(self._changed)

    def _changed(self, field: str, value: Any) -> None:
        if not self.session.set_value(self.section, field, value):
            self.show_recipe(self.session.recipe)

    def show_recipe(self, recipe: Recipe) -> None:
        """Show the values that hold now."""
        self.widget.show_values(getattr(recipe, self.section))


class CrystalForm:
    """The crystal and its zone."""

    def __init__(self, session: Session, parent: QWidget) -> None:
        self.session = session
        self.widget = MaterialForm(parent)
        self.widget.setObjectName("form_material")
        self.widget.changed.connect(session.set_material)

    def show_recipe(self, recipe: Recipe) -> None:
        """Show the crystal that is looked for now."""
        self.widget.show_values(recipe.material)


def fill(box: StepBox, session: Session) -> list[RecipeForm | CrystalForm]:
    """Put the forms of a step into its box, and return them."""
    forms: list[RecipeForm | CrystalForm] = [
        CrystalForm(session, box.body) if section == "material" else RecipeForm(section, session, box.body)
        for section in box.step.sections
    ]
    for form in reversed(forms) if box.step.key == "image" else forms:
        box.add(form.widget)
    return forms
