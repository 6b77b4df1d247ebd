"""Say what the scan did to the image: calibration, affine distortion, slow drift, jitter of rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..fitting.affine import Bend, bend
from ..fitting.groups import members
from ..fitting.rows import averaged, averaged_in_one, jitter, rows_of_fit, slices
from ..model.cells import UnitCells
from ..model.columns import Columns
from ..model.distortion import Distortion
from ..model.fields import VectorField
from ..model.lattice import Lattice
from ..model.micrograph import PixelSize, Signal
from ..model.quality import Check

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

CALIBRATION_TOLERANCE = 0.03
"""Departure of the pixel size from the lattice's beyond which the calibration is doubted."""

FEWEST = 6
"""Reference columns without which the lattice's own error is not known."""

LARGE_PM = 1.0
"""Effect on a displacement worth a warning."""

DRIFT_LEVEL, DRIFT_LEAST_PM = 0.01, 0.01
"""Probability by chance below which a bend counts as seen, and what it must have at least: images without any noise
have rounding errors."""

JITTER_LEAST_PM = 0.3
"""Jitter below which none is claimed: below edges along the rows, where all columns of a row have the same faint
neighbours, 0.14 pm come out where there is none."""

MOST_COLUMNS = 4000
"""Of more columns so many, spread over the crystal, tell the jitter of rows."""


def scan(
    columns: Columns,
    cells: UnitCells,
    lattice: Lattice,
    signal: Signal,
    pixel_size: PixelSize | None,
    displacement: VectorField | None = None,
    distortion: Distortion | None = None,
    *,
    layer: Ints | None = None,
) -> tuple[Check, ...]:
    """Every check of the scan, with what it can do to a displacement.

    Parameters
    ----------
    columns, cells, lattice
        The refined crystal.
    signal
        The image that positions come from.
    pixel_size, displacement, distortion
        May be missing; without a pixel size only the scan's angle is said. What the displacements have no part of any
        more, as the affine distortion was taken out, moves them no more.
    layer
        (M,) layers of the cells, where there are any.
    """
    moved = None if displacement is None else displacement.largest(layer)
    taken = displacement is not None and displacement.distortion is not None
    checks = _calibration(columns, lattice, pixel_size, None if taken else moved)
    checks.append(_shear(columns, lattice, None if taken else moved))
    if pixel_size is None:
        return tuple(checks)
    if distortion is not None:
        checks.append(_affine(distortion, lattice, moved, taken=taken))
    checks += _correction(columns, cells, displacement, pixel_size)
    checks += _drift(columns, cells, lattice, pixel_size)
    checks += _jitter(columns, cells, lattice, signal, pixel_size, layer)
    return tuple(checks)


def _length(vector: Floats | None) -> float | None:
    return None if vector is None else float(np.hypot(*vector))


def _times(share: float, moved: Floats | None) -> float | None:
    size = _length(moved)
    return None if size is None else abs(share) * size


def _calibration(columns: Columns, lattice: Lattice, pixel_size: PixelSize | None, moved: Floats | None) -> list[Check]:
    if pixel_size is None:
        return []
    material, found = lattice.motif.material, []
    stretches, _ = _distortion_std(columns, lattice)
    for axis, size, measured, std in zip("xy", pixel_size.xy_pm, lattice.scale_pm, stretches, strict=True):
        off = float(measured / size - 1)
        error = "" if std is None else f" (+- {100 * std:.2g} %)"
        sentence = (
            f"along {axis} a pixel is {size:.4g} pm ({pixel_size.origin}) and {measured:.4g} pm by the lattice of "
            f"{material.name}: {100 * abs(off):.1f} % {'more' if off > 0 else 'less'}{error}"
        )
        # A crystal that is no cube shows its own axes, not those of the cube of its volume.
        low, high = sorted(1 / (1 + strain) - 1 for strain in material.strain)
        warn = not low - CALIBRATION_TOLERANCE <= off <= high + CALIBRATION_TOLERANCE
        if warn:
            sentence += "; check the calibration, or pass --pixel-size lattice"
        name, percent = f"pixel_size_{axis}", None if std is None else 100 * std
        found.append(Check(name, 100 * off, percent, "%", sentence, warn, _times(off, moved)))
    return found


def _shear(columns: Columns, lattice: Lattice, moved: Floats | None) -> Check:
    shear, (_, turn) = lattice.shear_deg, _distortion_std(columns, lattice)
    error = "" if turn is None else f" +- {turn:.2g}"
    sentence = f"the scan's axes are {90 - shear:.2f}{error} degrees apart, seen from the lattice"
    return Check("shear", shear, turn, "deg", sentence, displacement_pm=_times(np.radians(shear), moved))


