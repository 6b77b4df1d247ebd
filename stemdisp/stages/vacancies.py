"""Say which layers are poor in oxygen: contrast of pure oxygen columns and distance of planes, against the bulk.

Contrast falls with the share of vacancies, but not in proportion, and with tilt, thickness and disorder too: a proxy.
Columns that hold oxygen and a cation are never used.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..fitting.discovery import discoveries, in_sequence
from ..flags import usable
from ..model.cells import UnitCells
from ..model.columns import Columns
from ..model.interface import Interface
from ..model.lattice import Lattice
from ..model.micrograph import PixelSize
from ..model.vacancies import Vacancies
from ..recipe import LayersSection

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

LEVEL, ALONE = 0.05, 0.01
"""Layers are called rich in vacancies one after the other from the interface on, each at the first level, any other
only where false discoveries among all are held at the second."""

OWN_LEVEL = 0.1
"""Level that a layer has to reach by the scatter of its own columns too: disorder alone makes no vacancies."""

LEAST_LOSS = 0.03
"""Smallest loss of contrast that is called one: full layers of multislice images scatter by 2 % (sample_data)."""

ALTERNATION_LEVEL = 0.01
"""Level below which even and odd layers of the bulk are taken to differ: in some projections they do."""

FEWEST_BULK_LAYERS = 3


def vacancies(
    columns: Columns,
    lattice: Lattice,
    cells: UnitCells,
    interface: Interface,
    bulk: Mask,
    pixel_size: PixelSize,
    recipe: LayersSection,
) -> Vacancies:
    """Oxygen contrast and lattice expansion of every layer.

    Parameters
    ----------
    columns, lattice, cells
        The refined crystal.
    interface
        Whose layers, and along whose normal.
    bulk
        (M,) cells of the reference region.
    pixel_size
        Width and height of a pixel.
    recipe
        ``minimum_cells``: layers with fewer columns get no mean.

    Returns
    -------
    Vacancies
        L rows from layer 0 inwards; all NaN, with the reason as its sentence, where no bulk or no oxygen is seen.
    """
    count = int(interface.layer.max(initial=-1)) + 1
    deep = interface.layers_of(bulk)
    of_column = _layers(columns, lattice, cells, interface)
    reference = columns.of_site(lattice.motif.material.reference) & usable(columns.flags)
    off = (columns.xy - lattice.position(columns.hk, columns.site)) * pixel_size.xy_pm @ interface.normal
    # From the plane just outside of layer 0 on.
    planes = _means(off, of_column + 1, reference & np.isfinite(off), count + 1, recipe.minimum_cells)
    expansion = _expansion(*planes[:2], deep)
    seen, why = _oxygen(columns, lattice)
    if not why and len(deep) < FEWEST_BULK_LAYERS:
        why = f"oxygen contrast is left out: there is no bulk of {FEWEST_BULK_LAYERS} layers to compare it with"
    nothing = np.full(count, np.nan)
    if why:
        return Vacancies(nothing, nothing, nothing, nothing, *expansion, why)
    relative, alternates = _relative(np.abs(columns.amplitude), columns.site, of_column, seen, deep)
    shown = seen & np.isfinite(relative)
    mean, sem, n = _means(relative, of_column, shown, count, recipe.minimum_cells)
    if not np.isfinite(mean).any():
        why = (
            f"oxygen contrast is left out: no layer has {recipe.minimum_cells} oxygen columns that stand out of their "
            f"surroundings, of {int(seen.sum())} in all"
        )
        return Vacancies(nothing, nothing, nothing, nothing, *expansion, why)
    level, rich = _poor(mean, sem, n, relative[shown & np.isin(of_column, deep)], deep)
    signal = columns.signals[int(np.bincount(columns.signal[seen]).argmax())]
    sentence = (
        f"oxygen contrast is the depth of pure oxygen columns in {signal} relative to layers {deep[0]} to {deep[-1]}"
        f"{', even and odd layers each to their own' if alternates else ''}: a proxy of vacancies, not an occupancy"
    )
    return Vacancies(mean, sem, level, rich, *expansion, sentence)


def _layers(columns: Columns, lattice: Lattice, cells: UnitCells, interface: Interface) -> Ints:
    """(N,) number of the layer of every column: that of the plane of the moving site it lies in, or else of the next
    one outwards; below 0 for what stands outside of layer 0. Where the edge has steps, the nearest cell's counts."""
    from scipy.spatial import cKDTree

    planes = np.array(lattice.motif.rows(interface.plane))
    height = (columns.hk + lattice.motif.fractions[columns.site]) @ planes
    numbered = np.flatnonzero(interface.layer >= 0)
    top = interface.layer[numbered] + height[cells.moving[numbered]]
    if interface.straight:
        nearest = np.full(len(columns), np.median(top))
    else:
        nearest = top[cKDTree(columns.xy[cells.moving[numbered]]).query(columns.xy)[1]]
    return np.asarray(np.floor(nearest - height + 1e-6), dtype=np.int64)


