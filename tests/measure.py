"""Truth against measurement: the comparisons that accuracy tests and the benchmark share.

Truth and table are matched by place alone, so that a wrong site, a shifted layer number or a false column shows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

import stemdisp
from stemdisp.flags import Flag, usable
from stemdisp.model.analysis import Analysis
from stemdisp.model.columns import Columns
from stemdisp.recipe import Recipe
from stemdisp.scene import Truth

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SAMPLES = Path(__file__).parent.parent / "sample_data"

SAME_COLUMN_A = 0.7
"""A true and a listed column closer than this (angstrom) are one: half of the shortest distance of two columns."""

CUT_A = 0.6
"""Columns whose centre lies closer to the frame than this (angstrom) are cut by it and have no position to measure."""

ARRIVED = 1e-6
"""Largest movement (px) at which a fit whose exactness is tested may stop."""


def arrived(recipe: Recipe) -> Recipe:
    """The recipe with a fit that iterates until nothing moves any more."""
    return recipe.with_values({"refine": {"tolerance": ARRIVED, "max_iterations": 200}})


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is true in one signal of an image.

    site, xy, layer
        (N,) name, (N, 2) place in px and (N,) layer (-1 = none) of the columns that are there.
    cell_pm
        (N, 2) displacement of the moving columns against the centroid of their reference neighbours in pm (right,
        down);
        NaN for other columns and where a neighbour is missing.
    shape
        (ny, nx) of the image.
    to_pm
        (2, 2) vectors in px times this are pm.
    point, normal
        (2,) a point of the interface in px and its outward normal; NaN where there is none.
    """

    site: NDArray[np.str_]
    xy: Floats
    layer: Ints
    cell_pm: Floats
    shape: tuple[int, int]
    to_pm: Floats
    point: Floats
    normal: Floats

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def px_per_A(self) -> float:
        """Geometric mean of the magnification."""
        return float(100 / np.sqrt(abs(np.linalg.det(self.to_pm))))

    def within(self, xy: Floats, margin_A: float) -> Mask:
        """(n,) places (n, 2) px at least this far (angstrom) inside the frame."""
        margin = margin_A * self.px_per_A
        ny, nx = self.shape
        low, high = margin - 0.5, np.array([nx, ny]) - 0.5 - margin
        return np.asarray(((xy >= low) & (xy <= high)).all(axis=1))

    def inside(self, margin_A: float) -> Mask:
        """(N,) columns whose centre lies at least this far (angstrom) inside the frame."""
        return self.within(self.xy, margin_A)


def known(truth: Truth, signal: str = "HAADF") -> Known:
    """What is true in a signal of a synthetic micrograph."""
    rows, vectors = truth.cells(signal)
    cell_pm = np.full((len(truth), 2), np.nan)
    cell_pm[rows] = vectors
    keep = truth.present
    nothing = np.full(2, np.nan)
    return Known(
        site=truth.site[keep],
        xy=truth.position(signal)[keep],
        layer=truth.layer[keep],
        cell_pm=cell_pm[keep],
        shape=(truth.expected[signal].shape[0], truth.expected[signal].shape[1]),
        to_pm=truth.to_pm,
        point=nothing if truth.interface_point is None else truth.interface_point,
        normal=nothing if truth.interface_normal is None else truth.interface_normal,
    )


def sample_facts() -> dict[str, Any]:
    """Everything in the truth file of the multislice images."""
    facts: dict[str, Any] = json.loads((SAMPLES / "truth.json").read_text(encoding="utf-8"))
    return facts


