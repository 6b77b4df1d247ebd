"""The order of the stages, written once; command line, plugin, batch and notebooks all iterate it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from . import backend
from .backend import Choice, Device
from .errors import CalibrationError, RecipeError, StageError
from .model.analysis import Analysis
from .model.columns import Columns
from .model.interface import Edge
from .model.micrograph import Micrograph, PixelSize
from .model.side import Side
from .positions import listed, refined, retouched
from .pulse import beat
from .recipe import Recipe
from .stages.basis import basis
from .stages.boundary import boundary
from .stages.cells import cells
from .stages.decay import decay
from .stages.dilution import dilution
from .stages.displacement import displacement
from .stages.domains import domains
from .stages.drawn import drawn
from .stages.external import external
from .stages.find import Preview, Window, find
from .stages.full import full
from .stages.headline import headline
from .stages.interface import interface
from .stages.layers import layers
from .stages.maps import maps
from .stages.outline import outline
from .stages.polarization import alternatives, polarization
from .stages.quality import quality
from .stages.vacancies import vacancies

NO_LAYERS = "no layers are counted"
"""Begins the sentence that says why."""

UNSIZED = "no pixel size is known: positions stay in px and there is no displacement in pm; pass a pixel size in pm"

Step = Callable[[Analysis, Device], Analysis]


def _find(analysis: Analysis, device: Device) -> Analysis:
    return analysis.having(peaks=find(analysis.micrograph.signals[analysis.position_signal], analysis.recipe.find))


def _basis(analysis: Analysis, device: Device) -> Analysis:
    recipe = analysis.recipe
    if recipe.image.pixel_size is not None and recipe.image.pixel_size_from == "file":
        given = PixelSize(*recipe.image.pixel_size, "user")
        analysis = analysis.having(micrograph=analysis.micrograph.with_pixel_size(given))
    motif = recipe.motif()
    signal = analysis.micrograph.signals[analysis.position_signal]
    lattice = basis(signal, motif, analysis.known_pixel_size, recipe.basis)
    return analysis.having(lattice=lattice, notes=(*analysis.notes, *motif.notes))


def _cells(analysis: Analysis, device: Device) -> Analysis:
    assert analysis.columns and analysis.lattice
    return analysis.having(cells=cells(analysis.columns, analysis.lattice))


def _interface(analysis: Analysis, device: Device) -> Analysis:
    pixel_size, recipe = analysis.micrograph.pixel_size, analysis.recipe.interface
    analysis = analysis.having(sides=(), notes=tuple(n for n in analysis.notes if not n.startswith(NO_LAYERS)))
    if pixel_size is None:
        return analysis
    assert analysis.columns and analysis.cells and analysis.lattice
    try:
        edge = _edge(analysis, pixel_size)
        if edge is None:
            return analysis
        found = interface(analysis.columns, analysis.cells, analysis.lattice, analysis.micrograph, recipe, edge)
    except StageError as error:
        # What is known of columns and cells is not lost for a line that was drawn amiss.
        return analysis.having(notes=(*analysis.notes, f"{NO_LAYERS}: {error}"))
    return analysis.having(sides=tuple(Side(one) for one in found))


def _edge(analysis: Analysis, pixel_size: PixelSize) -> Edge | None:
    """The line drawn on this image, the recipe's, or the one that the crystal shows by itself."""
    assert analysis.columns and analysis.cells and analysis.lattice
    recipe, shape = analysis.recipe.interface, analysis.micrograph.shape
    own = [entry for entry in analysis.recipe.interfaces if analysis.micrograph.was_read_from(entry.sha256)]
    if own or recipe.mode == "line":
        line = own[-1].line if own else recipe.line
        if line is None:
            raise RecipeError("[interface] mode = line, but no line is given; set line = [x0, y0, x1, y1] in px")
        return drawn(np.array(line).reshape(-1, 2), analysis.columns, pixel_size, shape)
    if recipe.mode == "none":
        return None
    edge = outline(analysis.columns, analysis.lattice, pixel_size, shape)
    return edge or boundary(analysis.columns, analysis.cells, analysis.lattice, pixel_size)


