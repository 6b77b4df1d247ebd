"""Where the columns of an analysis are: listed in several crystals, fitted in several signals, changed by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from .backend import CPU, Device
from .errors import StageError
from .flags import Flag
from .model.analysis import Analysis
from .model.columns import Columns
from .model.kept import Kept
from .model.lattice import Lattice
from .recipe import Recipe
from .stages.assign import assign
from .stages.basis import basis, fit_lattice
from .stages.blank import Part, blank
from .stages.combine import combine
from .stages.edit import edit
from .stages.hold import hold
from .stages.refine import refine
from .stages.register import register
from .stages.retouch import Change, retouch
from .stages.shown import shown

MOST_CRYSTALS = 6
"""Crystals in one image after which no more are looked for."""

PROVISIONAL = "columns were edited; positions near them are provisional until the image is fitted again"


def listed(analysis: Analysis, device: Device) -> Analysis:
    """With the columns of the largest crystal, as changed by hand."""
    assert analysis.lattice
    recipe, crystals = analysis.recipe, _crystals(analysis, analysis.lattice)
    crystals.sort(key=lambda crystal: -len(crystal[1]))
    lattice, columns = crystals[0]
    said = _others([len(other) for _, other in crystals[1:]], len(columns))
    kept = Kept(columns, lattice)
    columns, notes = edit(columns, recipe.edits, analysis.micrograph.inputs, lattice)
    lattice, said = fit_lattice(columns, lattice), (*analysis.notes, *said, *notes)
    return analysis.having(columns=columns, lattice=lattice, notes=said, kept=kept).sized_by_lattice


def _crystals(analysis: Analysis, lattice: Lattice) -> list[tuple[Lattice, Columns]]:
    """The crystal that ``lattice`` was found in, and those found in what is left of the image."""
    assert analysis.peaks
    recipe = analysis.recipe
    whole = Part(analysis.micrograph.signals[analysis.position_signal], analysis.peaks, np.zeros(2, dtype=np.int64))
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


def _others(counts: list[int], analysed: int) -> tuple[str, ...]:
    """A sentence on crystals that are not analysed."""
    if not counts:
        return ()
    crystals = "another crystal" if len(counts) == 1 else f"{len(counts)} other crystals"
    sizes = ", ".join(map(str, counts))
    return (f"{crystals} in view, of {sizes} columns; only the largest, of {analysed} columns, is analysed",)


def refined(analysis: Analysis, device: Device) -> Analysis:
    """With every column fitted in each signal that it is looked for in."""
    assert analysis.columns and analysis.lattice
    positions, oxygen = analysis.position_signal, analysis.oxygen_signal
    signals, lattice, recipe = analysis.micrograph.signals, analysis.lattice, analysis.recipe.refine
    motif, start = lattice.motif, analysis.columns
    brightest = motif.sites[int(motif.contrast(positions).argmax())]
    if recipe.oxygen_in_haadf != "free" and signals[positions].contrast > 0:
        start = start.replace(xy=hold(start, lattice, brightest))
    place = partial(hold, lattice=lattice, among=motif.material.reference)
    first, settled = refine(signals[positions], start, lattice, recipe, device, place=place)
    if start is not analysis.columns and brightest != motif.material.reference:
        # The brightest moves: oxygen placed among it would follow, and pull at it in turn.
        start = start.replace(xy=place(first))
        first, settled = refine(signals[positions], start, lattice, recipe, device, place=place)
    by_signal, ends = {positions: first}, {positions: settled}
    if oxygen != positions:
        # Where the first signal shows a shoulder only, its fit says less than the lattice does.
        known = (by_signal[positions].flags & int(Flag.UNRESOLVED)) == 0
        start = analysis.columns.replace(xy=np.where(known[:, None], by_signal[positions].xy, analysis.columns.xy))
        start = start.replace(xy=start.xy + register(signals[oxygen], start, lattice))
        by_signal[oxygen], ends[oxygen] = refine(signals[oxygen], start, lattice, recipe, device)
        held = place(first)
        places = shown(combine(by_signal, lattice, positions, oxygen)[0], held, lattice, recipe.oxygen_spread)
        if places is not None and recipe.oxygen_in_haadf != "free" and signals[positions].contrast > 0:
            start = first.replace(xy=np.where(motif.oxygen[first.site][:, None], places, first.xy))
            by_signal[positions], ends[positions] = refine(signals[positions], start, lattice, recipe, device)
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
        kept=analysis.kept and replace(analysis.kept, settled=ends),
        device=_computed(device, columns.fits[0].engine),
        frame_precision=None,
    )
    return found.sized_by_lattice


def _computed(device: Device, engine: str) -> str:
    """Where columns were fitted, all at once and one by one."""
    beside = device.is_gpu and device.name not in engine
    return f"{CPU.name}, {engine}; single columns on {device.name}" if beside else f"{device.name}, {engine}"


def retouched(full: Analysis, recipe: Recipe, device: Device) -> Analysis:
    """With the edits of ``recipe``, a finished analysis otherwise: columns that they change, and those around them, are
    fitted again, as far as they are not what they were.

    What all columns share, the lattice and the shift of signals among it, stays.  Raises StageError where nothing is
    kept of the fit.
    """
    kept, inputs, by_signal = full.kept, full.micrograph.inputs, dict[str, Columns]()
    if kept is None or not kept.settled or full.quality is None:
        raise StageError(
            f"{full.micrograph.name}: nothing is kept of its fit (it was read from a file, or did not end); analyse "
            "the image again before columns are changed one by one"
        )
    assert full.lattice
    before, was = edit(kept.listed, full.recipe.edits, inputs, kept.lattice)
    after, said = edit(kept.listed, recipe.edits, inputs, kept.lattice)
    change, positions = Change(before, after), full.position_signal
    if change.nothing and was == said:
        return full.having(recipe=recipe)
    for name, table in full.by_signal.items():
        starts = after.xy + np.array(full.signal_shift_px[name])
        if name != positions:
            known = (by_signal[positions].flags & int(Flag.UNRESOLVED)) == 0
            starts = np.where(known[:, None], by_signal[positions].xy - after.xy, 0) + starts
        signal, settled = full.micrograph.signals[name], kept.settled[name]
        by_signal[name] = retouch(signal, table, settled, change, starts, full.lattice, recipe.refine, device=device)
    columns, _ = combine(by_signal, full.lattice, positions, full.oxygen_signal, shifts=full.signal_shift_px)
    notes = (*(note for note in full.notes if note not in was), *said, PROVISIONAL)
    return full.having(
        recipe=recipe,
        columns=columns,
        by_signal=by_signal,
        notes=notes,
        provisional=True,
        frame_precision=None,
        kept=replace(kept, full=full),
    )
