"""A known 2-D cell found in the power spectrum of an image, at any rotation and scale.

The spectrum is divided by its ring-wise median, so that without a lattice its values follow an exponential
distribution of mean one, whatever the noise; a lattice's peaks are then judged against the highest chance peak,
ln(number of pixels).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Real = NDArray[np.floating[Any]]


FLATTEST = 5.0
"""Ratio of the long to the short axis of a transformed cell beyond which it is no longer two-dimensional."""


CANDIDATES, CLEARLY = 200, 2.0
"""Bins looked through for the strongest peaks, and how many times above chance those must stand."""


FALL = 2.0
"""How many times below the highest frequency used the amplitude of a column's image has fallen to 1/e."""


ALIKE = 1e-5
"""Mean logarithms of power that differ by less are those of the same peaks, but for rounding."""

STRIP = 64
"""Lines of an image transformed at once: what fits a core's cache."""

RIM = 8
"""Bins kept beyond the highest frequency asked for: a ring's floor is that of its neighbours too."""


@dataclass(frozen=True)
class Spectrum:
    """Normalised power of an image of ``shape`` (ny, nx) around the zero frequency, which is in the middle; the same
    with every bin raised to the highest of its eight neighbours; and the height of the highest chance peak."""

    power: Floats
    raised: Floats
    chance: float
    shape: tuple[int, int]

    @property
    def bins(self) -> Floats:
        """(2,) bins per cycle per px, along x and y."""
        return np.array(self.shape[::-1], dtype=float)

    @property
    def centre(self) -> Floats:
        """(2,) index (x, y) of the zero frequency."""
        ny, nx = self.power.shape
        return np.array([nx // 2, ny // 2], dtype=float)

    def at(self, frequencies: Floats) -> Floats:
        """Highest power within one bin of frequencies (..., 2) in cycles per px (x, y); 0 beyond those known."""
        ny, nx = self.power.shape
        x = np.rint(frequencies[..., 0] * self.shape[1]).astype(int) + nx // 2
        y = np.rint(frequencies[..., 1] * self.shape[0]).astype(int) + ny // 2
        inside = (x >= 0) & (y >= 0) & (x < nx) & (y < ny)
        return np.where(inside, self.raised[np.where(inside, y, 0), np.where(inside, x, 0)], 0.0)

    def summit(self, frequency: Floats, reach: float) -> tuple[Floats, float]:
        """Frequency (2,) and power of the highest point within ``reach`` bins of a frequency, placed by parabolas."""
        ny, nx = self.power.shape
        cx, cy = frequency * self.bins + self.centre
        r = max(1, round(reach))
        x0, y0 = max(1, round(cx) - r), max(1, round(cy) - r)
        patch = self.power[y0 : min(ny - 1, round(cy) + r + 1), x0 : min(nx - 1, round(cx) + r + 1)]
        if not patch.size:
            return frequency, 0.0
        j, i = np.unravel_index(int(patch.argmax()), patch.shape)
        x, y = x0 + int(i), y0 + int(j)
        # The logarithm of a Hann-windowed peak is close to a parabola.
        log = np.log(self.power[y - 1 : y + 2, x - 1 : x + 2] + 1e-12)
        shift = [0.5 * (a - c) / min(a - 2 * b + c, -1e-9) for a, b, c in (log[1], log[:, 1])]
        return (np.array([x, y]) + np.clip(shift, -0.5, 0.5) - self.centre) / self.bins, float(self.power[y, x])


def spectrum(image: Real, highest: tuple[float, float] = (0.5, 0.5)) -> Spectrum:
    """Ring-normalised power spectrum of a Hann-windowed image, up to frequencies (x, y) in cycles per px."""
    from scipy.ndimage import maximum_filter

    ny, nx = image.shape
    power = _power(image, *(min(n // 2, int(f * n) + RIM) for f, n in zip(highest, (nx, ny), strict=True)))
    reach_y, reach_x = power.shape[0] // 2, power.shape[1] // 2
    fy, fx = np.arange(-reach_y, reach_y + 1)[:, None] * (1 / ny), np.arange(-reach_x, reach_x + 1) * (1 / nx)
    ring = np.minimum(np.hypot(fy, fx) * min(ny, nx), min(ny, nx)).astype(np.uint16)
    order = np.argsort(ring, axis=None, kind="stable")
    counts = np.bincount(ring.ravel())
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    ordered = power.ravel()[order]
    medians = np.array([np.median(ordered[s : s + c]) if c else 0.0 for s, c in zip(starts, counts, strict=True)])
    # Over the rings the floor is smoothed so that a ring full of lattice peaks does not hide them.
    floor = np.array([np.median(medians[max(0, i - 3) : i + 4]) for i in range(len(medians))]) / np.log(2)
    normal = power / np.maximum(floor[ring], 1e-12 * power.max() + 1e-300)
    normal[np.hypot(fy * ny, fx * nx) < 3] = 0.0
    return Spectrum(normal, maximum_filter(normal, size=3), float(np.log(ny * nx)), (ny, nx))


def _power(image: Real, reach_x: int, reach_y: int) -> Floats:
    """(2 reach_y + 1, 2 reach_x + 1) power of a Hann-windowed image, its weighted mean taken off.

    The lines are transformed first and cut to the low frequencies, so that the whole is never held.
    """
    from scipy.fft import fft, rfft

    ny, nx = image.shape
    down, along = np.hanning(ny + 2)[1:-1], np.hanning(nx + 2)[1:-1]
    # Near enough to the mean for the precision of the image; what is left of it is taken off at the end.
    near = image.mean(dtype=np.float64).astype(image.dtype)
    rows, columns = down.astype(image.dtype)[:, None], along.astype(image.dtype)
    half = np.empty((ny, reach_x + 1), dtype=np.complex128)
    for first in range(0, ny, STRIP):
        part = slice(first, first + STRIP)
        lines = (image[part] - near) * columns * rows[part]
        half[part] = rfft(lines, axis=1, workers=1)[:, : reach_x + 1]
    half = fft(half, axis=0, overwrite_x=True, workers=1)[np.arange(-reach_y, reach_y + 1)]
    level = half[reach_y, 0] / (down.sum() * along.sum())
    half -= level * fft(down)[np.arange(-reach_y, reach_y + 1), None] * rfft(along)[: reach_x + 1]
    right = np.abs(half) ** 2
    return np.concatenate([right[::-1, :0:-1], right], axis=1)


def _harmonics(cell: Floats, fractions: Floats, strength: Floats, highest: float) -> tuple[Floats, Floats]:
    """Reciprocal vectors (G, 2) of half of the plane up to ``highest`` (1 / unit of cell), and their expected
    amplitude."""
    indices = np.array([hk for hk in product(range(-6, 7), repeat=2) if hk > (0, 0)])
    vectors = indices @ np.linalg.inv(cell).T
    keep = np.linalg.norm(vectors, axis=1) <= highest
    phases = np.exp(-2j * np.pi * indices[keep] @ fractions.T)
    return vectors[keep], np.abs(phases @ strength) / strength.sum()


@dataclass(frozen=True)
class CellFit:
    """Cell vectors a, b (2, 2) in px (y down), and the power of the weaker of two independent peaks over chance."""

    cell: Floats
    significance: float


def find_cell(
    found: Spectrum,
    cell: Floats,
    fractions: Floats,
    strength: Floats,
    *,
    scales: Floats,
    highest: float,
    aspect: float = 1.0,
) -> CellFit:
    """The image of a known cell.

    ``cell`` (2, 2) has rows a, b in a unit with y **up**; ``fractions`` (S, 2) and ``strength`` (S,) are its motif;
    ``scales`` are the px per unit to try; ``highest`` is the largest frequency used, in 1 / unit; ``aspect`` is the
    height of a pixel divided by its width.

    A harmonic that the motif predicts and the image lacks counts against a candidate, so that neither a multiple nor a
    fraction of the true cell wins.
    """
    vectors, amplitude = _harmonics(cell, fractions, strength, highest)
    weight = amplitude * np.exp(-((np.linalg.norm(vectors, axis=1) / highest) ** 2))
    step = min(np.radians(1.0), 1.0 / (highest / scales.min() * max(found.shape)))
    angles = np.arange(0, np.pi, step)
    down = vectors * [1, -1]
    best = (-np.inf, 0.0, 1.0)
    cosine, sine = np.cos(angles), np.sin(angles)
    # Counter-clockwise as seen is (x, y) -> (x cos + y sin, -x sin + y cos) with y down.
    turned = np.stack(
        [
            np.outer(cosine, down[:, 0]) + np.outer(sine, down[:, 1]),
            np.outer(-sine, down[:, 0]) + np.outer(cosine, down[:, 1]),
        ],
        axis=-1,
    ) * [1, aspect]
    for scale in scales:
        power = np.log1p(found.at(turned / scale)) - np.log1p(found.chance)
        score = power @ weight
        # A square cell fits as well turned by a quarter, but for rounding: the first is taken.
        i = int((score >= score.max() - ALIKE * weight.sum()).argmax())
        if score[i] > best[0] + ALIKE * weight.sum():
            best = (float(score[i]), float(angles[i]), float(scale))
    return _polish(found, cell, vectors, amplitude, best[1], best[2], aspect)


def _polish(
    found: Spectrum, cell: Floats, vectors: Floats, amplitude: Floats, angle: float, scale: float, aspect: float
) -> CellFit:
    """Fit the four numbers of the reciprocal cell to the peaks, from the low orders outwards."""
    cosine, sine = np.cos(angle), np.sin(angle)
    # Rows of ``vectors`` (y up) go to frequencies (y down, cycles per px) by ``vectors @ transform``.
    transform = np.array([[cosine, -sine], [-sine, -cosine]]) * [1, aspect] / scale
    order = np.argsort(np.linalg.norm(vectors, axis=1), kind="stable")
    usable = [i for i in order if amplitude[i] > 0.2 * amplitude.max()]
    peaks: dict[int, tuple[Floats, float]] = {}
    for _ in range(2):
        for n, i in enumerate(usable):
            guess = vectors[i] @ transform
            if np.abs(guess).max() >= 0.48:
                continue
            reach = max(2.0, 0.06 * float(np.linalg.norm(guess * found.bins))) if n < 4 and not peaks.get(i) else 2.0
            place, power = found.summit(guess, reach)
            if power > 2 * found.chance:
                peaks[i] = (place, power)
            chosen = list(peaks)
            if np.linalg.matrix_rank(vectors[chosen], tol=1e-6) == 2:
                weights = np.sqrt([np.log1p(peaks[c][1]) for c in chosen])[:, None]
                transform = np.linalg.lstsq(
                    weights * vectors[chosen], weights * np.array([peaks[c][0] for c in chosen]), rcond=None
                )[0]
    if np.linalg.cond(transform) > FLATTEST:
        # The peaks lie on one line: stripes, not a lattice.
        return CellFit(cell, 0.0)
    strongest = sorted(usable, key=lambda i: -found.at(vectors[i] @ transform))
    significance = 0.0
    if strongest:
        first = vectors[strongest[0]]
        for i in strongest[1:]:
            if abs(first[0] * vectors[i, 1] - first[1] * vectors[i, 0]) > 1e-6:
                significance = float(found.at(vectors[i] @ transform)) / found.chance
                break
    return CellFit(cell @ np.linalg.inv(transform).T, significance)


def strongest(found: Spectrum) -> Floats:
    """(n, 2) frequencies (cycles per px) of the two highest peaks that point different ways; n = 2, or 0 or 1 where
    fewer stand clearly above chance."""
    rows = np.argpartition(found.power, -min(CANDIDATES, found.power.size), axis=None)[-CANDIDATES:]
    rows = rows[np.argsort(found.power.ravel()[rows])[::-1]]
    chosen: list[Floats] = []
    for row in rows:
        y, x = divmod(int(row), found.power.shape[1])
        if found.power[y, x] < CLEARLY * found.chance:
            break
        frequency, _ = found.summit((np.array([x, y]) - found.centre) / found.bins, 1)
        if frequency[1] < 0 or (frequency[1] == 0 and frequency[0] < 0):
            frequency = -frequency
        length = np.linalg.norm(frequency)
        if all(abs(np.linalg.det(np.stack([frequency, c]))) > 0.3 * length * np.linalg.norm(c) for c in chosen):
            chosen.append(frequency)
        if len(chosen) == 2:
            break
    return np.array(chosen).reshape(-1, 2)


def expected(cell: Floats, fractions: Floats, strength: Floats, highest: float) -> Floats:
    """(2, 2) reciprocal vectors (1 / unit of cell) of a motif's two strongest harmonics that point different ways."""
    vectors, amplitude = _harmonics(cell, fractions, strength, highest)
    # Stronger than the weight of the search: columns as wide as microscopes show them fall off like this.
    weight = amplitude * np.exp(-((FALL * np.linalg.norm(vectors, axis=1) / highest) ** 2))
    order = np.argsort(-weight, kind="stable")
    first = vectors[order[0]]
    second = next(v for v in vectors[order] if abs(np.linalg.det(np.stack([first, v]))) > 1e-6)
    return np.stack([first, second])


def local_amplitude(image: Real, frequencies: Floats, sigma: float) -> tuple[Floats, int]:
    """Strength of given frequencies (F, 2; cycles per px, x and y) around every block of pixels, and the blocks' side
    in px.

    The geometric mean of the magnitudes of the image demodulated by each and averaged over a Gaussian of ``sigma`` px.
    """
    from scipy.ndimage import gaussian_filter

    block = max(1, int(sigma / 8))
    ny, nx = image.shape[0] // block * block, image.shape[1] // block * block
    level, narrow = float(image.mean(dtype=np.float64)), sigma / block
    # The wave of a block is that of the first one times a phase.
    waves = np.exp(-2j * np.pi * frequencies[:, :, None] * np.arange(block))
    parts = np.concatenate([waves[:, 1].real, waves[:, 1].imag])
    lines = parts.astype(image.dtype) @ image[:ny].reshape(ny // block, block, -1)
    lines = (lines - (level * parts.sum(axis=1))[:, None])[:, :, :nx]
    strength = np.ones((ny // block, nx // block))
    for i, ((fx, fy), wave) in enumerate(zip(frequencies, waves[:, 0], strict=True)):
        real, imaginary = (
            lines[:, row].reshape(ny // block, nx // block, block) @ wave for row in (i, i + len(frequencies))
        )
        mixed = (real + 1j * imaginary) / block**2
        mixed *= np.exp(-2j * np.pi * fy * np.arange(0, ny, block))[:, None]
        mixed *= np.exp(-2j * np.pi * fx * np.arange(0, nx, block))
        strength *= np.hypot(gaussian_filter(mixed.real, narrow), gaussian_filter(mixed.imag, narrow))
    return strength ** (1 / len(frequencies)), block


def fold(image: Real, origin: Floats, cell: Floats, bins: int, weight: Floats) -> Floats:
    """Average unit cell (bins, bins), index [fraction along b, fraction along a], of the pixels with ``weight`` > 0."""
    y, x = np.nonzero(weight > 0)
    fraction = (np.stack([x, y], axis=1) - origin) @ np.linalg.inv(cell)
    index = np.floor((fraction % 1.0) * bins).astype(int) % bins
    flat = index[:, 1] * bins + index[:, 0]
    total = np.bincount(flat, weight[y, x] * image[y, x], bins * bins)
    share = np.bincount(flat, weight[y, x], bins * bins)
    mean = total / np.where(share > 0, share, 1)
    return np.where(share > 0, mean, np.median(mean[share > 0])).reshape(bins, bins)
