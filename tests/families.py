"""What the two families of truth say of a recipe: measured once, for accuracy tests and benchmark alike.

Parametric images (``scenes.FAMILIES``), a step in intensity (``scenes.step_scene``) and multislice images
(``multislice_family``), each analysed through the public calls alone, with the default recipe or an alternative to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import get_args

import multislice_family
import numpy as np
from measure import Known, Pairs, Slope, columns_of, displacements, known, names, positions, slope, slope_of
from numpy.typing import NDArray
from scenes import JUDGING, MARGIN_A, PEAKS, Family, family_bound_pm, recipe, step_scene

import stemdisp
from stemdisp.errors import RecipeError
from stemdisp.model.analysis import Analysis
from stemdisp.model.micrograph import InputFile, Micrograph
from stemdisp.recipe import Recipe, parse
from stemdisp.synthetic import simulate

Floats = NDArray[np.float64]

DEEP_LAYER = 12
"""Layers from here on are bulk: K of the multislice interface is displaced by less than 0.4 pm."""


@dataclass(frozen=True)
class Alternative:
    """A name, and the values of [refine] that differ from the default."""

    name: str
    refine: tuple[tuple[str, object], ...] = ()

    def of(self, base: Recipe) -> Recipe:
        """The recipe with these values; raises RecipeError where one is unknown."""
        return base.with_values({"refine": dict(self.refine)})

    def differs(self) -> bool:
        """Whether the values are known and not the default's own."""
        try:
            return self.of(Recipe()) != Recipe()
        except RecipeError:
            return False


DEFAULT = Alternative("default")

ALTERNATIVES = (
    DEFAULT,
    Alternative("one Gaussian", (("profile", "gaussian"),)),
    Alternative("equal weights", (("weights", "uniform"),)),
    Alternative("oxygen free", (("oxygen_in_haadf", "free"),)),
    Alternative("oxygen fixed", (("oxygen_in_haadf", "fixed"),)),
    Alternative("oxygen within 3 pm", (("oxygen_in_haadf", "near"), ("oxygen_spread", 3.0))),
    Alternative("oxygen within 30 pm", (("oxygen_in_haadf", "near"), ("oxygen_spread", 30.0))),
    Alternative("background on 2 spacings", (("background_spacing", 2.0),)),
    Alternative("background on 5 spacings", (("background_spacing", 5.0),)),
    Alternative("weak window 1.0 A", (("weak_window", 1.0),)),
    Alternative("weak window 2.0 A", (("weak_window", 2.0),)),
)
"""What the default is compared with; those that are the default itself, or no value any more, are left out."""


@dataclass(frozen=True)
class SiteResult:
    """Positions of a site in all images of a family, the bound (pm), and how far the moving site was displaced in the
    image of each position (n, 2)."""

    pairs: Pairs
    bound: float
    moved: Floats

    @property
    def ratio(self) -> float:
        """Rms error over the bound."""
        return self.pairs.rms / self.bound

    @property
    def bias(self) -> float:
        """Larger component of the mean error in pm; what follows the displacement has no mean."""
        return float(np.abs(self.pairs.bias).max())

    @property
    def bias_std(self) -> float:
        """Standard error of a component of the mean error."""
        return float(self.pairs.bias_sem.max())

    @property
    def follows(self) -> Slope:
        """Slope of the error against the displacement of the moving site: 0 = not drawn along."""
        return slope_of(self.pairs.error, self.moved)


@dataclass(frozen=True)
class FamilyResult:
    """Positions per site, and measured against true displacement of the cells."""

    family: Family
    sites: dict[str, SiteResult]
    slope: Slope
    cells: int

    def of_site(self, name: str) -> SiteResult | None:
        """Result of a site, or, of "O", of all oxygen together; None where no column of it was trusted."""
        found = [result for site, result in self.sites.items() if site == name or (name == "O" and site[0] == "O")]
        if not found:
            return None
        bound = float(np.sqrt(np.mean([r.bound**2 for r in found])))
        return SiteResult(together(r.pairs for r in found), bound, np.concatenate([r.moved for r in found]))


