"""The order of the stages, written once; command line, plugin, batch and notebooks all iterate it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from . import backend
from .backend import Choice, Device
from .errors import CalibrationError, RecipeError, StageError
from .flags import Flag
from .model.analysis import Analysis
from .model.columns import Columns
from .model.interface import Edge
from .model.lattice import Lattice
from .model.micrograph import Micrograph, PixelSize, Signal
from .model.side import Side
from .recipe import Recipe
from .stages.assign import assign
from .stages.basis import basis, fit_lattice
from .stages.blank import Part, blank, others
from .stages.boundary import boundary
from .stages.cells import cells
from .stages.combine import combine
from .stages.decay import decay
from .stages.dilution import dilution
from .stages.displacement import displacement
from .stages.distortion import distortion
from .stages.domains import domains
from .stages.drawn import drawn
from .stages.edit import edit
from .stages.external import external
from .stages.find import find
from .stages.full import full
from .stages.headline import headline
from .stages.hold import hold
from .stages.interface import interface
from .stages.layers import layers
from .stages.maps import maps
from .stages.outline import outline
from .stages.polarization import alternatives, polarization
from .stages.quality import quality
from .stages.refine import refine
from .stages.register import register
from .stages.scan import scan
from .stages.shown import shown
from .stages.vacancies import vacancies

NO_LAYERS = "no layers are counted"
"""Begins the sentence that says why."""

MOST_CRYSTALS = 6
"""Crystals in one image after which no more are looked for."""

Step = Callable[[Analysis, Device], Analysis]


def _positions(analysis: Analysis) -> Signal:
    return analysis.micrograph.signals[analysis.position_signal]


def _find(analysis: Analysis, device: Device) -> Analysis:
    return analysis.having(peaks=find(_positions(analysis), analysis.recipe.find))


def _basis(analysis: Analysis, device: Device) -> Analysis:
    recipe = analysis.recipe
    if recipe.image.pixel_size is not None and recipe.image.pixel_size_from == "file":
        given = PixelSize(*recipe.image.pixel_size, "user")
        analysis = analysis.having(micrograph=analysis.micrograph.with_pixel_size(given))
    motif = recipe.motif()
    lattice = basis(_positions(analysis), motif, analysis.known_pixel_size, recipe.basis)
    return analysis.having(lattice=lattice, notes=(*analysis.notes, *motif.notes))


def _assign(analysis: Analysis, device: Device) -> Analysis:
    assert analysis.lattice
    recipe, crystals = analysis.recipe, _crystals(analysis, analysis.lattice)
    crystals.sort(key=lambda crystal: -len(crystal[1]))
    lattice, columns = crystals[0]
    said = others([len(other) for _, other in crystals[1:]], len(columns))
    columns, notes = edit(columns, recipe.edits, analysis.micrograph.inputs)
    lattice = fit_lattice(columns, lattice)
    return analysis.having(columns=columns, lattice=lattice, notes=(*analysis.notes, *said, *notes)).sized_by_lattice


def _crystals(analysis: Analysis, lattice: Lattice) -> list[tuple[Lattice, Columns]]:
    """The crystal that ``lattice`` was found in, and those found in what is left of the image."""
    assert analysis.peaks
    recipe = analysis.recipe
    whole = Part(_positions(analysis), analysis.peaks, np.zeros(2, dtype=np.int64))
    columns = assign(whole.peaks, lattice, whole.signal, recipe.assign)
    crystals, fewest = [(lattice, columns)], recipe.assign.minimum_cells
    left = blank(whole, lattice, columns, fewest)
    while left and len(crystals) < MOST_CRYSTALS:
        part = left.pop(0)
        try:
            lattice = basis(part.signal, lattice.motif, analysis.known_pixel_size, recipe.basis)
            columns = assign(part.peaks, lattice, part.signal, recipe.assign)
        except StageError:
            continue
        crystals.append(part.in_the_whole(lattice, columns))
        left += blank(part, lattice, columns, fewest)
    return crystals


def _refine(analysis: Analysis, device: Device) -> Analysis:
    assert analysis.columns and analysis.lattice
    positions, oxygen = analysis.position_signal, analysis.oxygen_signal
    signals, lattice, recipe = analysis.micrograph.signals, analysis.lattice, analysis.recipe.refine
    motif, start = lattice.motif, analysis.columns
    brightest = motif.sites[int(motif.contrast(positions).argmax())]
    if recipe.oxygen_in_haadf != "free" and signals[positions].contrast > 0:
        start = start.replace(xy=hold(start, lattice, brightest))
    place = partial(hold, lattice=lattice, among=motif.material.reference)
    first = refine(signals[positions], start, lattice, recipe, device, place=place)
    if start is not analysis.columns and brightest != motif.material.reference:
        # The brightest moves: oxygen placed among it would follow, and pull at it in turn.
        start = start.replace(xy=place(first))
        first = refine(signals[positions], start, lattice, recipe, device, place=place)
    by_signal = {positions: first}
    if oxygen != positions:
        # Where the first signal shows a shoulder only, its fit says less than the lattice does.
        known = (by_signal[positions].flags & int(Flag.UNRESOLVED)) == 0
        start = analysis.columns.replace(xy=np.where(known[:, None], by_signal[positions].xy, analysis.columns.xy))
        start = start.replace(xy=start.xy + register(signals[oxygen], start, lattice))
        by_signal[oxygen] = refine(signals[oxygen], start, lattice, recipe, device)
        held = place(first)
        places = shown(combine(by_signal, lattice, positions, oxygen)[0], held, lattice, recipe.oxygen_spread)
        if places is not None and recipe.oxygen_in_haadf != "free" and signals[positions].contrast > 0:
            start = first.replace(xy=np.where(motif.oxygen[first.site][:, None], places, first.xy))
            by_signal[positions] = refine(signals[positions], start, lattice, recipe, device)
    columns, shifts = combine(by_signal, lattice, positions, oxygen)
    said = [
        f"{name}: {how.reason}"
        for name, how in zip(columns.signals, columns.fits, strict=True)
        if how.weights == "uniform" and recipe.weights == "auto"
    ]
    found = analysis.having(
        notes=(*analysis.notes, *said),
        columns=columns,
        by_signal=by_signal,
        signal_shift_px=shifts,
        lattice=fit_lattice(columns, lattice),
        device=f"{device.name}, {columns.fits[0].engine}",
    )
    return found.sized_by_lattice


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
        return analysis.having(distortion=None, displacement=None)
    assert analysis.columns and analysis.cells and analysis.lattice
    drawn = [entry for entry in analysis.recipe.regions if analysis.micrograph.was_read_from(entry.sha256)]
    region = np.array(drawn[-1].polygon) if drawn else None
    interfaces, recipe = tuple(side.interface for side in analysis.sides), analysis.recipe.displacement
    crystal = (analysis.columns, analysis.cells)
    bent = distortion(*crystal, analysis.lattice, analysis.interface, pixel_size)
    field = displacement(*crystal, interfaces, pixel_size, recipe, region, bent)
    return analysis.having(distortion=bent, displacement=field)


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
    moved, size = analysis.displacement, analysis.micrograph.pixel_size
    crystal = (analysis.columns, analysis.cells, analysis.lattice)
    layer = None if analysis.interface is None else analysis.interface.layer
    first = scan(*crystal, _positions(analysis), size, moved, analysis.distortion, layer=layer)
    signals = (analysis.signal_shift_px, analysis.by_signal)
    return analysis.having(quality=quality(*crystal, size, moved, *signals, first=first))


STAGES: dict[str, tuple[Step, tuple[str, ...]]] = {
    "find": (_find, ("image", "find")),
    "basis": (_basis, ("material", "structure", "basis")),
    "assign": (_assign, ("assign", "edits")),
    "refine": (_refine, ("refine",)),
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


def _first_stale(recipe: Recipe, start: Analysis | None, micrograph: Micrograph) -> int:
    """Number of the first stage whose result ``start`` cannot give."""
    if start is None or start.quality is None or not start.micrograph.shows_the_same(micrograph):
        return 0
    for number, (_, sections) in enumerate(STAGES.values()):
        if any(getattr(recipe, s) != getattr(start.recipe, s) for s in sections):
            return number
    return len(STAGES)


def steps(
    micrograph: Micrograph, recipe: Recipe, start: Analysis | None = None, device: Choice = "auto"
) -> Iterator[tuple[str, Analysis]]:
    """Run the stages one after another, yielding (stage name, what is known after it).

    ``start`` is an earlier, finished analysis of the same image: stages whose recipe sections did not change, nor those
    before them, are not run again (and not yielded).

    Raises
    ------
    StageError, RecipeError
        A stage cannot honestly go on; what it said before remains with the caller.
    """
    place = backend.choose(device)
    first = _first_stale(recipe, start, micrograph)
    names = list(STAGES)
    if start is None or first == 0:
        analysis = Analysis(micrograph, recipe, device=place.name)
    else:
        analysis = start.having(recipe=recipe)
    if first <= names.index("refine"):
        unknown = recipe.image.pixel_size is None and recipe.image.pixel_size_from == "file"
        said = (
            "no pixel size is known: positions stay in px and there is no displacement in pm; pass a pixel size in pm",
        )
        analysis = analysis.having(notes=said if unknown and micrograph.pixel_size is None else ())
        # ``refine`` put its own columns and lattice in the place of those it and ``assign`` start from.
        for name in names[1:first]:
            analysis = STAGES[name][0](analysis, place)
    for name in names[first:]:
        began = time.process_time()
        analysis = STAGES[name][0](analysis, place)
        analysis = analysis.having(seconds={**analysis.seconds, name: time.process_time() - began})
        yield name, analysis


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


def require_pixel_size(micrograph: Micrograph, recipe: Recipe) -> None:
    """Raise CalibrationError where neither file nor recipe says how large a pixel is."""
    if micrograph.pixel_size is None and recipe.image.pixel_size is None and recipe.image.pixel_size_from == "file":
        why = micrograph.metadata.get("no_pixel_size") or f"{micrograph.name} has no pixel size"
        raise CalibrationError(f"{why}; pass --pixel-size in pm or lattice, or set [image] pixel_size")