def _displacement(analysis: Analysis, device: Device) -> Analysis:
    pixel_size = analysis.micrograph.pixel_size
    if pixel_size is None:
        return analysis.having(displacement=None)
    assert analysis.columns and analysis.cells
    drawn = [entry for entry in analysis.recipe.regions if analysis.micrograph.was_read_from(entry.sha256)]
    region = np.array(drawn[-1].polygon) if drawn else None
    interfaces, recipe = tuple(side.interface for side in analysis.sides), analysis.recipe.displacement
    field = displacement(analysis.columns, analysis.cells, interfaces, pixel_size, recipe, region)
    return analysis.having(displacement=field)


def _polarization(analysis: Analysis, device: Device) -> Analysis:
    moved, size, recipe = analysis.displacement, analysis.micrograph.pixel_size, analysis.recipe.polarization
    if moved is None or size is None:
        return analysis.having(polarization=None, models={})
    assert analysis.lattice and analysis.columns and analysis.cells
    beyond = analysis.sides[1].interface.distance_nm > 0 if len(analysis.sides) > 1 else None
    every = full(analysis.columns, analysis.cells, analysis.lattice, size, moved, recipe, beyond=beyond)
    asked = (moved, analysis.lattice.motif, analysis.moving_signal, recipe, every)
    return analysis.having(polarization=polarization(*asked), models=alternatives(*asked))


def _dilution(analysis: Analysis, device: Device) -> Analysis:
    if analysis.displacement is None:
        return analysis.having(dilution=None)
    assert analysis.lattice
    found = dilution(analysis.lattice.motif, analysis.moving_signal, analysis.recipe.polarization)
    return analysis.having(dilution=found)


def _maps(analysis: Analysis, device: Device) -> Analysis:
    pixel_size = analysis.micrograph.pixel_size
    if pixel_size is None or analysis.displacement is None:
        return analysis.having(maps=None)
    assert analysis.columns and analysis.cells and analysis.lattice
    crystal = (analysis.columns, analysis.cells, analysis.lattice)
    return analysis.having(maps=maps(*crystal, analysis.displacement, analysis.interface, pixel_size))


def _domains(analysis: Analysis, device: Device) -> Analysis:
    pixel_size = analysis.micrograph.pixel_size
    if pixel_size is None or analysis.displacement is None:
        return analysis.having(domains=None)
    assert analysis.cells and analysis.lattice
    return analysis.having(domains=domains(analysis.displacement, analysis.cells, analysis.lattice, pixel_size))


def _vacancies(analysis: Analysis, device: Device) -> Analysis:
    def of_side(number: int, side: Side) -> Side:
        assert analysis.columns and analysis.lattice and analysis.cells and analysis.displacement
        assert analysis.micrograph.pixel_size
        crystal = (analysis.columns, analysis.lattice, analysis.cells, side.interface)
        bulk = analysis.displacement.of_side(number).offset_cells
        return replace(
            side, vacancies=vacancies(*crystal, bulk, analysis.micrograph.pixel_size, analysis.recipe.layers)
        )

    return analysis.on_sides(of_side)


def _layers(analysis: Analysis, device: Device) -> Analysis:
    def of_side(number: int, side: Side) -> Side:
        assert analysis.displacement
        found = layers(
            analysis.displacement.of_side(number),
            None if analysis.polarization is None else analysis.polarization.of_side(number),
            side.interface,
            side.vacancies,
            analysis.dilution,
            analysis.recipe.layers,
            maps=analysis.maps,
        )
        return replace(side, profile=found)

    return analysis.on_sides(of_side)


def _decay(analysis: Analysis, device: Device) -> Analysis:
    def of_side(number: int, side: Side) -> Side:
        assert analysis.displacement and side.profile
        reference = side.interface.layers_of(analysis.displacement.of_side(number).offset_cells)
        return replace(side, decay=decay(side.profile, reference))

    return analysis.on_sides(of_side)