def _distortion_std(columns: Columns, lattice: Lattice) -> tuple[tuple[float | None, float | None], float | None]:
    """Relative standard deviation of a pixel's width and height by the lattice, and that (degrees) of its axes' angle,
    from how the reference columns scatter about their places and over the image."""
    rows = _reference(columns, lattice)
    if rows.sum() < FEWEST:
        return (None, None), None
    off = columns.xy[rows] - lattice.position(columns.hk[rows], columns.site[rows])
    scatter, spread = off.std(axis=0, ddof=3), columns.xy[rows].std(axis=0) * np.sqrt(rows.sum())
    if not (spread > 0).all():
        return (None, None), None
    slopes = scatter / spread
    turn = float(np.degrees(np.hypot(scatter[0] / spread[1], scatter[1] / spread[0])))
    return (float(slopes[0]), float(slopes[1])), turn


def _affine(found: Distortion, lattice: Lattice, moved: Floats | None, *, taken: bool) -> Check:
    """Stretch along both axes and shear, of which one number is the largest stretch in any direction."""
    material = lattice.motif.material
    (ex, exy), (_, ey) = 100 * (found.matrix - np.eye(2))
    (sx, sxy), (_, sy) = 100 * found.std
    most, std = found.principal
    sentence = (
        f"the lattice of {found.columns} columns ({found.where}) is stretched by {ex:.2f} +- {sx:.2g} % along x and "
        f"{ey:.2f} +- {sy:.2g} % along y and sheared by {2 * exy:.2f} +- {2 * sxy:.2g} % against {material.name} under "
        f"this pixel size; {'it was taken out of' if taken else 'it is contained in'} the displacements"
    )
    if any(material.strain):
        low, high = (100 * strain for strain in material.strain)
        sentence += (
            f"; {material.name} is no cube, its own axes depart from one by {low:+.1f} to {high:+.1f} %, and "
            f"{'were taken out too' if taken else 'correct = affine would take them out too'}"
        )
    effect = None
    if moved is not None:
        effect = _times(std, moved) if taken else float(np.hypot(*(moved - found.undone(moved))))
    return Check("affine_distortion", 100 * most, 100 * std, "%", sentence, displacement_pm=effect)


def _correction(columns: Columns, cells: UnitCells, field: VectorField | None, pixel_size: PixelSize) -> list[Check]:
    """What taking the distortion out changed."""
    if field is None or field.distortion is None or not field.valid.any():
        return []
    seen = (columns.xy[cells.moving] - cells.xy) * pixel_size.xy_pm
    sizes = np.hypot(*(field.straight(seen) - seen)[field.valid].T)
    sentence = (
        f"taking the affine distortion out changed displacements, before the reference was subtracted, by "
        f"{sizes.mean():.2g} pm in the mean and by {sizes.max():.2g} pm at most"
    )
    return [Check("affine_correction", float(sizes.max()), None, "pm", sentence)]


def _groups(values: Floats, width: float) -> Ints:
    """(n,) numbers of bands of a width; edges are half-way between bands where values repeat at multiples of it."""
    turns = np.exp(2j * np.pi * values / width).mean()
    middle = np.angle(turns) / (2 * np.pi) * width
    return np.asarray(np.rint((values - middle) / width), dtype=np.int64)


def _bend(columns: Columns, lattice: Lattice, pm: Floats, axis: int) -> Bend | None:
    rows = _reference(columns, lattice)
    xy = columns.xy[rows]
    off = (xy - lattice.position(columns.hk[rows], columns.site[rows])) * pm
    width = 0.5 * float(np.linalg.norm(lattice.cell, axis=1).min())
    return bend(_place(xy, xy), off, axis, _groups(xy[:, axis], width)) if len(xy) else None


def _reference(columns: Columns, lattice: Lattice) -> Mask:
    return columns.of_site(lattice.motif.material.reference) & columns.usable


def _place(xy: Floats, among: Floats) -> Floats:
    """Places in px as -1 to 1 over the extent of some columns."""
    low, high = among.min(axis=0), among.max(axis=0)
    return np.asarray(2 * (xy - low) / np.maximum(high - low, 1) - 1)


def _drift(columns: Columns, cells: UnitCells, lattice: Lattice, pixel_size: PixelSize) -> list[Check]:
    """How the lattice bends from its first row to its last beyond an affine map, and along rows, where drift cannot."""
    down, along = (_bend(columns, lattice, pixel_size.xy_pm, axis) for axis in (1, 0))
    if down is None:
        return []
    sure = down.level < DRIFT_LEVEL and down.rms > DRIFT_LEAST_PM
    y = _place(columns.xy, columns.xy[_reference(columns, lattice)])[:, 1]
    moved = down.at(y[cells.moving]) - down.at(cells.gather(y)).mean(axis=1)
    known = np.isfinite(moved).all(axis=1)
    effect = float(np.hypot(*moved[known].T).max()) if known.any() else None
    size = f"{down.rms:.2g} +- {down.std:.2g} pm rms" if sure else f"below {down.rms + 2 * down.std:.2g} pm rms"
    sentence = f"from its top to its bottom the lattice bends by {size} beyond an affine distortion"
    if along is not None:
        sentence += f" (along rows, where drift leaves no trace, by {along.rms:.2g} +- {along.std:.2g} pm)"
    if sure:
        sentence += ": slow drift of specimen or scan, or a crystal that is bent or strained itself"
    if effect is not None:
        sentence += f"; between a moving column and its neighbours {effect:.2g} pm of it are left at most"
    warn = bool(sure and effect is not None and effect > LARGE_PM)
    return [Check("slow_drift", down.rms, down.std, "pm", sentence, warn, effect)]