def sample_known(name: str, signal: str, weights: dict[str, float] | None = None) -> Known:
    """What is true in a signal of a multislice image.

    Only columns that hold K move, so their displacement is that against any neighbours; a moved column stands its
    displacement away from its undisplaced place.  ``weights`` (x, y) are the share of its K displacement that the image
    of a full column shows, where another calibration than that of the file is wanted.
    """
    entry = sample_facts()["images"][name]
    columns = entry["columns"]
    site = np.array(columns["site"])
    moved = np.stack([np.array(columns[f"{signal}_d{axis}_pm"], dtype=float) for axis in "xy"], axis=1)
    if weights is not None:
        oxygen = np.array([0.0 if share is None else share for share in columns["o_occupancy"]])
        shares = np.stack([1 / (1 + oxygen * (1 / weights[axis] - 1)) for axis in "xy"], axis=1)
        moved = shares * np.stack([np.array(columns[f"k_d{axis}_pm"], dtype=float) for axis in "xy"], axis=1)
    pixel = np.array(entry["pixel_size_pm"], dtype=float)
    edge = entry.get("interface")
    return Known(
        site=site,
        xy=np.stack([columns["x_px"], columns["y_px"]], axis=1) + moved / pixel,
        layer=np.array([-1 if n is None else n for n in columns["layer"]], dtype=np.int64),
        cell_pm=np.where((site == "K")[:, None], moved, np.nan),
        shape=(entry["shape"][0], entry["shape"][1]),
        to_pm=np.diag(pixel),
        point=np.array([0.0, edge["y_px"]]) if edge else np.full(2, np.nan),
        normal=np.array(edge["normal_xy"], dtype=float) if edge else np.full(2, np.nan),
    )


def sample_image(name: str, *signals: str) -> stemdisp.Micrograph:
    """Multislice image(s) read as a user would: e.g. ("KTO111_clean", "HAADF", "ABF")."""
    return stemdisp.read(*(next(SAMPLES.rglob(f"{name}_{signal}.tif")) for signal in signals))


def columns_of(analysis: Analysis) -> Columns:
    """The table of an analysis that reached it."""
    assert analysis.columns is not None
    return analysis.columns


def match(columns: Columns, truth: Known) -> Ints:
    """(N,) row of the table for each true column, -1 where none stands there."""
    distance, row = cKDTree(columns.xy).query(truth.xy)
    return np.where(distance <= SAME_COLUMN_A * truth.px_per_A, row, -1)


def names(columns: Columns) -> NDArray[np.str_]:
    """(N,) site names."""
    return np.array(columns.sites)[columns.site]


def missed(analysis: Analysis, truth: Known, sites: tuple[str, ...]) -> list[str]:
    """True columns of these sites, not cut by the frame, that are not listed or are listed as another site."""
    columns = columns_of(analysis)
    row, named = match(columns, truth), names(columns)
    wanted = np.isin(truth.site, sites) & truth.inside(CUT_A)
    wrong = wanted & ((row < 0) | (named[row] != truth.site))
    return [
        f"{truth.site[i]} at ({truth.xy[i, 0]:.1f}, {truth.xy[i, 1]:.1f}) is "
        f"{named[row[i]] if row[i] >= 0 else 'not listed'}"
        for i in np.flatnonzero(wrong)
    ]


def invented(analysis: Analysis, truth: Known, sites: tuple[str, ...]) -> list[str]:
    """Listed columns of these sites, not cut by the frame, where the image has none."""
    columns = columns_of(analysis)
    distance, _ = cKDTree(truth.xy).query(columns.xy)
    inside = truth.within(columns.xy, CUT_A)
    false = (distance > SAME_COLUMN_A * truth.px_per_A) & np.isin(names(columns), sites) & inside
    return [f"{names(columns)[i]} at ({columns.xy[i, 0]:.1f}, {columns.xy[i, 1]:.1f})" for i in np.flatnonzero(false)]


