"""Windows cut out of an image around columns, each brought to mean 0 and contrast 1 (counts stay as they are)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .window import ColumnModel, Search, Starts

X, Y, A, B, C, HEIGHT, LEVEL, SLOPE_X, SLOPE_Y = range(9)
"""Columns of a place (n, 9): centre, shape, height and background."""

RESULTS = 25
"""Numbers that every engine gives back of a column, as kernel/window_tables.h lists them."""


@dataclass(frozen=True)
class Windows:
    """Pixels (n, W, W), weights, offsets (W,) from the middle, starts (n, 9) relative to it, and what was taken off and
    divided by (n,)."""

    data: Any
    weight: Any
    line: Any
    start: Any
    limit: Any
    count: Any
    total: Any
    mean: Any
    scale: Any

    def of(self, rows: Any) -> Windows:
        """Some of the windows."""
        kept = {name: getattr(self, name)[rows] for name in self.__dataclass_fields__ if name != "line"}
        return Windows(line=self.line, **kept)


def cut(
    image: Any, weight: Any, starts: Starts, rows: slice, model: ColumnModel, search: Search, xp: Any
) -> tuple[Windows, Any]:
    """Windows of some of the columns, and their middle pixels (n, 2)."""
    xy, shape = xp.asarray(starts.xy[rows], dtype=float), xp.asarray(starts.shape[rows], dtype=float)
    middle = xp.floor(xy + 0.5).astype(np.int64)
    line = xp.arange(search.size) - search.size // 2
    x, y = middle[:, 0, None, None] + line[None, None, :], middle[:, 1, None, None] + line[None, :, None]
    ny, nx = image.shape
    inside = (x >= 0) & (y >= 0) & (x < nx) & (y < ny)
    inside &= (x - xy[:, 0, None, None]) ** 2 + (y - xy[:, 1, None, None]) ** 2 <= search.radius**2
    x, y = xp.clip(x, 0, nx - 1), xp.clip(y, 0, ny - 1)
    data = image[y, x].astype(float)
    used = xp.ones_like(data) if weight is None else weight[y, x].astype(float)
    used = xp.where(inside & xp.isfinite(data) & (used > 0) & xp.isfinite(used), used, 0.0)
    data = xp.where(used > 0, data, 0.0)
    start = xp.zeros((len(xy), 9))
    start[:, :2], start[:, 2:5] = xy - middle, shape
    if starts.own is not None:
        dx, dy = line[None, None, :] - start[:, 0, None, None], line[None, :, None] - start[:, 1, None, None]
        exponent = sum(
            k * one for k, one in zip(shape.T[:, :, None, None], (dx * dx, 2 * dx * dy, dy * dy), strict=True)
        )
        own = (1 - model.tail) * xp.exp(-exponent) + model.tail * xp.exp(-exponent * model.ratio**-2)
        data = data + xp.asarray(starts.own[rows])[:, None, None] * own
    limit = xp.asarray(starts.limit[rows], dtype=float)
    return _normalised(data, used, line.astype(float), start, limit, model, xp), middle


def _normalised(data: Any, weight: Any, line: Any, start: Any, limit: Any, model: ColumnModel, xp: Any) -> Windows:
    used = weight > 0
    count = used.sum(axis=(1, 2))
    pivot = data[:, data.shape[1] // 2, data.shape[2] // 2]
    rest = xp.where(used, data - pivot[:, None, None], 0.0)
    offset = rest.sum(axis=(1, 2)) / xp.maximum(count, 1)
    variance = (rest**2).sum(axis=(1, 2)) / xp.maximum(count, 1) - offset**2
    mean = pivot + offset
    flat = variance <= 1e-28 * (mean**2 + pivot**2)
    scale = xp.where(flat, 0.0, xp.sqrt(xp.where(flat, 1.0, variance)))
    if model.likelihood == "poisson":
        total = xp.where(used, xp.maximum(data, 0), 0.0).sum(axis=(1, 2))
    else:
        data = (data - mean[:, None, None]) * xp.where(flat, 0.0, 1 / xp.where(flat, 1.0, scale))[:, None, None]
        total = (weight * data**2).sum(axis=(1, 2))
    return Windows(data, weight, line, start, limit, count, total, mean, scale)
