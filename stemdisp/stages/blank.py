"""Blank the part of an image that a crystal was found in, so that others can be looked for in the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..model.columns import Columns
from ..model.lattice import Lattice
from ..model.micrograph import Signal

REACH = 1.2
"""How far around a column its crystal is blanked, in the longer cell vector: the tails of the last columns go too."""

SIDE, FINE = 1024, 8
"""Distances are taken between blocks of pixels: at most about so many along a side of the image, and at least so many
to the reach."""


@dataclass(frozen=True, eq=False)
class Part:
    """A piece of an image, the maxima in it, and the place (x, y) px of its first pixel in the whole."""

    signal: Signal
    peaks: Columns
    corner: NDArray[np.int64]

    def in_the_whole(self, lattice: Lattice, columns: Columns) -> tuple[Lattice, Columns]:
        """What was found in the piece, in the coordinates of the whole."""
        return replace(lattice, origin=lattice.origin + self.corner), columns.replace(xy=columns.xy + self.corner)


def blank(part: Part, lattice: Lattice, columns: Columns, fewest: int) -> list[Part]:
    """The pieces that are left of a part of an image without one crystal, the largest first.

    Parameters
    ----------
    part
        The image that the crystal was found in.
    lattice, columns
        The crystal, in the coordinates of the part.
    fewest
        Number of cells, and of maxima, that a piece must have room for.

    Returns
    -------
    Every connected piece, cut out; its crystal-free surroundings have the median of the piece.
    """
    from scipy.ndimage import distance_transform_edt, find_objects, label

    image = part.signal.image
    reach = REACH * float(np.linalg.norm(lattice.cell, axis=1).max())
    step = max(1, min(round(max(image.shape) / SIDE), int(reach / FINE)))
    free = np.ones([-(-size // step) for size in image.shape], dtype=bool)
    x, y = _pixels(columns, image.shape)
    free[y // step, x // step] = False
    if not _has_room(free, int(2**0.5 * reach / step) - 2):
        return []
    numbers = np.asarray(label(np.asarray(distance_transform_edt(free)) * step > reach)[0])
    x, y = _pixels(part.peaks, image.shape)
    room = fewest * abs(float(np.linalg.det(lattice.cell)))
    left = []
    for number, box in enumerate(find_objects(numbers), start=1):
        rows, blocks = numbers[y // step, x // step] == number, numbers[box] == number
        if blocks.sum() * step**2 < room or rows.sum() < fewest:
            continue
        corner = step * np.array([box[1].start, box[0].start])
        below = image[corner[1] : step * box[0].stop, corner[0] : step * box[1].stop]
        inside = blocks.repeat(step, axis=0).repeat(step, axis=1)[: below.shape[0], : below.shape[1]]
        piece = np.where(inside, below, np.nanmedian(below[inside]))
        peaks = part.peaks.take(rows)
        moved = peaks.replace(xy=peaks.xy - corner)
        left.append(Part(replace(part.signal, image=piece), moved, part.corner + corner))
    return sorted(left, key=lambda one: -len(one.peaks))


def others(counts: list[int], analysed: int) -> tuple[str, ...]:
    """A sentence on crystals that are not analysed."""
    if not counts:
        return ()
    crystals = "another crystal" if len(counts) == 1 else f"{len(counts)} other crystals"
    return (
        f"{crystals} in view, of {', '.join(map(str, counts))} columns; only the largest, of {analysed} columns, is "
        "analysed",
    )


def _has_room(free: NDArray[np.bool_], side: int) -> bool:
    """Whether a square of blocks around a block of the frame is free: without one every place is within reach."""
    if side < 1:
        return True
    taken = np.pad(~free, side // 2)
    taken = np.pad(np.cumsum(np.cumsum(taken, axis=0, dtype=np.int32), axis=1), ((1, 0), (1, 0)))
    inside = taken[side:, side:] - taken[:-side, side:] - taken[side:, :-side] + taken[:-side, :-side]
    return bool((inside == 0).any())


def _pixels(columns: Columns, shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Nearest pixels (x, y) of columns, inside the frame."""
    x, y = np.rint(columns.xy).astype(int).clip(0, [shape[1] - 1, shape[0] - 1]).T
    return x, y
