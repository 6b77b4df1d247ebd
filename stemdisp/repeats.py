"""Fit the frames of a stack one by one: how far its columns scatter is what their stated errors should say."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import backend
from .backend import Choice, Device
from .errors import StageError
from .fitting.scatter import FEWEST, correlation, variance_of_mean, without_affine
from .flags import Flag
from .model.analysis import Analysis
from .model.cells import UnitCells
from .model.columns import Columns
from .model.micrograph import Signal
from .model.repeats import FramePrecision, Repeat
from .pulse import beat
from .stages.hold import hold
from .stages.refine import refine

Floats = NDArray[np.float64]

LISTED = int(Flag.PREDICTED | Flag.EDITED | Flag.EXCLUDED)
"""What is known of a column before it is fitted."""

UNSURE = int(Flag.BAD_PIXELS | Flag.NO_CONVERGENCE)
"""A column with any of these bits is not shown well by a frame, though its position may be used."""

LEAST_SHOWN = 0.5
"""Smallest part of the frames that must show a column, for its scatter to count."""

ROWS_A = 0.5
"""Columns stand in the same rows where they are as near to each other in height (angstrom): the width of a column."""

LEAST_SEEN = 0.25
"""Smallest part of the columns that a frame must show."""


def frame_precision(
    analysis: Analysis, frames: Mapping[str, Any] | Any, *, signal: str | None = None, device: Choice = "auto"
) -> Analysis:
    """The precision of an averaged stack by the scatter of its columns between the frames.

    Every frame is fitted as the average was, from the columns of the average on; nothing is looked for again. The shift
    and the affine distortion of each whole frame (drift) are taken out of the offsets from the average, weighed as the
    stated errors say. What is left of a column scatters between F frames with a standard deviation that, over the
    square root of F, is what the stated one of the average should be. Where scans are distorted otherwise, columns of a
    frame move together: their scatter is then larger, and that of displacements, differences of neighbours, is not.

    Parameters
    ----------
    analysis
        Of the average, at least refined.
    frames
        What :func:`stemdisp.read_frames` gives beside the average: signal -> (F, ny, nx) frames on its pixels; or one
        such array, of ``signal``. Pixels that a frame does not see are NaN. Frames that were left out of the average
        are not fitted.
    signal
        Whose frames; by default those of the position signal.
    device
        Where the fits run.

    Returns
    -------
    Analysis
        The same with :attr:`frame_precision`, which report and summary.json then speak of.

    Raises
    ------
    StageError
        There are no columns yet or no frames of the signal; frames are of another shape than the average; one of them
        shows hardly any of the columns; fewer than two are left.
    """
    name, columns = signal or analysis.position_signal, analysis.columns
    if columns is None or analysis.lattice is None or name not in analysis.by_signal:
        raise StageError(f"{analysis.micrograph.name}: no columns were refined in {name}; analyse the average first")
    stack = frames.get(name) if isinstance(frames, Mapping) else frames
    if stack is None:
        there = ", ".join(frames) or "nothing"
        raise StageError(f"{analysis.micrograph.name}: there are no frames of {name}, only of {there}")
    numbers = _averaged(analysis, stack)
    table, place = analysis.by_signal[name], backend.choose(device)
    fitted = [_fitted(analysis, name, np.asarray(stack[int(number)]), number, place) for number in numbers]
    off = np.stack([one - table.xy for one in fitted])
    stated = np.where((table.usable & ~_led(analysis, name))[:, None], table.xy_std, np.nan)
    weight = np.nan_to_num(1 / (stated**2).sum(axis=1))
    left, lost, maps = without_affine(off, table.xy, weight)
    variance, shown = variance_of_mean(left, lost)
    few = shown < max(2, LEAST_SHOWN * len(numbers))
    variance[few | np.isnan(stated).any(axis=1)] = np.nan
    repeats = [
        _compared(site, variance[rows], stated[rows] ** 2)
        for site in columns.sites
        if (rows := table.of_site(site) & (columns.signal == columns.signals.index(name))).any()
    ]
    if analysis.cells is not None:
        repeats.append(_of_cells(analysis.cells, left, table, len(numbers)))
    rows_px = ROWS_A * 100 / float(analysis.lattice.scale_pm[1])
    found = FramePrecision(
        signal=name,
        frames=len(numbers),
        std_px=np.sqrt(variance),
        shown=shown,
        distortion_percent=100 * float(np.sqrt(np.nanmean(np.linalg.norm(maps, ord=2, axis=(1, 2)) ** 2))),
        row_correlation=correlation(left, np.floor(np.nan_to_num(table.xy[:, 1]) / rows_px).astype(np.int64)),
        repeats=tuple(one for one in repeats if one is not None),
    )
    return analysis.having(frame_precision=found)


def _averaged(analysis: Analysis, stack: Any) -> list[int]:
    """Numbers of the frames that are in the average."""
    name, shape, shifts = analysis.micrograph.name, analysis.micrograph.shape, analysis.micrograph.frame_shifts_px
    if getattr(stack, "ndim", 0) != 3 or tuple(stack.shape[1:]) != shape:
        raise StageError(
            f"{name}: frames of shape {getattr(stack, 'shape', '?')} are not on the pixels of the average, {shape}; "
            "take those that read_frames gives beside it"
        )
    aligned = shifts is not None and len(shifts) == len(stack)
    kept = np.isfinite(shifts).all(axis=1) if aligned and shifts is not None else np.ones(len(stack), dtype=bool)
    if kept.sum() < 2:
        raise StageError(f"{name}: {int(kept.sum())} frames tell no scatter; a stack of two or more is needed")
    return [int(number) for number in np.flatnonzero(kept)]


def _led(analysis: Analysis, name: str) -> NDArray[np.bool_]:
    """(N,) columns that are held near where others say: in single frames they would be held more, and scatter less."""
    assert analysis.lattice and analysis.columns
    free = analysis.recipe.refine.oxygen_in_haadf == "free" or analysis.micrograph.signals[name].contrast < 0
    oxygen = analysis.lattice.motif.oxygen[analysis.columns.site]
    return np.asarray(np.zeros_like(oxygen) if free else oxygen)


def _fitted(analysis: Analysis, name: str, frame: NDArray[Any], number: int, device: Device) -> Floats:
    """(N, 2) positions in one frame, NaN where it does not show a column well."""
    beat()
    assert analysis.lattice
    table, lattice = analysis.by_signal[name], analysis.lattice
    said, where = table.usable, f"{analysis.micrograph.name}: frame {number + 1}"
    ny, nx = frame.shape
    x, y = np.rint(np.where(said[:, None], table.xy, 0)).astype(int).clip(0, [nx - 1, ny - 1]).T
    seen = said & np.isfinite(frame[y, x])
    if seen.sum() < max(FEWEST, LEAST_SEEN * said.sum()):
        raise StageError(
            f"{where} shows only {int(seen.sum())} of {int(said.sum())} columns: it hardly overlaps the average; leave "
            "it out of the stack and average anew"
        )
    positions = name == analysis.position_signal
    held = partial(hold, lattice=lattice, among=lattice.motif.material.reference) if positions else None
    signal = Signal(name, frame, analysis.micrograph.signals[name].contrast)
    start = table.replace(flags=table.flags & LISTED)
    try:
        found, _ = refine(signal, start, lattice, analysis.recipe.refine, device, place=held)
    except StageError as error:
        raise StageError(f"{where}: {error}") from error
    well = seen & found.usable & ((found.flags & UNSURE) == 0)
    return np.where(well[:, None], found.xy, np.nan)


def _compared(name: str, empirical: Floats, stated: Floats) -> Repeat | None:
    """Variances (n, 2) by the frames and as stated, of one kind of position."""
    known = np.isfinite(empirical).all(axis=1) & np.isfinite(stated).all(axis=1) & (stated > 0).all(axis=1)
    if known.sum() < 2:
        return None
    each = (empirical[known] / stated[known]).mean(axis=1)
    ratio = float(np.sqrt(each.mean()))
    return Repeat(
        name,
        int(known.sum()),
        np.sqrt(empirical[known].mean(axis=0)),
        np.sqrt(stated[known].mean(axis=0)),
        ratio,
        float(each.std(ddof=1) / np.sqrt(known.sum()) / (2 * ratio)),
    )


def _of_cells(cells: UnitCells, left: Floats, table: Columns, frames: int) -> Repeat | None:
    """The same of the moving columns against their reference neighbours, as far as one signal shows both."""
    off = np.stack([one[cells.moving] - cells.gather(one).mean(axis=1) for one in left])
    variance, shown = variance_of_mean(off, np.zeros(off.shape[:2]))
    variance[shown < max(2, LEAST_SHOWN * frames)] = np.nan
    of_column = np.where(table.usable[:, None], table.xy_std**2, np.nan)
    stated = of_column[cells.moving] + cells.gather(of_column).mean(axis=1) / cells.reference.shape[1]
    return _compared("displacement", variance, stated)