def together(parts: Iterable[Pairs]) -> Pairs:
    """The pairs of several images."""
    first, *rest = parts
    for part in rest:
        first = first.joined(part)
    return first


@lru_cache(maxsize=1)
def family_images(family: Family, purpose: int, *, whole: bool) -> list[tuple[Micrograph, Known, Recipe, Floats]]:
    """The images of a family with their truth, default recipe and displacement; kept until the next are asked for."""
    found = []
    for scene in family.scenes(purpose, whole=whole):
        image, truth = simulate(scene)
        found.append((image, known(truth), recipe(scene), np.array(scene.motion.uniform_pm)))
    return found


@cache
def on_family(
    family: Family, alternative: Alternative = DEFAULT, purpose: int = JUDGING, *, whole: bool = False
) -> FamilyResult:
    """What an alternative measures on the images of a family."""
    parts: dict[str, list[tuple[Pairs, Floats]]] = {}
    cells: list[Pairs] = []
    for image, truth, base, moved in family_images(family, purpose, whole=whole):
        analysis = stemdisp.analyse(image, alternative.of(base))
        cells.append(displacements(analysis, truth, MARGIN_A))
        for site in np.unique(truth.site).tolist():
            # What hides in the noise of the faintest images is marked as held, and not judged.
            pairs = positions(analysis, truth, site, MARGIN_A, held=family.peak_counts > min(PEAKS))
            parts.setdefault(site, []).append((pairs, np.tile(moved, (len(pairs), 1))))
    bounds, sites = family_bound_pm(family), {}
    for site, found in parts.items():
        if sum(len(pairs) for pairs, _ in found) > 10:
            moved_all = np.concatenate([moved for _, moved in found])
            sites[site] = SiteResult(together(pairs for pairs, _ in found), bounds[site], moved_all)
    return FamilyResult(family, sites, slope(together(cells)), sum(map(len, cells)))


@dataclass(frozen=True)
class Step:
    """Apparent displacement of K across a step of intensity: per row of K parallel to the step, its distance (angstrom,
    positive on the side of the weaker columns), and the mean displacement along the normal, against its Ta, in pm."""

    distance_A: Floats
    apparent_pm: Floats

    @property
    def worst(self) -> float:
        """The largest, whatever its sign."""
        return float(self.apparent_pm[np.abs(self.apparent_pm).argmax()])


def _step_rows(distance_A: Floats, along_pm: Floats) -> Step:
    """Means over the rows that are parallel to a step."""
    number = np.round(distance_A / 0.5).astype(np.int64)
    rows = [number == n for n in np.unique(number)]
    return Step(
        np.array([distance_A[row].mean() for row in rows]), np.array([np.asarray(along_pm)[row].mean() for row in rows])
    )


@cache
def step_image(*, oxygen: bool) -> tuple[Micrograph, Known]:
    """The image of the step, and what is true in it."""
    image, truth = simulate(step_scene(oxygen=oxygen))
    return image, known(truth)


@cache
def at_the_step(alternative: Alternative = DEFAULT, *, oxygen: bool) -> Step:
    """What an alternative sees at a step where nothing is displaced; no edge is looked for, nothing subtracted."""
    image, truth = step_image(oxygen=oxygen)
    base = stemdisp.recipe_for("KTaO3", "001").with_values({"interface": {"mode": "none"}})
    cells = displacements(stemdisp.analyse(image, alternative.of(base)), truth, MARGIN_A)
    return step_rows(cells, truth)


def step_rows(cells: Pairs, truth: Known) -> Step:
    """Apparent displacements along the normal of the step, row by row."""
    distance = (truth.xy[cells.row] - truth.point) @ truth.normal / truth.px_per_A
    return _step_rows(distance, cells.error @ truth.normal)


@dataclass(frozen=True)
class MultisliceResult:
    """Of one multislice image or several of different noise: K against its Ta, Ta in the frame, the same without the
    outermost plane, which has a cap for a neighbour, and the mean displacement (2,) pm of cells that are bulk, with
    nothing subtracted."""

    cells: Pairs
    tantalum: Pairs
    deeper_tantalum: Pairs
    bulk_pm: Floats

    @property
    def slope(self) -> Slope:
        """Of measured against true displacement."""
        return slope(self.cells)

    @property
    def bulk(self) -> float:
        """Length of the mean displacement of the bulk."""
        return float(np.hypot(*self.bulk_pm))


