"""Shift of one signal against another: columns stand at the same places, bright in one and dark in the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..fitting.peaks import filled
from ..model.micrograph import Signal

UPSAMPLING = 20
"""Shifts are found to 1/20 px: a start for the fit, which then measures the shift on the columns."""


def register(signal: Signal, onto: Signal, largest: float) -> NDArray[np.float64]:
    """(2,) shift (x, y) in px of ``signal`` against ``onto``: what is at p there is at p + shift here.

    Phase correlation (skimage.registration) of the contrast-corrected images. A lattice repeats: a shift beyond
    ``largest`` px (half a lattice vector) means that the correlation took another period, and no shift is reported
    instead.
    """
    from skimage.registration import phase_cross_correlation

    images = [s.contrast * filled(s.image) for s in (signal, onto)]
    window = np.outer(np.hanning(images[0].shape[0]), np.hanning(images[0].shape[1]))
    shown = [(image - image.mean()) * window for image in images]
    dy, dx = phase_cross_correlation(shown[0], shown[1], upsample_factor=UPSAMPLING, normalization=None)[0]
    shift = np.array([dx, dy], dtype=float)
    return shift if np.hypot(dx, dy) <= largest else np.zeros(2)
