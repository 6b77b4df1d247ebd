"""Look at what could fool the reader beside the scan: reference offset, tilt, the columns' model, shift of the signals,
columns in doubt."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..fitting.directions import coherence
from ..flags import SENTENCES, Flag
from ..focus import width_trend
from ..model.cells import UnitCells
from ..model.columns import Columns
from ..model.fields import VectorField
from ..model.lattice import Lattice
from ..model.micrograph import PixelSize
from ..model.quality import Check, Quality

LARGE_OFFSET_PM = 5.0
"""Reference offset beyond which tilt or scan distortion is worth a warning."""

TILT_SIGMAS, TILT_PM = 3.0, 1.0
"""Standard errors, and pm, above which the difference of ABF and HAADF is called a tilt."""

UNLIKE_SHARE = 0.15
"""Difference of the shares of a displacement that columns show in ABF and HAADF, at most."""

ABF_PM_PER_MRAD = 1.6
"""Of K against Ta, less what HAADF shows: multislice of 4.5 nm of KTaO3 along [1-10] tilted by 2 mrad (sample_data)."""

ABF_TO_HAADF = 5.0
"""How many times more of a tilt ABF shows than HAADF, in the same images."""

CLOSE_WIDTHS = 3.6
"""Distance of a brighter column, in widths, below which its shape counts: at 3.4 widths, in an ABF multislice image of
KTaO3 along [11-2] (sample_data), a displacement towards it comes out 13 % too large; at 4.6, along [1-10], 6 %."""

FEWEST_CELLS = 3
"""Cells without which there is no mean."""

LOWEST_LEVEL = 1e-9
"""Probabilities below this are not told apart: columns of one image share too much for that."""

LARGE_SHARE = 0.1
"""Share of flagged columns worth a warning."""


def quality(
    columns: Columns,
    cells: UnitCells,
    lattice: Lattice,
    pixel_size: PixelSize | None,
    displacement: VectorField | None,
    shifts: Mapping[str, tuple[float, float]],
    by_signal: Mapping[str, Columns],
    *,
    first: tuple[Check, ...] = (),
) -> Quality:
    """Every check as a number, a unit and a sentence, those of the scan ``first``.

    ``shifts`` are the signals' shifts (x, y) px, ``by_signal`` the columns as fitted in each signal alone;
    ``pixel_size`` and ``displacement`` may be missing.
    """
    checks = [
        *first,
        *_offset(displacement),
        *_tilt(cells, displacement, by_signal, pixel_size, columns.signals[0]),
        *_model(columns, cells, pixel_size),
        *_shifts(shifts),
        *_resolution(columns, by_signal[columns.signals[0]]),
        *_overlap(columns, lattice),
        *width_trend(columns, cells, displacement, pixel_size),
        *_flagged(columns, cells),
    ]
    return Quality(tuple(checks))


def _offset(field: VectorField | None) -> list[Check]:
    if field is None:
        return []
    if field.offset is None or field.offset_std is None:
        return _mean(field)
    size = float(np.hypot(*field.offset))
    error = float(np.hypot(*(field.offset * field.offset_std)) / size) if size else float(field.offset_std.max())
    sentence = (
        f"{field.assumption}: ({field.offset[0]:.1f} +- {field.offset_std[0]:.1f}, {field.offset[1]:.1f} +- "
        f"{field.offset_std[1]:.1f}) pm over {int(field.offset_cells.sum())} cells, read as tilt or scan offset"
    )
    warn = size > LARGE_OFFSET_PM
    if warn:
        sentence += (
            f"; more than {LARGE_OFFSET_PM:g} pm: doubt displacements below this size, or tilt the specimen better"
        )
    # What was subtracted moves nothing any more; what is not known of it moves all.
    return [Check("reference_offset", size, error, "pm", sentence, warn, float(np.hypot(*field.offset_std)))]


def _mean(field: VectorField) -> list[Check]:
    """The mean of all cells where nothing was subtracted."""
    known = field.uv[field.valid]
    if len(known) < FEWEST_CELLS:
        return []
    mean, sem = known.mean(axis=0), known.std(axis=0, ddof=1) / np.sqrt(len(known))
    size = float(np.hypot(*mean))
    error = float(np.hypot(*(mean * sem)) / size) if size else float(sem.max())
    agreement, level = coherence(known)
    sentence = (
        f"{field.assumption}; the mean of all {len(known)} cells is ({mean[0]:.1f} +- {sem[0]:.1f}, {mean[1]:.1f} +- "
        f"{sem[1]:.1f}) pm; their directions agree to {agreement:.2f}, by chance with a probability of "
        f"{max(level, LOWEST_LEVEL):.1g}{' or less' if level < LOWEST_LEVEL else ''} (Rayleigh)"
    )
    return [Check("mean_displacement", size, error, "pm", sentence)]


def _model(columns: Columns, cells: UnitCells, pixel_size: PixelSize | None) -> list[Check]:
    """What another model of the columns makes of the displacements."""
    if pixel_size is None:
        return []
    other = (columns.xy_sys[cells.moving] - cells.gather(columns.xy_sys).mean(axis=1)) * pixel_size.xy_pm
    other = other[np.isfinite(other).all(axis=1)]
    if len(other) < FEWEST_CELLS:
        return []
    size = float(np.sqrt((other**2).sum(axis=1).mean()))
    mean = other.mean(axis=0)
    sentence = (
        f"with another model of the columns displacements are others by {size:.1f} pm rms, all alike by "
        f"({mean[0]:.1f}, {mean[1]:.1f}) pm (right, down): an error that their standard deviations do not contain"
    )
    return [Check("model_bias", size, None, "pm", sentence, size > LARGE_OFFSET_PM, size)]


def _tilt(
    cells: UnitCells,
    field: VectorField | None,
    by_signal: Mapping[str, Columns],
    pixel_size: PixelSize | None,
    positions: str,
) -> list[Check]:
    """Displacement in ABF minus that in HAADF: a tilt moves columns of unlike atoms apart, far more so in ABF."""
    if field is None or pixel_size is None or not {"HAADF", "ABF"} <= by_signal.keys():
        return []
    bulk = field.offset_cells if field.offset_cells.any() else np.ones(len(cells), dtype=bool)
    seen = {
        name: (one.xy[cells.moving] - cells.gather(np.where(one.usable[:, None], one.xy, np.nan)).mean(axis=1))
        for name, one in by_signal.items()
    }
    apart = (seen["ABF"] - seen["HAADF"]) * pixel_size.xy_pm
    usable = bulk & np.isfinite(apart).all(axis=1) & by_signal["ABF"].usable[cells.moving]
    usable &= by_signal["HAADF"].usable[cells.moving]
    if usable.sum() < FEWEST_CELLS:
        return []
    mean, sem = apart[usable].mean(axis=0), apart[usable].std(axis=0, ddof=1) / np.sqrt(usable.sum())
    size = float(np.hypot(*mean))
    error = float(np.hypot(*(mean * sem)) / size) if size else float(sem.max())
    where = "the reference region" if field.offset_cells.any() else "all cells"
    pair = f"{cells.moving_site} against {cells.reference_site}"
    sentence = (
        f"{pair} in ABF stands ({mean[0]:.1f} +- {sem[0]:.1f}, {mean[1]:.1f} +- {sem[1]:.1f}) pm (right, down) "
        f"off that in HAADF, over {int(usable.sum())} cells of {where}"
    )
    # Of a displacement that is there mixed columns show unlike shares in the two.
    moved = field.uv[usable].mean(axis=0) + (0.0 if field.offset is None else field.offset)
    warn = size > TILT_SIGMAS * error and size > TILT_PM + UNLIKE_SHARE * float(np.hypot(*moved))
    if warn:
        sentence += (
            ": read as a tilt of the crystal along that direction, of some mrad (5 nm of KTaO3 along [1-10]: "
            f"{ABF_PM_PER_MRAD:g} pm for each); HAADF shows a fifth of it, and what is uniform is subtracted with the "
            "reference"
        )
    # ABF shows five times as much of a tilt as HAADF, and both of them together the difference.
    share = ABF_TO_HAADF / (ABF_TO_HAADF - 1) if positions == "ABF" else 1 / (ABF_TO_HAADF - 1)
    return [Check("tilt_proxy", size, error, "pm", sentence, warn, share * size)]


def _shifts(shifts: Mapping[str, tuple[float, float]]) -> list[Check]:
    return [
        Check(
            f"shift_{name}",
            float(np.hypot(*shift)),
            None,
            "px",
            f"{name} is shifted by ({shift[0]:.3f}, {shift[1]:.3f}) px against the position signal; "
            "it was aligned on the columns",
        )
        for name, shift in shifts.items()
        if shift != (0.0, 0.0)
    ]


def _resolution(columns: Columns, first: Columns) -> list[Check]:
    """Sites that the position signal shows as shoulders only."""
    found = []
    for name in columns.sites:
        of_site = columns.of_site(name)
        shoulders = int((of_site & ((first.flags & int(Flag.UNRESOLVED)) > 0)).sum())
        empty = int((of_site & ((columns.flags & int(Flag.UNRESOLVED)) > 0)).sum())
        if not shoulders:
            continue
        sentence = f"{name} columns are not resolved from their neighbours in {first.signals[0]}; " + (
            f"{empty} are left without a position: use a sharper image, or one in which they show"
            if empty
            else f"all positions come from {columns.signals[-1]}"
        )
        found.append(Check(f"unresolved_{name}", shoulders, None, "columns", sentence, True))
    return found


def _overlap(columns: Columns, lattice: Lattice) -> list[Check]:
    """Whether the moving columns stand so close to others that the shape of these counts."""
    motif = lattice.motif
    fitted = columns.usable & np.isfinite(columns.sigma).all(axis=1)
    moving, rows = motif.material.moving, columns.of_site(motif.material.moving) & fitted
    if not rows.any():
        return []
    signal = columns.signals[int(np.bincount(columns.signal[rows]).argmax())]
    strength = motif.contrast(signal)
    own = strength[motif.site(moving)]
    found: list[tuple[float, str]] = []
    for name in columns.sites:
        there = columns.of_site(name) & fitted
        if name == moving or strength[motif.site(name)] < own or not there.any():
            continue
        offsets = motif.around(moving, name) + motif.fractions[motif.site(name)] - motif.fractions[motif.site(moving)]
        nearest = float(np.linalg.norm(offsets @ lattice.cell, axis=1).min())
        width = float(np.median(columns.sigma[there | rows], axis=0).max())
        found.append((nearest / width, name))
    if not found:
        return []
    apart, name = min(found)
    sentence = f"{moving} columns stand {apart:.1f} widths from {name} columns in {signal}"
    warn = apart < CLOSE_WIDTHS
    if warn:
        sentence += (
            ": their positions lean on the shape that columns are taken to have; displacements may be off by a tenth "
            "or so beyond their errors"
        )
    return [Check("overlap", apart, None, "widths", sentence, warn)]


def _flagged(columns: Columns, cells: UnitCells) -> list[Check]:
    found = []
    measured = (columns.flags & int(Flag.FIXED_POSITION)) == 0
    for flag in (Flag.WEAK, Flag.NO_CONVERGENCE, Flag.FAR_FROM_LATTICE, Flag.BAD_PIXELS):
        count = int((measured & ((columns.flags & int(flag)) > 0)).sum())
        if count:
            share = count / len(columns)
            sentence = f"{count} columns are flagged {flag.name}: {SENTENCES[flag]}"
            found.append(Check(str(flag.name).lower(), count, None, "columns", sentence, share > LARGE_SHARE))
    incomplete = int(((cells.flags & int(Flag.INCOMPLETE)) > 0).sum())
    found.append(
        Check(
            "incomplete_cells",
            incomplete,
            None,
            "cells",
            f"{incomplete} of {len(cells)} cells have no displacement: {SENTENCES[Flag.INCOMPLETE]}",
            incomplete > 0.5 * max(len(cells), 1),
        )
    )
    return found