def _headline(analysis: Analysis, device: Device) -> Analysis:
    moved, size = analysis.displacement, analysis.micrograph.pixel_size
    if moved is None or size is None:
        return analysis.having(headlines=())
    assert analysis.lattice
    found = (
        headline(moved, analysis.models, side, analysis.dilution, analysis.lattice, size)
        for side in analysis.sides or (None,)
    )
    return analysis.having(headlines=tuple(found))


def _external(analysis: Analysis, device: Device) -> Analysis:
    own = (entry for entry in analysis.recipe.profiles if analysis.micrograph.was_read_from(entry.sha256))
    return analysis.having(external=tuple(external(entry, analysis.profile) for entry in own))


def _quality(analysis: Analysis, device: Device) -> Analysis:
    assert analysis.columns and analysis.lattice and analysis.cells
    crystal = (analysis.columns, analysis.lattice, analysis.micrograph.pixel_size, analysis.cells)
    signals = (analysis.signal_shift_px, analysis.by_signal)
    return analysis.having(quality=quality(*crystal, analysis.displacement, *signals))


STAGES: dict[str, tuple[Step, tuple[str, ...]]] = {
    "find": (_find, ("image", "find")),
    "basis": (_basis, ("material", "structure", "basis")),
    "assign": (listed, ("assign", "edits")),
    "refine": (refined, ("refine",)),
    "cells": (_cells, ()),
    "interface": (_interface, ("interface", "interfaces")),
    "displacement": (_displacement, ("displacement", "regions")),
    "polarization": (_polarization, ("polarization",)),
    "dilution": (_dilution, ("polarization",)),
    "maps": (_maps, ()),
    "domains": (_domains, ()),
    "vacancies": (_vacancies, ("layers",)),
    "layers": (_layers, ("layers",)),
    "decay": (_decay, ()),
    "headline": (_headline, ()),
    "external": (_external, ("profiles",)),
    "quality": (_quality, ()),
}
"""Stage name -> what it does, and the recipe sections that only it and later stages depend on."""


def stale(micrograph: Micrograph, recipe: Recipe, start: Analysis | None) -> tuple[str, ...]:
    """Names of the stages whose results ``start``, an earlier analysis of the same image, cannot give: from the first
    that did not run, or whose recipe sections differ, to the last.

    Of one whose columns were retouched, from ``assign`` on: what is provisional is not built upon."""
    names = tuple(STAGES)
    if start is None or not start.micrograph.shows_the_same(micrograph):
        return names
    for number, (name, (_, sections)) in enumerate(STAGES.items()):
        untrue = name not in start.seconds or (start.provisional and name == "assign")
        if untrue or any(getattr(recipe, s) != getattr(start.recipe, s) for s in sections):
            return names[number:]
    return ()


def steps(
    micrograph: Micrograph, recipe: Recipe, start: Analysis | None = None, device: Choice = "auto"
) -> Iterator[tuple[str, Analysis]]:
    """Run the stages one after another, yielding (stage name, what is known after it).

    ``start`` is an earlier analysis of the same image, finished or not: stages that ran then, and whose recipe sections
    did not change, nor those before them, are not run again (and not yielded).

    Raises
    ------
    StageError, RecipeError
        A stage cannot honestly go on; what it said before remains with the caller.
    """
    place = backend.choose(device)
    names = list(STAGES)
    first = len(names) - len(stale(micrograph, recipe, start))
    if start is None or first == 0:
        analysis = Analysis(micrograph, recipe, device=place.name)
    else:
        # What ran later than the first stage that is stale does not count as done.
        done = {name: start.seconds[name] for name in names[:first]}
        analysis = start.having(recipe=recipe, seconds=done, provisional=False)
    if first == 0 or (first <= names.index("refine") and analysis.by_signal):
        unknown = recipe.image.pixel_size is None and recipe.image.pixel_size_from == "file"
        analysis = analysis.having(notes=(UNSIZED,) if unknown and micrograph.pixel_size is None else ())
        # ``refine`` put its own columns and lattice in the place of those it and ``assign`` start from.
        for name in names[1:first]:
            analysis = STAGES[name][0](analysis, place)
    for name in names[first:]:
        analysis = _run(name, analysis, place)
        yield name, analysis


