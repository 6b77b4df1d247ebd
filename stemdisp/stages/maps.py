"""Map what the lattice itself says in every cell: strain and rotation of the reference lattice, c/a, brightness and
ellipticity of the columns, and where oxygen stands.

Strain is that of the reference columns no more than one lattice vector away along both axes: four in a perovskite along
[001], six along [1-10]. It is so of one cell, and where it changes it changes from one cell to the next.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..crystal import Motif
from ..errors import RecipeError
from ..fitting.deformation import gradients, polar, spread
from ..fitting.ellipses import ellipticity, scaled, strength
from ..fitting.grid import Grid
from ..flags import usable
from ..materials import format_indices
from ..model.cells import UnitCells
from ..model.columns import Columns
from ..model.fields import VectorField
from ..model.interface import Interface
from ..model.lattice import Lattice
from ..model.maps import NAMES, Maps
from ..model.micrograph import PixelSize

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Values = dict[str, Floats]

PERCENT = 100.0

BONDED = 1.05
"""Cation and oxygen columns up to this times the shortest projected distance apart are bonded."""

UNSURE, MOST_UNSURE = 0.04, 0.08
"""Standard deviation of the ellipticity of a site's single columns, in the middle, beyond which the site has none, and
of one column beyond which this one has none: in noisier images it comes out too large, and its error with it."""

TOLD_SIGMAS = 3.0
"""Standard deviations below which an ellipticity has no direction; noise alone gets there once in 90 times."""

SAME_PLACE_A = 1e-3
"""Distance (angstrom) below which two places of the ideal crystal are one."""


def maps(
    columns: Columns,
    cells: UnitCells,
    lattice: Lattice,
    displacement: VectorField,
    interface: Interface | None,
    pixel_size: PixelSize,
) -> Maps:
    """Strain, rotation, c/a, relative intensities, ellipticity and oxygen positions, cell by cell.

    Parameters
    ----------
    columns, cells, lattice
        The refined crystal.
    displacement
        Whose ``offset_cells`` are the bulk that strain, brightness and ellipticity are measured against; without such
        cells all are.
    interface
        Across and along which strain is given too.
    pixel_size
        Width and height of a pixel.

    Returns
    -------
    Maps
        M rows; NaN where neighbours are missing, or where the image does not show what is needed.

    Notes
    -----
    With F the gradient of the reference columns' positions (fitting.deformation) and F0 its mean in the bulk,
    F F0^-1 = V R: strain is V - 1, rotation the angle of R. Standard deviations are to first order in the strain and
    without that of F0, which is smaller by the root of the number of bulk cells.
    """
    named = displacement.offset_cells.any()
    bulk = displacement.offset_cells if named else np.ones(len(cells), dtype=bool)
    against = "the region whose mean displacement was subtracted" if named else "all cells: there is no reference"
    sentences = [f"strain, rotation and intensities are relative to {against}"]
    values = dict.fromkeys(NAMES, np.full(len(cells), np.nan))
    gradient, covariance = _gradients(columns, cells, lattice, pixel_size)
    values |= _strain(gradient, covariance, bulk, interface)
    if _along_axes(lattice.motif):
        values |= _axes(gradient, covariance, lattice.cell * pixel_size.xy_pm, bulk)
        sentences.append("c/a is the image's own: a scan stretched along one axis shows in it")
    else:
        zone = format_indices(lattice.motif.zone)
        sentences.append(f"c/a is left out: along {zone} the cell's two axes are not both axes of a cube")
    values |= _intensities(columns, cells, bulk)
    elliptical, shapes = _ellipticity(columns, cells, bulk, pixel_size)
    values |= elliptical
    oxygen, said = _oxygen(columns, cells, lattice, displacement.straight(np.diag(pixel_size.xy_pm)))
    if named:
        for name in ("oxygen_dx_pm", "oxygen_dy_pm"):
            seen = bulk & np.isfinite(oxygen.get(name, values[name]))
            if seen.any():
                oxygen[name] = oxygen[name] - oxygen[name][seen].mean()
    return Maps(**(values | oxygen), bulk=bulk, sentences=(*sentences, *shapes, said))


def _rows(columns: Columns, cells: UnitCells, site: str, offsets: Ints) -> Ints:
    """(M, J) rows of a site's columns at cell offsets (J, 2) from the moving ones; -1 = missing or without a position
    of its own."""
    there = np.flatnonzero(columns.of_site(site) & columns.usable)
    return Grid.of(columns.hk[there], there).at(cells.hk[:, None, :] + offsets)


def _within_one_cell(motif: Motif) -> Ints:
    """(J, 2) cell offsets of the reference columns no more than one lattice vector from a moving one along both
    axes."""
    material = motif.material
    own = motif.neighbours(material.moving, material.reference)
    steps = np.array(list(product((-1, 0, 1), repeat=2)))
    offsets = np.unique((own[:, None] + steps).reshape(-1, 2), axis=0)
    apart = motif.fractions[motif.site(material.reference)] - motif.fractions[motif.site(material.moving)]
    near = (np.abs(offsets + apart) <= 1 + 1e-6).all(axis=1)
    return np.unique(np.concatenate([own, offsets[near]]), axis=0)


def _gradients(columns: Columns, cells: UnitCells, lattice: Lattice, pixel_size: PixelSize) -> tuple[Floats, Floats]:
    """(M, 2, 2) gradients of complete cells against the average lattice, and their covariance."""
    offsets = _within_one_cell(lattice.motif)
    rows = _rows(columns, cells, cells.reference_site, offsets)
    pm = pixel_size.xy_pm
    known = (rows >= 0) & cells.complete[:, None]
    return gradients(offsets @ lattice.cell * pm, columns.xy[rows] * pm, columns.cov[rows] * pm[:, None] * pm, known)


def _mean(gradient: Floats, bulk: Mask) -> Floats:
    """(2, 2) mean gradient of the bulk, or of all cells where it has none; NaN where there is none at all."""
    told = np.isfinite(gradient).all(axis=(1, 2))
    chosen = told & bulk if (told & bulk).any() else told
    return np.asarray(gradient[chosen].mean(axis=0)) if chosen.any() else np.full((2, 2), np.nan)


def _strain(gradient: Floats, covariance: Floats, bulk: Mask, interface: Interface | None) -> Values:
    usual = _mean(gradient, bulk)
    if not np.isfinite(usual).all():
        return {}
    stretch, angle = polar(gradient @ np.linalg.inv(usual))
    strain = stretch - np.eye(2)
    x, y = np.eye(2)
    along = {"exx": (x, x), "eyy": (y, y), "exy": (x, y)}
    if interface is not None:
        along |= {"e_normal": (interface.normal,) * 2, "e_parallel": (interface.parallel,) * 2}
    found = {}
    for name, (one, other) in along.items():
        linear = (np.outer(one, other) + np.outer(other, one)) / 2
        found[f"{name}_percent"] = PERCENT * np.einsum("nrc,rc->n", strain, linear)
        found[f"{name}_std_percent"] = PERCENT * spread(covariance, linear)
    # From x to y, which points down, is clockwise as seen.
    found["rotation_deg"] = -np.degrees(angle)
    found["rotation_std_deg"] = np.degrees(spread(covariance, np.array([[0.0, -0.5], [0.5, 0.0]])))
    return found


def _along_axes(motif: Motif) -> bool:
    """Whether both vectors of the projected cell are axes of a cubic crystal, seen in their full length."""
    axes = (np.sort(np.abs(motif.indices)) == [0, 0, 1]).all() and not (motif.indices @ np.array(motif.zone)).any()
    return motif.material.lattice_A is not None and bool(axes)


def _axes(gradient: Floats, covariance: Floats, cell_pm: Floats, bulk: Mask) -> Values:
    """Ratio of the lengths of the local cell vectors F a and F b."""
    axes = gradient @ cell_pm.T
    lengths = np.linalg.norm(axes, axis=1)
    usual = np.linalg.norm(_mean(gradient, bulk) @ cell_pm.T, axis=0)
    c, a = (0, 1) if usual[0] > usual[1] else (1, 0)
    # d ln |F v| = (F v / |F v|) . dF v / |F v|.
    change = axes.transpose(0, 2, 1) / lengths[..., None] ** 2
    linear = change[:, c, :, None] * cell_pm[c] - change[:, a, :, None] * cell_pm[a]
    ratio = lengths[:, c] / lengths[:, a]
    return {"c_over_a": ratio, "c_over_a_std": ratio * spread(covariance, linear)}


def _intensities(columns: Columns, cells: UnitCells, bulk: Mask) -> Values:
    """Heights over the bulk's median; of one site all columns have the same width, so it is the same of their sums."""
    good = usable(columns.flags) & np.isfinite(columns.amplitude)
    height = np.where(good, np.abs(columns.amplitude), np.nan)
    count = cells.reference.shape[1]
    std = np.sqrt((cells.gather(columns.amplitude_std) ** 2).sum(axis=1)) / count
    found = {}
    for name, value, error in (
        ("moving", height[cells.moving], columns.amplitude_std[cells.moving]),
        ("reference", cells.gather(height).mean(axis=1), std),
    ):
        seen = np.isfinite(value)
        chosen = seen & bulk if (seen & bulk).any() else seen
        usual = float(np.median(value[chosen])) if chosen.any() else np.nan
        if usual > 0:
            found[f"{name}_intensity"] = value / usual
            found[f"{name}_intensity_std"] = np.where(seen, error / usual, np.nan)
    return found


