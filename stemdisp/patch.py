"""A small piece of an image beside what the fit says of it: the way to see by eye whether a column was fitted well.

The model is made again from the table of columns alone, so that a stored result shows the same as a fresh one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import StageError
from .fitting.profile import Shape, at_rim, evaluate
from .fitting.surround import phantoms
from .model.analysis import Analysis
from .model.columns import Columns
from .model.lattice import Lattice
from .stages.refine import FAINT, MARGIN_A, RADIUS_BRIGHT_A, RADIUS_FAINT_A

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AROUND = 40
"""Columns around a pixel whose backgrounds say what lies under it: those of about three knots of the background."""


@dataclass(frozen=True)
class Patch:
    """A window of one signal and its model.

    signal
        The image it was cut from.
    corner
        (x, y) px of the window's first pixel.
    image, model
        (ny, nx) in the image's own unit; pixels without a number are NaN in ``image`` alone.
    amplitude
        Fitted height of the column in the middle, in the same unit.
    """

    signal: str
    corner: tuple[int, int]
    image: Floats
    model: Floats
    amplitude: float

    @property
    def residual(self) -> Floats:
        """(ny, nx) image minus model."""
        return self.image - self.model


def model_patch(analysis: Analysis, row: int, radius_px: float) -> Patch:
    """Image and fitted model around one column, in the signal its position was measured in.

    Parameters
    ----------
    analysis
        Refined columns.
    row
        Row of the column table.
    radius_px
        Half the side of the window in px; what lies outside of the image is cut off.

    Returns
    -------
    Patch
        Window, and the sum of all fitted columns that reach into it on their background.

    Raises
    ------
    StageError
        Where columns have not been refined, there is no such row, or the column lies outside of the image.

    Notes
    -----
    A column is amplitude * (profile - profile at its rim) within its radius, as in the fit, phantom columns outside of
    the frame included. The background was fitted on knots and is known under the columns; between them it is a thin
    plate through the nearest of these. Weak columns were fitted a second time by themselves, on a plane of their own:
    there the model may miss the image by what the two fits differ.
    """
    columns, lattice = analysis.columns, analysis.lattice
    if columns is None or lattice is None or not analysis.by_signal:
        raise StageError("columns have not been refined yet; there is no fit to show")
    if not 0 <= row < len(columns):
        raise StageError(f"no column {row}; rows are 0 to {len(columns) - 1}")
    signal = columns.signals[columns.signal[row]]
    fitted = analysis.by_signal[signal]
    image = analysis.micrograph.signals[signal].image
    middle = fitted.xy[row]
    if not np.isfinite(middle).all():
        raise StageError(f"column {row} has no position in {signal}")
    ny, nx = image.shape
    low = np.maximum(np.ceil(middle - radius_px), 0).astype(int)
    high = np.minimum(np.floor(middle + radius_px) + 1, [nx, ny]).astype(int)
    if (high <= low).any():
        raise StageError(f"column {row} lies outside of the image")
    at = np.meshgrid(np.arange(low[0], high[0], dtype=float), np.arange(low[1], high[1], dtype=float))
    model = _background(fitted, *at) + _light(fitted, lattice, signal, (ny, nx), *at)
    cut = np.asarray(image[low[1] : high[1], low[0] : high[0]], dtype=float)
    return Patch(signal, (int(low[0]), int(low[1])), cut, model, float(fitted.amplitude[row]))


def _background(fitted: Columns, x: Floats, y: Floats) -> Floats:
    """The smooth background at pixels x, y (arrays of one shape)."""
    from scipy.interpolate import RBFInterpolator

    known = np.isfinite(fitted.background) & np.isfinite(fitted.xy).all(axis=1)
    neighbours = min(AROUND, int(known.sum()))
    plate = RBFInterpolator(
        fitted.xy[known], fitted.background[known], neighbors=neighbours, degree=min(1, neighbours - 1)
    )
    return np.asarray(plate(np.stack([x.ravel(), y.ravel()], axis=1))).reshape(x.shape)


def _light(fitted: Columns, lattice: Lattice, signal: str, shape: tuple[int, int], x: Floats, y: Floats) -> Floats:
    """What all columns together give at pixels x, y (arrays of one shape)."""
    scale = 100 / float(lattice.scale_pm.mean())
    beyond, of_site, like = phantoms(fitted.xy, fitted.site, fitted.hk, lattice.cell, shape, MARGIN_A * scale)
    rows = np.concatenate([np.arange(len(fitted)), like[:, 0]])
    places = np.concatenate([fitted.xy, beyond])
    height = np.concatenate([fitted.amplitude, fitted.amplitude[like].mean(axis=1)])
    faint = lattice.motif.contrast(signal)[np.concatenate([fitted.site, of_site])] < FAINT
    reach = np.where(faint, RADIUS_FAINT_A, RADIUS_BRIGHT_A) * scale
    how = fitted.fits[0]
    total = np.zeros(x.shape)
    near = (places > np.array([x.min(), y.min()]) - reach[:, None]) & (
        places < np.array([x.max(), y.max()]) + reach[:, None]
    )
    for one in np.flatnonzero(near.all(axis=1) & np.isfinite(height)):
        long, short = fitted.sigma[rows[one]]
        form = Shape.of_axes(long, short, float(fitted.angle_deg[rows[one]]), how.tail, how.tail_ratio)
        dx, dy = x - places[one, 0], y - places[one, 1]
        sigma = np.exp(form.log_sigma)
        profile = evaluate(form, sigma[0], dx, dy, np).value - at_rim(form, sigma, reach[one : one + 1])[0][0]
        total += height[one] * np.where(np.hypot(dx, dy) < reach[one], profile, 0.0)
    return total
