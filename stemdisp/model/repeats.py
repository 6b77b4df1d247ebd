"""How columns scatter between the frames of a stack, beside the errors that are stated for their average."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TOGETHER = 0.2
"""Correlation of columns in the same rows beyond which the scan is spoken of."""


@dataclass(frozen=True)
class Repeat:
    """Empirical over stated standard deviation of one kind of position.

    name
        A site, or ``displacement``: the moving column against its reference neighbours.
    n
        How many columns, or cells.
    empirical_px, stated_px
        (2,) root mean square along x and y of both, for the average of all frames.
    ratio, ratio_std
        Root of the mean ratio of their variances, and its standard error from how that differs from column to column.
    """

    name: str
    n: int
    empirical_px: Floats
    stated_px: Floats
    ratio: float
    ratio_std: float


@dataclass(frozen=True)
class FramePrecision:
    """Precision of an average by its own frames.

    signal
        Whose frames.
    frames
        How many were fitted.
    std_px
        (N, 2) scatter of every column between the frames that show it over the square root of their number, without
        the shift and the affine distortion of whole frames; NaN where fewer than half of them show it well, and of
        oxygen that the recipe holds near its place in HAADF.
    shown
        (N,) frames that show the column well.
    distortion_percent
        Root mean square, over the frames, of the affine distortion that was taken out (largest singular value less 1).
    row_correlation
        How alike columns of the same scan rows are in what they are off by, 0 to 1; by the noise of pixels alone they
        are not, where the scan jitters they are. NaN where too few stand in a row.
    repeats
        One for every site that is measured in the signal, and one for the displacement.
    """

    signal: str
    frames: int
    std_px: Floats
    shown: NDArray[np.int64]
    distortion_percent: float
    row_correlation: float
    repeats: tuple[Repeat, ...]

    @property
    def sentence(self) -> str:
        """What the frames say of the stated errors."""
        said = ", ".join(f"{one.ratio:.2f} +- {one.ratio_std:.2f} of {one.name} ({one.n})" for one in self.repeats)
        sentence = (
            f"fitted one by one, the {self.frames} frames of {self.signal} scatter by this much of what the stated "
            f"errors of their average let expect: {said}; shifts and affine distortions of whole frames were taken out"
        )
        if self.row_correlation > TOGETHER:
            sentence += (
                f"; columns of the same rows are off together (correlation {self.row_correlation:.2f}), as the scan of "
                "every frame is distorted otherwise"
            )
        return sentence
