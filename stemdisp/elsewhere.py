"""Analyse positions that were measured elsewhere: every stage that needs no image.

The lattice is found by drawing the columns as an image and asking the stages that find it in one.  So one piece of code
decides on rotation, scale and sites, for images and for positions alike, and what it is known to do on images holds
here: neighbour vectors would have to learn anew which of two directions is a, and what to do with rows that are
missing.  The drawing only says which column is which; positions themselves are never touched.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .crystal import Motif
from .errors import ReadError, RecipeError, StageError
from .io.calibration import of_user
from .io.detectors import CONTRAST
from .io.positions import Unit, read_positions
from .model.analysis import Analysis
from .model.columns import Columns
from .model.micrograph import Micrograph, PixelSize, Signal
from .model.positions import Positions
from .pipeline import UNSIZED, analyse
from .recipe import Recipe
from .stages.assign import TYPICAL_SIGMA_A, assign
from .stages.basis import basis, fit_lattice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DONE = ("find", "basis", "assign", "refine")
"""Stages whose results positions stand for."""

SAME = 0.05
"""Two columns nearer than this part of the usual distance are one that is listed twice."""

REACH, BATCH = 4.0, 2048
"""Half width of a drawn column in standard deviations, and how many are drawn at once."""


def from_positions(
    source: str | os.PathLike[str] | Mapping[str, Any] | Positions,
    recipe: Recipe,
    *,
    unit: Unit | None = None,
    origin: Literal[0, 1] | None = None,
    pixel_size: float | tuple[float, float] | None = None,
    shape: tuple[int, int] | None = None,
    signal: str | None = None,
    sites: Mapping[str, str] | None = None,
) -> Analysis:
    """Displacements, layers and polarization from positions that another program measured, without an image.

    All stages after the fit run as they do for an image, with the recipe's values; the result is an ordinary analysis
    whose image is empty (NaN).

    Parameters
    ----------
    source
        A CSV file (comma, semicolon or tab), arrays by name (a dictionary, a pandas DataFrame), or what
        :func:`stemdisp.from_atomap` gives. There are ``x`` and ``y`` (x right, y down), and there may be ``site``,
        ``x_std`` and ``y_std`` (or ``std``, of both) and ``amplitude``; common other spellings (``x_position``,
        ``label`` ...) are known, with a unit behind them (``x_nm``, ``x (px)``) or without. columns.csv of stemdisp is
        read with all that it holds, and so are tables that STEMfit saves. Without sites the amplitudes must tell them,
        as in an image.
    recipe
        Material, zone and everything the stages need.
    unit
        Of x, y and their standard deviations where the heads name none (then px is taken, which is said): px, nm, A or
        pm. Positions in a unit of length are put on pixels of ``pixel_size``, or of 10 pm where that is not known.
    origin
        Number of the first pixel: 0, or 1 as MATLAB and Julia count. None = as the program is known to count that wrote
        the table, else 0; where that is in doubt the analysis says so. Displacements do not depend on it.
    pixel_size
        Width and height of a pixel of the image (or one number for both) in pm. Without one positions stay in px.
    shape
        (ny, nx) of the image. Without it nobody knows whether the crystal or the frame ends where the columns do: then
        an edge of the crystal is not looked for, and lines drawn in the recipe are taken all the same.
    signal
        Detector of the image: HAADF (where the table does not say it), ABF or BF; it decides how much of an atom's
        displacement a column of several atoms shows.
    sites
        Label in the table -> site of the crystal, where labels are other names: ``{"sublattice A": "Ta"}``. Labels that
        are left out of it are names of sites.

    Returns
    -------
    Analysis
        Its columns are those of the table that belong to the crystal, ordered by site, h, k. Without standard
        deviations those of everything else are NaN.

    Raises
    ------
    ReadError
        The table cannot be read: no x or y, rows without a position, unlike lengths, rows listed twice ...
    RecipeError
        A label is no site of the crystal.
    StageError
        Sites are not known, there are too few columns, or they do not lie on the lattice of the crystal.
    CalibrationError
        For a pixel size that cannot be true.

    >>> import stemdisp
    >>> image, truth = stemdisp.simulate(stemdisp.Scene())
    >>> table = {"x": truth.xy[:, 0], "y": truth.xy[:, 1], "site": truth.site}
    >>> recipe = stemdisp.recipe_for("KTaO3", "1-10")
    >>> found = stemdisp.from_positions(table, recipe, unit="px", origin=0, pixel_size=10)
    >>> abs(found.displacement.uv[found.displacement.valid]).max().round(6)
    np.float64(0.0)
    """
    size = None if pixel_size is None else of_user(pixel_size)
    if recipe.image.pixel_size is not None and recipe.image.pixel_size_from == "file":
        size = of_user(recipe.image.pixel_size)
    if isinstance(source, Positions):
        if unit is not None or origin is not None or signal is not None:
            raise RecipeError("from_positions: unit, origin and signal are for tables; these are on pixels already")
        given = source
    else:
        given = read_positions(source, unit=unit, origin=origin, pixel_size=size, signal=signal)
    motif, notes = recipe.motif(), [*given.notes]
    columns = _ordered(_named(given.columns, motif, sites or {}))
    if shape is None and given.shape is None and recipe.interface.mode == "auto":
        recipe = recipe.with_values({"interface": {"mode": "none"}})
        notes.append("the frame of the positions is not known, so no edge of the crystal was looked for; pass shape")
    micrograph = _empty(given, columns, size, shape or given.shape)
    start = _assigned(Analysis(micrograph, recipe, notes=(*notes, *motif.notes)), columns, motif)
    return analyse(micrograph, recipe, start)


def _named(columns: Columns, motif: Motif, sites: Mapping[str, str]) -> Columns:
    """With sites of the crystal in place of labels."""
    material, known = motif.material, {name.lower(): i for i, name in enumerate(motif.sites)}
    index = np.full(len(columns.sites) + 1, -1, dtype=np.int64)
    for i, label in enumerate(columns.sites):
        name = sites.get(label, label)
        if name.lower() not in known:
            raise RecipeError(
                f"label {label!r} is no site of {material.name}, which has {', '.join(motif.sites)}; pass e.g. "
                f"sites={{{label!r}: {motif.sites[0]!r}}}"
            )
        index[i] = known[name.lower()]
    site = index[columns.site]
    if (site < 0).any() and (site >= 0).any():
        raise StageError(f"{int((site < 0).sum())} of {len(site)} columns have no site; label all of them or none")
    if (site < 0).any() and not np.isfinite(columns.amplitude).all():
        raise StageError(
            f"sites are not known: label every column with one of {', '.join(motif.sites)}, or give an amplitude"
        )
    missing = [name for name in (material.moving, material.reference) if (site != motif.sites.index(name)).all()]
    if missing and (site >= 0).any():
        raise StageError(f"no column is labelled {' or '.join(missing)}; both are needed for a displacement")
    return replace(columns, sites=motif.sites, site=site)


def _ordered(columns: Columns) -> Columns:
    """From top to bottom, so that nothing depends on the order of the rows."""
    return columns.take(np.lexsort(columns.xy.T))


def _distances(xy: Floats) -> tuple[Floats, Ints]:
    """(N,) distance of every column to the nearest other one, and which that is."""
    from scipy.spatial import cKDTree

    distance, near = map(np.asarray, cKDTree(xy).query(xy, k=2))
    return distance[:, 1], near[:, 1]


def _empty(given: Positions, columns: Columns, size: PixelSize | None, shape: tuple[int, int] | None) -> Micrograph:
    """A micrograph without pixels, as large as the image was, or as the columns reach."""
    if len(columns) < 2:
        raise StageError(f"{given.name}: {len(columns)} columns are too few for a lattice")
    apart, _ = _distances(columns.xy)
    usual, twice = float(np.median(apart)), int(apart.argmin())
    if apart[twice] < SAME * usual:
        (x, y), n = columns.xy[twice], int((apart < SAME * usual).sum())
        raise ReadError(f"{given.name}: {n} columns are listed twice, that at x = {x:.2f}, y = {y:.2f} px among them")
    reach = columns.xy.max(axis=0)
    ny, nx = shape or (np.floor(reach + 0.5 * usual) + 1).astype(int)[::-1]
    if (reach >= np.array([nx, ny]) - 0.5).any():
        raise ReadError(
            f"{given.name}: positions reach x = {reach[0]:.2f}, y = {reach[1]:.2f}, beyond an image of {nx} x {ny} px; "
            "check the shape (ny, nx) and whether pixels are counted from 0 or 1 (origin)"
        )
    nothing = np.full((int(ny), int(nx)), np.nan, dtype=np.float32)
    signals = {name: Signal(name, nothing, CONTRAST[name]) for name in columns.signals}
    return Micrograph(given.name, signals, size or given.pixel_size, given.inputs)


def _assigned(analysis: Analysis, columns: Columns, motif: Motif) -> Analysis:
    """As after ``refine``: with the lattice, and the given columns in their cells."""
    recipe, micrograph = analysis.recipe, analysis.micrograph
    size = analysis.known_pixel_size or _by_neighbours(columns, motif)
    drawing = _drawing(columns, motif, analysis.position_signal, size, micrograph.shape)
    lattice = basis(drawing, motif, size, recipe.basis)
    listed = assign(columns, lattice, drawing, recipe.assign)
    reach = recipe.assign.tolerance * motif.shortest_distance_A * 100 / float(lattice.scale_pm.mean())
    chosen, rows = _claimed(listed, columns, reach)
    placed = columns.take(rows).replace(
        site=listed.site[chosen], hk=listed.hk[chosen], island=np.zeros(len(rows), dtype=np.int64)
    )
    notes = [*analysis.notes]
    if len(rows) < len(columns):
        out = len(columns) - len(rows)
        notes.append(f"{out} of {len(columns)} positions are those of no column of the crystal and were left out")
    if any(micrograph.was_read_from(entry.sha256) for entry in recipe.edits):
        notes.append("edits of columns in the recipe were not made: they start a fit, and there is no image to fit")
    if micrograph.pixel_size is None and recipe.image.pixel_size_from == "file":
        notes.append(UNSIZED)
    return analysis.having(
        peaks=columns.replace(site=np.full(len(columns), -1)),
        columns=placed,
        lattice=fit_lattice(placed, lattice),
        by_signal={name: _of_signal(placed, i) for i, name in enumerate(placed.signals)},
        signal_shift_px=dict.fromkeys(placed.signals, (0.0, 0.0)),
        notes=tuple(notes),
        seconds=dict.fromkeys(DONE, 0.0),
        device="none: positions were given",
    ).sized_by_lattice


def _by_neighbours(columns: Columns, motif: Motif) -> PixelSize | None:
    """Pixel size by how far columns of the reference site are apart; None where sites are not known."""
    own = columns.site == motif.sites.index(motif.material.reference)
    if own.sum() < 2:
        return None
    steps = np.array([(h, k) for h in range(-2, 3) for k in range(-2, 3) if h or k])
    ideal_pm = 100 * float(np.linalg.norm(steps @ motif.cell_A, axis=1).min())
    size = ideal_pm / float(np.median(_distances(columns.xy[own])[0]))
    return PixelSize(size, size, "lattice")


def _drawing(columns: Columns, motif: Motif, name: str, size: PixelSize | None, shape: tuple[int, int]) -> Signal:
    """The columns as a signal: as high as their sites are expected to be, or as their amplitudes say."""
    if columns.site[0] >= 0:
        height = motif.contrast(name)[columns.site]
    else:
        height = np.abs(columns.amplitude) / np.abs(columns.amplitude).max()
    # Without sites the nearest columns are taken to be those that stand closest in the crystal.
    per_A = np.full(2, np.median(_distances(columns.xy)[0]) / motif.shortest_distance_A)
    image = _drawn(columns.xy, height, TYPICAL_SIGMA_A * (per_A if size is None else 100 / size.xy_pm), shape)
    return Signal(name, CONTRAST[name] * image, CONTRAST[name])


def _drawn(xy: Floats, height: Floats, sigma: Floats, shape: tuple[int, int]) -> Floats:
    """Image of Gaussians of the widths ``sigma`` (2,) px at ``xy`` (N, 2)."""
    ny, nx = shape
    image = np.zeros(ny * nx)
    offsets = [np.arange(-int(REACH * s) - 1, int(REACH * s) + 2) for s in sigma]
    for first in range(0, len(xy), BATCH):
        own = slice(first, first + BATCH)
        x, y = (np.rint(xy[own, i, None]).astype(np.int64) + offsets[i] for i in (0, 1))
        right, down = (
            np.where((at >= 0) & (at < n), np.exp(-0.5 * ((at - xy[own, i, None]) / sigma[i]) ** 2), 0.0)
            for i, (at, n) in enumerate(((x, nx), (y, ny)))
        )
        value = height[own, None, None] * down[:, :, None] * right[:, None, :]
        place = y.clip(0, ny - 1)[:, :, None] * nx + x.clip(0, nx - 1)[:, None, :]
        image += np.bincount(place.ravel(), value.ravel(), ny * nx)
    return image.reshape(shape)


def _claimed(listed: Columns, given: Columns, reach: float) -> tuple[Ints, Ints]:
    """Rows of listed columns that a given one of their site stands for, within ``reach`` px, and its row."""
    from scipy.spatial import cKDTree

    row, away = np.full(len(listed), -1), np.full(len(listed), np.inf)
    for site in np.unique(listed.site):
        places = np.flatnonzero(listed.site == site)
        own = np.flatnonzero((given.site == site) | (given.site < 0))
        if len(own):
            distance, near = map(np.asarray, cKDTree(given.xy[own]).query(listed.xy[places]))
            row[places], away[places] = own[near], distance
    order = np.argsort(away, kind="stable")
    order = order[away[order] < reach]
    chosen = np.sort(order[np.unique(row[order], return_index=True)[1]])
    return chosen, row[chosen]


def _of_signal(columns: Columns, number: int) -> Columns:
    """The same rows with positions of one signal alone."""
    own = columns.signal == number
    return columns.replace(
        xy=np.where(own[:, None], columns.xy, np.nan), cov=np.where(own[:, None, None], columns.cov, np.nan)
    )
