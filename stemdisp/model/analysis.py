"""One analysis: the image, the recipe and everything the stages made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import RecipeError
from ..recipe import OF_ONE_IMAGE, Recipe
from .cells import UnitCells
from .columns import Columns
from .dilution import Dilution
from .distortion import Distortion
from .domains import Domains
from .external import ExternalProfile
from .fields import VectorField
from .headline import Headline
from .interface import Interface
from .kept import Kept
from .lattice import Lattice
from .maps import Maps
from .micrograph import Micrograph, PixelSize
from .profile import Decay, Profile, numbers_of
from .quality import Quality
from .repeats import FramePrecision
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
    ``distortion`` is that of the scan, whether it was taken out of the displacements or not.
    ``models`` is what every model of the polarization says whose numbers are known, ``polarization`` the one that the
    recipe names.
    ``headlines`` say what stands out, on each side, or in all cells where there are no sides.
    ``external`` are profiles measured elsewhere, beside the layers of the first side.
    ``frame_precision`` is what frames of a stack, fitted one by one, say of the errors; None where that was not asked.
    ``provisional`` says that columns were changed by hand since the whole image was fitted, and ``kept`` what such
    changes start from; that is never written to a file.
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
    distortion: Distortion | None = None
    displacement: VectorField | None = None
    polarization: VectorField | None = None
    models: Mapping[str, VectorField] = field(default_factory=dict)
    headlines: tuple[Headline | None, ...] = ()
    dilution: Dilution | None = None
    maps: Maps | None = None
    domains: Domains | None = None
    external: tuple[ExternalProfile, ...] = ()
    quality: Quality | None = None
    frame_precision: FramePrecision | None = None
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    device: str = "cpu"
    provisional: bool = False
    kept: Kept | None = field(default=None, repr=False, compare=False, metadata={"memory": True})

    def having(self, **changes: Any) -> Analysis:
        """A copy with more known."""
        return replace(self, **changes)

    def on_sides(self, change: Callable[[int, Side], Side]) -> Analysis:
        """A copy with more known of every side; ``change`` gets its number and what is known so far."""
        return self.having(sides=tuple(change(number, side) for number, side in enumerate(self.sides)))

    def of_side(self, number: int) -> Analysis:
        """As the crystal on one side of the interface (0, or 1 = the other side) has it."""
        field = None if self.displacement is None else self.displacement.of_side(number)
        external = () if number else self.external
        headlines = self.headlines[number : number + 1]
        return self.having(sides=(self.sides[number],), displacement=field, external=external, headlines=headlines)

    @property
    def polarization_model(self) -> str:
        """The model that the recipe names, or that of the crystal."""
        asked = self.recipe.polarization
        return asked.model if self.lattice is None else asked.model_of(self.lattice.motif.material)

    @property
    def known_pixel_size(self) -> PixelSize | None:
        """The pixel size that the lattice is looked for with."""
        return None if self.recipe.image.pixel_size_from == "lattice" else self.micrograph.pixel_size

    @property
    def headline(self) -> Headline | None:
        """What stands out on the first side."""
        return self.headlines[0] if self.headlines else None

    @property
    def position_signal(self) -> str:
        """The signal that positions of cations come from; raises RecipeError where the recipe names one that is not
        there."""
        return self._signal("position_signal", self.recipe.image.position_signal, "HAADF", "ABF")

    @property
    def oxygen_signal(self) -> str:
        """The same of oxygen."""
        return self._signal("oxygen_signal", self.recipe.image.oxygen_signal, "ABF", "HAADF")

    def _signal(self, field: str, choice: str, *preferred: str) -> str:
        signals = self.micrograph.signals
        if choice == "auto":
            return next((name for name in preferred if name in signals), next(iter(signals)))
        if choice not in signals:
            raise RecipeError(f"[image] {field} = {choice}: {self.micrograph.name} has {', '.join(signals)} only")
        return choice

    @property
    def sized_by_lattice(self) -> Analysis:
        """With the pixel size that the lattice found gives, where the recipe wants that one."""
        if self.recipe.image.pixel_size_from != "lattice" or self.lattice is None:
            return self
        x, y = (float(size) for size in self.lattice.scale_pm)
        return self.having(micrograph=self.micrograph.with_pixel_size(PixelSize(x, y, "lattice")))

    @property
    def moving_signal(self) -> str:
        """The signal that most moving columns were measured in."""
        assert self.columns and self.cells
        measured_in = np.bincount(self.columns.signal[self.cells.moving])
        return self.columns.signals[int(measured_in.argmax())]

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
        charges = self.polarization.warning if self.polarization else ""
        beside = filter(None, (charges, *(one.warning for one in self.external)))
        return (*self.micrograph.notes, *self.notes, *beside, *self._elsewhere, *found)

    @property
    def left_out(self) -> tuple[str, ...]:
        """What a reader may look for and does not find, each with its reason, in plain sentences."""
        if self.displacement is None or self.cells is None:
            return ()
        if not self.sides:
            return ("layers are left out: there is no interface to count them from", *self._unpolarized)
        said = (*self._left_out_below, *self._unpolarized)
        if len(self.sides) > 1:
            said = (*said, *(f"beyond the interface {one}" for one in self.of_side(1)._left_out_below))
        return said

    @property
    def _unpolarized(self) -> tuple[str, ...]:
        """Cells that have a displacement and no polarization."""
        moved, polar = self.displacement, self.polarization
        if moved is None or polar is None:
            return ()
        if not polar.valid.any() and moved.valid.any():
            return (f"the polarization is left out: {polar.assumption}",)
        missing = int((moved.valid & ~polar.valid).sum())
        some = (
            f"the polarization is left out in {missing} of {int(moved.valid.sum())} cells: one of their oxygen columns"
        )
        return (f"{some} is missing or has no position of its own",) if missing else ()

    @property
    def _left_out_below(self) -> tuple[str, ...]:
        """The same of the layers of the first side."""
        field, profile, said = self.displacement, self.profile, []
        if field is not None and field.offset is None:
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
        """What became of entries of the recipe that belong to other images."""
        own, said = {one.sha256 for one in self.micrograph.inputs}, []
        for what in OF_ONE_IMAGE:
            others = sum(entry.sha256 not in own for entry in getattr(self.recipe, what))
            if others:
                noun, verb = (what, "belong") if others > 1 else (what[:-1], "belongs")
                images, were = ("other images", "were") if others > 1 else ("another image", "was")
                said.append(f"{others} {noun} of the recipe {verb} to {images} and {were} ignored")
        return tuple(said)

    @property
    def domains_of_polarization(self) -> Domains | None:
        """Walls and vortices as the polarization has them, where that is the displacement times a number: where the
        number is negative, vortices run the other way. None where it is a sum over more columns."""
        moved, polar = self.displacement, self.polarization
        if self.domains is None or moved is None or polar is None or self.polarization_model == "full":
            return None
        against = float(np.nansum(moved.uv * polar.uv)) < 0
        return self.domains.reversed if against else self.domains

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
