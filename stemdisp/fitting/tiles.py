"""Cut an image into square tiles and list the columns that reach into each, so that sums over pixels become matrix
products."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend import Device

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COARSEST, FINER = 1.2, 0.95
"""Largest spacing, in widths of the narrowest column, of the pixels that early iterations use, and of those that the
curvature of late ones uses: sums over products of two Gaussians sampled so are wrong by a thousandth, and by 2e-5."""

SMOOTHNESS = 1e-3
"""Stiffness between neighbouring background knots relative to a typical knot's own curvature: only knots that hardly
any pixel sees feel it."""

SPARSE = 5
"""Pixels between samples that stand for an image where a quantile of them is asked."""

TILE_WIDTH = 4.0
"""Side of a tile in column widths: small enough that few columns reach in, large enough that products stay
efficient."""


def tile_side(width: float, stride: int) -> int:
    """Samples along a tile's side for columns of ``width`` px sampled every ``stride`` px."""
    return int(np.clip(round(TILE_WIDTH * width / stride), 4, 24))


@dataclass(frozen=True)
class Chunk:
    """Tiles with equally long lists: ``corner`` (T, 2) first pixel (x, y), ``columns`` (T, L) rows, -1 = none,
    ``nodes`` (T, K) background knots, ``hat`` (T, K, P) their values at the tile's pixels, ``pixels`` (T, P) flat
    index of the pixels, ``inside`` (T, P) whether they exist, ``within`` (T, L, P) whether they are within a column's
    reach."""

    corner: Ints
    columns: Ints
    nodes: Ints
    hat: Floats
    pixels: Ints
    inside: NDArray[np.bool_]
    within: NDArray[np.bool_]
    stride: int

    def on(self, device: Device) -> Chunk:
        """The same arrays on a device."""
        arrays = {f.name: device.up(getattr(self, f.name)) for f in fields(self) if f.name != "stride"}
        return replace(self, **arrays)

    def reaching(self, xy: Floats, radius: Floats) -> Chunk:
        """With ``within`` for discs of ``radius`` (N,) px around ``xy`` (N, 2)."""
        x, y = self.coordinates(np)
        rows = np.maximum(self.columns, 0)
        reach = np.where(self.columns >= 0, radius[rows], -1.0)[:, :, None]
        away = (x - xy[rows, 0][:, :, None]) ** 2 + (y - xy[rows, 1][:, :, None]) ** 2
        return replace(self, within=away <= np.sign(reach) * reach**2)

    def coordinates(self, xp: Any) -> tuple[Any, Any]:
        """x and y (T, 1, P) of the tiles' pixels."""
        stride = self.stride
        samples = round(self.pixels.shape[1] ** 0.5)
        offset = xp.arange(samples) * stride
        x = xp.broadcast_to(self.corner[:, 0, None, None] + offset[None, None, :], (len(self.corner), samples, samples))
        y = xp.broadcast_to(self.corner[:, 1, None, None] + offset[None, :, None], (len(self.corner), samples, samples))
        return x.reshape(len(x), 1, -1).astype(float), y.reshape(len(y), 1, -1).astype(float)


def hats(shape: tuple[int, int], spacing: float) -> tuple[Floats, Floats]:
    """Positions of background knots along x and along y, ``spacing`` px apart, symmetric about the image's centre."""
    axes = []
    for size in (shape[1], shape[0]):
        half = int(np.ceil((size - 1) / 2 / spacing))
        axes.append(np.asarray((size - 1) / 2 + spacing * np.arange(-half, half + 1), dtype=np.float64))
    return axes[0], axes[1]


