"""The second family of truth: multislice images at two sizes of the electron source, with and without counting noise.

``sample_data`` has them for a source of 0.8 A.  A Gaussian source only damps the Fourier series of a periodic image,
``exp(-2 pi^2 k^2 sigma^2)``, and the optics pass nothing beyond twice the aperture: so the image of a smaller source
follows from that of a larger one, to the precision of the stored numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from measure import SAMPLES, Known, sample_facts, sample_known
from numpy.typing import NDArray

import stemdisp
from stemdisp.model.micrograph import Micrograph, PixelSize, Signal
from stemdisp.recipe import Recipe

Floats = NDArray[np.float64]
Calibration = Literal["first moment", "least squares"]

SOURCES_A = (0.5, 0.8)
"""FWHM of the source (angstrom): a bright field emitter, and the one the sample images were made with."""

DOSE_E_A2 = 1e5
CHOOSING_SEEDS, JUDGING_SEEDS = (11, 12, 13, 14), (101, 102, 103, 104)
"""Counting noise for whoever chooses values of the recipe, and for whoever judges them: never the same."""

BAND_PER_A = 2 * 25e-3 / 0.0251
"""Largest spatial frequency that optics of 25 mrad pass at 200 kV (1 / angstrom)."""

LEAST_TRUSTED = 1e-7
"""Rounding of the stored float32 pixels, relative to their largest: Fourier terms of the sharper image that could only
be told from smaller differences stay at zero."""

RIM_PX = 5
"""Rows cut off above and below: at the very edge of the frame the sharper image is less certain, 5e-5 of its peak from
here on."""


CELLS = Path(__file__).parent / "multislice_cells.npz"
CELL_SHAPE, CELL_CORNER_A = (400, 400), np.array([0.37, 0.21])
"""Frame of the images of a small periodic cell, and where in the cell its first pixel lies: nowhere special."""

Moved = Literal["none", "K-x", "K-y", "KO-x", "KO-y"]


@dataclass(frozen=True)
class Sample:
    """One image: its name, what it shows, the recipe to analyse it with, and what is true in it."""

    name: str
    image: Floats
    recipe: Recipe
    truth: Known

    @property
    def micrograph(self) -> Micrograph:
        """As the package takes it."""
        pixel = PixelSize(*np.diag(self.truth.to_pm).tolist(), origin="file")
        return Micrograph(self.name, {"HAADF": Signal("HAADF", self.image)}, pixel)


def fwhm_to_sigma(fwhm: float) -> float:
    """Standard deviation of a Gaussian."""
    return fwhm / float(np.sqrt(8 * np.log(2)))


def periods() -> dict[str, tuple[float, float]]:
    """Period (x, y) in angstrom of the simulated cells, of which the frames show a part."""
    a = float(sample_facts()["a_A"])
    return {"KTO111": (8 * a * float(np.sqrt(1.5)), 24 * a / float(np.sqrt(3))), "KTO001": (9 * a, 9 * a)}


def _waves(length: int, pixel_A: float, period_A: float) -> tuple[Floats, NDArray[np.complex128]]:
    """Frequencies (K,) within the band and the waves (length, K) at the pixels."""
    highest = int(BAND_PER_A * period_A)
    k = np.arange(-highest, highest + 1) / period_A
    return k, np.exp(2j * np.pi * np.outer(pixel_A * np.arange(length), k))


def resharpened(
    image: Floats, period_A: tuple[float, float], pixel_A: float, from_A: float, to_A: float
) -> tuple[Floats, Floats]:
    """The image of a source of FWHM ``to_A`` from that of a larger one, ``from_A``, and the latter as it follows from
    the former.

    The Fourier series over the simulated period, within the band of the optics, is fitted to the pixels: first along x,
    of which the frame shows all but half an angstrom, then along y for each wave along x.  The unknowns are the terms
    of the *sharper* image, as small as the pixels allow (Tikhonov): what the frame does not show is left smooth.
    """
    growth = 2 * np.pi**2 * (fwhm_to_sigma(from_A) ** 2 - fwhm_to_sigma(to_A) ** 2)
    along_x, waves_x = _waves(image.shape[1], pixel_A, period_A[0])
    along_y, waves_y = _waves(image.shape[0], pixel_A, period_A[1])
    rows = image @ np.linalg.pinv(waves_x, rcond=1e-5).T
    sharp, again = np.zeros_like(rows), np.zeros_like(rows)
    for number, k in enumerate(along_x):
        within = along_y**2 + k**2 <= BAND_PER_A**2
        damped = waves_y[:, within] * np.exp(-growth * (along_y[within] ** 2 + k**2))
        left, strength, right = np.linalg.svd(damped, full_matrices=False)
        pull = strength / (strength**2 + (LEAST_TRUSTED * strength.max(initial=0)) ** 2)
        terms = right.conj().T @ (pull * (left.conj().T @ rows[:, number]))
        sharp[:, number], again[:, number] = waves_y[:, within] @ terms, damped @ terms
    return (sharp @ waves_x.T).real, (again @ waves_x.T).real


@cache
def _clean(name: str, source_A: float) -> Floats:
    """The noise-free image (fractions of the beam) with a source of this size, without its upper and lower rim."""
    stem = {"KTO111": "KTO111_clean", "KTO001": "KTO001"}[name]
    image = stemdisp.read(next(SAMPLES.rglob(f"{stem}_HAADF.tif"))).signals["HAADF"].image.astype(float)
    given = float(sample_facts()["source_fwhm_A"])
    if source_A != given:
        image, _ = resharpened(image, periods()[name], 0.1, given, source_A)
    return np.asarray(image[RIM_PX:-RIM_PX])


def weights(source_A: float, by: Calibration) -> tuple[dict[str, float], float]:
    """Share (x, y) of a K displacement that a full column shows, and the source (angstrom) it was simulated with."""
    facts = sample_facts()
    own = source_A == facts["source_fwhm_A"]
    found = facts["weights"] if own else facts.get(f"weights_{source_A:g}", facts["weights"])
    suffix = "" if by == "first moment" else "_least_squares"
    simulated = source_A if own or f"weights_{source_A:g}" in facts else float(facts["source_fwhm_A"])
    return {axis: found["HAADF"][axis + suffix] for axis in "xy"}, simulated


def truth_of(name: str, source_A: float, by: Calibration = "first moment") -> Known:
    """What is true in an image, its rim cut off."""
    known = sample_known(name, "HAADF", weights(source_A, by)[0])
    return replace(
        known, xy=known.xy - [0, RIM_PX], point=known.point - [0, RIM_PX], shape=_clean(name, source_A).shape
    )


def _sample(name: str, source_A: float, image: Floats, what: str) -> Sample:
    zone = {"KTO111": "1-10", "KTO001": "001"}[name]
    recipe = stemdisp.recipe_for("KTaO3", zone).with_values({"displacement": {"reference": "none"}})
    return Sample(f"{name}, source {source_A:g} A, {what}", image, recipe, truth_of(name, source_A))


def clean(name: str, source_A: float) -> Sample:
    """An image without noise: the interface along [1-10] (KTO111) or undisplaced bulk along [001] (KTO001).

    The recipe takes no region's mean for zero, so that a displacement of everything shows.
    """
    return _sample(name, source_A, _clean(name, source_A).astype(np.float32), "no noise")


def counted(name: str, source_A: float, seeds: tuple[int, ...] = JUDGING_SEEDS) -> Iterator[Sample]:
    """The same as detected electrons at 1e5 electrons per square angstrom, one image a seed."""
    image = np.clip(_clean(name, source_A), 0, 1)
    for seed in seeds:
        electrons = np.random.default_rng([seed, round(100 * source_A)]).poisson(image * DOSE_E_A2 * 0.1**2)
        yield _sample(name, source_A, electrons.astype(np.uint16), f"1e5 e/A2, seed {seed}")


def resampled(scan: Floats, period: Floats, corner_A: Floats, shape: tuple[int, int], source_A: float) -> Floats:
    """Image (ny, nx) at 0.1 angstrom per pixel of a periodic cell (x, y) scanned with a point source, its first pixel
    at ``corner_A``: the scan is finer than Nyquist, so its Fourier series is the image itself; the source damps it."""
    series = np.fft.fft2(scan) / scan.size
    waves = []
    for length, first, pixels, samples in zip(period[::-1], corner_A[::-1], shape, scan.shape, strict=True):
        k = np.fft.fftfreq(samples, length / samples)
        damped = np.exp(-2 * (np.pi * fwhm_to_sigma(source_A) * k) ** 2)
        waves.append(damped * np.exp(2j * np.pi * np.outer(first + 0.1 * np.arange(pixels), k)))
    return np.asarray((waves[0] @ series @ waves[1].T).real)


@cache
def _cell(moved: Moved, source_A: float) -> tuple[Floats, Known]:
    """Image and truth of bulk along [1-10] in which nothing, K alone, or K with the O of its columns is moved."""
    with np.load(CELLS, allow_pickle=False) as file:
        scan, period, site, places = file[moved].astype(float), file["cell_A"], file["site"], file["xy_A"]
        shift = float(file["shift_pm"]) * np.array([moved.endswith("x"), moved.endswith("y")])
    image = resampled(scan, period, CELL_CORNER_A, CELL_SHAPE, source_A)
    steps = np.stack(np.meshgrid(np.arange(-1, 7), np.arange(-1, 5)), axis=-1).reshape(-1, 2)
    xy = ((steps * period)[:, None] + places - CELL_CORNER_A).reshape(-1, 2) / 0.1
    site = np.tile(site, len(steps))
    cell = np.where((site == "K")[:, None], shift, np.nan)
    xy = xy + np.nan_to_num(cell) / 10
    inside = ((xy >= 0) & (xy <= np.array(CELL_SHAPE[::-1]) - 1)).all(axis=1)
    nothing = np.full(2, np.nan)
    layer = np.full(int(inside.sum()), -1)
    return image, Known(
        site=site[inside],
        xy=xy[inside],
        layer=layer,
        cell_pm=cell[inside],
        shape=CELL_SHAPE,
        to_pm=np.diag([10.0, 10.0]),
        point=nothing,
        normal=nothing,
    )


def cell_sample(moved: Moved, source_A: float) -> Sample:
    """Bulk along [1-10] without noise, of other phonon configurations than the interface.  Where K moves with the O of
    its columns (KO), the displacement of the column is what was put in, and no calibration enters; where K moves alone
    the truth says how far K moved, and the image shows a share of it."""
    image, truth = _cell(moved, source_A)
    recipe = stemdisp.recipe_for("KTaO3", "1-10").with_values({"displacement": {"reference": "none"}})
    return Sample(f"bulk along [1-10], {moved}, source {source_A:g} A", image.astype(np.float32), recipe, truth)


def counted_cell(moved: Moved, source_A: float, seeds: tuple[int, ...] = JUDGING_SEEDS) -> Iterator[Sample]:
    """The same at 1e5 electrons per square angstrom, one image a seed."""
    sample = cell_sample(moved, source_A)
    for seed in seeds:
        draw = np.random.default_rng([seed, round(100 * source_A), len(moved)])
        electrons = draw.poisson(np.clip(sample.image, 0, 1) * DOSE_E_A2 * 0.1**2)
        yield replace(sample, image=electrons.astype(np.uint16), name=f"{sample.name}, 1e5 e/A2, seed {seed}")
