"""Fit single columns in small windows of an image, as many at once as there are.

    model = level + slopes . d + A ((1 - w) e + w e^(1 / k^2)),    e = exp(-(a dx^2 + 2 b dx dy + c dy^2))

with d = (dx, dy) the distance from the column's centre.  Neighbours are the caller's business: taken off the image, or
outside the windows.  The compiled kernel computes where it was built, else arrays do (fitting.window_arrays, which is
also what the kernel is tested against); :attr:`ColumnFits.engine` says which.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..backend import CPU, Device
from ..errors import DeviceError
from ..pulse import beating
from .cutouts import RESULTS
from .engine import built

Floats = NDArray[np.float64]

log = logging.getLogger(__name__)

LARGEST = 129
"""px along a side of a window, at most."""


class Status(IntEnum):
    """How the fit of a column ended."""

    CONVERGED = 0
    AT_LIMIT = 1
    """As far from its start, or as wide, narrow or elongated, as it may be."""
    FEW_PIXELS = 2
    """No more usable pixels than parameters."""
    SINGULAR = 3
    """The window does not determine the parameters: it is flat, or the column has no height."""
    NOT_CONVERGED = 4
    """Still moving after the last evaluation."""


SHAPES = {"shared": 0, "circular": 1, "elliptical": 2}


@dataclass(frozen=True)
class ColumnModel:
    """What is fitted to each window.

    shape
        "shared" keeps a, b and c as they start, "circular" multiplies the three by one factor, "elliptical" fits them.
    plane
        Whether the background may slope.
    likelihood
        "least_squares", or "poisson": pixels are counts, with nothing taken off that had noise of its own.
    tail, ratio
        Share of the height that is ``ratio`` times wider, and this ratio; both are given, not fitted.
    """

    shape: Literal["shared", "circular", "elliptical"] = "elliptical"
    plane: bool = False
    likelihood: Literal["least_squares", "poisson"] = "least_squares"
    tail: float = 0.0
    ratio: float = 2.2

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ValueError(f"shape = {self.shape!r}: must be one of {', '.join(SHAPES)}")
        if self.likelihood not in ("least_squares", "poisson"):
            raise ValueError(f"likelihood = {self.likelihood!r}: must be least_squares or poisson")
        if not 0 <= self.tail < 1 or not self.ratio > 0:
            raise ValueError(
                f"tail = {self.tail}, ratio = {self.ratio}: the tail is a share below 1, the ratio positive"
            )

    @property
    def parameters(self) -> int:
        """Number of parameters of a column."""
        return 4 + 2 * self.plane + {"shared": 0, "circular": 1, "elliptical": 3}[self.shape]


@dataclass(frozen=True)
class Search:
    """Which pixels are used, and when a fit is done.

    size
        px along a side of the square windows, odd; each is centred on the pixel nearest to the start.
    radius
        px; pixels farther than this from the start are not used.
    ridge
        1 / variance that the slopes of the plane are allowed; only with least squares.
    tolerance
        px; done when neither centre nor width changes by more in one step.
    evaluations
        The model is computed at most this often.
    """

    size: int = 15
    radius: float = float("inf")
    ridge: float = 0.0
    tolerance: float = 2e-4
    evaluations: int = 40

    def __post_init__(self) -> None:
        if self.size % 2 == 0 or not 3 <= self.size <= LARGEST:
            raise ValueError(f"size = {self.size}: must be odd, 3 to {LARGEST} px")
        if not (self.radius > 0 and self.ridge >= 0 and self.tolerance > 0 and self.evaluations >= 1):
            raise ValueError(
                f"radius = {self.radius}, ridge = {self.ridge}, tolerance = {self.tolerance},"
                f" evaluations = {self.evaluations}: must be positive, the ridge at least 0"
            )


@dataclass(frozen=True)
class Starts:
    """Where columns (n) are looked for.

    xy
        (n, 2) px, finite.
    shape
        (n, 3): a, b and c in 1 / px^2; 1 / 2 sigma^2, 0 and 1 / 2 sigma^2 for a round column.
    limit
        (n,) px; how far from ``xy`` a column may go.
    own
        (n,) heights of the columns themselves where they were taken off the image too, as they stand here: put back in
        each column's own window.  None where they were not.
    """

    xy: Floats
    shape: Floats
    limit: Floats
    own: Floats | None = None

    def __post_init__(self) -> None:
        n = len(self.xy)
        shapes = [self.xy.shape, self.shape.shape, self.limit.shape]
        if shapes != [(n, 2), (n, 3), (n,)] or (self.own is not None and self.own.shape != (n,)):
            raise ValueError(f"starts: xy (n, 2), shape (n, 3), limit and own (n,); they are {shapes}")
        if not np.isfinite(self.xy).all():
            raise ValueError("starts: every position has to be finite")


def round_starts(xy: Floats, sigma: float | Floats, limit: float | Floats) -> Starts:
    """Starts at ``xy`` (n, 2) of round columns with standard deviation ``sigma`` px."""
    n = len(xy)
    half = 0.5 / np.broadcast_to(np.asarray(sigma, dtype=float), (n,)) ** 2
    return Starts(
        np.asarray(xy, dtype=np.float64).reshape(n, 2),
        np.column_stack([half, np.zeros(n), half]),
        np.array(np.broadcast_to(np.asarray(limit, dtype=np.float64), (n,))),
    )


@dataclass(frozen=True)
class ColumnFits:
    """What was found of each column (n), in the order of the starts; in a column that failed (``FEW_PIXELS``,
    ``SINGULAR``) centre and shape are those of the start, everything else is NaN.

    amplitude
        (n,) height.
    xy
        (n, 2) px.
    shape
        (n, 3): a, b and c in 1 / px^2.
    level, slopes
        (n,) background at the centre and (n, 2) its change per px.
    chi2
        (n,) weighted squares per degree of freedom.
    covariance
        (n, 3, 3) of (amplitude, x, y).
    background_variance
        (n, 3) of level and slopes.
    shape_covariance
        (n, 3, 3) of (a, b, c); 0 where the shape is given.
    status
        (n,) :class:`Status`.
    evaluations, pixels
        (n,) how often the model was computed, how many pixels were used.
    engine
        Who computed: "compiled, avx2", "arrays, cpu" ...
    """

    amplitude: Floats
    xy: Floats
    shape: Floats
    level: Floats
    slopes: Floats
    chi2: Floats
    covariance: Floats
    background_variance: Floats
    shape_covariance: Floats
    status: NDArray[np.int32]
    evaluations: NDArray[np.int32]
    pixels: NDArray[np.int32]
    engine: str

    @property
    def converged(self) -> NDArray[np.bool_]:
        """(n,) whether the fit ended where it wanted to."""
        return np.asarray(self.status == Status.CONVERGED)

    @property
    def sigma(self) -> Floats:
        """(n, 2) standard deviations in px along the long and the short axis."""
        a, b, c = self.shape.T
        mean, spread = (a + c) / 2, np.hypot((a - c) / 2, b)
        return np.column_stack([np.sqrt(0.5 / (mean - spread)), np.sqrt(0.5 / (mean + spread))])


def fit_columns(
    image: NDArray[Any],
    starts: Starts,
    model: ColumnModel | None = None,
    search: Search | None = None,
    *,
    weight: NDArray[Any] | None = None,
    device: Device = CPU,
) -> ColumnFits:
    """Height, centre, shape and background of every column, each alone in its window.

    Parameters
    ----------
    image
        (ny, nx).  float32 is computed in float32, everything else in float64.  Pixels that are not finite are not used.
    starts
        Where columns are looked for.
    model, search
        What is fitted to which pixels; by default an ellipse on a constant, in 15 x 15 px.
    weight
        (ny, nx), 1 / variance of each pixel up to a common factor; 0 = not used.  With
        Poisson counts only whether it is 0.
    device
        Where to compute.

    Returns
    -------
    The columns, in the order of the starts. Each depends on its own window alone: neither the order nor the number of
    columns, nor the number of threads, changes any bit.

    Raises
    ------
    ValueError
        Where shapes do not belong together, or a position is not finite.
    DeviceError
        Where a GPU that was asked for cannot compute; one that was merely found is replaced by the CPU, with a warning.

    Notes
    -----
    Levenberg-Marquardt [1]_ [2]_ in moment form: all derivatives are the profile times a monomial, so the normal
    equations need only sums of the profile and its square times monomials.  For least squares, height and background
    are solved for exactly at each centre and shape (variable projection [3]_).  The step is damped with the diagonal of
    the normal equations; where it fails it is shortened, instead of being solved for again.  Counts are fitted by
    maximum likelihood as in [4]_, with Fisher scoring in place of Newton's method.  The covariance is the inverse of
    the normal equations, times chi2 for least squares: right where ``weight`` is 1 / variance.

    References
    ----------
    .. [1] K. Levenberg, Q. Appl. Math. 2, 164 (1944), https://doi.org/10.1090/qam/10666
    .. [2] D. W. Marquardt, J. SIAM 11, 431 (1963), https://doi.org/10.1137/0111030
    .. [3] G. H. Golub, V. Pereyra, SIAM J. Numer. Anal. 10, 413 (1973), https://doi.org/10.1137/0710036
    .. [4] C. S. Smith et al., Nat. Methods 7, 373 (2010), https://doi.org/10.1038/nmeth.1449

    Examples
    --------
    >>> y, x = np.mgrid[:15, :15]
    >>> image = 5 + 100 * np.exp(-((x - 7.2) ** 2 + (y - 6.9) ** 2) / 8)
    >>> fit = fit_columns(image, round_starts(np.array([[7.0, 7.0]]), 1.8, 2.0))
    >>> fit.xy.round(4), fit.sigma.round(3), fit.status
    (array([[7.2, 6.9]]), array([[2., 2.]]), array([0], dtype=int32))
    """
    model, search = model or ColumnModel(), search or Search()
    if image.ndim != 2:
        raise ValueError(f"image: must have 2 axes, has {image.ndim}")
    if weight is not None and weight.shape != image.shape:
        raise ValueError(f"weight {weight.shape}: must have the shape of the image, {image.shape}")
    dtype = np.float32 if image.dtype == np.float32 else np.float64
    pixels = np.ascontiguousarray(image, dtype=dtype)
    weights = None if weight is None else np.ascontiguousarray(weight, dtype=dtype)
    if device.is_gpu and device.compiled:
        from . import launch

        try:
            found = launch.fit_windows(pixels, weights, starts, model, search, device)
            return table(*found, f"compiled, {device.name}")
        except DeviceError as error:
            if device.required:
                raise
            log.warning("computing on the CPU: %s", error)
            device = CPU
    if not device.is_gpu and device.compiled and built():
        return _compiled(pixels, weights, starts, model, search, device)
    from . import window_arrays

    return table(*window_arrays.fit(pixels, weights, starts, model, search, device), f"arrays, {device.name}")


def _compiled(
    image: NDArray[Any], weight: NDArray[Any] | None, starts: Starts, model: ColumnModel, search: Search, device: Device
) -> ColumnFits:
    from .kernel import _kernel

    n = len(starts.xy)
    results, reports = np.empty((n, RESULTS)), np.empty((n, 3), dtype=np.int32)
    own = None if starts.own is None else np.ascontiguousarray(starts.own, dtype=np.float64)
    xy, shape, limit = (np.ascontiguousarray(one, dtype=np.float64) for one in (starts.xy, starts.shape, starts.limit))
    profile = (float(model.tail), float(model.ratio) ** -2)
    kind = (SHAPES[model.shape], model.plane, model.likelihood == "poisson", *profile)
    how = (search.size, float(search.radius), float(search.ridge), float(search.tolerance), search.evaluations)
    beating(
        lambda: _kernel.fit_windows(image, weight, xy, shape, limit, own, kind, how, results, reports, device.threads)
    )
    return table(results, reports, f"compiled, {_kernel.level()}")


def table(results: Floats, reports: NDArray[np.int32], engine: str) -> ColumnFits:
    """Results (n, RESULTS) and reports (n, 3) of an engine under their names."""
    return ColumnFits(
        amplitude=results[:, 0],
        xy=results[:, 1:3],
        shape=results[:, 3:6],
        level=results[:, 6],
        slopes=results[:, 7:9],
        chi2=results[:, 9],
        covariance=_symmetric(results[:, 10:16]),
        background_variance=results[:, 16:19],
        shape_covariance=_symmetric(results[:, 19:25]),
        status=reports[:, 0],
        evaluations=reports[:, 1],
        pixels=reports[:, 2],
        engine=engine,
    )


def _symmetric(upper: Floats) -> Floats:
    """(n, 3, 3) matrices of their 6 different elements (n, 6) row by row."""
    return upper[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)
