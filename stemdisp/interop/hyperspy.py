"""Analyses as HyperSpy signals and back: the images with their calibration, and maps on the grid of cells."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError, StemdispError
from ..model.analysis import Analysis
from ..model.cells import UnitCells
from ..model.fields import VectorField

PM_PER_NM = 1000.0

UNITS = {"percent": "%", "deg": "deg", "pm": "pm"}
"""End of a map's name -> its unit; others have none."""

Floats = NDArray[np.float64]


def on_grid(cells: UnitCells, values: Floats) -> tuple[Floats, tuple[int, int]]:
    """Values of the cells as an image of the crystal: row k, column h.

    Parameters
    ----------
    cells
        M unit cells.
    values
        (M,) one value a cell.

    Returns
    -------
    (nk, nh) image, NaN where there is no cell or no value, and the (h, k) of its first pixel.
    """
    if not len(cells):
        return np.full((0, 0), np.nan), (0, 0)
    first = cells.hk.min(axis=0)
    nh, nk = cells.hk.max(axis=0) - first + 1
    image = np.full((int(nk), int(nh)), np.nan)
    image[tuple((cells.hk - first)[:, ::-1].T)] = values
    return image, (int(first[0]), int(first[1]))


def _signal2d() -> Any:
    try:
        from hyperspy.signals import Signal2D
    except ImportError as error:
        raise StemdispError(f"this needs HyperSpy, which cannot be imported ({error}); pip install hyperspy") from error
    return Signal2D


def _axis(name: str, size: int, scale: float, first: int, unit: str) -> dict[str, Any]:
    return {"name": name, "size": size, "scale": scale, "offset": first * scale, "units": unit}


def from_hyperspy(signal: Any) -> tuple[NDArray[np.int64], Floats]:
    """The cells of a map that :func:`to_hyperspy` made, as it is or read back by ``hyperspy.api.load``.

    Parameters
    ----------
    signal
        ``Signal2D`` with axes h and k, cut out or not.

    Returns
    -------
    (M, 2) h and k of the pixels that have a value, and the values (M,), in the order of k, then h.

    Raises
    ------
    ReadError
        For a signal that is no such map.
    """
    axes = {axis.name: axis for axis in getattr(getattr(signal, "axes_manager", None), "signal_axes", ())}
    if set(axes) != {"h", "k"} or not all(axis.scale > 0 for axis in axes.values()):
        raise ReadError("this is no map of unit cells: its axes have to be h and k, as those of to_hyperspy are")
    values = np.asarray(signal.data, dtype=np.float64)
    first = np.array([np.rint(axes[name].offset / axes[name].scale) for name in "hk"])
    rows, columns = np.nonzero(np.isfinite(values))
    return (np.stack([columns, rows], axis=1) + first).astype(np.int64), values[rows, columns]


def _maps(analysis: Analysis) -> dict[str, tuple[str, Floats, Floats]]:
    """Name -> (unit, (M,) values, (M,) their standard deviations) of everything that is one number a cell."""
    found: dict[str, tuple[str, Floats, Floats]] = {}

    def add(field: VectorField | None, names: tuple[str, str, str]) -> None:
        if field is None:
            return
        with np.errstate(invalid="ignore", divide="ignore"):
            along = field.uv / field.magnitude[:, None]
        length_std = np.sqrt(np.einsum("mi,mij,mj->m", along, field.cov, along))
        values, std = (*field.uv.T, field.magnitude), (*field.std.T, length_std)
        for name, value, error in zip(names, values, std, strict=True):
            found[name] = (field.unit, value, error)

    add(analysis.displacement, ("dx_pm", "dy_pm", "magnitude_pm"))
    add(analysis.polarization, ("px_uC_cm2", "py_uC_cm2", "polarization_uC_cm2"))
    if analysis.maps is not None:
        arrays = analysis.maps.arrays()
        for name, error in pairwise(arrays):
            if "_std" not in name and np.isfinite(arrays[name]).any():
                found[name] = (UNITS.get(name.rsplit("_", 1)[-1], ""), arrays[name], arrays[error])
    return found


def to_hyperspy(analysis: Analysis) -> dict[str, Any]:
    """The images and the maps of an analysis as HyperSpy ``Signal2D``.

    A map has one pixel a unit cell: its rows are k, its columns h, so that it shows the crystal unrolled along its own
    axes, without any interpolation.  The axes are called h and k; their scale is the length of the cell vectors a and b
    in nm (px where there is no pixel size), their offset makes the value 0 the cell (0, 0).  Where a does not run right
    and b down on the screen the map is turned against the image: ``metadata.stemdisp`` holds origin, a and b in px.

    Parameters
    ----------
    analysis
        Finished as far as it is.

    Returns
    -------
    Signal name (HAADF ...) -> image with axes x and y; ``dx_pm, dy_pm, magnitude_pm, px_uC_cm2, py_uC_cm2,
    polarization_uC_cm2`` and the names of :class:`~stemdisp.model.maps.Maps` -> (nk, nh) maps, NaN where there is no
    value.  The square of their standard deviations is HyperSpy's ``get_noise_variance()``, where errors are known.
    Maps of stages that did not run, those without a single value, and images of an analysis of positions are left out.

    Raises
    ------
    StemdispError
        Where HyperSpy cannot be imported.
    """
    signal2d, size = _signal2d(), analysis.micrograph.pixel_size
    unit, nm_per_px = ("px", np.ones(2)) if size is None else ("nm", size.xy_pm / PM_PER_NM)
    found = {}
    images = {} if analysis.micrograph.blank else analysis.micrograph.signals
    for name, signal in images.items():
        ny, nx = signal.image.shape
        axes = [_axis("y", ny, float(nm_per_px[1]), 0, unit), _axis("x", nx, float(nm_per_px[0]), 0, unit)]
        found[name] = signal2d(signal.image.copy(), axes=axes, metadata={"General": {"title": name}})
    cells, lattice = analysis.cells, analysis.lattice
    if cells is None or lattice is None:
        return found
    a, b = np.linalg.norm(lattice.cell * nm_per_px, axis=1)
    frame = {"origin_px": lattice.origin.tolist(), "a_px": lattice.a.tolist(), "b_px": lattice.b.tolist()}
    for name, (quantity, values, std) in _maps(analysis).items():
        image, (h, k) = on_grid(cells, values)
        axes = [_axis("k", image.shape[0], float(b), k, unit), _axis("h", image.shape[1], float(a), h, unit)]
        about = {"General": {"title": name}, "Signal": {"quantity": f"{name} ({quantity})"}, "stemdisp": frame}
        found[name] = signal2d(image, axes=axes, metadata=about)
        if np.isfinite(std).any():
            variance = signal2d(on_grid(cells, std**2)[0], axes=axes)
            found[name].set_noise_variance(variance)
    return found
