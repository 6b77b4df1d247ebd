"""Find the average lattice: cell vectors from the power spectrum, origin from the average unit cell.

The motif of the material decides both: its harmonics choose rotation and scale (so that neither a multiple nor a
fraction of the cell wins), and its columns' expected strengths choose which place in the cell is which site. A
perovskite's projections have a two-fold axis, so the two directions of a cell vector are the same crystal; a points
right or up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..crystal import Motif
from ..errors import StageError
from ..fitting.fourier import (
    CellFit,
    Spectrum,
    expected,
    find_cell,
    fold,
    local_amplitude,
    spectrum,
    strongest,
)
from ..fitting.peaks import finite
from ..materials import format_indices
from ..model.columns import Columns
from ..model.lattice import Lattice
from ..model.micrograph import PixelSize, Signal
from ..recipe import BasisSection

Floats = NDArray[np.float64]
Real = NDArray[np.floating[Any]]

FINEST_A = 1.4
"""Spacings below this (angstrom) are not used to find the lattice: thermal motion and probe hide them."""

SCALE_RANGE_PX_PER_A = (2.0, 25.0)
"""Magnifications tried where the pixel size is unknown: 8 to 100 px per 4 angstrom."""

FARTHEST, LARGEST_SHEAR_DEG = 1.5, 6.0
"""Pixel sizes by the lattice may be off by this times the scale tolerance, and the axes by this angle (degrees): scans
without correction are short by up to 4 % and sheared by up to 1.2 degrees."""

SHOWN = 1024
"""Of an image in which no lattice is found, so many pixels along each side say what repeats in it instead."""

HALVES = np.array([[0.5, 0.5], [0.5, -0.5], [0.5, 0.0], [0.0, 0.5]])
FOOT, HALF_WAY, ABOVE = 4.5, 10.0, 4.0
"""Half width of a peak's foot in Fourier bins, Hann window and one bin of search; and how many times above chance, and
above what is around it, a peak half-way between those of the lattice shows that its cell is too small."""

INVERTED = 0.8
"""An average cell that looks this much less like the motif than like its negative shows columns inverted; of measured
and simulated images right way round the least is 1.6."""

FOLD_BINS = 24
"""Bins of the average unit cell along each axis."""

FOLD_CELLS = 12
"""Cells across the region the average unit cell is taken from."""


def basis(signal: Signal, motif: Motif, pixel_size: PixelSize | None, recipe: BasisSection) -> Lattice:
    """The lattice of ``motif`` in an image.

    Parameters
    ----------
    signal
        Image of columns.
    motif
        Projected structure to look for.
    pixel_size
        None = the magnification is searched as well.
    recipe
        ``scale_tolerance`` and ``significance``.

    Returns
    -------
    Lattice
        With ``origin`` inside the best-ordered region of the image.

    Raises
    ------
    StageError
        No lattice stands above chance.
    """
    image = finite(signal.image)
    image = image if signal.contrast > 0 else -image
    power, found = _search(image, motif, pixel_size, recipe, signal.name)
    if found.significance < recipe.significance:
        seen = _spacings(image, motif, pixel_size, signal.name)
        raise StageError(
            f"{signal.name}: no lattice found: Fourier peaks of {_named(motif)} stand {found.significance:.1f} times "
            f"above chance, {recipe.significance:g} are needed; {seen}; check material, zone and pixel size"
        )
    _compare(Lattice(motif, np.zeros(2), found.cell[0], found.cell[1]), pixel_size, recipe, signal.name)
    if _is_fraction(power, found.cell):
        raise StageError(
            f"{signal.name}: no lattice found: {_spacings(image, motif, pixel_size, signal.name)}; only every second "
            "place of the lattice that would fit is like the first; check material, zone and pixel size"
        )
    centre = _best_ordered(image, found.cell)
    return _placed(image, motif, found.cell, centre, signal)


def _is_fraction(power: Spectrum, cell: Floats) -> bool:
    """Whether the image has peaks half-way between those of a cell, which is then a fraction of the true one.

    A peak stands above what is around it; the streaks that an edge draws through all peaks do not.  Small images are
    not asked: there the foot of one peak reaches to the next.
    """
    half_way = HALVES @ np.linalg.inv(cell).T
    if np.linalg.norm(half_way * power.bins, axis=1).min() < 2 * FOOT:
        return False
    turns = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    ring = FOOT * np.stack([np.cos(turns), np.sin(turns)], axis=1) / power.bins
    around = power.at(half_way[:, None] + ring).max(axis=1)
    heights = power.at(half_way)
    return bool((heights > np.maximum(HALF_WAY * power.chance, ABOVE * around)).any())


def _named(motif: Motif) -> str:
    return f"{motif.material.name} along {format_indices(motif.zone)}"


def _pair(vectors: Floats) -> str:
    """Lengths of two vectors and the angle between them (of lines, so at most 90 degrees)."""
    one, other = np.linalg.norm(vectors, axis=1)
    angle = np.degrees(np.arccos(min(1.0, abs(vectors[0] @ vectors[1]) / (one * other))))
    return f"{one:.3g} and {other:.3g} {{unit}} at {angle:.0f} deg"


def _spacings(image: Real, motif: Motif, pixel_size: PixelSize | None, signal: str) -> str:
    """What repeats in (the middle of) the image, and what should."""
    ny, nx = image.shape
    y, x = max(0, (ny - SHOWN) // 2), max(0, (nx - SHOWN) // 2)
    seen = strongest(spectrum(image[y : ny - y, x : nx - x]))
    if len(seen) < 2:
        return "nothing in the image repeats clearly in two directions"
    per_px = np.ones(2) if pixel_size is None else pixel_size.xy_pm / 100
    unit = "px" if pixel_size is None else "A"
    frequencies = seen / per_px
    spacings = frequencies / (frequencies**2).sum(axis=1, keepdims=True)
    ideal = expected(motif.cell_A, motif.fractions, motif.contrast(signal), 1 / FINEST_A)
    wanted = ideal / (ideal**2).sum(axis=1, keepdims=True)
    return (
        f"the strongest planes in the image are {_pair(spacings).format(unit=unit)}, those of {motif.material.name} "
        f"{_pair(wanted).format(unit='A')}"
    )


def _compare(found: Lattice, pixel_size: PixelSize | None, recipe: BasisSection, signal: str) -> None:
    """Raise StageError where the lattice in the image is not the material's, whatever the calibration."""
    known = pixel_size.xy_pm if pixel_size is not None else np.full(2, np.sqrt(found.scale_pm.prod()))
    off = np.abs(found.scale_pm / known - 1).max()
    if off <= FARTHEST * recipe.scale_tolerance and abs(found.shear_deg) <= LARGEST_SHEAR_DEG:
        return
    raise StageError(
        f"{signal}: no lattice found: the image repeats by {_pair(found.cell * known / 100).format(unit='A')}, "
        f"{_named(found.motif)} by {_pair(found.motif.cell_A).format(unit='A')}; check material, zone and pixel size"
    )