@cache
def on_multislice(
    name: str,
    source_A: float,
    alternative: Alternative = DEFAULT,
    *,
    by: multislice_family.Calibration = "first moment",
    seeds: tuple[int, ...] = (),
) -> MultisliceResult:
    """What an alternative measures on a multislice image, noise-free or with the counting noise of ``seeds``."""
    truth = multislice_family.truth_of(name, source_A, by)
    analyses = _multislice_analyses(name, source_A, alternative, seeds)
    cells = [displacements(analysis, truth) for analysis in analyses]
    all_cells = together(cells)
    deep = truth.layer[all_cells.row] >= DEEP_LAYER if np.isfinite(truth.point).all() else np.full(len(all_cells), True)
    tantalum = together(positions(analysis, truth, "Ta", MARGIN_A) for analysis in analyses)
    deeper = tantalum.at(truth.layer[tantalum.row] != 0)
    return MultisliceResult(all_cells, tantalum, deeper, all_cells.error[deep].mean(axis=0))


@lru_cache(maxsize=4)
def _multislice_analyses(
    name: str, source_A: float, alternative: Alternative, seeds: tuple[int, ...]
) -> list[Analysis]:
    """Analyses of the images, shared by both calibrations of the truth."""
    clean = [] if seeds else [multislice_family.clean(name, source_A)]
    samples = [*clean, *multislice_family.counted(name, source_A, seeds)]
    return [stemdisp.analyse(sample.micrograph, alternative.of(sample.recipe)) for sample in samples]


@dataclass(frozen=True)
class CellResult:
    """Of bulk along [1-10]: the mean displacement (2,) pm where nothing moved, the slope where whole columns moved, and
    the share of its displacement that K shows where it moves alone (for each axis)."""

    bulk_pm: Floats
    whole: tuple[float, float]
    alone: tuple[float, float]

    @property
    def bulk(self) -> float:
        """Length of the mean displacement where nothing moved."""
        return float(np.hypot(*self.bulk_pm))


@cache
def on_cells(source_A: float, alternative: Alternative = DEFAULT) -> CellResult:
    """What an alternative measures on noise-free bulk along [1-10]."""
    mean: dict[str, Floats] = {}
    moves: dict[str, Floats] = {}
    for moved in get_args(multislice_family.Moved):
        sample = multislice_family.cell_sample(moved, source_A)
        cells = displacements(stemdisp.analyse(sample.micrograph, alternative.of(sample.recipe)), sample.truth)
        mean[moved], moves[moved] = cells.measured.mean(axis=0), cells.true.mean(axis=0)
    share = {name: float((mean[name] - mean["none"]) @ d / (d @ d)) for name, d in moves.items() if d.any()}
    return CellResult(mean["none"], (share["KO-x"], share["KO-y"]), (share["K-x"], share["K-y"]))


def restarted(image: Micrograph, base: Recipe, *, off_px: float, seed: int) -> tuple[Analysis, Analysis]:
    """The analysis of an image, and the same with every cation started up to ``off_px`` from where it was found, by
    edits of the recipe as a user makes them."""
    digest = "0" * 64
    image = replace(image, inputs=(InputFile(image.name, 0, digest, "synthetic"),))
    first = stemdisp.analyse(image, base)
    columns = columns_of(first)
    draw = np.random.default_rng(seed)
    edits = []
    for row in np.flatnonzero(np.isin(names(columns), ("K", "Ta"))).tolist():
        place = columns.xy[row] + draw.uniform(-off_px, off_px, 2)
        (h, k), site = columns.hk[row].tolist(), columns.sites[columns.site[row]]
        entry = {"action": "move", "site": site, "h": h, "k": k, "x": float(place[0]), "y": float(place[1])}
        edits.append({"sha256": digest, **entry})
    again = stemdisp.analyse(image, parse(base.model_dump(mode="json") | {"edits": edits}))
    return first, again
