"""Rigid shifts between frames of one area, told apart from jumps by a period of the lattice.

Frames of a crystal correlate about equally well at every lattice vector.  The highest peaks of windowed correlations
make a start; then every cut of the series into before and after, and every frame against the others, is tried at the
peaks around.  What does not repeat (edges, vacancies, columns of unequal height) decides; where nothing tells, the
smallest step is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pulse import beat
from .series import Mean, Series, Singles, moved, window

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

UPSAMPLING = 50
"""Shifts are found to 1/50 px, far below what noise allows."""

TAPER = 0.3
"""Part of each side over which the window of the last fractions of a pixel falls: the less, the less noise, until
columns at the frame pull."""

REACH = 3.1
"""Other peaks are tried up to this many spacings away; the period of a perovskite along [1-10] is twice its shortest
spacing."""

ALIKE = 0.7
"""Lowest correlation, relative to the highest, at which a peak is tried: those of half a period lie below."""

MOST = 24
"""Most peaks that are tried, those of the smallest steps."""

TILE = 0.4
"""Side, in spacings, of the tiles whose misfits tell how sure a difference is: noise is not correlated as far."""

LEAST = 0.3
"""Less of a side in common than this decides nothing."""

SURE = 5.0
"""Standard deviations by which one place must fit better than another before that counts."""

INEXACT = 2e-5
"""Standard deviation, as a part of the image's power, of differences that are not noise: interpolation, borders."""

EQUAL = 0.2
"""Two steps that differ in length by less than this part of a spacing count as equally small."""

STRAY = 0.3
"""A frame that correlates with its neighbours less than this part of what is usual shows something else."""

PASSES = 4
"""Most rounds of trying other periods; two suffice unless several frames jumped."""


@dataclass(frozen=True)
class Drift:
    """How frames (F) moved.

    ``shifts`` (F, 2) in px (x, y): what is at p in the first frame is at p + shift here.  ``jumps`` counts the steps in
    which the highest correlation was a period off; ``stray`` (F,) are frames that show something else, and ``unsure``
    (F,) those in which two periods fit equally well and lie equally near.
    """

    shifts: Floats
    jumps: int
    stray: Mask
    unsure: Mask