def odd_stride(spacing: float) -> int:
    """Largest odd number of pixels between samples that is not above ``spacing``, and 1 at least."""
    return max(1, 2 * ((int(spacing) + 1) // 2) - 1)


def phase(shape: tuple[int, int], stride: int) -> Ints:
    """(2,) first sampled pixel (x, y), such that the samples lie symmetrically about the image's centre.

    A turned or mirrored image is then sampled at the same places. ``stride`` must be odd.
    """
    return (np.array([shape[1], shape[0]]) - 1) * ((stride + 1) // 2) % stride


def sampled(image: NDArray[Any], stride: int) -> NDArray[Any]:
    """Every ``stride``-th (odd) pixel, symmetric about the image's centre."""
    x0, y0 = phase((image.shape[0], image.shape[1]), stride)
    return image[y0::stride, x0::stride]


def averaged(image: NDArray[np.floating], stride: int) -> NDArray[np.floating]:
    """Every ``stride``-th (odd) pixel as the mean of the ``stride`` x ``stride`` pixels around it: no count is lost,
    and columns stay where they are, a little wider.

    Where a pixel of them is missing, or lies outside the frame, the pixel stands for itself.
    """
    ny, nx = image.shape
    x0, y0 = phase((ny, nx), stride)
    samples = sampled(image, stride)
    if stride == 1:
        return samples
    half = stride // 2
    first_y, first_x = int(y0 < half), int(x0 < half)
    y = slice(first_y, max(first_y, (ny - 1 - half - y0) // stride + 1))
    x = slice(first_x, max(first_x, (nx - 1 - half - x0) // stride + 1))
    total = np.zeros_like(samples[y, x])
    for dy in range(-half, half + 1):
        for dx in range(-half, half + 1):
            low_y, low_x = y0 + first_y * stride + dy, x0 + first_x * stride + dx
            part = image[low_y::stride, low_x::stride]
            total += part[: total.shape[0], : total.shape[1]]
    result = samples.copy()
    mean = total / total.dtype.type(stride**2)
    result[y, x] = np.where(np.isfinite(mean), mean, result[y, x])
    return result


def _reaching(shape: tuple[int, int], xy: Floats, radius: Floats, side: int) -> tuple[Ints, Ints]:
    """Pairs (tile, column) of tiles that a disc around a column touches, ordered by tile, then column."""
    tiles_y, tiles_x = -(-shape[0] // side), -(-shape[1] // side)
    low = np.floor((xy - radius[:, None]) / side).astype(int)
    high = np.floor((xy + radius[:, None]) / side).astype(int)
    span = int((high - low).max()) + 1
    offset = np.arange(span)
    tx = low[:, 0, None, None] + offset[None, None, :]
    ty = low[:, 1, None, None] + offset[None, :, None]
    gap_x = np.maximum(np.maximum(tx * side - xy[:, 0, None, None], xy[:, 0, None, None] - (tx * side + side - 1)), 0)
    gap_y = np.maximum(np.maximum(ty * side - xy[:, 1, None, None], xy[:, 1, None, None] - (ty * side + side - 1)), 0)
    touch = (
        (tx >= 0) & (tx < tiles_x) & (ty >= 0) & (ty < tiles_y) & (gap_x**2 + gap_y**2 <= radius[:, None, None] ** 2)
    )
    column, j, i = np.nonzero(touch)
    tile = (low[column, 1] + j) * tiles_x + low[column, 0] + i
    order = np.lexsort((column, tile))
    return tile[order], column[order]


def cut(
    shape: tuple[int, int], xy: Floats, radius: Floats, *, spacing: float, width: float, stride: int, samples: int
) -> list[Chunk]:
    """Tiles of every ``stride``-th (odd) pixel that columns at ``xy`` (N, 2) with reach ``radius`` (N,) px touch.

    ``spacing`` px is the distance of the background knots, ``width`` px that of a column; ``samples`` bounds tiles x
    columns x pixels of one chunk.
    """
    along = tile_side(width, stride)
    side = along * stride
    tiles_x, first_pixel = -(-shape[1] // side), phase(shape, stride)
    tile, column = _reaching(shape, xy - first_pixel, radius, side)
    unique, start, count = np.unique(tile, return_index=True, return_counts=True)
    order = np.argsort(count, kind="stable")
    knots = hats(shape, spacing)
    chunks, first = [], 0
    while first < len(order):
        # Tiles are sorted by list length: the last one of a chunk sets its width.
        size = max(1, samples // (int(count[order[min(first + 32, len(order) - 1)]]) * along**2))
        members = order[first : first + size]
        length = int(count[members[-1]])
        slots = np.arange(length)
        listed = np.where(
            slots < count[members, None], column[np.minimum(start[members, None] + slots, len(column) - 1)], -1
        )
        corner = np.stack([unique[members] % tiles_x, unique[members] // tiles_x], axis=1) * side + first_pixel
        chunks.append(_chunk(shape, corner, listed, knots, stride, along).reaching(xy, radius))
        first += size
    return chunks


def _chunk(
    shape: tuple[int, int], corner: Ints, columns: Ints, knots: tuple[Floats, Floats], stride: int, along: int
) -> Chunk:
    offset = np.arange(along) * stride
    x, y = corner[:, 0, None] + offset, corner[:, 1, None] + offset
    inside = ((y < shape[0])[:, :, None] & (x < shape[1])[:, None, :]).reshape(len(corner), -1)
    pixels = np.minimum(y, shape[0] - 1)[:, :, None] * shape[1] + np.minimum(x, shape[1] - 1)[:, None, :]
    nodes_x, hat_x = _hats_along(x, knots[0])
    nodes_y, hat_y = _hats_along(y, knots[1])
    nodes = (nodes_y[:, :, None] * len(knots[0]) + nodes_x[:, None, :]).reshape(len(corner), -1)
    hat = hat_y[:, :, None, :, None] * hat_x[:, None, :, None, :]
    hat = hat.reshape(len(corner), nodes.shape[1], -1)
    nothing = np.zeros((len(corner), 0, 0), dtype=bool)
    return Chunk(corner, columns, nodes, hat, pixels.reshape(len(corner), -1), inside, nothing, stride)


def _hats_along(x: Ints, knots: Floats) -> tuple[Ints, Floats]:
    """Knots (T, K) that matter to positions (T, P) along one axis and the hat functions (T, K, P) there."""
    spacing = knots[1] - knots[0] if len(knots) > 1 else 1.0
    first = np.floor((x[:, 0] - knots[0]) / spacing).astype(int)
    needed = int(np.ceil((x[0, -1] - x[0, 0]) / spacing)) + 2
    nodes = np.clip(first[:, None] + np.arange(needed), 0, len(knots) - 1)
    # A knot listed twice (at the far edge) counts once.
    repeated = np.concatenate([np.zeros((len(x), 1), dtype=bool), nodes[:, 1:] == nodes[:, :-1]], axis=1)
    hat = np.maximum(0.0, 1 - np.abs(x[:, None, :] - knots[nodes][:, :, None]) / spacing)
    return nodes, np.where(repeated[:, :, None], 0.0, hat)
