"""What every engine of the joint fit computes, and which engine computes it: the compiled kernel, or arrays.

Both give the same numbers; the array engine is the oracle that the kernel is tested against, and takes its place where
none was built, on a GPU too.  Where the kernel was built it computes on the CPU whatever the device: an image of 2048 x
2048 px with 22,000 columns took 7.6 s with it on 16 threads, and 334 s with arrays on an NVIDIA H200.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..backend import CPU, Device
from .problem import Problem, State

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Gradient:
    """Sums over pixels at one state.

    ``columns`` (N, 3) by amplitude, x and y, ``knots`` (K,) and ``shape`` (S,) of minus half the weighted squares;
    these ``squares`` and the number of ``pixels``.
    """

    columns: Floats
    knots: Floats
    shape: Floats
    squares: float
    pixels: int

    @property
    def chi2(self) -> float:
        """Weighted mean square residual."""
        return self.squares / max(self.pixels, 1)


@dataclass(frozen=True)
class Steps:
    """Changes of columns (N, 3), knots (K,) and shape (S,); zero where not fitted."""

    columns: Floats
    knots: Floats
    shape: Floats


@dataclass(frozen=True)
class Known:
    """What is known beforehand, as curvature: of positions (N,) and of the shape's parameters (S, S)."""

    position: Floats
    shape: Floats


class Factor(Protocol):
    """A curvature made ready to solve for as many gradients as one likes."""

    def step(self, gradient: Gradient, background: Floats) -> Steps:
        """The Gauss-Newton step for a gradient at a ``background`` (K,), whose unevenness pulls too."""


class Curvature(Protocol):
    """The weighted products of all derivatives of the model."""

    def factorise(self, state: State, shape_free: NDArray[np.bool_], known: Known, damping: float) -> Factor:
        """Ready to solve for what is free in ``state`` and the shape's free parameters (S,).

        ``damping`` is added to the diagonal relative to itself (Marquardt).
        """

    def covariance(self, state: State, known: Known) -> Floats:
        """(N, 3, 3) inverse curvature of each column's (amplitude, x, y) with its nearest neighbours free as well.

        Background and shape are held: they are known from so many pixels that they add nothing visible. NaN where
        something is held.
        """


class Sums(Protocol):
    """Sums over the pixels of a problem's image.

    Where they are taken over the means of ``stride`` x ``stride`` pixels, each counts as often as it has pixels.
    ``faintest`` is the smallest expected value that Poisson weights believe.
    """

    name: str
    faintest: float

    def gradient(self, state: State, stride: int) -> Gradient:
        """Gradient over every ``stride``-th pixel."""

    def curvature(self, state: State, stride: int) -> Curvature:
        """Curvature over every ``stride``-th pixel."""

    def rest(self, state: State) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Image minus model, and weight (ny, nx), both zero where no pixel is used."""


def built() -> bool:
    """Whether the compiled kernel is there."""
    return find_spec("stemdisp.fitting.kernel._kernel") is not None


def sums(problem: Problem, width: float, device: Device = CPU) -> Sums:
    """The engine for a problem with columns of ``width`` px: the compiled one where it was built and the device allows
    it, else arrays on the device."""
    if device.compiled and built():
        from .joint_compiled import CompiledSums

        return CompiledSums(problem, device)
    from .joint_arrays import ArraySums

    return ArraySums(problem, width, device)
