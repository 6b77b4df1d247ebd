"""Columns, and the mean projected unit cell, as atoms of ASE."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..crystal import Motif
from ..errors import CalibrationError, StageError, StemdispError
from ..model.analysis import Analysis
from ..model.columns import Columns
from ..model.lattice import Lattice
from ..model.micrograph import PixelSize

Floats = NDArray[np.float64]

PM_PER_A = 100.0

UP = np.array([1.0, -1.0])
"""From x right, y down to x right, y up."""


def to_ase(analysis: Analysis, what: Literal["columns", "cell"] = "columns") -> Any:
    """What was measured as ``ase.Atoms``: one atom a column, of the element that its site is called after.

    Projected positions in angstrom, x right and y up as seen, z = 0: an image does not tell heights.

    Parameters
    ----------
    analysis
        At least refined, with a pixel size.
    what
        ``columns``: every column whose position was measured; the frame of the image is the cell, its lower left corner
        (outer edge of the pixel) the origin.  ``cell``: the mean unit cell, each site where its columns stand in the
        mean, in the directions that the crystal has in the image.

    Returns
    -------
    ``Atoms`` with arrays ``site``, and of columns ``column`` (row of the table), ``hk`` (N, 2) and ``std_A`` (N, 2,
    along x and y; NaN where it is not known).  The cell is periodic in the plane where it is one of the crystal, and
    its third vector the repeat along the beam where that is known.

    Raises
    ------
    StemdispError
        Where ASE cannot be imported.
    CalibrationError
        Where no pixel size is known.
    StageError
        Where there are no columns of a lattice yet.
    """
    columns, lattice, size = analysis.columns, analysis.lattice, analysis.micrograph.pixel_size
    if columns is None or lattice is None:
        raise StageError(f"{analysis.micrograph.name} has no columns yet; run the stages up to refine first")
    if size is None:
        raise CalibrationError(f"{analysis.micrograph.name} has no pixel size; atoms need lengths, so give one in pm")
    try:
        from ase import Atoms
    except ImportError as error:
        raise StemdispError(f"this needs ASE, which cannot be imported ({error}); pip install ase") from error
    make = _frame if what == "columns" else _cell
    return make(Atoms, columns, lattice, size, analysis.micrograph.shape)


def _frame(atoms: Any, columns: Columns, lattice: Lattice, size: PixelSize, shape: tuple[int, int]) -> Any:
    rows, per_px = np.flatnonzero(columns.usable), size.xy_pm / PM_PER_A
    ny, nx = shape
    xy = (np.array([0.5, ny - 0.5]) + columns.xy[rows] * UP) * per_px
    found = atoms(
        _elements(lattice.motif, columns.site[rows]),
        positions=np.column_stack([xy, np.zeros(len(rows))]),
        cell=[nx * per_px[0], ny * per_px[1], lattice.motif.repeat_A or 0.0],
    )
    found.set_array("site", np.array(lattice.motif.sites)[columns.site[rows]])
    found.set_array("column", rows)
    found.set_array("hk", columns.hk[rows])
    found.set_array("std_A", columns.xy_std[rows] * per_px)
    return found


def _cell(atoms: Any, columns: Columns, lattice: Lattice, size: PixelSize, shape: tuple[int, int]) -> Any:
    motif, per_px, usable = lattice.motif, size.xy_pm / PM_PER_A, columns.usable
    sites = [site for site in range(len(motif.sites)) if (usable & (columns.site == site)).any()]
    off = columns.xy - lattice.position(columns.hk, columns.site)
    xy = [motif.fractions[s] @ lattice.cell + off[usable & (columns.site == s)].mean(axis=0) for s in sites]
    repeat, plane = motif.repeat_A, lattice.cell * per_px * UP
    cell = [[*plane[0], 0.0], [*plane[1], 0.0], [0.0, 0.0, repeat or 0.0]]
    found = atoms(
        _elements(motif, np.array(sites)),
        positions=np.column_stack([np.array(xy) * per_px * UP, np.zeros(len(sites))]),
        cell=cell,
        pbc=(True, True, repeat is not None),
    )
    found.set_array("site", np.array(motif.sites)[sites])
    return found


def _elements(motif: Motif, site: NDArray[np.int64]) -> list[str]:
    """Element of each column: the one that its site is called after, else the one there is most of."""
    named = []
    for name, content in zip(motif.sites, motif.content, strict=True):
        own = [element for element in content if name.rstrip("0123456789") == element]
        named.append(own[0] if own else max(content, key=lambda element: content[element]))
    return [named[one] for one in site]
