"""Take a line or a chain of points that a user drew for the edge of the crystal."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..errors import StageError
from ..model.columns import Columns
from ..model.interface import Edge
from ..model.micrograph import PixelSize

Floats = NDArray[np.float64]


def drawn(points: Floats, columns: Columns, pixel_size: PixelSize, shape: tuple[int, int]) -> Edge:
    """The edge through points (P, 2) px, in the order they were drawn; the crystal is where more columns are.

    Raises
    ------
    StageError
        Two points that follow one another, or the first and the last, are the same, or the line passes by the image
        of ``shape`` (ny, nx).
    """
    pieces = np.diff(points, axis=0)
    closed = np.append((pieces == 0).all(axis=1), (points[-1] == points[0]).all())
    if closed.any():
        x, y = points[int(closed.argmax())]
        raise StageError(f"two points of the interface are the same ({x:g}, {y:g}); give points along the edge")
    if not _enters(points, shape):
        raise StageError(f"the interface lies outside the image of {shape[1]} x {shape[0]} px; draw it on the image")
    along = (points[-1] - points[0]) * pixel_size.xy_pm
    normal = np.array([along[1], -along[0]]) / np.hypot(*along)
    inner = ((columns.xy - points.mean(axis=0)) * pixel_size.xy_pm) @ normal
    outward = normal if (inner < 0).sum() >= (inner > 0).sum() else -normal
    return Edge(points, outward, "drawn", sentence="it was drawn there")


def _enters(points: Floats, shape: tuple[int, int]) -> bool:
    """Whether the chain, its ends carried on, passes through the image."""
    far = 2.0 * max(shape)
    first, last = points[0] - points[1], points[-1] - points[-2]
    ends = points[0] + far * first / np.hypot(*first), points[-1] + far * last / np.hypot(*last)
    chain = np.concatenate([ends[:1], points, ends[1:]])
    high = np.array([shape[1], shape[0]]) - 1.0
    for start, end in pairwise(chain):
        with np.errstate(divide="ignore", invalid="ignore"):
            crossings = np.sort(np.stack([-start / (end - start), (high - start) / (end - start)]), axis=0)
        # A piece along an axis lies between the walls of that axis all the way, or never.
        beside = (end == start) & ((start < 0) | (start > high))
        enter, leave = np.nanmax([*crossings[0][end != start], 0.0]), np.nanmin([*crossings[1][end != start], 1.0])
        if not beside.any() and enter <= leave:
            return True
    return False
