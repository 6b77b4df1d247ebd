"""One analysis: the image, the recipe and everything the stages made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..recipe import Recipe
from .cells import UnitCells
from .columns import Columns
from .dilution import Dilution
from .external import ExternalProfile
from .fields import VectorField
from .interface import Interface
from .lattice import Lattice
from .micrograph import Micrograph
from .profile import Decay, Profile, numbers_of
from .quality import Quality
from .vacancies import Vacancies


@dataclass(frozen=True)
class Analysis:
    """What is known so far; a stage that did not run yet left None.

    ``peaks`` are the bare maxima, ``columns`` the table of all columns (after ``refine`` each row holds the position
    in the signal the recipe trusts for its site), ``by_signal`` the same rows as fitted in each signal.
    ``signal_shift_px`` maps a signal to its shift against the position signal, measured on the columns of the
    brightest site.
    ``external`` are profiles measured elsewhere, beside the layers.
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
    external: tuple[ExternalProfile, ...] = ()
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
        beside = (one.warning for one in self.external if one.warning)
        return (*self.micrograph.notes, *self.notes, *beside, *self._elsewhere, *found)

    @property
    def left_out(self) -> tuple[str, ...]:
        """What a reader may look for and does not find, each with its reason, in plain sentences."""
        field, profile, said = self.displacement, self.profile, []
        if self.cells is not None and field is not None and self.interface is None:
            said.append("layers are left out: there is no interface to count them from")
        if self.interface is not None and field is not None and field.offset is None:
            said.append(f"the reference is left out: {field.assumption}")
        if profile is not None:
            fewest = self.recipe.layers.minimum_cells
            few = [int(n) for n in profile.layer[profile.n < fewest]]
            if few:
                cells = f"fewer than {fewest} cells with a displacement"
                said.append(f"means are left out where a layer has {cells}: {numbers_of(few)}")
            unseen = [int(n) for n in profile.layer[~np.isfinite(profile.o_contrast)]]
            if len(unseen) == len(profile) and self.vacancies is not None:
                said.append(self.vacancies.sentence)
            elif unseen:
                said.append(f"oxygen contrast is left out where too few oxygen columns are seen: {numbers_of(unseen)}")
        return tuple(said)

    @property
    def _elsewhere(self) -> tuple[str, ...]:
        """What became of profiles that were measured on other images."""
        own = {one.sha256 for one in self.micrograph.inputs}
        others = sum(entry.sha256 not in own for entry in self.recipe.profiles)
        return (f"{others} profiles of the recipe belong to other images and were ignored",) if others else ()

    @property
    def vacancy_windows_nm(self) -> tuple[tuple[float, float], ...]:
        """Each run of layers that are rich in vacancies: distances from the interface at which it begins and ends, half
        a layer beyond its outermost and its innermost plane."""
        profile, interface = self.profile, self.interface
        rich = np.flatnonzero(profile.vacancy_rich == 1) if profile is not None else np.zeros(0, dtype=np.int64)
        if profile is None or interface is None or not np.isfinite(profile.distance_nm[rich]).any():
            return ()
        spacing = interface.spacing_pm / 1000
        # Of a layer without a cell of its own the others say how deep it lies.
        outermost = float(np.nanmean(profile.distance_nm - spacing * profile.layer))
        known = np.isfinite(profile.distance_nm)
        depth = np.where(known, profile.distance_nm, outermost + spacing * profile.layer)
        runs = np.split(rich, np.flatnonzero(np.diff(rich) > 1) + 1)
        return tuple((float(depth[run[0]] - spacing / 2), float(depth[run[-1]] + spacing / 2)) for run in runs)
