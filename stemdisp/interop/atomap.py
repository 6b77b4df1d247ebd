"""Analyses as Atomap lattices, one sublattice a site, and Atomap lattices as positions."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError, RecipeError, StageError, StemdispError
from ..io.detectors import CONTRAST
from ..io.provenance import fingerprint
from ..io.text import one_line
from ..model.analysis import Analysis
from ..model.columns import Columns
from ..model.micrograph import InputFile, PixelSize, Signal
from ..model.positions import Positions

log = logging.getLogger(__name__)

PM_PER_NM = 1000.0

COLOURS = ("red", "blue", "green", "orange", "purple", "brown")
"""Colours of the sublattices in Atomap's plots."""

PM_PER_UNIT = {"nm": 1000.0, "Å": 100.0, "A": 100.0, "pm": 1.0}
"""Unit of Atomap's pixel size -> pm."""

AS_MADE = (1.0, 1.0, 0.01, 1.0)
"""sigma_x, sigma_y, rotation and amplitude of a column in Atomap that was never fitted."""

SQUARE = 1e-3
"""Relative difference of width and height above which a pixel is not square."""


def _atomap() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Atomap 0.4.2 imports HyperSpy names that HyperSpy 2.5 deprecates
            import atomap.api
    except ImportError as error:
        raise StemdispError(f"this needs Atomap, which cannot be imported ({error}); pip install atomap") from error
    return atomap.api


def _bright(signal: Signal) -> NDArray[np.float64]:
    """The image with bright columns and without negative or missing pixels, as Atomap's fits need it."""
    image = np.asarray(signal.image, dtype=np.float64) * signal.contrast
    known = np.isfinite(image)
    filled = np.where(known, image, np.median(image[known]) if known.any() else 0.0)
    return np.asarray(filled - min(float(filled.min()), 0.0))


def _scale(size: PixelSize | None) -> tuple[float, str]:
    """Atomap knows one pixel size for both axes."""
    if size is None:
        return 1.0, "pixel"
    if abs(size.x_pm / size.y_pm - 1) > SQUARE:
        log.warning(
            "pixels are %.5g x %.5g pm; Atomap takes them for squares, of their mean size", size.x_pm, size.y_pm
        )
    return (size.x_pm + size.y_pm) / 2 / PM_PER_NM, "nm"


def _fill(atom: Any, columns: Columns, row: int) -> None:
    """Shape and contrast of one column; what was not measured keeps Atomap's default.

    Atomap's ``rotation`` is the direction of ``sigma_x`` counter-clockwise as seen (measured on its own fit), its
    amplitude the volume under the Gaussian.
    """
    long, short = columns.sigma[row]
    if np.isfinite(long) and np.isfinite(short):
        atom.sigma_x, atom.sigma_y = float(long), float(short)
        if np.isfinite(columns.amplitude[row]):
            atom.amplitude_gaussian = float(abs(columns.amplitude[row]) * 2 * np.pi * long * short)
    if np.isfinite(columns.angle_deg[row]):
        atom.rotation = float(np.radians(columns.angle_deg[row]))


def _filled(
    sublattice: Any, columns: Columns, rows: NDArray[np.intp], elements: list[str], heights: list[float]
) -> Any:
    """The sublattice with what is known of its columns beyond their positions."""
    for atom, row in zip(sublattice.atom_list, rows, strict=True):
        _fill(atom, columns, int(row))
    if elements:
        sublattice.set_element_info(elements, heights)
    return sublattice


def _elements(analysis: Analysis, site: str) -> tuple[list[str], list[float]]:
    """Atoms of one repeat along the beam and heights in angstrom, spaced evenly: an image does not tell the heights."""
    motif = None if analysis.lattice is None else analysis.lattice.motif
    if motif is None or motif.repeat_A is None:
        return [], []
    content = motif.content[motif.site(site)]
    elements = [element for element, count in content.items() for _ in range(max(1, round(count)))]
    return elements, [motif.repeat_A * i / len(elements) for i in range(len(elements))]


def to_atomap(analysis: Analysis, signal: str | None = None) -> Any:
    """The columns of an analysis as an Atomap ``Atom_Lattice``.

    Dark columns (ABF) come with the inverted image, since Atomap fits bright ones; ``original_image`` is the one from
    the file.  Only columns whose position was measured are taken, in the order of the table.  Displacements that Atomap
    derives with ``get_polarization_from_second_sublattice`` have the opposite sign of ours.

    Parameters
    ----------
    analysis
        At least refined.
    signal
        Whose image, and positions as fitted in it alone; by default the trusted positions on the first signal.

    Returns
    -------
    ``Atom_Lattice`` with one ``Sublattice`` a site that has columns: positions (x, y) in px, sigma_x, sigma_y,
    rotation, amplitude, element_info; pixel size in nm.

    Raises
    ------
    StemdispError
        Where Atomap cannot be imported.
    RecipeError
        For a signal that the micrograph does not have.
    StageError
        Where there are no columns yet.
    """
    signals = analysis.micrograph.signals
    name = signal or next(iter(signals))
    if name not in signals:
        raise RecipeError(f"signal {name!r} is not in {analysis.micrograph.name}; there is {', '.join(signals)}")
    columns = analysis.by_signal.get(name, analysis.columns) if signal else analysis.columns
    if columns is None:
        raise StageError(f"{analysis.micrograph.name} has no columns yet; run the stages up to refine first")
    api = _atomap()
    image, original = _bright(signals[name]), np.asarray(signals[name].image)
    scale, unit = _scale(analysis.micrograph.pixel_size)
    sublattices: list[Any] = []
    for site in columns.sites:
        rows = np.flatnonzero(columns.of_site(site) & columns.usable)
        if len(rows):
            colour = COLOURS[len(sublattices) % len(COLOURS)]
            sublattice = api.Sublattice(columns.xy[rows].tolist(), image, original, site, colour, scale, unit)
            sublattices.append(_filled(sublattice, columns, rows, *_elements(analysis, site)))
    lattice = api.Atom_Lattice(image, analysis.micrograph.name, sublattices, original)
    lattice.set_scale(scale, unit)
    return lattice