@dataclass(frozen=True)
class Pairs:
    """Measured and true vectors (n, 2) in pm, the claimed standard deviation (n, 2), and which true column (n,)."""

    measured: Floats
    true: Floats
    std: Floats
    row: Ints

    def __len__(self) -> int:
        return len(self.row)

    @property
    def error(self) -> Floats:
        """(n, 2) measured minus true."""
        return self.measured - self.true

    @property
    def rms(self) -> float:
        """Root mean square error of a component."""
        return float(np.sqrt((self.error**2).mean()))

    @property
    def bias(self) -> Floats:
        """(2,) mean error."""
        return np.asarray(self.error.mean(axis=0))

    @property
    def bias_sem(self) -> Floats:
        """(2,) standard error of the mean error."""
        return np.asarray(self.error.std(axis=0, ddof=1) / np.sqrt(len(self)))

    @property
    def pull_variance(self) -> float:
        """Mean square of error / claimed standard deviation: 1 where the claim is honest."""
        return float(((self.error / self.std) ** 2).mean())

    def at(self, rows: Mask) -> Pairs:
        """The pairs chosen by a mask (n,)."""
        return Pairs(self.measured[rows], self.true[rows], self.std[rows], self.row[rows])

    def joined(self, other: Pairs) -> Pairs:
        """The pairs of two images."""
        both = zip(
            (self.measured, self.true, self.std, self.row),
            (other.measured, other.true, other.std, other.row),
            strict=True,
        )
        return Pairs(*(np.concatenate(part) for part in both))

    def along(self, direction: Floats) -> tuple[Floats, Floats]:
        """Measured and true components (n,) along a unit vector."""
        return self.measured @ direction, self.true @ direction


def positions(
    analysis: Analysis, truth: Known, site: str, margin_A: float, signal: str | None = None, *, held: bool = False
) -> Pairs:
    """Positions of the usable columns of a site, at least ``margin_A`` from the frame, in pm; with ``held`` also of
    those that the recipe holds at or near the lattice's."""
    columns = columns_of(analysis) if signal is None else analysis.by_signal[signal]
    row = match(columns, truth)
    chosen = np.flatnonzero((truth.site == site) & truth.inside(margin_A) & (row >= 0))
    trusted = usable(columns.flags & ~int(Flag.FIXED_POSITION | Flag.HELD)) if held else columns.usable
    chosen = chosen[trusted[row[chosen]]]
    at = row[chosen]
    measured, true = columns.xy[at] @ truth.to_pm, truth.xy[chosen] @ truth.to_pm
    cov = truth.to_pm.T @ columns.cov[at] @ truth.to_pm
    return Pairs(measured, true, np.sqrt(np.stack([cov[:, 0, 0], cov[:, 1, 1]], axis=1)), chosen)


@dataclass(frozen=True)
class Cells(Pairs):
    """Displacements of cells, and the layer (n,) the analysis gave them (-1 = none)."""

    layer: Ints


def displacements(analysis: Analysis, truth: Known, margin_A: float = 0.0) -> Cells:
    """Measured and true displacement of every cell that has both.

    Where the analysis took the mean of some cells for zero, the true displacements are taken against the true mean
    of the
    same cells: how the zero is chosen is a convention, not an error.
    """
    field, cells, columns = analysis.displacement, analysis.cells, columns_of(analysis)
    assert field is not None and cells is not None
    row = match(columns, truth)
    column_of = np.full(len(columns), -1)
    column_of[row[row >= 0]] = np.flatnonzero(row >= 0)
    at = column_of[cells.moving]
    true = np.where((at >= 0)[:, None], truth.cell_pm[at], np.nan)
    if field.offset is not None:
        true = true - np.nanmean(true[field.offset_cells], axis=0)
    chosen = np.flatnonzero(field.valid & np.isfinite(true).all(axis=1) & truth.inside(margin_A)[at])
    layer = analysis.interface.layer[chosen] if analysis.interface is not None else np.full(len(chosen), -1)
    return Cells(field.uv[chosen], true[chosen], field.std[chosen], at[chosen], layer)


def fabricated(analysis: Analysis, truth: Known) -> list[str]:
    """Vectors at places, not cut by the frame, where the image has no complete cell."""
    field, cells, columns = analysis.displacement, analysis.cells, columns_of(analysis)
    assert field is not None and cells is not None
    complete = np.isfinite(truth.cell_pm).all(axis=1)
    distance, _ = cKDTree(truth.xy[complete]).query(columns.xy[cells.moving])
    false = field.valid & (distance > SAME_COLUMN_A * truth.px_per_A) & truth.within(columns.xy[cells.moving], CUT_A)
    return [
        f"{field.uv[i].round(1).tolist()} pm at {columns.xy[cells.moving[i]].round(1).tolist()}"
        for i in np.flatnonzero(false)
    ]