def _ellipticity(
    columns: Columns, cells: UnitCells, bulk: Mask, pixel_size: PixelSize
) -> tuple[Values, tuple[str, ...]]:
    """Ellipticity of the moving column and of its reference columns over the bulk's, and what is said of them."""
    e, cov = ellipticity(*scaled(columns.moments, columns.moments_cov, pixel_size.xy_pm))
    unsure = np.sqrt((cov[:, 0, 0] + cov[:, 1, 1]) / 2)
    e[~columns.usable | ~(unsure < MOST_UNSURE)] = np.nan
    count = cells.reference.shape[1]
    found: Values = {}
    said = []
    for name, site, value, error, single in (
        ("moving", cells.moving_site, e[cells.moving], cov[cells.moving], unsure[cells.moving]),
        (
            "reference",
            cells.reference_site,
            cells.gather(e).mean(axis=1),
            cells.gather(cov).sum(axis=1) / count**2,
            unsure[cells.reference[cells.reference >= 0]],
        ),
    ):
        known: Mask = np.asarray(np.isfinite(value).all(axis=1))
        each = single[np.isfinite(single)]
        usual_std = float(np.median(each)) if len(each) else np.inf
        if not known.any() or usual_std > UNSURE:
            why = "are too faint or overlap too much" if np.isfinite(usual_std) else "have no shape of their own"
            said.append(f"ellipticity of {site} is left out: its columns {why}")
            continue
        chosen = known & bulk if (known & bulk).any() else known
        mean = value[chosen].mean(axis=0)
        length, angle = float(np.hypot(*mean)), float(np.degrees(0.5 * np.arctan2(mean[1], mean[0])) % 180)
        said.append(f"ellipticity of {site} is without the mean, {length:.3f} along {angle:.0f}°")
        of_cell = strength(value - mean, np.where(known[:, None, None], error, np.nan), TOLD_SIGMAS)
        name = f"{name}_ellipticity"
        found |= dict(zip((name, f"{name}_std", f"{name}_deg", f"{name}_std_deg"), of_cell, strict=True))
        for axis, part in enumerate(("cos", "sin")):
            found[f"{name}_{part}"] = value[:, axis] - mean[axis]
            found[f"{name}_{part}_std"] = np.where(known, np.sqrt(error[:, axis, axis]), np.nan)
    return found, tuple(said)


