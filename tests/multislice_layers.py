"""Multislice interfaces made for what layers say: K moved in the plane, out of it or not at all, oxygen missing.

The scans of the whole periodic cells are stored as a point source sees them; images at 0.1 angstrom per pixel follow by
Fourier series, and the counting noise of a dose by a seed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from layer_statistics import SURE
from measure import Known, displacements
from multislice_family import resampled, weights
from numpy.typing import NDArray

import stemdisp
from stemdisp.model.analysis import Analysis
from stemdisp.model.micrograph import Micrograph, PixelSize, Signal

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STORE = Path(__file__).parent / "multislice_layers.npz"
CASES = {"along": "25 pm in the plane", "outward": "25 pm out of the plane", "still": "nothing"}
"""Names of the stored interfaces, and by what the K of their outermost layer are displaced."""

STORED = (*CASES, "tilted", "leaning")
"""All that is stored. In the last two nothing is missing and the crystal is tilted by 2 mrad: about the upright axis
with K displaced as in the first, and about the one that lies along the interface with K where they belong."""

CONTRAST: dict[str, Literal[1, -1]] = {"HAADF": 1, "ABF": -1}
SOURCE_A = 0.8
PIXEL_PM = 10.0
RECIPE = stemdisp.recipe_for("KTaO3", "1-10")

DOSES = (None, 1e5, 1e4)
"""Electrons per square angstrom; None = no counting noise."""

SEEDS = (301, 302, 303, 304, 305, 306, 307, 308)

CLEAN_PM, SEMS, CHANCE = 1.5, 3.0, 0.95
"""What a layer's mean may be off by without noise, and with noise in standard errors; and the least share of means for
which that holds, as some are beyond it by chance: 0.976 are within where the error is from 7 cells (Student)."""

LARGE_PM, SHARE, ATOM_SEMS, ATOM_CHANCE = 10.0, 0.10, 2.0, 0.90
"""Layers whose K are displaced by this much have to say by how much: within this share of it, or so many errors; by
chance 0.908 are, where the error is from 7 cells (Student)."""

POOR, DISPLACED_PM = 0.2, 0.05
"""Share of missing oxygen from which a layer has to be called poor in it; K displacements below this count as none."""


@dataclass(frozen=True)
class Facts:
    """Columns that lie in the frame, what is true of them, and the interface's layers.

    column
        Displacements are those of the columns' images in HAADF: share w(q) of the displacement of their K.
    atom
        The same with the displacements of the K themselves.
    missing
        (L,) share of oxygen taken out of each layer.
    """

    column: Known
    atom: Known
    missing: Floats


@cache
def facts(case: str) -> Facts:
    """What is true in an interface."""
    with np.load(STORE, allow_pickle=False) as file:
        site, layer, places, corner = file["site"], file["layer"], file["xy_A"], file["frame_A"]
        moved, oxygen, missing = (file[f"{case}_{what}"] for what in ("k_pm", "oxygen", "vacancies"))
        shape = (int(file["frame_shape"][0]), int(file["frame_shape"][1]))
        edge = (float(file["y_interface_A"]) - corner[1]) * 100 / PIXEL_PM
    full, _ = weights(SOURCE_A, "first moment")
    column = moved / (1 + oxygen[:, None] * (1 / np.array([full["x"], full["y"]]) - 1))
    xy = (places - corner) * 100 / PIXEL_PM
    inside = ((xy >= 0) & (xy <= np.array(shape[::-1]) - 1)).all(axis=1)
    potassium = (site == "K")[:, None]
    known = Known(
        site=site[inside],
        xy=(xy + column / PIXEL_PM)[inside],
        layer=layer[inside].astype(np.int64),
        cell_pm=np.where(potassium, column, np.nan)[inside],
        shape=shape,
        to_pm=np.diag([PIXEL_PM, PIXEL_PM]),
        point=np.array([0.0, edge]),
        normal=np.array([0.0, -1.0]),
    )
    return Facts(known, replace(known, cell_pm=np.where(potassium, moved, np.nan)[inside]), missing)


@cache
def _clean(case: str, signal: str) -> Floats:
    with np.load(STORE, allow_pickle=False) as file:
        shape = (int(file["frame_shape"][0]), int(file["frame_shape"][1]))
        return resampled(file[f"{case}_{signal}"].astype(float), file["cell_A"], file["frame_A"], shape, SOURCE_A)


def micrograph(case: str, dose: float | None, seed: int = 0) -> Micrograph:
    """The pair of an interface: fractions of the beam, or detected electrons at a dose per square angstrom."""
    signals = {}
    for number, (name, contrast) in enumerate(CONTRAST.items()):
        image = _clean(case, name)
        if dose is not None:
            draw = np.random.default_rng([seed, number, STORED.index(case), round(dose)])
            image = draw.poisson(np.clip(image, 0, 1) * dose * (PIXEL_PM / 100) ** 2)
        signals[name] = Signal(name, image.astype(np.float32 if dose is None else np.uint16), contrast)
    return Micrograph(f"{case}, {dose}, seed {seed}", signals, PixelSize(PIXEL_PM, PIXEL_PM, origin="file"))


@dataclass(frozen=True)
class Told:
    """What the profile says of layers against what is true: R rows, a layer of an image each.

    layer
        (R,) its true number.
    mean, sem, true
        (R, 2) displacement (normal, parallel) of the columns in pm, its standard error and the truth.
    atom, atom_sem, atom_true
        (R, 2) the same of the K.
    significant, rich
        (R,) called displaced, called rich in vacancies (1, 0; NaN = nothing said).
    missing
        (R,) share of oxygen that is missing.
    """

    layer: Ints
    mean: Floats
    sem: Floats
    true: Floats
    atom: Floats
    atom_sem: Floats
    atom_true: Floats
    significant: Floats
    rich: Floats
    missing: Floats

    @property
    def error(self) -> Floats:
        """(R, 2) error of the mean in pm."""
        return self.mean - self.true

    @property
    def pull(self) -> Floats:
        """(R, 2) the same in stated standard errors."""
        return self.error / self.sem

    @property
    def judged(self) -> NDArray[np.bool_]:
        """(R,) layers whose K are displaced enough for their size to be judged."""
        return np.hypot(*self.atom_true.T) >= LARGE_PM

    @property
    def atom_off(self) -> Floats:
        """(R, 2) error of the K displacement over the larger of what it may be: 1 = just within."""
        size = np.hypot(*self.atom_true.T)[:, None]
        return np.abs(self.atom - self.atom_true) / np.maximum(SHARE * size, ATOM_SEMS * self.atom_sem)

    @property
    def certain(self) -> NDArray[np.bool_]:
        """(R,) displaced by so many standard errors that it has to be found."""
        return np.hypot(*(self.true / self.sem).T) >= SURE

    def at(self, rows: NDArray[np.bool_]) -> Told:
        """The rows chosen by a mask."""
        return Told(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})

    @staticmethod
    def of(parts: list[Told]) -> Told:
        """Those of several images."""
        return Told(**{one.name: np.concatenate([getattr(p, one.name) for p in parts]) for one in fields(Told)})


def told(analysis: Analysis, true: Facts) -> Told:
    """The layers that the profile has a mean of.  Where the mean of some cells was taken for zero, truth is against the
    true mean of the same cells, for columns and K alike."""
    profile = analysis.profile
    assert profile is not None
    column, atom = (displacements(analysis, one) for one in (true.column, true.atom))
    frame = np.stack([true.column.normal, [-true.column.normal[1], true.column.normal[0]]]).T
    rows = np.flatnonzero(np.isfinite(profile.normal_pm))
    averaged = [column.layer == n for n in profile.layer[rows]]
    assert [int(one.sum()) for one in averaged] == profile.n[rows].tolist()
    numbers = np.array([int(np.median(true.column.layer[column.row[one]])) for one in averaged])
    means = {
        name: np.array([(cells.true[one] @ frame).mean(axis=0) for one in averaged])
        for name, cells in (("true", column), ("atom_true", atom))
    }

    def both(name: str) -> Floats:
        return np.stack([getattr(profile, name.format(d))[rows] for d in ("normal", "parallel")], axis=1)

    return Told(
        layer=numbers,
        mean=both("{}_pm"),
        sem=both("{}_sem_pm"),
        atom=both("atom_{}_pm"),
        atom_sem=both("atom_{}_sem_pm"),
        significant=profile.significant[rows],
        rich=profile.vacancy_rich[rows],
        missing=true.missing[numbers],
        **means,
    )


@cache
def analysed(case: str, dose: float | None, seed: int = 0) -> Analysis:
    """An image pair as the package's own recipe takes it."""
    return stemdisp.analyse(micrograph(case, dose, seed), RECIPE)


@cache
def said(case: str, dose: float | None) -> Told:
    """Of one image without noise, or of all seeds of a dose together."""
    seeds = (0,) if dose is None else SEEDS
    return Told.of([told(analysed(case, dose, seed), facts(case)) for seed in seeds])
