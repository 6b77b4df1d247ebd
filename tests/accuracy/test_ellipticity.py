"""Ellipticity and width of single columns: where there is some, where there is none, and how sure both are."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import recipe

import stemdisp
from stemdisp.fitting.ellipses import ellipticity
from stemdisp.materials import Zone
from stemdisp.model.analysis import Analysis
from stemdisp.scene import Dose, Edge, Look, Motion, Scene, Truth, View
from stemdisp.synthetic import simulate

Floats = NDArray[np.float64]

ZONES_SEEN: tuple[Zone, ...] = ((0, 0, 1), (1, -1, 0))
PLANES: dict[Zone, tuple[int, int, int]] = {(0, 0, 1): (1, 0, 0), (1, -1, 0): (1, 1, 1)}
LAYERS = (2, 3, 4, 5)


def _scene(zone: Zone, seed: int, *, counts: float = 2000.0, **look: object) -> Scene:
    """An image of 7 nm with a tail, 2 % scatter of the amplitudes and 2 pm of disorder."""
    return Scene(
        zone=zone,
        seed=seed,
        view=View(shape=(500, 500), pixel_size_pm=(14.0, 14.0)),
        look=Look(tail=0.12, amplitude_scatter=0.02, **look),  # type: ignore[arg-type]
        dose=Dose(peak_counts=counts, background_counts=0.1 * counts),
        motion=Motion(jitter_pm=2.0),
    )


@cache
def _analysed(zone: Zone, seed: int, elliptical: str, direction_deg: float) -> tuple[Analysis, Truth]:
    shown = _scene(zone, seed)
    if elliptical:
        look = Look(
            tail=0.12,
            amplitude_scatter=0.02,
            ellipticity={elliptical: (0.05, direction_deg)},
            elliptical_layers=LAYERS,
        )
        edge = Edge(plane=PLANES[zone], offset_A=20.0, beyond="vacuum")
        shown = stemdisp.Scene(**{**vars(shown), "look": look, "edge": edge}).facing(90.0)
    micrograph, truth = simulate(shown)
    return stemdisp.analyse(micrograph, recipe(shown), device="cpu"), truth


def _errors(analysis: Analysis, truth: Truth, site: str) -> tuple[Floats, Floats, Floats]:
    """Measured and true ellipticity (n, 2) of a site's columns and the standard deviations."""
    columns = analysis.columns
    assert columns is not None
    near = truth.nearest(columns.xy, within_px=10)
    rows = (near >= 0) & columns.of_site(site) & columns.usable & np.isfinite(columns.moments).all(axis=1)
    e, cov = ellipticity(columns.moments[rows], columns.moments_cov[rows])
    assert len(e) > 100
    return e, truth.ellipticity[near[rows]], np.sqrt(cov[:, [0, 1], [0, 1]])


@pytest.mark.parametrize("site", ["Ta", "K"])
@pytest.mark.parametrize("zone", ZONES_SEEN)
def test_round_columns_are_as_round_as_their_errors_say(zone: Zone, site: str) -> None:
    pulls = []
    for seed in (5, 6, 7):
        e, _, std = _errors(*_analysed(zone, seed, "", 0.0), site)
        pulls.append((e - e.mean(axis=0)) / std)
        assert np.hypot(*e.mean(axis=0)) < 0.003
    variance = float(np.concatenate(pulls).var())
    print(f"{site}: pull variance {variance:.2f}")
    assert 0.8 < variance < 1.25


OXYGEN_GIVES_WAY = pytest.mark.xfail(strict=True, reason="0.93: oxygen 2 A away moves beyond what is linear in it")

CASES = [
    pytest.param(zone, site, deg, marks=[OXYGEN_GIVES_WAY] if (zone, site, deg) == ((1, -1, 0), "Ta", 45.0) else [])
    for zone in ZONES_SEEN
    for site in ("Ta", "K")
    for deg in (0.0, 45.0, 90.0)
]


@pytest.mark.parametrize(("zone", "site", "direction_deg"), CASES)
def test_elliptical_layers(zone: Zone, site: str, direction_deg: float) -> None:
    e, true, std = _errors(*_analysed(zone, 5, site, direction_deg), site)
    on = np.hypot(*true.T) > 0
    twice = np.radians(2 * direction_deg)
    along = np.array([np.cos(twice), np.sin(twice)])
    seen = (e[on].mean(axis=0) - e[~on].mean(axis=0)) / 0.05
    error = float(std.mean()) / 0.05 / np.sqrt(on.sum())
    print(f"{site}: slope {seen @ along:.3f}, across {seen @ [-along[1], along[0]]:.3f} +- {error:.3f}")
    assert abs(seen @ along - 1) < 0.05 + 2 * error
    assert abs(seen @ [-along[1], along[0]]) < 0.05 + 2 * error


@pytest.mark.parametrize("trend", [(0.06, 0.0), (0.05, -0.1)])
@pytest.mark.parametrize("zone", ZONES_SEEN)
def test_a_width_that_changes_over_the_image(zone: Zone, trend: tuple[float, float]) -> None:
    shown = _scene(zone, 5, width_trend=trend)
    micrograph, _ = simulate(shown)
    found = stemdisp.analyse(micrograph, recipe(shown), device="cpu")
    assert found.quality is not None and found.columns is not None
    check = next(one for one in found.quality.checks if one.name == "width_trend")
    ta = found.columns.of_site("Ta") & np.isfinite(found.columns.moments).all(axis=1)
    steepness = np.array(trend) / 500
    along = steepness / np.hypot(*steepness)
    true = 100 * np.hypot(*steepness) * np.ptp(found.columns.xy[ta] @ along)
    print(f"{check.value:.2f} +- {check.std:.2f} %, true {true:.2f} %")
    assert check.std is not None and check.warn
    assert abs(check.value - true) < max(0.1 * true, 2 * check.std)


@pytest.mark.parametrize("zone", ZONES_SEEN)
def test_no_trend_where_there_is_none(zone: Zone) -> None:
    for seed in (5, 6, 7):
        quality = _analysed(zone, seed, "", 0.0)[0].quality
        assert quality is not None
        check = next(one for one in quality.checks if one.name == "width_trend")
        assert not check.warn and check.value < 0.8