def _run(name: str, analysis: Analysis, device: Device) -> Analysis:
    """What is known after one stage, and the CPU seconds that it took."""
    beat()
    began = time.process_time()
    analysis = STAGES[name][0](analysis, device)
    return analysis.having(seconds={**analysis.seconds, name: time.process_time() - began})


def analyse(micrograph: Micrograph, recipe: Recipe, start: Analysis | None = None, device: Choice = "auto") -> Analysis:
    """Run all stages and return what is known at the end.

    >>> import stemdisp
    >>> image, truth = stemdisp.simulate(stemdisp.Scene())
    >>> stemdisp.analyse(image, stemdisp.recipe_for("KTaO3", "1-10")).columns.sites
    ('K', 'Ta', 'O')
    """
    unchanged = start.having(recipe=recipe) if start is not None else Analysis(micrograph, recipe)
    done = [analysis for _, analysis in steps(micrograph, recipe, start, device)]
    return done[-1] if done else unchanged


def retouch(analysis: Analysis, recipe: Recipe, device: Choice = "auto") -> Analysis:
    """Change single columns of a finished analysis by hand, without a fit of the whole image.

    Columns that the edits touch, and those around them, are fitted again while everything else stays as the last fit of
    the whole image left it: all other columns, their profile, the background, the weights, the lattice. Then the stages
    after ``refine`` run. The result is ``provisional`` and says so; :func:`steps` never builds upon it.

    Parameters
    ----------
    analysis
        Finished, in this session: a result read from a file has nothing that a fit of few columns could start from. One
        that was retouched before does as well; each retouch starts from the last fit of the whole image, so that taking
        edits back brings back the numbers from before, bit for bit.
    recipe
        That of ``analysis`` with other edits; sections that only stages after ``refine`` depend on may differ too.
    device
        Where windows are fitted.

    Raises
    ------
    RecipeError
        The recipe differs in more than that.
    StageError
        Nothing is kept of the fit, or a stage cannot honestly go on.
    """
    full = analysis
    if analysis.provisional and analysis.kept is not None and analysis.kept.full is not None:
        full = analysis.kept.full
    place, names = backend.choose(device), list(STAGES)
    after = names.index("refine") + 1
    fixed = {section for name in names[:after] for section in STAGES[name][1]} - {"edits"}
    others = [name for name in type(recipe).model_fields if getattr(recipe, name) != getattr(full.recipe, name)]
    if fixed & set(others):
        raise RecipeError(
            f"retouch: the recipe differs in {', '.join(name for name in others if name in fixed)} too, which asks for "
            "a fit of the whole image"
        )
    changed = retouched(full, recipe, place)
    if changed.provisional:
        for name in names[after:]:
            changed = _run(name, changed, place)
    return changed


def preview(micrograph: Micrograph, recipe: Recipe, window: Window | None = None) -> Columns:
    """Peaks as the first stage finds them in the signal that positions come from.

    ``window`` (x0, y0, x1, y1) in px chooses those inside it.  For one set of values after another keep a
    :class:`stemdisp.Preview` of that signal: it computes only what changes.  Raises StageError as :func:`steps` does.
    """
    signal = micrograph.signals[Analysis(micrograph, recipe).position_signal]
    return Preview(signal).peaks(recipe.find, window)


def require_pixel_size(micrograph: Micrograph, recipe: Recipe) -> None:
    """Raise CalibrationError where neither file nor recipe says how large a pixel is."""
    if micrograph.pixel_size is None and recipe.image.pixel_size is None and recipe.image.pixel_size_from == "file":
        why = micrograph.metadata.get("no_pixel_size") or f"{micrograph.name} has no pixel size"
        raise CalibrationError(f"{why}; pass --pixel-size in pm or lattice, or set [image] pixel_size")
