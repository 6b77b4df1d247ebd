"""The frames of a stack made into one image: aligned and averaged, averaged as they are, or one of them alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from .images import Frames, missing

Floats = NDArray[np.float64]
Choice = Literal["align", "average"] | int
"""What to make of a stack; a number is that of the one frame to take, counted from 1."""

SMALLEST_SIDE = 32
"""Frames with fewer pixels along a side are averaged as they are: the few columns in them fix no shift."""

LEAST_SEEN = 0.5
"""Smallest part of the frames that a pixel must be seen in; further out there is more noise than the fit is told."""

LARGEST_KEPT = 2**30
"""Bytes of aligned frames that are kept; 256 frames of 1024 x 1024."""

TOGETHER_PX = 1.0
"""Stacks of two files are taken as recorded together where their own shifts agree this well."""


@dataclass(frozen=True, eq=False)
class GreyImage:
    """A 2-D image ready to be a signal: its pixels, how many frames are in it and what had to be decided.

    ``shifts`` (F, 2) px (x, y) are those of all frames of the stack against the one whose pixels were kept, NaN for
    frames that were left out; None where nothing was aligned.
    """

    pixels: NDArray[Any]
    frames: int
    notes: tuple[str, ...]
    shifts: Floats | None = None


class AlignedFrames:
    """The frames of a stack on the pixels of its average, as an array (F, ny, nx) of which each frame is made when it
    is asked for.

    Frames that were left out of the average are as stored, and so are all of them where nothing was aligned; pixels
    that a frame does not see are NaN.  What was made is kept as long as it takes no more than :data:`LARGEST_KEPT`.
    """

    ndim = 3

    def __init__(self, frames: Frames, shifts: Floats | None) -> None:
        self._frames, self._shifts = frames, shifts
        self._kept: dict[int, NDArray[Any]] = {}
        self.shape = (len(frames), *frames.shape)
        self.dtype = np.dtype(frames[0].dtype if shifts is None else _kept_type(frames[0]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        first, *within = key if isinstance(key, tuple) else (key,)
        which = np.arange(len(self))[first]
        if which.ndim == 0:
            return np.asarray(self._frame(int(which))[tuple(within)])
        made = np.empty((len(which), *self.shape[1:]), self.dtype)
        for i, number in enumerate(which):
            made[i] = self._frame(int(number))
        return made[(slice(None), *within)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All frames at once."""
        return np.asarray(self[:], dtype=dtype)

    def _frame(self, i: int) -> NDArray[Any]:
        from ..fitting.restack import taken_back

        if i not in self._kept:
            frame = self._frames[i]
            shift = None if self._shifts is None else self._shifts[i]
            back = frame if shift is None or not np.isfinite(shift).all() else taken_back(frame, shift)
            if len(self._kept) * back.size * self.dtype.itemsize >= LARGEST_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[i] = back.astype(self.dtype)
            self._kept[i].setflags(write=False)
        return self._kept[i]


@dataclass(frozen=True, eq=False)
class _Track:
    """Where the frames of a stack are against each other, and sentences on frames left out and jumps put right."""

    shifts: Floats
    remarks: tuple[str, ...]

    @property
    def middle(self) -> int:
        """The frame nearest to the middle of all: the others overlap most with it."""
        away = np.linalg.norm(self.shifts - np.nanmedian(self.shifts, axis=0), axis=1)
        return int(np.nanargmin(away))

    def against(self, at: int) -> Floats:
        return np.asarray(self.shifts - self.shifts[at])


def _numbers(which: Sequence[int] | NDArray[np.intp]) -> str:
    """Frames as people count them: frame 3; frames 3, 5 and 8."""
    names = [str(int(i) + 1) for i in which]
    return f"frame {names[0]}" if len(names) == 1 else f"frames {', '.join(names[:-1])} and {names[-1]}"


def _kept_type(frame: NDArray[Any]) -> type[np.floating[Any]]:
    """Single precision holds the mean of frames that have no more digits than it."""
    exact = frame.dtype.itemsize > 4 or (frame.dtype.kind in "iu" and frame.dtype.itemsize > 2)
    return np.float64 if exact else np.float32


class _Some(Sequence[NDArray[Any]]):
    """Some frames of a stack, each made when it is asked for, so that never two of them take memory."""

    def __init__(self, frames: Frames, which: NDArray[np.intp]) -> None:
        self.frames, self.which = frames, which

    def __len__(self) -> int:
        return len(self.which)

    def __getitem__(self, i: Any) -> Any:
        return self.frames[int(self.which[i])]


def _one(frames: Frames, number: int) -> GreyImage:
    if not 1 <= number <= len(frames):
        raise ReadError(f"{frames.where}: there is no frame {number}; its frames are counted from 1 to {len(frames)}")
    if not frames.usable[number - 1]:
        raise ReadError(f"{frames.where}: frame {number} shows nothing; choose another one")
    notes = (f"{frames.where}: frame {number} of {len(frames)} was taken alone",) if len(frames) > 1 else ()
    return GreyImage(frames[number - 1], 1, (*notes, *_lacking(frames, frames[number - 1])))


def _lacking(frames: Frames, pixels: NDArray[Any]) -> tuple[str, ...]:
    count = missing(pixels)
    return (f"{frames.where}: {count} pixels are missing (not finite)",) if count else ()


