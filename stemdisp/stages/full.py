"""Polarization by all atoms of the cell as they are measured, oxygen too: P = (e / Omega) sum_i Z*_i d_i.

The sum is linear in the places of the columns, so it is one weighted sum a cell, and so is its covariance; weights,
charges and assumptions are :mod:`stemdisp.dipole`'s.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..dipole import Dipole, build_dipole
from ..errors import RecipeError
from ..fitting.grid import Grid
from ..model.cells import UnitCells
from ..model.columns import Columns
from ..model.fields import Offset, VectorField
from ..model.lattice import Lattice
from ..model.micrograph import PixelSize
from ..polarization_section import PolarizationSection

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def full(
    columns: Columns,
    cells: UnitCells,
    lattice: Lattice,
    pixel_size: PixelSize,
    field: VectorField,
    recipe: PolarizationSection,
    *,
    beyond: Mask | None = None,
) -> VectorField:
    """Polarization of every cell in uC/cm2, in the image frame.

    Parameters
    ----------
    columns, cells, lattice
        Measured columns, the cells built on them, and the average lattice, which says how the crystal lies.
    pixel_size
        Width and height of a pixel.
    field
        Displacements in pm: what they are measured against, the polarization is too.
    recipe
        Charges, and how oxygen moves that is not seen.
    beyond
        (M,) cells on the other side of an interface, where that is a crystal too.

    Returns
    -------
    VectorField
        NaN where a column that counts is missing or has no position of its own; NaN everywhere, with the reason as the
        ``assumption``, where charges or oxygen columns are not known.
    """
    motif = lattice.motif
    signal = columns.signals[int(np.bincount(columns.signal[cells.moving]).argmax())]
    share = {
        site: motif.dilution(signal, site)
        for site, inside in zip(motif.sites, motif.content, strict=True)
        if len(inside) > 1
    }
    if recipe.dilution is not None and motif.material.moving in share:
        share[motif.material.moving] = recipe.dilution
    try:
        dipole = build_dipole(motif, share, recipe.born_charges or {}, recipe.hidden_oxygen)
    except RecipeError as error:
        return _nothing(cells, f"full: {error}")
    rows = _rows(columns, cells, dipole)
    complete = (rows >= 0).all(axis=1)
    if not complete.any():
        return _nothing(cells, _unseen(columns, lattice))
    uv, cov = _sums(columns, cells, lattice, field.straight(np.diag(pixel_size.xy_pm)), dipole, rows)
    uv[~complete], cov[~complete] = np.nan, np.nan
    uv, first, other = _against(uv, field, beyond)
    return VectorField(
        unit="uC/cm2",
        xy=cells.xy,
        uv=uv,
        cov=cov,
        offset=None if first is None else first.vector,
        offset_std=None if first is None else first.std,
        offset_cells=np.zeros(0, dtype=bool) if first is None else first.cells,
        beyond=other,
        significant=field.significant & complete if field.judged else field.significant,
        assumption=f"full: {dipole.sentence}",
        warning=dipole.warning,
    )


def _nothing(cells: UnitCells, reason: str) -> VectorField:
    n = len(cells)
    return VectorField(
        "uC/cm2",
        cells.xy,
        np.full((n, 2), np.nan),
        np.full((n, 2, 2), np.nan),
        significant=np.zeros(n, dtype=bool),
        assumption=reason,
    )


def _unseen(columns: Columns, lattice: Lattice) -> str:
    """Why no cell has all its columns."""
    motif = lattice.motif
    unseen = [
        name
        for name, oxygen in zip(motif.sites, motif.oxygen, strict=True)
        if oxygen and not (columns.of_site(name) & columns.usable).any()
    ]
    if not unseen:
        return "full: in no cell do all columns have a position of their own"
    return (
        f"full: no {' or '.join(unseen)} column has a position of its own, and without oxygen the sum over all atoms "
        "is not known; it needs an image that shows oxygen, as ABF does"
    )


def _rows(columns: Columns, cells: UnitCells, dipole: Dipole) -> NDArray[np.int64]:
    """(M, E) rows of the columns that count, -1 where one is missing or has no position of its own."""
    found = np.full((len(cells), len(dipole.sites)), -1, dtype=np.int64)
    for site in np.unique(dipole.sites):
        there = np.flatnonzero((columns.site == site) & columns.usable & np.isfinite(columns.cov).all(axis=(1, 2)))
        grid, wanted = Grid.of(columns.hk[there], there), dipole.sites == site
        found[:, wanted] = grid.at(cells.hk[:, None, :] + dipole.offsets[wanted])
    return found


def _sums(
    columns: Columns,
    cells: UnitCells,
    lattice: Lattice,
    to_pm: Floats,
    dipole: Dipole,
    rows: NDArray[np.int64],
) -> tuple[Floats, Floats]:
    """(M, 2) and (M, 2, 2) weighted sums of how far columns stand off the lattice, and their covariance; vectors in px
    times ``to_pm`` (2, 2) are pm.

    The weights add up to zero and are centred: neither the lattice's origin nor a distortion of the scan is in them.
    """
    # The crystal's frame as the image shows it, without what scan and strain do to lengths and angles.
    left, _, right = np.linalg.svd(np.linalg.solve(lattice.motif.cell_A, lattice.cell @ to_pm))
    turn = left @ right
    weights = turn.T @ dipole.weights @ turn
    uv, cov = np.zeros((len(cells), 2)), np.zeros((len(cells), 2, 2))
    for row, site, cell, weight in zip(rows.T, dipole.sites, dipole.offsets, weights, strict=True):
        ideal = lattice.position(cells.hk + cell, np.full(len(cells), site))
        uv += (columns.xy[row] - ideal) @ to_pm @ weight.T
        cov += weight @ to_pm.T @ columns.cov[row] @ to_pm @ weight.T
    return uv, cov


def _against(uv: Floats, field: VectorField, beyond: Mask | None) -> tuple[Floats, Offset | None, Offset | None]:
    """Vectors against the means of the cells that the displacement is measured against, and those means."""
    first = _mean(uv, field.offset_cells) if field.offset is not None else None
    other = _mean(uv, field.beyond.cells) if field.beyond is not None else None
    there = np.zeros(len(uv), dtype=bool) if beyond is None else beyond
    found = uv.copy()
    for mean, cells in ((first, ~there), (other, there)):
        if mean is not None:
            found[cells] -= mean.vector
    return found, first, other


def _mean(uv: Floats, cells: Mask) -> Offset:
    """The mean over those cells that have a vector, NaN (and with it everything) where none has."""
    usable = cells & np.isfinite(uv).all(axis=1)
    if usable.sum() < 2:
        return Offset(np.full(2, np.nan), np.full(2, np.nan), usable)
    return Offset(uv[usable].mean(axis=0), uv[usable].std(axis=0, ddof=1) / np.sqrt(usable.sum()), usable)
