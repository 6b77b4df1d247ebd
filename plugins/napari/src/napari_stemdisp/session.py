"""What is open and how far its analysis is: knows no Qt and no canvas, so that it can be tested without them.

The recipe is the one thing that a user changes here, whatever they click; every result is what the core makes of it.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

import stemdisp
from stemdisp import Analysis, Micrograph, Recipe, RecipeError
from stemdisp.io.recipe_toml import to_toml
from stemdisp.model.micrograph import InputFile
from stemdisp.recipe import EditEntry, InterfaceEntry, RegionEntry

from .steps import BY_KEY, DEAR, STEPS, Step

State = Literal["empty", "done", "provisional", "stale"]

DEPTH = 50
"""Changes that can be undone."""

READING = ("frames", "single_frame", "haadf_title", "abf_title", "bf_title")
"""Values of ``[image]`` that say how files are read; after a change they have to be read again."""


@dataclass(frozen=True)
class Draft:
    """An image that was left with changes that are not saved, and everything that is needed to go on with it."""

    micrograph: Micrograph
    shown: Micrograph
    paths: tuple[Path, ...]
    recipe: Recipe
    kept: Recipe
    analysis: Analysis | None
    full: Analysis | None
    undo: tuple[tuple[str, Recipe], ...]
    redo: tuple[tuple[str, Recipe], ...]


class Session:
    """One image, its recipe and what is known of it.

    ``shown`` is the micrograph as its layers have it, ``micrograph`` the same with a digest of its own.
    ``kept`` is the recipe as it was opened or saved last.
    ``full`` is the last analysis in which every column was fitted with all others; after edits by hand ``analysis``
    may be one in which only what they touch was fitted again.
    """

    opened = Signal()
    recipe_changed = Signal()
    kept_changed = Signal()
    analysed = Signal()
    said = Signal(str, str)

    def __init__(self) -> None:
        self.micrograph: Micrograph | None = None
        self.shown: Micrograph | None = None
        self.paths: tuple[Path, ...] = ()
        self.recipe: Recipe = stemdisp.recipe_for("KTaO3", "1-10")
        self.kept = self.recipe
        self.analysis: Analysis | None = None
        self.full: Analysis | None = None
        self._undo: list[tuple[str, Recipe]] = []
        self._redo: list[tuple[str, Recipe]] = []

    # -- what is open

    def open(self, micrograph: Micrograph, paths: Sequence[Path] = (), analysis: Analysis | None = None) -> None:
        """Go on with another image, under the same recipe, or with an analysis that was saved."""
        self.shown = micrograph
        if not micrograph.inputs:
            micrograph = replace(micrograph, inputs=(_in_memory(micrograph),))
        self.micrograph, self.paths = micrograph, tuple(paths)
        self.analysis = self.full = analysis
        if analysis is not None:
            self.recipe, self.micrograph = analysis.recipe, analysis.micrograph
            self.kept = self.recipe
        self._undo.clear()
        self._redo.clear()
        self.opened.emit()

    def close(self) -> None:
        """Forget the image; the recipe stays."""
        self.micrograph, self.shown, self.paths, self.analysis, self.full = None, None, (), None, None
        self.opened.emit()

    @property
    def unsaved(self) -> bool:
        """Whether the recipe of this image is another than the one it was opened with, or that was saved last."""
        return self.micrograph is not None and self.recipe != self.kept

    def saved(self) -> None:
        """The recipe, or a result with it, is in a file now."""
        self.kept = self.recipe
        self.kept_changed.emit()

    def draft(self) -> Draft:
        """The image as it is, to come back to."""
        assert self.micrograph and self.shown
        known = self.micrograph, self.shown, self.paths, self.recipe, self.kept, self.analysis, self.full
        return Draft(*known, tuple(self._undo), tuple(self._redo))

    def resume(self, draft: Draft) -> None:
        """Go on with an image where it was left."""
        self.micrograph, self.shown, self.paths = draft.micrograph, draft.shown, draft.paths
        self.recipe, self.kept, self.analysis, self.full = draft.recipe, draft.kept, draft.analysis, draft.full
        self._undo[:], self._redo[:] = draft.undo, draft.redo
        self.opened.emit()

    # -- the recipe

    def change(self, what: str, recipe: Recipe) -> bool:
        """Make ``recipe`` the present one; changes of the same ``what`` one after another are undone together."""
        if recipe == self.recipe:
            return False
        if not (self._undo and self._undo[-1][0] == what and what.startswith("value ")):
            self._undo.append((what, self.recipe))
            del self._undo[:-DEPTH]
        self._redo.clear()
        self.recipe = recipe
        self.recipe_changed.emit()
        return True

    def set_value(self, section: str, field: str, value: Any) -> bool:
        """Set one value; a sentence is said, and nothing changed, where the recipe refuses it."""
        try:
            recipe = self.recipe.with_values({section: {field: value}})
        except RecipeError as error:
            self.said.emit(str(error), "error")
            return False
        return self.change(f"value {section} {field}", recipe)

    def set_material(self, name: str, zone: str) -> bool:
        """Look for another crystal."""
        try:
            recipe = self.recipe.with_values({"material": {"name": name, "zone": zone}})
        except RecipeError as error:
            self.said.emit(str(error), "error")
            return False
        return self.change("material", recipe)

    def restore(self, section: str) -> None:
        """Give a section its defaults."""
        kept = {name: getattr(self.recipe.image, name) for name in READING} if section == "image" else {}
        fresh = type(getattr(self.recipe, section))(**kept)
        self.change(f"defaults {section}", self.recipe.model_copy(update={section: fresh}))

    def load_recipe(self, path: str | Path) -> bool:
        """Take the recipe in a TOML file; a sentence is said where it is none."""
        try:
            recipe = stemdisp.load_recipe(path)
        except RecipeError as error:
            self.said.emit(str(error), "error")
            return False
        if self.paths and any(getattr(recipe.image, one) != getattr(self.recipe.image, one) for one in READING):
            self.said.emit("the recipe reads files in another way: open the image again", "warning")
        return self.change("recipe", recipe)

    def save_recipe(self, path: str | Path) -> None:
        """Write the recipe as commented TOML."""
        Path(path).write_text(to_toml(self.recipe), encoding="utf-8")
        self.saved()

    # -- what was drawn by hand

    @property
    def sha256(self) -> str:
        """Digest that entries of this image carry."""
        assert self.micrograph
        return self.micrograph.inputs[0].sha256

    def draw_interface(self, points: NDArray[np.float64] | None) -> bool:
        """Put the interface along points (P, 2) px (x, y), or take back what was drawn on this image."""
        others = tuple(one for one in self.recipe.interfaces if one.sha256 != self.sha256)
        entry = () if points is None else (InterfaceEntry(sha256=self.sha256, line=_flat(points)),)
        return self.change("interface", self.recipe.model_copy(update={"interfaces": (*others, *entry)}))

    def draw_region(self, corners: NDArray[np.float64] | None) -> bool:
        """Measure the reference in a polygon (P, 2) px (x, y), or where it is found by itself."""
        others = tuple(one for one in self.recipe.regions if one.sha256 != self.sha256)
        polygon = () if corners is None else tuple((round(float(x), 2), round(float(y), 2)) for x, y in corners)
        entry = (RegionEntry(sha256=self.sha256, polygon=polygon),) if polygon else ()
        return self.change("region", self.recipe.model_copy(update={"regions": (*others, *entry)}))

    @property
    def edits(self) -> int:
        """How many columns of this image were changed by hand."""
        return sum(entry.sha256 == self.sha256 for entry in self.recipe.edits) if self.micrograph else 0

    def add_edits(self, entries: Sequence[EditEntry]) -> bool:
        """Change columns; a move of a column that was moved just before takes its place."""
        edits = list(self.recipe.edits)
        for entry in entries:
            if edits and entry.action == edits[-1].action == "move" and _column(edits[-1]) == _column(entry):
                edits.pop()
            edits.append(entry)
        return self.change("columns", self.recipe.model_copy(update={"edits": tuple(edits)}))

    def undo(self) -> str | None:
        """Take the last change back; returns what it was, None where there is none."""
        return self._step_back(self._undo, self._redo)

    def redo(self) -> str | None:
        """Do again what was taken back."""
        return self._step_back(self._redo, self._undo)

    def _step_back(self, taken: list[tuple[str, Recipe]], kept: list[tuple[str, Recipe]]) -> str | None:
        if not taken:
            return None
        what, recipe = taken.pop()
        kept.append((what, self.recipe))
        self.recipe = recipe
        self.recipe_changed.emit()
        return what

    # -- how far the analysis is

    @property
    def stale(self) -> tuple[str, ...]:
        """Stages that have to run before everything shown follows from the recipe."""
        if self.micrograph is None:
            return ()
        return stemdisp.stale(self.micrograph, self.recipe, self.analysis)

    def state(self, step: Step) -> State:
        """Whether a step's stages ran, and with the present recipe."""
        if self.micrograph is None:
            return "empty"
        if not step.stages:
            return "done" if step.key == "image" or not self.stale else "empty"
        stale = self.stale
        if not any(stage in stale for stage in step.stages):
            return "done"
        if (
            self.analysis is not None
            and getattr(self.analysis, "provisional", False)
            and self.analysis.recipe == self.recipe
        ):
            return "provisional"
        return "stale" if self._has(step) else "empty"

    def _has(self, step: Step) -> bool:
        """Whether there is an older result of a step."""
        known = self.full
        return known is not None and step.stages[-1] in known.seconds

    def number(self, step: Step) -> str:
        """What a step says of its result."""
        if self.micrograph is None:
            return ""
        known = self.analysis or Analysis(self.micrograph, self.recipe)
        if step.key != "image" and self.state(step) not in ("done", "provisional"):
            return ""
        return step.number(known)

    def due(self, last: str) -> tuple[str, ...]:
        """Stages that run when the step ``last`` is asked for."""
        wanted = [stage for step in STEPS[: STEPS.index(BY_KEY[last]) + 1] for stage in step.stages]
        return tuple(stage for stage in self.stale if stage in wanted)

    def work(self, last: str) -> Iterator[tuple[str, Analysis]]:
        """What is due up to the step ``last``, still to be run; changes nothing here, so that it may run elsewhere and
        be dropped.

        Raises what the core raises.
        """
        assert self.micrograph
        due = self.due(last)
        return _until(due[-1], stemdisp.steps(self.micrograph, self.recipe, self.analysis)) if due else iter(())

    @property
    def quick(self) -> bool:
        """Whether all that is stale follows in a moment: the image was fitted as a whole, and since then only edits of
        single columns, or what comes after the fit, changed."""
        full = self.full
        if full is None or stemdisp.stale(full.micrograph, full.recipe, full):
            return False
        edited = self.recipe.edits != full.recipe.edits
        before = self.recipe.model_copy(update={"edits": full.recipe.edits})
        stale = stemdisp.stale(full.micrograph, before, full)
        late = not stale or stale[0] not in DEAR
        return late and (full.kept is not None or not edited)

    def catch_up(self) -> Iterator[tuple[str, Analysis]]:
        """What is stale where that is :attr:`quick`, still to be run.

        After edits it is provisional: only what they touch is fitted again.
        """
        full, recipe = self.full, self.recipe
        assert full is not None
        if recipe.edits != full.recipe.edits:
            return _retouched(full, recipe)
        if stemdisp.stale(full.micrograph, recipe, full):
            return stemdisp.steps(full.micrograph, recipe, full)
        return iter([("refine", full)])

    def take(self, analysis: Analysis) -> None:
        """Show what was made of the present recipe; anything else came too late and is dropped."""
        if analysis.recipe != self.recipe or self.micrograph is None:
            return
        self.analysis = analysis
        if not analysis.provisional:
            self.full = analysis
        self.analysed.emit()

    def command(self, recipe: str = "recipe.toml", out: str = "results") -> str:
        """The command line that gives the same numbers, once the recipe is saved under that name."""
        files = [str(path) for path in self.paths] or ["IMAGE"]
        return shlex.join(["stemdisp", "run", *files, "-r", recipe, "-o", out])


def _until(last: str, steps: Iterator[tuple[str, Analysis]]) -> Iterator[tuple[str, Analysis]]:
    for stage, analysis in steps:
        yield stage, analysis
        if stage == last:
            return


def _retouched(full: Analysis, recipe: Recipe) -> Iterator[tuple[str, Analysis]]:
    yield "refine", stemdisp.retouch(full, recipe)


def _column(entry: EditEntry) -> tuple[str, str, int, int]:
    return entry.sha256, entry.site, entry.h, entry.k


def _flat(points: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), 2) for value in np.asarray(points).ravel())


def _in_memory(micrograph: Micrograph) -> InputFile:
    """A record of an image that came from no file, so that what is drawn on it can name it."""
    digest = hashlib.sha256()
    for name, signal in micrograph.signals.items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(signal.image).tobytes())
    size = sum(signal.image.nbytes for signal in micrograph.signals.values())
    return InputFile(micrograph.name, size, digest.hexdigest(), "memory")