def _oxygen(columns: Columns, cells: UnitCells, lattice: Lattice, to_pm: Floats) -> tuple[Values, str]:
    """Where oxygen stands, and the sentence that says so or why it is not known; vectors in px times ``to_pm`` (2, 2)
    are pm."""
    motif = lattice.motif
    names = [name for name, pure in zip(motif.sites, motif.oxygen, strict=True) if pure]
    shows = np.array([name != "HAADF" for name in columns.signals])
    pure = motif.oxygen[columns.site]
    if not names:
        return {}, "oxygen positions are left out: no column of this projection holds oxygen alone"
    if not shows[columns.signal[pure]].any():
        return {}, "oxygen positions are left out: they need an image that shows oxygen, as ABF does"
    try:
        offsets = [motif.neighbours(cells.moving_site, name) for name in names]
    except RecipeError:
        return {}, "oxygen positions are left out: in this projection oxygen is not centred on the moving column"
    rows = np.concatenate([_rows(columns, cells, n, o) for n, o in zip(names, offsets, strict=True)], axis=1)
    rows = np.where((rows >= 0) & shows[columns.signal[rows]], rows, -1)
    complete = (rows >= 0).all(axis=1) & cells.complete
    xy, cov = columns.xy @ to_pm, to_pm.T @ columns.cov @ to_pm
    count, around = rows.shape[1], cells.reference.shape[1]
    off = np.where(complete[:, None], xy[rows].mean(axis=1) - cells.xy @ to_pm, np.nan)
    variance = cov[rows].sum(axis=1) / count**2 + cells.gather(cov).sum(axis=1) / around**2
    std = np.sqrt(np.where(complete[:, None], variance[:, [0, 1], [0, 1]], np.nan))
    found = {"oxygen_dx_pm": off[:, 0], "oxygen_dx_std_pm": std[:, 0]}
    found |= {"oxygen_dy_pm": off[:, 1], "oxygen_dy_std_pm": std[:, 1]}
    ideal = np.concatenate(
        [o @ motif.cell_A + _apart(motif, cells.moving_site, n) for n, o in zip(names, offsets, strict=True)]
    )
    said = f"oxygen is the centroid of the {count} oxygen columns around each {cells.moving_site} column"
    bonded = _bonded(motif)
    if bonded is None:
        return found, said
    if bonded == cells.moving_site:
        partners, there = cells.moving[:, None], np.zeros((1, 2))
    else:
        partners = cells.reference
        own = motif.neighbours(cells.moving_site, bonded)
        there = own @ motif.cell_A + _apart(motif, cells.moving_site, bonded)
    found |= _bonds((xy, cov), rows, partners, _pairs(ideal, there), complete & columns.usable[cells.moving])
    return found, f"{said}, bonds are those of {bonded}"