def _overlap(shape: tuple[int, ...], shift: Floats) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The parts of two frames that show the same, the second displaced by ``shift`` in whole pixels."""
    here, there = [], []
    for size, step in zip(shape, np.rint(shift).astype(int)[::-1].tolist(), strict=True):
        here.append(slice(max(0, -step), size - max(0, step)))
        there.append(slice(max(0, step), size - max(0, -step)))
    return tuple(here), tuple(there)


def _rest(first: Singles, second: Singles) -> Floats:
    """Shift (2,) that is left between two images of one place."""
    from skimage.registration import phase_cross_correlation

    weight = window(first.shape, TAPER)
    dy, dx = phase_cross_correlation(second * weight, first * weight, upsample_factor=UPSAMPLING, normalization=None)[0]
    return np.array([dx, dy], dtype=float)


def _step(first: Singles, second: Singles, start: Floats) -> Floats:
    """The shift of ``second`` next to ``start``, from what both images have in common there."""
    here, there = _overlap(first.shape, start)
    rest = _rest(first[here], second[there])
    # Further away is another peak of the correlation, which is for others to judge.
    return np.rint(start) + rest if np.abs(rest).max() <= 2 else start


def _alike(series: Series) -> Floats:
    """(F,) how well each frame correlates with that of the two before and the two after which it fits best, 0 to 1."""
    images = [series.image(series.waves[0])]
    alike = np.zeros(len(series))
    for i in range(1, len(series)):
        beat()
        image = series.image(series.waves[i])
        for back, before in enumerate(reversed(images), start=1):
            _, _, levels = series.peaks(before, image)
            size = float(np.linalg.norm(before) * np.linalg.norm(image))
            level = float(levels.max(initial=0.0)) / max(size, 1e-30)
            alike[[i - back, i]] = np.maximum(alike[[i - back, i]], level)
        images = [*images[-1:], image]
    return alike


def _chain(series: Series) -> None:
    """Place each frame at the highest peak of its correlation with the one before."""
    before = series.image(series.waves[0])
    for i in range(1, len(series)):
        beat()
        image = series.image(series.waves[i])
        places, heights, _ = series.peaks(before, image)
        step = _step(before, image, places[heights.argmax()]) if len(places) else np.zeros(2)
        series.place[i] = series.place[i - 1] + step
        before = image


def _misfit(target: Singles, image: Singles, tile: float) -> Floats:
    """(T,) squared differences in tiles of a side, after the contrast of ``image`` and its place, by a fraction of a
    pixel, are fitted."""
    down, right = np.gradient(image)
    model = np.stack([image, right, down]).reshape(3, -1)
    factors = np.linalg.lstsq((model @ model.T).astype(float), (model @ target.ravel()).astype(float), rcond=None)[0]
    rest = (target - (factors.astype(np.float32) @ model).reshape(target.shape)).astype(np.float64) ** 2
    rows, columns = (np.linspace(0, n, max(1, int(n / tile)), endpoint=False).astype(int) for n in target.shape)
    return np.asarray(np.add.reduceat(np.add.reduceat(rest, rows, axis=0), columns, axis=1).ravel())


class _Contest:
    """Which shift makes a second mean look most like a first."""

    def __init__(self, series: Series, first: Mean, second: Mean) -> None:
        self.series, self.first, self.second = series, first, second
        self.target = series.image(first.waves)

    def image(self, shift: Floats) -> Singles:
        """The second taken back by ``shift``."""
        return self.series.image(moved(self.second.waves, -shift, self.series.shape))

    def excess(self, holder: Floats, held: Singles, shift: Floats, image: Singles) -> float:
        """Standard deviations by which one shift fits worse than another, on what is seen in both cases.

        The scatter over the tiles, relative to what is left in each, is taken robustly: one vacancy in one tile counts
        for what it is, and a quiet part of the image does not make the others look sure.
        """
        both = np.stack([holder, shift])
        part = self.first.part(self.second.low - both.min(axis=0), self.second.high - both.max(axis=0))
        target = self.target[part]
        if min(target.shape) < LEAST * min(self.series.shape):
            return 0.0
        tile = TILE * self.series.spacing
        old, new = _misfit(target, held[part], tile), _misfit(target, image[part], tile)
        noise = np.minimum(old, new)
        more = (old - new) / noise.clip(1e-9 * float(noise.max()) + 1e-30)
        scatter = 1.4826 * float(np.median(np.abs(more - np.median(more))))
        least = INEXACT * float((target**2).sum())
        return float((old - new).sum() / (scatter * np.sqrt((noise**2).sum()) + least + 1e-30))

    def best(self, shifts: Floats) -> tuple[int, list[int]]:
        """Which of ``shifts`` (n, 2), in order of preference, is beaten by none of the later ones, and which of these
        it does not beat."""
        champion, held = 0, self.image(shifts[0])
        equals: list[int] = []
        for i in range(1, len(shifts)):
            beat()
            image = self.image(shifts[i])
            excess = self.excess(shifts[champion], held, shifts[i], image)
            if excess > SURE:
                champion, held, equals = i, image, []
            elif excess > -SURE:
                equals.append(i)
        return champion, equals


@dataclass(frozen=True)
class _Choice:
    """By how much to move, and whether another period fits as well and lies as near."""

    by: Floats
    tied: bool


def _choose(series: Series, first: Mean, second: Mean, steps: Floats) -> _Choice:
    """Which period ``second`` belongs to, as a shift against where it is; ``steps`` (k, 2) are the steps from its
    neighbours in time to it, as it is."""
    places, _, levels = series.peaks(series.image(first.waves), series.image(second.waves))
    starts = np.concatenate([np.zeros((1, 2)), steps])
    near = np.linalg.norm(places[:, None] + starts, axis=2).min(axis=1, initial=np.inf)
    places = places[(near <= REACH * series.spacing) & (levels >= ALIKE * levels.max(initial=0))]
    if not len(places):
        return _Choice(np.zeros(2), False)
    length = np.linalg.norm(places[:, None] + steps, axis=2).sum(axis=1)
    order = length.argsort(kind="stable")[:MOST]
    places, length = places[order], length[order]
    chosen, equals = _Contest(series, first, second).best(places)
    tied = any(length[i] - length[chosen] < EQUAL * len(steps) * series.spacing for i in equals)
    by = places[chosen]
    return _Choice(by if np.linalg.norm(by) > 0.5 * series.spacing else np.zeros(2), tied)


def _try_cuts(series: Series) -> bool:
    """Move everything from a frame on by a period where that fits better; whether anything was moved."""
    changed = False
    for cut in range(1, len(series)):
        head, tail = (series.beside(cut, which) for which in (range(cut), range(cut, len(series))))
        if head:
            step = series.place[cut] - series.place[cut - 1]
            choice = _choose(series, series.mean(head, cut), series.mean(tail, cut), step[None])
            series.place[cut:] += choice.by
            changed |= bool(choice.by.any())
    return changed


def _others(series: Series, i: int) -> list[int]:
    return [j for j in series.beside(i, range(len(series))) if j != i]


def _try_frames(series: Series) -> tuple[bool, Mask]:
    """Move single frames by a period where that fits better; whether any was moved, and which frames are in doubt."""
    changed, tied = False, np.zeros(len(series), dtype=bool)
    for i in range(len(series)):
        others = _others(series, i)
        if others:
            next_to = [j for j in (i - 1, i + 1) if 0 <= j < len(series)]
            steps = series.place[i] - series.place[next_to]
            choice = _choose(series, series.mean(others, i), series.mean([i], i), steps)
            series.place[i] += choice.by
            tied[i] = choice.tied
            changed |= bool(choice.by.any())
    return changed, tied


def _settle(series: Series) -> None:
    """Place every frame anew against the mean of the others, by fractions of a pixel."""
    for _ in range(2):
        places = series.place.copy()
        for i in range(len(series)):
            beat()
            others = _others(series, i)
            if others:
                mean = series.mean(others, i)
                part = mean.part(np.zeros(2), np.array(series.shape[::-1]))
                rest = _rest(series.image(mean.waves)[part], series.image(series.waves[i])[part])
                places[i] += rest if np.linalg.norm(rest) < 0.3 * series.spacing else 0
        series.place = places - places[0]


def drift(frames: Sequence[NDArray[Any]]) -> Drift:
    """How the frames of a series moved against the first.

    Parameters
    ----------
    frames
        At least two images of equal shape (ny, nx) in the order of time; missing pixels are NaN.

    Notes
    -----
    Correlations are those of skimage.registration.phase_cross_correlation without normalization (Guizar-Sicairos et
    al. 2008, doi 10.1364/OL.33.000156): a lattice has no phase to speak of between its Bragg peaks.
    """
    series = Series(frames)
    alike = _alike(series)
    stray = alike < STRAY * np.median(alike)
    if (~stray).sum() < 2:
        stray[:] = False
    series.waves, series.place = series.waves[~stray], series.place[~stray]
    _chain(series)
    start = series.place.copy()
    _settle(series)
    tied = np.zeros(len(series), dtype=bool)
    for _ in range(PASSES):
        cuts = _try_cuts(series)
        frames_moved, tied = _try_frames(series)
        if not (cuts or frames_moved):
            break
        _settle(series)
    changed = np.linalg.norm(np.diff(series.place - start, axis=0), axis=1)
    shifts, unsure = np.full((len(frames), 2), np.nan), np.zeros(len(frames), dtype=bool)
    shifts[~stray], unsure[~stray] = series.thin * series.place, tied
    return Drift(shifts, int((changed > 0.5 * series.spacing).sum()), stray, unsure)