@dataclass(frozen=True)
class Slope:
    """Slope of measured against true displacement and its standard error; 1 = nothing is shrunk or exaggerated."""

    value: float
    std: float


def slope(pairs: Pairs) -> Slope:
    """Least squares over both components, each with an intercept of its own."""
    return slope_of(pairs.measured, pairs.true)


def slope_of(measured: Floats, true: Floats) -> Slope:
    """The same of two arrays (n, 2)."""
    across = (true - true.mean(axis=0)).ravel()
    up = (measured - measured.mean(axis=0)).ravel()
    value = float(across @ up / (across @ across))
    rest = up - value * across
    return Slope(value, float(np.sqrt(rest @ rest / (len(across) - 3) / (across @ across))))


@dataclass(frozen=True)
class LayerMean:
    """Mean displacement (normal, parallel) of a true layer in pm: measured, true, standard error of the measured
    mean."""

    layer: int
    n: int
    measured: Floats
    true: Floats
    sem: Floats

    @property
    def error(self) -> Floats:
        """(2,) measured minus true."""
        return self.measured - self.true

    def __str__(self) -> str:
        parts = zip(("normal", "parallel"), self.measured, self.true, self.sem, strict=True)
        return f"layer {self.layer} (n = {self.n}): " + ", ".join(
            f"{p} {m:.2f} +- {s:.2f}, true {t:.2f}" for p, m, t, s in parts
        )


def layer_means(analysis: Analysis, truth: Known, fewest: int = 3) -> list[LayerMean]:
    """Layers by their true number, in the true interface's frame, from the cells that were measured."""
    cells = displacements(analysis, truth)
    frame = np.stack([truth.normal, [-truth.normal[1], truth.normal[0]]]).T
    found = []
    for layer in np.unique(truth.layer[cells.row]).tolist():
        rows = truth.layer[cells.row] == layer
        n = int(rows.sum())
        if layer >= 0 and n >= fewest:
            measured = cells.measured[rows] @ frame
            sem = measured.std(axis=0, ddof=1) / np.sqrt(n)
            found.append(LayerMean(layer, n, measured.mean(axis=0), (cells.true[rows] @ frame).mean(axis=0), sem))
    return found


def beyond(means: list[LayerMean], limit_pm: float, sems: float = 0.0) -> list[str]:
    """Layers whose mean is off by more than ``limit_pm`` and more than ``sems`` standard errors."""
    return [str(m) for m in means if (np.abs(m.error) > np.maximum(limit_pm, sems * m.sem)).any()]


def misnumbered(analysis: Analysis, truth: Known) -> list[str]:
    """Cells whose layer is not the true one."""
    cells = displacements(analysis, truth)
    wrong = np.flatnonzero(cells.layer != truth.layer[cells.row])
    return [
        f"cell at {truth.xy[cells.row[i]].round(1).tolist()}: layer {cells.layer[i]}, true {truth.layer[cells.row[i]]}"
        for i in wrong
    ]


def interface_error(analysis: Analysis, truth: Known) -> tuple[float, float]:
    """Distance in pm of the found interface from the true one along the true normal, and the angle in degrees
    between them."""
    found = analysis.interface
    assert found is not None
    away = float((found.point - truth.point) @ truth.to_pm @ truth.normal)
    cosine = float(np.clip(found.normal @ truth.normal, -1, 1))
    return away, float(np.degrees(np.arccos(cosine)))


def untrustworthy(analysis: Analysis) -> int:
    """Number of columns whose fit did not end well."""
    return int(((columns_of(analysis).flags & int(Flag.NO_CONVERGENCE | Flag.FAR_FROM_LATTICE)) > 0).sum())
