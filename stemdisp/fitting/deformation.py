"""How a lattice is deformed around many places at once, by least squares, with errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

FEWEST = 4
"""Points that a gradient is taken from at least, where a place has as many: three leave nothing to average."""

FLATTEST = 0.05
"""Least ratio of the second moments of the ideal points along two axes: flatter ones lie on a line."""


def gradients(ideal: Floats, measured: Floats, cov: Floats, known: Mask) -> tuple[Floats, Floats]:
    """Deformation gradient F of each of n places: measured = F ideal + constant, by least squares over its points.

    Parameters
    ----------
    ideal
        (J, 2) where the points of every place stand in the undeformed lattice, from any origin.
    measured, cov
        (n, J, 2) where they were found and (n, J, 2, 2) its covariance, in the same unit.
    known
        (n, J) points that were found; what stands in the others is not looked at.

    Returns
    -------
    (n, 2, 2) gradients F[r, c] = d measured_r / d ideal_c and (n, 2, 2, 2, 2) their covariance; NaN where fewer than
    four points are known, or all on a line.

    Notes
    -----
    With ideal points X about their mean, F = (sum x X') (sum X X')^-1: the local affine transformation of least
    squares (Falk and Langer, Phys. Rev. E 57, 7192 (1998), doi 10.1103/PhysRevE.57.7192) that peak-pair methods use on
    lattice images (Galindo et al., Ultramicroscopy 107, 1186 (2007), doi 10.1016/j.ultramic.2007.01.019). Here with a
    free constant, on fitted positions, and with the covariance of F.
    """
    weight = known.astype(float)
    count = weight.sum(axis=1)
    centre = weight @ ideal / np.maximum(count, 1)[:, None]
    around = np.where(known[..., None], ideal - centre[:, None], 0.0)
    moments = around.transpose(0, 2, 1) @ around
    low, high = np.linalg.eigvalsh(moments).T if len(moments) else np.zeros((2, 0))
    told = (count >= min(FEWEST, len(ideal))) & (low > FLATTEST * high)
    moments[~told] = np.eye(2)
    # The place's own mean is taken off first: far from the origin a difference would lose digits.
    found = np.where(known[..., None], measured, 0.0)
    found = np.where(known[..., None], found - (found.sum(axis=1) / np.maximum(count, 1)[:, None])[:, None], 0.0)
    share = around @ np.linalg.inv(moments)
    gradient = found.transpose(0, 2, 1) @ share
    spread = np.where(known[..., None, None], cov, 0.0)
    covariance = np.einsum("njrs,njc,njd->nrcsd", spread, share, share, optimize=True)
    gradient[~told], covariance[~told] = np.nan, np.nan
    return gradient, covariance


def polar(gradient: Floats) -> tuple[Floats, Floats]:
    """Stretch (n, 2, 2), symmetric, and angle (n,) in radians from the first axis towards the second, of gradients
    F = stretch x rotation.

    >>> stretch, angle = polar(np.array([[[0.0, -1.02], [1.0, 0.0]]]))
    >>> np.diag(stretch[0]).round(6).tolist(), angle.round(6).tolist()
    ([1.02, 1.0], [1.570796])
    """
    angle = np.arctan2(gradient[:, 1, 0] - gradient[:, 0, 1], gradient[:, 0, 0] + gradient[:, 1, 1])
    cosine, sine = np.cos(angle), np.sin(angle)
    back = np.stack([np.stack([cosine, sine], axis=1), np.stack([-sine, cosine], axis=1)], axis=1)
    return gradient @ back, angle


def spread(covariance: Floats, linear: Floats) -> Floats:
    """(n,) standard deviation of sum(linear x F) over gradients of covariance (n, 2, 2, 2, 2); ``linear`` (2, 2), or
    one for each of them (n, 2, 2)."""
    each = np.broadcast_to(linear, (len(covariance), 2, 2))
    return np.asarray(np.sqrt(np.einsum("nrc,nrcsd,nsd->n", each, covariance, each, optimize=True)))
