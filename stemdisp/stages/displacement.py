"""Measure how far each moving column stands from the centroid of its reference neighbours.

The only place where px becomes pm.  The mean over a bulk region is taken off where there is one: a uniform shift of all
cells is first of all a tilt of the specimen or an offset of the scan, and one image alone cannot tell it from a uniform
polarization.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..fitting.discovery import discoveries
from ..flags import Flag
from ..model.cells import UnitCells
from ..model.columns import Columns
from ..model.distortion import Distortion
from ..model.fields import Offset, VectorField
from ..model.interface import Interface
from ..model.micrograph import PixelSize
from ..recipe import DisplacementSection

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

FALSE_DISCOVERY = 0.05
"""Share of cells called significant that may be so by chance (Benjamini and Hochberg 1995,
doi 10.1111/j.2517-6161.1995.tb02031.x)."""

MISFIT_PM = 0.7
"""Scatter per axis that the model itself leaves where noise does not hide it (multislice, sample_data): without a bulk
to measure it on, smaller vectors are never called significant."""

FEWEST_BULK_CELLS = 8
TREND_LEVEL = 0.01
"""A region is flat where neither component has a linear trend with the distance at this level."""


@dataclass(frozen=True)
class Zero:
    """Cells (M,) whose mean is the zero of the displacement, the sentence that says so, and what the region is called;
    without a region the sentence says why there is none."""

    cells: Mask
    sentence: str
    region: str = ""


def displacement(
    columns: Columns,
    cells: UnitCells,
    interfaces: tuple[Interface, ...],
    pixel_size: PixelSize,
    recipe: DisplacementSection,
    region: Floats | None = None,
    distortion: Distortion | None = None,
) -> VectorField:
    """Displacements in pm.

    Parameters
    ----------
    columns, cells
        Measured columns and the cells built on them.
    interfaces
        Where there is one, a deep and flat part of the crystal is the reference; where there are two, each side has its
        own.
    pixel_size
        Width and height of a pixel.
    recipe
        Which reference is subtracted.
    region
        (P, 2) corners in px of a reference region drawn for this image; it wins over the automatic one.
    distortion
        Of the scan, which the recipe may want taken out: vectors are then those that an undistorted scan would show,
        in the directions in which the crystal lies in the image.

    Returns
    -------
    VectorField
        M vectors at the cells' centroids; NaN where a cell is incomplete.
    """
    pm = pixel_size.xy_pm
    uv = (columns.xy[cells.moving] - cells.xy) * pm
    reference_cov = (
        cells.gather(columns.cov.reshape(-1, 4)).sum(axis=1).reshape(-1, 2, 2) / cells.reference.shape[1] ** 2
    )
    cov = (columns.cov[cells.moving] + reference_cov) * pm[:, None] * pm
    taken = distortion.matrix if distortion is not None and recipe.correct == "affine" else None
    if taken is not None:
        back = np.linalg.inv(taken)
        uv, cov = uv @ back, back.T @ cov @ back
    missing = (cells.flags & int(Flag.INCOMPLETE)) > 0
    uv[missing], cov[missing] = np.nan, np.nan
    first = _block(uv, cov, _zero(uv, cells, interfaces[0] if interfaces else None, recipe, region))
    offset, beyond = first.offset, None
    vectors, level, sentence = first.uv, first.level, first.sentence
    if len(interfaces) > 1:
        there = interfaces[1].distance_nm > 0
        other = _block(uv, cov, _zero(uv, cells, interfaces[1], recipe, region))
        vectors, level, beyond = (
            np.where(there[:, None], other.uv, vectors),
            np.where(there, other.level, level),
            other.offset,
        )
        sentence = f"{sentence}; beyond the interface: {other.sentence}"
    # Positions from elsewhere may come without errors, and a bulk to tell the scatter is not always there either.
    judged = offset is not None or np.isfinite(cov).any()
    return VectorField(
        unit="pm",
        xy=cells.xy,
        uv=vectors,
        cov=cov,
        offset=None if offset is None else offset.vector,
        offset_std=None if offset is None else offset.std,
        offset_cells=np.zeros(0, dtype=bool) if offset is None else offset.cells,
        beyond=beyond,
        significant=level & np.isfinite(vectors).all(axis=1) if judged else np.zeros(0, dtype=bool),
        assumption=sentence if taken is None else f"the affine distortion of the scan was taken out; {sentence}",
        distortion=taken,
    )


@dataclass(frozen=True)
class _Block:
    """Vectors (M, 2) against their zero, which of them (M,) stand above their error, and what was subtracted."""

    uv: Floats
    level: Mask
    offset: Offset | None
    sentence: str


def _block(uv: Floats, cov: Floats, zero: Zero) -> _Block:
    usable = zero.cells & np.isfinite(uv).all(axis=1)
    if usable.sum() < FEWEST_BULK_CELLS:
        sentence = (
            f"{zero.region} holds only {int(usable.sum())} cells with a displacement, and a reference needs "
            f"{FEWEST_BULK_CELLS}: nothing was subtracted"
            if zero.region
            else zero.sentence
        )
        return _Block(uv, significant(uv, cov + MISFIT_PM**2 * np.eye(2)), None, sentence)
    offset, scatter = uv[usable].mean(axis=0), np.cov(uv[usable].T)
    level = significant(uv - offset, np.broadcast_to(scatter, cov.shape))
    return _Block(uv - offset, level, Offset(offset, np.sqrt(np.diag(scatter) / usable.sum()), usable), zero.sentence)


def _zero(
    uv: Floats, cells: UnitCells, interface: Interface | None, recipe: DisplacementSection, region: Floats | None
) -> Zero:
    nothing = np.zeros(len(cells), dtype=bool)
    if recipe.reference == "none":
        return Zero(nothing, "nothing was subtracted, as the recipe says")
    if region is not None:
        place = "the region drawn on this image"
        return Zero(_within(cells.xy, region), f"the mean of {place} was subtracted", place)
    if interface is None:
        return Zero(
            nothing,
            "no interface, so nothing was subtracted: one image cannot tell a uniform polarization from a uniform tilt",
        )
    if recipe.bulk_from_layer is not None:
        first = recipe.bulk_from_layer
        said = f"the mean of layers {first} and deeper was subtracted, as the recipe says"
        return Zero(interface.layer >= first, said, f"the part from layer {first} on, as the recipe says,")
    return _bulk(uv, interface)


def _bulk(uv: Floats, interface: Interface) -> Zero:
    """The deeper half of the crystal, or less of it until it shows no trend with the distance."""
    known = np.isfinite(uv).all(axis=1) & (interface.layer >= 0)
    if not known.any():
        return Zero(known, "no cell is complete, so nothing was subtracted")
    deepest = int(interface.layer[known].max())
    for first in range((deepest + 1) // 2, deepest):
        region = known & (interface.layer >= first)
        if region.sum() < FEWEST_BULK_CELLS:
            break
        if min(_trend_level(interface.distance_nm[region], uv[region, i]) for i in (0, 1)) > TREND_LEVEL:
            place = f"the bulk (layers {first} to {deepest}, no trend with distance)"
            return Zero(region, f"the mean of {place} was subtracted", place)
    first = (2 * deepest) // 3
    return Zero(
        known & (interface.layer >= first),
        f"the mean of layers {first} to {deepest} was subtracted although they still show a trend with distance",
        f"the deepest part (layers {first} to {deepest})",
    )


def _trend_level(x: Floats, y: Floats) -> float:
    """Two-sided level at which the slope of y(x) differs from zero; 1 where x does not vary."""
    from scipy.special import stdtr

    if not (np.ptp(x) > 0 and np.ptp(y) > 0):
        return 1.0
    correlation, freedom = float(np.corrcoef(x, y)[0, 1]), len(x) - 2
    steepness = abs(correlation) * np.sqrt(freedom / max(1 - correlation**2, 1e-20))
    return float(2 * stdtr(freedom, -steepness))


def _within(xy: Floats, corners: Floats) -> Mask:
    from skimage.measure import points_in_poly

    return np.asarray(points_in_poly(np.nan_to_num(xy, nan=-1e9), corners))


def significant(uv: Floats, cov: Floats) -> Mask:
    """(M,) vectors that stand above their covariance (M, 2, 2), with the false discovery rate held at 5 %."""
    known = np.asarray(np.isfinite(uv).all(axis=1) & np.isfinite(cov).all(axis=(1, 2)))
    known[known] &= np.linalg.det(cov[known]) > 0
    level = np.ones(len(uv))
    solved = np.linalg.solve(cov[known], uv[known][:, :, None])[:, :, 0]
    level[known] = np.exp(-0.5 * (uv[known] * solved).sum(axis=1))
    return discoveries(np.where(known, level, np.nan), FALSE_DISCOVERY)
