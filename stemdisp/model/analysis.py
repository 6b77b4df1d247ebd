"""One analysis: the image, the recipe and everything the stages made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from .side import Side
from .vacancies import Vacancies


@dataclass(frozen=True)
class Analysis:
    """What is known so far; a stage that did not run yet left None.

    ``peaks`` are the bare maxima, ``columns`` the table of all columns (after ``refine`` each row holds the position
    in the signal the recipe trusts for its site), ``by_signal`` the same rows as fitted in each signal.
    ``signal_shift_px`` maps a signal to its shift against the position signal, measured on the columns of the
    brightest site.
    ``sides`` are the crystals on the two sides of an interface, the larger first; one where nothing else is crystal,
    none without an interface. ``interface``, ``vacancies``, ``profile`` and ``decay`` are those of the first.
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
    sides: tuple[Side, ...] = ()
    displacement: VectorField | None = None
    polarization: VectorField | None = None
    dilution: Dilution | None = None
    quality: Quality | None = None
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    device: str = "cpu"

    def having(self, **changes: Any) -> Analysis:
        """A copy with more known."""
        return replace(self, **changes)

    def on_sides(self, change: Callable[[int, Side], Side]) -> Analysis:
        """A copy with more known of every side; ``change`` gets its number and what is known so far."""
        return self.having(sides=tuple(change(number, side) for number, side in enumerate(self.sides)))

    def of_side(self, number: int) -> Analysis:
        """As the crystal on one side of the interface (0, or 1 = the other side) has it."""
        field = None if self.displacement is None else self.displacement.of_side(number)
        return self.having(sides=(self.sides[number],), displacement=field)

    @property
    def interface(self) -> Interface | None:
        """Edge and layers of the first side."""
        return self.sides[0].interface if self.sides else None

    @property
    def vacancies(self) -> Vacancies | None:
        """What speaks of missing oxygen on the first side."""
        return self.sides[0].vacancies if self.sides else None

    @property
    def profile(self) -> Profile | None:
        """What the layers of the first side say."""
        return self.sides[0].profile if self.sides else None

    @property
    def decay(self) -> Decay | None:
        """How the displacement of the first side dies away."""
        return self.sides[0].decay if self.sides else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Everything a reader should be told, in plain sentences."""
        found = self.quality.warnings if self.quality else ()
        return (*self.micrograph.notes, *self.notes, *found)