def _search(
    image: Real, motif: Motif, pixel_size: PixelSize | None, recipe: BasisSection, signal: str
) -> tuple[Spectrum, CellFit]:
    """The spectrum of an image as far as the cell is looked for in it, and the cell."""
    if pixel_size is None:
        low, high = SCALE_RANGE_PX_PER_A
        scales = np.exp(np.arange(np.log(low), np.log(high), 0.012))
        aspect = 1.0
    else:
        aspect = pixel_size.y_pm / pixel_size.x_pm
        expected = 100 / pixel_size.x_pm
        scales = expected * np.arange(1 - recipe.scale_tolerance, 1 + recipe.scale_tolerance + 1e-9, 0.01)
    highest = 1.1 / FINEST_A / scales.min()
    power = spectrum(image, (highest, highest * aspect))
    return power, find_cell(
        power,
        motif.cell_A,
        motif.fractions,
        motif.contrast(signal),
        scales=scales,
        highest=1 / FINEST_A,
        aspect=aspect,
    )


def _best_ordered(image: Real, cell: Floats) -> Floats:
    """(2,) where the lattice's first harmonics are strongest, one region away from the image's edge if possible."""
    reciprocal = np.asarray(np.linalg.inv(cell).T, dtype=np.float64)
    sigma = FOLD_CELLS / 4 * float(np.linalg.norm(cell, axis=1).max())
    strength, block = local_amplitude(image, reciprocal, sigma)
    ny, nx = strength.shape
    margin_y, margin_x = min(ny // 4, int(sigma / block)), min(nx // 4, int(sigma / block))
    inner = strength[margin_y : ny - margin_y, margin_x : nx - margin_x]
    y, x = np.unravel_index(int(inner.argmax()), inner.shape)
    return (np.array([x + margin_x, y + margin_y]) + 0.5) * block - 0.5


def _placed(image: Real, motif: Motif, cell: Floats, centre: Floats, signal: Signal) -> Lattice:
    """The lattice whose (0, 0) lies nearest to ``centre``, at the shift at which the average cell looks most like the
    motif.

    The power spectrum is the same from behind: of a motif without a two-fold axis both directions are tried.
    """
    reach = FOLD_CELLS / 2 * float(np.linalg.norm(cell, axis=1).max())
    x0, y0 = np.floor(centre - reach).astype(int).clip(0)
    part = image[y0 : int(centre[1] + reach) + 2, x0 : int(centre[0] + reach) + 2]
    y, x = np.indices(part.shape)
    weight = (np.hypot(x + x0 - centre[0], y + y0 - centre[1]) <= reach).astype(float)
    average = fold(part, centre - [x0, y0], cell, FOLD_BINS, weight)
    best: tuple[float, Floats, int] = (-np.inf, np.zeros(2), 1)
    for sign in (1, -1):
        expected_cell = _average_cell(sign * motif.fractions, motif, signal.name)
        match = np.fft.irfft2(
            np.fft.rfft2(average - average.mean()) * np.conj(np.fft.rfft2(expected_cell - expected_cell.mean())),
            s=average.shape,
        )
        j, i = np.unravel_index(int(match.argmax()), match.shape)
        if match[j, i] < INVERTED * -match.min():
            looks = "dark on bright" if signal.contrast > 0 else "bright on dark"
            raise StageError(
                f"{signal.name}: no lattice found: its columns look {looks}; check which detector the image is from, "
                "and that it was not inverted"
            )
        # A motif with a two-fold axis fits both ways but for rounding: the first is kept.
        if match[j, i] > best[0] * (1 + 1e-6):
            shift = np.array([i + _vertex(match[j], int(i)), j + _vertex(match[:, i], int(j))]) / FOLD_BINS
            best = (float(match[j, i]), shift, sign)
    _, shift, sign = best
    origin = np.asarray(centre + ((shift + 0.5) % 1.0 - 0.5) @ cell)
    return Lattice(motif, origin, sign * cell[0], sign * cell[1])


def _average_cell(fractions: Floats, motif: Motif, signal: str) -> Floats:
    """(bins, bins) cell as the motif makes one expect it, with its columns at ``fractions``."""
    grid = np.arange(FOLD_BINS) / FOLD_BINS + 0.5 / FOLD_BINS
    cell = np.zeros((FOLD_BINS, FOLD_BINS))
    for fraction, strength in zip(fractions, motif.contrast(signal), strict=True):
        away = np.stack(np.meshgrid(grid - fraction[0], grid - fraction[1]), axis=-1)
        away = (away + 0.5) % 1.0 - 0.5
        cell += strength * np.exp(-((away @ motif.cell_A) ** 2).sum(axis=-1) / (2 * 0.5**2))
    return cell


def _vertex(values: Floats, i: int) -> float:
    before, after = values[i - 1], values[(i + 1) % len(values)]
    return float(0.5 * (before - after) / min(before - 2 * values[i] + after, -1e-12))


def fit_lattice(columns: Columns, lattice: Lattice) -> Lattice:
    """The lattice through the measured positions of the reference sites, by least squares.

    Raises StageError where fewer than three columns are usable.
    """
    motif = lattice.motif
    rows = columns.of_site(motif.material.reference) & columns.usable
    if rows.sum() < 3:
        raise StageError(
            f"no lattice found: only {int(rows.sum())} usable {motif.material.reference} columns, three are needed"
        )
    design = np.column_stack([np.ones(rows.sum()), columns.hk[rows] + motif.fractions[columns.site[rows]]])
    solution = np.linalg.lstsq(design, columns.xy[rows], rcond=None)[0]
    return Lattice(motif, solution[0], solution[1], solution[2])
