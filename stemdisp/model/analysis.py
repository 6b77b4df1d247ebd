"""One analysis: the image, the recipe and everything the stages made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..recipe import Recipe
from .cells import UnitCells
from .columns import Columns
from .dilution import Dilution
from .fields import VectorField
from .interface import Interface
from .lattice import Lattice
from .micrograph import Micrograph
from .profile import Decay, Profile
from .quality import Quality
from .vacancies import Vacancies


@dataclass(frozen=True)
class Analysis:
    """What is known so far; a stage that did not run yet left None.

    ``peaks`` are the bare maxima, ``columns`` the table of all columns (after ``refine`` each row holds the position
    in the signal the recipe trusts for its site), ``by_signal`` the same rows as fitted in each signal.
    ``signal_shift_px`` maps a signal to its shift against the position signal, measured on the columns of the
    brightest site.
    ``notes`` are plain sentences about decisions, ``seconds`` CPU seconds per stage, ``device`` where the fit ran.
    """

    micrograph: Micrograph
    recipe: Recipe
    peaks: Columns | None = None
    lattice: Lattice | None = None
    columns: Columns | None = None
    by_signal: Mapping[str, Columns] = field(default_factory=dict)
    signal_shift_px: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    cells: UnitCells | None = None
    interface: Interface | None = None
    displacement: VectorField | None = None
    polarization: VectorField | None = None
    dilution: Dilution | None = None
    vacancies: Vacancies | None = None
    profile: Profile | None = None
    decay: Decay | None = None
    quality: Quality | None = None
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    device: str = "cpu"

    def having(self, **changes: Any) -> Analysis:
        """A copy with more known."""
        return replace(self, **changes)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Everything a reader should be told, in plain sentences."""
        found = self.quality.warnings if self.quality else ()
        return (*self.micrograph.notes, *self.notes, *found)