def _jitter(
    columns: Columns, cells: UnitCells, lattice: Lattice, signal: Signal, pixel_size: PixelSize, layer: Ints | None
) -> list[Check]:
    """Random shifts of rows, and how much of them cells and layers keep."""
    motif, number = lattice.motif, columns.signals.index(signal.name)
    brightest = motif.sites[int(motif.contrast(signal.name).argmax())]
    rows = columns.of_site(brightest) & columns.usable & (columns.signal == number)
    rows = np.flatnonzero(rows & np.isfinite(columns.sigma).all(axis=1) & np.isfinite(columns.amplitude))
    rows = rows[:: -(-len(rows) // MOST_COLUMNS)] if len(rows) else rows
    if not len(rows):
        return []
    width = np.median(_widths(columns)[rows], axis=0)
    fit = columns.fits[number] if len(columns.fits) > number else None
    counted = fit is not None and fit.weights == "poisson" and fit.gain is not None
    variance = (fit.gain, -fit.gain * (fit.dark or 0.0)) if fit is not None and fit.gain and counted else (0.0, 1.0)
    seen = slices(signal.image, columns.xy[rows], width, columns.amplitude[rows], variance)
    if seen is None:
        return []
    found, pm = jitter(seen, signal.image.shape[0]), float(pixel_size.x_pm)
    cell, mean = _kept(columns, cells, counted=counted, layer=layer)
    sure = found.seen and found.rms * pm > JITTER_LEAST_PM
    size = found.rms if sure else found.upper
    what = f"{found.rms * pm:.2f} +- {found.std * pm:.2g} pm" if sure else f"below {found.upper * pm:.2g} pm"
    sentence = f"rows are shifted at random by {what} rms (by how {found.rows} rows of {brightest} columns lie)"
    effect = None if cell is None else cell * size * pm
    if effect is not None:
        sentence += f"; as columns average it over their rows, a cell keeps {effect:.2g} pm of it"
    if mean is not None:
        sentence += f" and the mean of a layer {mean * size * pm:.2g} pm"
    warn = bool(sure and effect is not None and effect > LARGE_PM)
    return [Check("row_jitter", found.rms * pm, found.std * pm, "pm", sentence, warn, effect)]


def _widths(columns: Columns) -> Floats:
    """(N, 2) widths of the fitted profiles along x and y through their centres, in px."""
    turn = np.radians(columns.angle_deg)
    turn = np.where(np.isfinite(turn), turn, 0.0)
    long, short = 1 / columns.sigma.T**2
    c2, s2 = np.cos(turn) ** 2, np.sin(turn) ** 2
    return np.asarray(1 / np.sqrt(np.stack([c2 * long + s2 * short, s2 * long + c2 * short], axis=1)))


def _kept(
    columns: Columns, cells: UnitCells, *, counted: bool, layer: Ints | None
) -> tuple[float | None, float | None]:
    """What displacements keep of a jitter of 1: rms of cells, and of layer means (None where there are none)."""
    known = np.flatnonzero(cells.complete & np.isfinite(columns.xy[cells.moving]).all(axis=1))
    if not len(known):
        return None, None
    widths, rows = _widths(columns), np.full(len(columns), np.nan)
    for site in (cells.moving_site, cells.reference_site):
        own = columns.of_site(site) & columns.usable & np.isfinite(widths).all(axis=1)
        if not own.any():
            return None, None
        peak, around = np.median(np.abs(columns.amplitude[own])), np.median(np.abs(columns.background[own]))
        rows[columns.of_site(site)] = rows_of_fit(
            np.median(widths[own], axis=0), float(peak) if counted else 0.0, max(float(around), 1e-3 * float(peak))
        )
    together = np.concatenate([cells.moving[known, None], cells.reference[known]], axis=1)
    share = np.concatenate(
        [np.ones((len(known), 1)), np.full(cells.reference[known].shape, -1 / cells.reference.shape[1])], axis=1
    )
    y, spread = columns.xy[together, 1], rows[together]
    single = float(np.sqrt((averaged(y, spread, share) ** 2).mean()))
    if layer is None:
        return single, None
    of_layers = members(layer[known], np.ones(len(known), dtype=bool))
    means = [
        averaged_in_one(y[own].ravel(), spread[own].ravel(), share[own].ravel() / len(own))
        for own in of_layers
        if len(own)
    ]
    return single, float(np.sqrt(np.mean(np.square(means)))) if means else None
