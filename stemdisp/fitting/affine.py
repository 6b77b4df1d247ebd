"""How an image of known points is stretched, sheared and bent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST = 6
"""Points that a stretch is taken from at least."""

ORDERS = (2, 3)
"""Legendre polynomials that make a smooth bend: those of orders 0 and 1 are affine."""


@dataclass(frozen=True)
class Stretch:
    """Symmetric part of an affine map, and its error.

    matrix
        (2, 2) symmetric; a turned ideal vector (row) times this is the measured one.
    std
        (2, 2) standard deviations of its elements.
    """

    matrix: Floats
    std: Floats


def stretch(ideal: Floats, measured: Floats) -> Stretch | None:
    """How measured points (n, 2) are stretched against ideal ones (n, 2), whatever way these are turned.

    Returns
    -------
    None of fewer than six points, or of such on a line. Errors are those of points that scatter independently.

    Notes
    -----
    measured = ideal G + constant by least squares, G = R U with a rotation R and U symmetric. U is what remains of the
    distortion when nobody knows how the crystal lies; a shear of the scan, which turns as well, is half in U and half
    in R.
    """
    n = len(ideal)
    if n < FEWEST:
        return None
    around, found = ideal - ideal.mean(axis=0), measured - measured.mean(axis=0)
    moments = around.T @ around
    low, high = np.linalg.eigvalsh(moments)
    if low < 1e-3 * high:
        return None
    gradient = np.linalg.solve(moments, around.T @ found)
    left, sizes, right = np.linalg.svd(gradient)
    turn = left @ right
    scatter = (found - around @ gradient).var(axis=0) * n / max(n - 3, 1)
    along = np.diag(np.linalg.inv(turn.T @ moments @ turn))
    both = 0.5 * np.sqrt(scatter[1] * along[0] + scatter[0] * along[1])
    plain = np.sqrt(scatter * along)
    return Stretch(right.T @ np.diag(sizes) @ right, np.array([[plain[0], both], [both, plain[1]]]))


@dataclass(frozen=True)
class Bend:
    """A smooth curve along one axis: shift (x, y) = sum of Legendre polynomials of the place along it,
    which runs from -1 to 1 over the points.

    coefficients, cov
        (2, K) of x and of y, and their covariance (2, K, K).
    freedom
        Groups that err independently less unknowns: by so many the covariance is known.
    """

    coefficients: Floats
    cov: Floats
    freedom: int

    def at(self, place: Floats) -> Floats:
        """(..., 2) shift at places (...)."""
        return np.asarray(_legendre(place) @ self.coefficients.T)

    @property
    def rms(self) -> float:
        """Over the points' extent and both components, without what noise adds in the mean; 0 where that is more."""
        share = 1 / (2 * np.array(ORDERS) + 1.0)
        noise = np.einsum("aii,i->", self.cov, share)
        return float(np.sqrt(max((self.coefficients**2 @ share).sum() - noise, 0.0)))

    @property
    def std(self) -> float:
        """Standard error of the rms; of one that is 0, the rms that noise makes."""
        share = 1 / (2 * np.array(ORDERS) + 1.0)
        slope = self.coefficients * share
        size, noise = float((self.coefficients * slope).sum()), float(np.einsum("aii,i->", self.cov, share))
        along = float(np.einsum("ai,aij,aj->", slope, self.cov, slope))
        return float(np.sqrt(along / size)) if self.rms > 0 else float(np.sqrt(noise))

    @property
    def level(self) -> float:
        """Probability of as much where nothing is bent: of the component that says more's Hotelling test, doubled."""
        from scipy.special import fdtrc

        terms = len(ORDERS)
        rest = self.freedom - terms + 1
        squares = (
            one @ np.linalg.pinv(cov, hermitian=True) @ one
            for one, cov in zip(self.coefficients, self.cov, strict=True)
        )
        return min(1.0, 2 * min(float(fdtrc(terms, rest, one * rest / (terms * self.freedom))) for one in squares))


def _legendre(place: Floats) -> Floats:
    from numpy.polynomial.legendre import legval

    return np.stack([legval(place, np.eye(order + 1)[order]) for order in ORDERS], axis=-1)


def bend(place: Floats, off: Floats, axis: int, together: Ints) -> Bend | None:
    """The smooth curve along an axis (0 = x, 1 = y) that points follow beyond an affine map, by least squares.

    Parameters
    ----------
    place
        (n, 2) where points stand, -1 to 1 over their extent along x and y.
    off
        (n, 2) how far they stand off their places.
    together
        (n,) number of the group of each point; points of one group may err together.

    Returns
    -------
    None of fewer than nine groups.

    Notes
    -----
    The covariance is the sandwich over groups, times G / (G - p) for G groups and p unknowns (Liang and Zeger,
    Biometrika 73, 13 (1986), doi 10.1093/biomet/73.1.13).
    """
    design = np.column_stack([np.ones(len(place)), place, _legendre(place[:, axis])])
    _, group = np.unique(together, return_inverse=True)
    groups, unknowns = int(group.max()) + 1 if len(group) else 0, design.shape[1]
    if groups < unknowns + 4:
        return None
    inverse = np.linalg.pinv(design.T @ design)
    solution = inverse @ design.T @ off
    left, covs = off - design @ solution, []
    for component in left.T:
        score = np.zeros((groups, unknowns))
        np.add.at(score, group, design * component[:, None])
        covs.append((inverse @ (score.T @ score) @ inverse)[3:, 3:] * groups / (groups - unknowns))
    return Bend(solution[3:].T.copy(), np.stack(covs), groups - unknowns)