def from_atomap(source: Any, *, signal: str = "HAADF") -> Positions:
    """The columns of Atomap as positions for :func:`stemdisp.from_positions`.

    Positions, widths and direction are taken as they are, so that what :func:`to_atomap` wrote comes back; amplitudes
    are in a lattice in memory, Atomap's file does not hold them.  Columns that were never fitted have no widths.  There
    are no standard deviations in Atomap.

    Parameters
    ----------
    source
        An ``Atom_Lattice``, a ``Sublattice`` or several of them, or the path of a file that ``Atom_Lattice.save``
        wrote.
    signal
        Of which detector the image was: HAADF, ABF or BF.

    Returns
    -------
    Positions
        In px, with the names of the sublattices as labels (``sublattice 0`` ... where they have none), the shape of the
        image and the pixel size where it has a unit of length.

    Raises
    ------
    StemdispError
        Where Atomap cannot be imported, to read a file.
    ReadError
        For a file that is none of Atomap's, and for anything else.
    RecipeError
        For a signal of another name.
    """
    if signal not in CONTRAST:
        raise RecipeError(f"signal {signal!r} is none that columns are measured in; choose {', '.join(CONTRAST)}")
    inputs: tuple[InputFile, ...] = ()
    if isinstance(source, (str, os.PathLike)):
        source, inputs = _loaded(Path(source))
    sublattices = _sublattices(source)
    labels = [str(one.name) or f"sublattice {number}" for number, one in enumerate(sublattices)]
    if len(set(labels)) < len(labels):
        labels = [f"{label} ({number})" for number, label in enumerate(labels)]
    measured = np.concatenate([_of_atoms(one.atom_list) for one in sublattices])
    xy, sigma, rotation, volume = measured[:, :2], measured[:, 2:4], measured[:, 4], measured[:, 5]
    turned = sigma[:, 0] < sigma[:, 1]
    columns = Columns.at(
        xy,
        tuple(labels),
        (signal,),
        site=np.repeat(np.arange(len(labels)), [len(one.atom_list) for one in sublattices]),
        sigma=np.where(turned[:, None], sigma[:, ::-1], sigma),
        angle_deg=np.mod(np.degrees(rotation) + np.where(turned, 90.0, 0.0), 180.0),
        amplitude=CONTRAST[signal] * volume / (2 * np.pi * sigma.prod(axis=1)),
    )
    ny, nx = sublattices[0].image.shape
    name = one_line(getattr(source, "name", "") or "Atomap lattice")
    return Positions(name, columns, _size(sublattices[0]), (int(ny), int(nx)), inputs)


def _loaded(path: Path) -> tuple[Any, tuple[InputFile, ...]]:
    """The lattice in a file of Atomap, and the file."""
    api = _atomap()
    try:
        size, digest = fingerprint(path)
        lattice = api.load_atom_lattice_from_hdf5(str(path), construct_zone_axes=False)
    except OSError as error:
        raise ReadError(f"{one_line(path)} cannot be read as a lattice of Atomap: {one_line(error)}") from error
    except Exception as error:  # whatever Atomap stumbles over in a file that is not its own
        raise ReadError(f"{one_line(path)} is no lattice of Atomap ({type(error).__name__})") from error
    return lattice, (InputFile(path.name, size, digest, "Atomap"),)


def _sublattices(source: Any) -> list[Any]:
    """The sublattices that have columns."""
    found = getattr(source, "sublattice_list", source)
    found = list(found) if isinstance(found, Sequence) else [found]
    if not all(hasattr(one, "atom_list") for one in found):
        raise ReadError(
            f"a {type(source).__name__} is no lattice of Atomap; pass an Atom_Lattice, one or more Sublattices, or the "
            "path of a saved lattice"
        )
    found = [one for one in found if len(one.atom_list)]
    if not found:
        raise ReadError("there is no column in this lattice of Atomap; find the columns first")
    return found


def _of_atoms(atoms: Any) -> NDArray[np.float64]:
    """(N, 6) x, y, sigma_x, sigma_y, rotation (radians), volume under the Gaussian; NaN for what Atomap did not fit."""
    found = np.array(
        [(a.pixel_x, a.pixel_y, a.sigma_x, a.sigma_y, a.rotation, a.amplitude_gaussian) for a in atoms], dtype=float
    )
    never = np.isclose(found[:, 2:], AS_MADE, rtol=0, atol=1e-12)
    found[never[:, :3].all(axis=1), 2:5] = np.nan
    found[never[:, 3], 5] = np.nan
    return found


def _size(sublattice: Any) -> PixelSize | None:
    pm = PM_PER_UNIT.get(str(sublattice.units))
    size = 0.0 if pm is None else float(sublattice.pixel_size) * pm
    return None if pm is None else PixelSize(size, size, "file")
