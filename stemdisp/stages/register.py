"""Shift of one signal against the columns measured in another: they stand at the same places in both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..fitting.peaks import filled
from ..model.columns import Columns
from ..model.lattice import Lattice
from ..model.micrograph import Signal

UPSAMPLING = 20
"""Shifts are found to 1/20 px: a start for the fit, which then measures the shift on the columns."""

LARGEST = 1024
"""Side (px) of the part of an image, around the middle of its columns, that is compared."""

SIGMA_A = 0.5
"""Width (angstrom) that columns are drawn with."""


def register(signal: Signal, columns: Columns, lattice: Lattice) -> NDArray[np.float64]:
    """(2,) shift (x, y) in px of ``signal`` against ``columns``: what is listed at p is at p + shift here.

    Phase correlation (skimage.registration) with a picture of the columns as strong as this signal should show them.
    The picture of another signal will not do: where one shows a weak column beside a strong one and the other does not,
    it would be shifted towards it.  A lattice repeats: a shift beyond half a lattice vector means that the correlation
    took another period, and no shift is reported instead; nor is one where the signal is constant.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.registration import phase_cross_correlation

    size = np.minimum(signal.image.shape[::-1], LARGEST)
    corner = np.rint(columns.xy.mean(axis=0) - size / 2).astype(int).clip(0, signal.image.shape[::-1] - size)
    (nx, ny), (x, y) = size, corner
    seen = signal.contrast * filled(signal.image[y : y + ny, x : x + nx])
    sigma = SIGMA_A * 100 / float(lattice.scale_pm.mean())
    strength = lattice.motif.contrast(signal.name)[columns.site]
    picture = gaussian_filter(_points(columns.xy - corner, strength, (ny, nx)), sigma)
    window = np.outer(np.hanning(ny), np.hanning(nx))
    shown = [(image - image.mean()) * window for image in (seen, picture)]
    if not all(np.ptp(image) > 0 for image in shown):
        return np.zeros(2)
    dy, dx = phase_cross_correlation(shown[0], shown[1], upsample_factor=UPSAMPLING, normalization=None)[0]
    shift = np.array([dx, dy], dtype=float)
    return shift if np.hypot(dx, dy) <= 0.5 * np.linalg.norm(lattice.cell, axis=1).min() else np.zeros(2)


def _points(xy: NDArray[np.float64], strength: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """(ny, nx) image with the strength of each column at ``xy`` shared by the four pixels around it."""
    image = np.zeros(shape)
    first = np.floor(xy).astype(int)
    part = xy - first
    for dx in (0, 1):
        for dy in (0, 1):
            x, y = (first + np.array([dx, dy])).T
            share = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
            inside = (x >= 0) & (y >= 0) & (x < shape[1]) & (y < shape[0])
            np.add.at(image, (y[inside], x[inside]), (strength * share)[inside])
    return image