def _average(frames: Frames) -> GreyImage:
    """The mean of the frames as they are."""
    used = np.flatnonzero(frames.usable)
    total = np.zeros(frames.shape)
    for i in used:
        total += frames[int(i)]  # what is missing in one frame is missing in the mean
    left_out = f", {len(frames) - len(used)} blank ones left out" if len(used) < len(frames) else ""
    note = (
        f"{frames.where}: {len(used)} frames were averaged as they are{left_out}; no drift between them was corrected"
    )
    mean = (total / len(used)).astype(_kept_type(frames[0]))
    return GreyImage(mean, len(used), (note, *_lacking(frames, mean)))


def _track(frames: Frames) -> _Track:
    """Align the usable frames; those that show something else, or whose period stays in doubt, are left out."""
    from ..fitting.align import drift

    used = np.flatnonzero(frames.usable)
    found = drift(_Some(frames, used))
    # Where most are in doubt nothing but the lattice is seen: then any period is as good, and the nearest was taken.
    doubtful = found.unsure & ~found.stray if 2 * found.unsure.sum() < len(used) else np.zeros(len(used), dtype=bool)
    shifts = np.full((len(frames), 2), np.nan)
    kept = ~(found.stray | doubtful)
    shifts[used[kept]] = found.shifts[kept]
    remarks = []
    for which, why in (
        (np.flatnonzero(~frames.usable), "nothing to be seen"),
        (used[found.stray], "something else to be seen than in the others"),
        (used[doubtful], "two periods of the lattice fit equally well"),
    ):
        if len(which):
            remarks.append(f"{_numbers(which)} left out ({why})")
    if found.jumps:
        steps = "1 step" if found.jumps == 1 else f"{found.jumps} steps"
        remarks.append(f"{steps} between frames put right by a period of the lattice")
    return _Track(shifts, tuple(remarks))


def _aligned(frames: Frames, track: _Track, at: int) -> GreyImage:
    """The mean of the frames on the pixels of frame ``at``."""
    from ..fitting.restack import aligned_mean

    shifts = track.against(at)
    shifts[~frames.usable] = np.nan
    used = np.flatnonzero(np.isfinite(shifts).all(axis=1))
    mean = aligned_mean(_Some(frames, used), shifts[used], LEAST_SEEN).astype(_kept_type(frames[0]))
    steps = np.linalg.norm(np.diff(shifts[used], axis=0), axis=1) / np.diff(used)
    largest = float(np.linalg.norm(shifts[used], axis=1).max())
    said = [
        f"{len(used)} of {len(frames)} frames were aligned to frame {at + 1} and averaged: largest shift "
        f"{largest:.1f} px, drift {steps.mean():.2f} px a frame",
        *track.remarks,
    ]
    if missing(mean):
        said.append(f"{missing(mean)} pixels at the border, seen by fewer than half of the frames, are missing")
    return GreyImage(mean, len(used), (f"{frames.where}: {'; '.join(said)}",), shifts)


def _agree(one: _Track, other: _Track) -> bool:
    """Whether two stacks moved alike, apart from where they stand."""
    apart = one.shifts - other.shifts
    apart = apart[np.isfinite(apart).all(axis=1)]
    return len(apart) > 1 and bool(np.abs(apart - np.median(apart, axis=0)).max() <= TOGETHER_PX)


def combined(chosen: Mapping[str, Frames], files: Mapping[str, object], how: Choice) -> dict[str, GreyImage]:
    """One image a signal.

    Parameters
    ----------
    chosen
        Signal name -> frames, the signal first whose contrast tells shifts best.
    files
        Signal name -> what it was read from.  Stacks of equal size from one file were scanned at the same time: the
        shifts of the first are used for all.  Those of several files are taken so where their own shifts agree.
    how
        "align", "average", or the number of the one frame to take.

    Raises
    ------
    ReadError
        For a frame that is not there or shows nothing.
    """
    if isinstance(how, int):
        return {name: _one(frames, how) for name, frames in chosen.items()}
    found: dict[str, GreyImage] = {}
    leaders: list[tuple[str, _Track]] = []
    for name, frames in chosen.items():
        if len(frames) == 1:
            found[name] = GreyImage(frames[0], 1, _lacking(frames, frames[0]))
        elif how == "average" or frames.usable.sum() < 2 or min(frames.shape) < SMALLEST_SIDE:
            found[name] = _average(frames)
        else:
            track, at = _of_the_leader(name, chosen, files, leaders)
            found[name] = _aligned(frames, track, at)
    return found


def _of_the_leader(
    name: str, chosen: Mapping[str, Frames], files: Mapping[str, object], leaders: list[tuple[str, _Track]]
) -> tuple[_Track, int]:
    """The track of a stack, that of one recorded with it where there is one, and the frame to keep the pixels of."""
    frames = chosen[name]
    own: _Track | None = None
    for leader, track in leaders:
        if (len(chosen[leader]), *chosen[leader].shape) != (len(frames), *frames.shape):
            continue
        if files[leader] is files[name]:
            return track, track.middle
        own = own or _track(frames)
        return (track, track.middle) if _agree(track, own) else (own, own.middle)
    own = own or _track(frames)
    leaders.append((name, own))
    return own, own.middle
