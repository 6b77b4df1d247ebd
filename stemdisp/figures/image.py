"""The image under a map: one signal in grey, in px, in true proportions."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from ..model.micrograph import Micrograph

LARGEST_SIDE_PX = 1500
"""More pixels than this cannot be seen in a figure and only make its file large."""

DIMMED_LEVELS = (-3.2, 1.1)
"""Grey levels that black and white of the image's range fall between when it is dimmed: a light, flat background."""


def _smaller(image: NDArray[np.generic]) -> tuple[NDArray[np.float32], int]:
    """Means over blocks such that no side exceeds LARGEST_SIDE_PX, and the side of a block."""
    step = -(-max(image.shape) // LARGEST_SIDE_PX)
    ny, nx = (max(side // step, 1) * min(step, side) for side in image.shape)
    if step == 1:
        return image.astype(np.float32), 1
    blocks = (
        image[:ny, :nx].astype(np.float32).reshape(max(ny // step, 1), min(step, ny), max(nx // step, 1), min(step, nx))
    )
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32), step


def draw_image(ax: Axes, micrograph: Micrograph, *, signal: str | None = None, dimmed: bool = False) -> AxesImage:
    """Draw one signal (the first unless named) with y down and pixel centres at whole numbers.

    ``dimmed`` turns it into a light background on which arrows and markers of any colour can be read.
    """
    chosen = next(iter(micrograph.signals)) if signal is None else signal
    image, step = _smaller(micrograph.signals[chosen].image)
    finite = image[np.isfinite(image)]
    low, high = (float(v) for v in np.percentile(finite, (0.5, 99.7))) if finite.size else (0.0, 1.0)
    span = high - low or 1.0
    if dimmed:
        low, high = low + DIMMED_LEVELS[0] * span, low + DIMMED_LEVELS[1] * span
    ny, nx = image.shape
    drawn = ax.imshow(
        image,
        cmap="gray",
        vmin=low,
        vmax=high if high > low else low + 1.0,
        extent=(-0.5, nx * step - 0.5, ny * step - 0.5, -0.5),
        aspect=micrograph.pixel_size.y_pm / micrograph.pixel_size.x_pm if micrograph.pixel_size else 1.0,
    )
    full_ny, full_nx = micrograph.shape
    ax.set(xlim=(-0.5, full_nx - 0.5), ylim=(full_ny - 0.5, -0.5), xlabel="x (px)", ylabel="y (px)")
    return drawn
