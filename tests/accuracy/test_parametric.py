"""The parametric family at 500 counts: as precise as the counts allow, without bias, and as sure as it claims.

The bound is that of the model that made the image with the parameters the fit has (``scenes.bound_px``).  A tail
that is not there cannot be bounded, so without one the fit carries two parameters more than its bound does.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from measure import Pairs, Slope, displacements, known, layer_means, positions, slope
from scenes import MARGIN_A, SEEDS, TAILS, ZONES, bound_px, family, interface_scene, recipe

import stemdisp
from stemdisp.materials import Zone, format_indices
from stemdisp.scene import Look
from stemdisp.synthetic import simulate

CATIONS = ("Ta", "K")


def families(not_yet: dict[str, str] | None = None) -> list[Any]:
    """Both zones with and without tail; those in ``not_yet`` (name -> by how much) are known to miss the limit."""
    found = []
    for zone, tail in product(ZONES, TAILS):
        name = f"{format_indices(zone)}-tail{tail:g}"
        marks = [pytest.mark.xfail(strict=True, reason=not_yet[name])] if not_yet and name in not_yet else []
        found.append(pytest.param(zone, tail, id=name, marks=marks))
    return found


EDGE_SEEDS = (11, 12, 13)


@cache
def found_and_bound(zone: Zone, tail: float) -> dict[str, tuple[Pairs, float]]:
    """Per site: positions of all seeds' images together, and the bound (rms over the columns, pm)."""
    pairs: dict[str, list[Pairs]] = {site: [] for site in CATIONS}
    bounds: dict[str, float] = {}
    for seed in SEEDS:
        scene = family(zone, tail, seed)
        image, truth = simulate(scene)
        analysis, facts = stemdisp.analyse(image, recipe(scene)), known(truth)
        if not bounds:
            bound = bound_px(scene, truth)[truth.present] * scene.view.pixel_size_pm
            inner = {site: (facts.site == site) & facts.inside(MARGIN_A) for site in CATIONS}
            bounds = {site: float(np.sqrt((bound[rows] ** 2).mean())) for site, rows in inner.items()}
        for site in CATIONS:
            pairs[site].append(positions(analysis, facts, site, MARGIN_A))
    joined = {site: parts[0].joined(parts[1]).joined(parts[2]) for site, parts in pairs.items()}
    return {site: (joined[site], bounds[site]) for site in CATIONS}


@cache
def at_the_edge(zone: Zone, tail: float) -> tuple[Slope, dict[int, np.ndarray]]:
    """Slope of measured against true displacement below an interface at 500 counts, and each layer's mean error
    (normal,
    parallel) over all seeds."""
    cells: Pairs | None = None
    errors: dict[int, list[np.ndarray]] = {}
    for seed in EDGE_SEEDS:
        scene = interface_scene(90 + seed, zone=zone, peak_counts=500, seed=seed, look=Look(tail=tail))
        image, truth = simulate(scene)
        analysis, facts = stemdisp.analyse(image, recipe(scene)), known(truth)
        own = displacements(analysis, facts)
        cells = own if cells is None else cells.joined(own)
        for mean in layer_means(analysis, facts):
            errors.setdefault(mean.layer, []).append(mean.error * mean.n)
            errors.setdefault(-1 - mean.layer, []).append(np.array([mean.n]))
    assert cells is not None
    means = {n: np.sum(errors[n], axis=0) / np.sum(errors[-1 - n]) for n in errors if n >= 0}
    return slope(cells), means


@pytest.mark.parametrize("site", CATIONS)
@pytest.mark.parametrize(("zone", "tail"), families())
def test_precision_reaches_the_bound(zone: Zone, tail: float, site: str) -> None:
    """Root mean square error within 1.2 of the Cramer-Rao bound."""
    pairs, bound = found_and_bound(zone, tail)[site]
    print(f"{site}: rms {pairs.rms:.3f} pm, bound {bound:.3f} pm, ratio {pairs.rms / bound:.3f}, n = {len(pairs)}")
    assert pairs.rms <= 1.2 * bound


@pytest.mark.parametrize("site", CATIONS)
@pytest.mark.parametrize(("zone", "tail"), families())
def test_positions_have_no_bias(zone: Zone, tail: float, site: str) -> None:
    """The mean error of all columns of a site stays below 1 pm."""
    pairs, _ = found_and_bound(zone, tail)[site]
    assert np.abs(pairs.bias).max() < 1, f"{pairs.bias} +- {pairs.bias_sem}"


@pytest.mark.parametrize("site", CATIONS)
@pytest.mark.parametrize(("zone", "tail"), families())
def test_claimed_errors_are_honest(zone: Zone, tail: float, site: str, request: pytest.FixtureRequest) -> None:
    """Errors divided by the standard deviations the table claims have a variance of 0.8 to 1.25."""
    if (zone, tail, site) == ((1, -1, 0), 0.0, "Ta"):
        reason = "pull variance 1.28: the oxygen that is held on the lattice is not in the covariance"
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    pairs, _ = found_and_bound(zone, tail)[site]
    print(f"{site}: pull variance {pairs.pull_variance:.3f}")
    assert 0.8 <= pairs.pull_variance <= 1.25


@pytest.mark.parametrize(
    ("zone", "tail"),
    families({"001-tail0.12": "the cap's light feeds the shared tail"}),
)
def test_slope_below_an_interface(zone: Zone, tail: float) -> None:
    """Displacements of up to 26 pm are neither shrunk nor exaggerated: slope 1 within 0.02 or twice its standard
    error."""
    found, _ = at_the_edge(zone, tail)
    print(f"slope {found.value:.4f} +- {found.std:.4f}")
    assert abs(found.value - 1) < max(0.02, 2 * found.std)


@pytest.mark.parametrize(
    ("zone", "tail"),
    families(
        {
            "001-tail0": "a layer off by 1.2 pm under the cap",
            "001-tail0.12": "layers 0 to 3 off by 1 to 4 pm under the cap",
            "1-10-tail0.12": "layers off by 1 to 2 pm under the cap",
        }
    ),
)
def test_layers_below_an_interface_have_no_bias(zone: Zone, tail: float) -> None:
    """The mean error of every layer, over all images, stays below 1 pm."""
    _, means = at_the_edge(zone, tail)
    assert len(means) >= 6
    wrong = {layer: error.round(2).tolist() for layer, error in means.items() if np.abs(error).max() >= 1}
    assert wrong == {}