def _apart(motif: Motif, site: str, other: str) -> Floats:
    """(2,) angstrom from one site to another in the same cell."""
    return np.asarray((motif.fractions[motif.site(other)] - motif.fractions[motif.site(site)]) @ motif.cell_A)


def _bonded(motif: Motif) -> str | None:
    """The cation that oxygen is nearest to in the crystal, None where its atoms are not known."""
    atoms = motif.material.atoms
    oxygen = np.array([atom.fraction for atom in atoms if atom.element == "O"])
    nearest = {}
    for name in (motif.material.moving, motif.material.reference):
        places = np.array([atom.fraction for atom in atoms if atom.element == name])
        if len(oxygen) and len(places):
            away = (oxygen[:, None] - places + 0.5) % 1.0 - 0.5
            nearest[name] = float(np.linalg.norm(away, axis=-1).min())
    return min(nearest, key=lambda name: nearest[name]) if len(nearest) == 2 else None


def _pairs(oxygen: Floats, cations: Floats) -> Ints:
    """(B, 2) which of the oxygen places (n, 2) and of the cation places (m, 2), in angstrom, are bonded."""
    apart = np.linalg.norm(oxygen[:, None] - cations, axis=-1)
    apart[apart < SAME_PLACE_A] = np.inf
    return np.argwhere(apart < BONDED * apart.min())


def _bonds(positions: tuple[Floats, Floats], oxygen: Ints, cations: Ints, pairs: Ints, known: Mask) -> Values:
    """Mean length of the bonds of each cell and its error, of columns at (N, 2) pm with covariance (N, 2, 2)."""
    xy, cov = positions
    oxygen, cations = oxygen[known], cations[known]
    bond = xy[oxygen[:, pairs[:, 0]]] - xy[cations[:, pairs[:, 1]]]
    length = np.linalg.norm(bond, axis=2)
    along = bond / length[..., None] / len(pairs)
    variance = np.zeros(len(oxygen))
    # Bonds share columns: each column counts with all of its bonds at once.
    for rows, own, sign in ((oxygen, pairs[:, 0], 1.0), (cations, pairs[:, 1], -1.0)):
        for number in range(rows.shape[1]):
            pull = sign * along[:, own == number].sum(axis=1)
            variance += np.einsum("nr,nrs,ns->n", pull, cov[rows[:, number]], pull)
    found = {name: np.full(len(known), np.nan) for name in ("bond_pm", "bond_std_pm")}
    found["bond_pm"][known], found["bond_std_pm"][known] = length.mean(axis=1), np.sqrt(variance)
    return found
