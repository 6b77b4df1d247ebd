"""Analyses as Atomap lattices, one sublattice a site."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RecipeError, StageError, StemdispError
from ..model.analysis import Analysis
from ..model.columns import Columns
from ..model.micrograph import PixelSize, Signal

log = logging.getLogger(__name__)

PM_PER_NM = 1000.0

COLOURS = ("red", "blue", "green", "orange", "purple", "brown")
"""Colours of the sublattices in Atomap's plots."""

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