def _oxygen(columns: Columns, lattice: Lattice) -> tuple[Mask, str]:
    """(N,) pure oxygen columns that their image shows, and, where there is none, why not."""
    oxygen = lattice.motif.oxygen[columns.site]
    shows = np.array([name != "HAADF" for name in columns.signals])
    if not oxygen.any():
        return oxygen, "oxygen contrast is left out: no column of this projection holds oxygen alone"
    if not shows[columns.signal[oxygen]].any():
        return oxygen, "oxygen contrast is left out: it needs an image that shows oxygen, as ABF does"
    seen = oxygen & shows[columns.signal] & usable(columns.flags) & np.isfinite(columns.amplitude)
    return seen, "" if seen.any() else "oxygen contrast is left out: no oxygen column stands out of its surroundings"


def _relative(value: Floats, site: Ints, layer: Ints, seen: Mask, deep: Ints) -> tuple[Floats, bool]:
    """(N,) values over the bulk's mean of the same site, and whether even and odd layers got a mean each."""
    from scipy.special import stdtr

    result, alternates = np.full(len(value), np.nan), False
    inside = seen & np.isin(layer, deep)
    for one in np.unique(site[seen]):
        members, known = seen & (site == one), inside & (site == one)
        halves = [value[known & (layer % 2 == parity)] for parity in (0, 1)]
        if min(map(len, halves)) > 1:
            error = np.sqrt(sum(half.var(ddof=1) / len(half) for half in halves))
            apart = abs(halves[0].mean() - halves[1].mean())
            apart = apart / error if error > 0 else 0.0
            alternating = 2 * float(stdtr(sum(map(len, halves)) - 2, -apart)) < ALTERNATION_LEVEL
        else:
            alternating = False
        alternates |= alternating
        for parity in (0, 1):
            own = known & (layer % 2 == parity) if alternating else known
            chosen = members & (layer % 2 == parity)
            if own.any() and value[own].mean() > 0:
                result[chosen] = value[chosen] / value[own].mean()
    return result, bool(alternates)


def _means(values: Floats, layer: Ints, known: Mask, count: int, fewest: int) -> tuple[Floats, Floats, Ints]:
    """Mean, its standard error and number of values of each of ``count`` layers."""
    known = known & (layer >= 0) & (layer < count)
    n = np.bincount(layer[known], minlength=count)
    mean, sem = np.full(count, np.nan), np.full(count, np.nan)
    for number in np.flatnonzero(n >= fewest):
        own = values[known & (layer == number)]
        mean[number], sem[number] = own.mean(), own.std(ddof=1) / np.sqrt(len(own))
    return mean, sem, n


def _poor(mean: Floats, sem: Floats, n: Ints, of_bulk: Floats, deep: Ints) -> tuple[Floats, Floats]:
    """(L,) level at which a layer's contrast is not below the bulk's 1, and whether it is.

    A layer of full columns would scatter as those ``of_bulk`` (B,) do; beside that it has what bulk layers differ by
    beyond it. Where oxygen is missing here and there, columns scatter more: by that alone few would be found.
    """
    from scipy.special import stdtr

    bulk = mean[deep][np.isfinite(mean[deep])]
    free = max(len(of_bulk) - len(bulk), 1)
    one = float(of_bulk.var(ddof=1)) if len(of_bulk) > 1 else 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(one / n + _beyond(bulk, sem[deep]))
        level = stdtr(free, (mean - 1) / error)
        own = stdtr(np.maximum(n - 1, 1), (mean - 1) / sem)
    level = np.where(np.isfinite(mean) & (error > 0), level, np.nan)
    rich = in_sequence(level, LEVEL) | discoveries(level, ALONE)
    rich &= (np.nan_to_num(own, nan=1.0) < OWN_LEVEL) & (mean < 1 - LEAST_LOSS)
    return level, np.where(np.isfinite(level), rich, np.nan)


def _beyond(of_bulk: Floats, error: Floats) -> float:
    """Variance by which what should be alike in the bulk differs beyond its errors."""
    if len(of_bulk) < 2:
        return 0.0
    return max(float(of_bulk.var(ddof=1)) - float(np.nanmean(error**2)), 0.0)


def _expansion(off: Floats, std: Floats, deep: Ints) -> tuple[Floats, Floats]:
    """(L,) pm by which the reference planes on the two sides of a layer stand farther apart than in the bulk, and the
    error, from how far the L + 1 planes stand ``off`` their places in a perfect crystal, outwards."""
    expansion, error = off[:-1] - off[1:], np.hypot(std[:-1], std[1:])
    usual = expansion[deep][np.isfinite(expansion[deep])]
    if len(usual) < FEWEST_BULK_LAYERS:
        return np.full(len(expansion), np.nan), np.full(len(expansion), np.nan)
    return expansion - usual.mean(), np.sqrt(error**2 + _beyond(usual, error[deep]))
