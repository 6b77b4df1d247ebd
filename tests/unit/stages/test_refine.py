"""The fit of an image's columns: exact without noise, honest about what it could not measure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from measure import displacements, known, match
from scipy import ndimage

import stemdisp
from stemdisp.flags import Flag
from stemdisp.model.micrograph import Signal
from stemdisp.motion import Motion
from stemdisp.scene import Dose, Look, Scene, View
from stemdisp.stages.refine import refine

SCENE = Scene(
    view=View(shape=(180, 192), pixel_size_pm=(12.5, 12.5)),
    motion=Motion(jitter_pm=4),
    dose=Dose(peak_counts=1e4, background_variation=0.0),
    look=Look(tail=0.1),
)


@pytest.fixture(scope="module")
def assigned(until):
    """An analysis up to assign, and its truth."""
    return until(SCENE, "assign")


@pytest.fixture(scope="module")
def exact(until):
    """Without noise, and with oxygen where the fit holds it."""
    dose = replace(SCENE.dose, noise=False, dtype="float64")
    scene = replace(SCENE, dose=dose, motion=Motion(uniform_pm=(8.0, -5.0)))
    return until(scene, "refine", {"refine": {"tolerance": 1e-6, "max_iterations": 100}})


def refined(analysis, image: np.ndarray | None = None, **values):
    signal = analysis.micrograph.signals["HAADF"]
    signal = signal if image is None else Signal("HAADF", image)
    return refine(signal, analysis.columns, analysis.lattice, analysis.recipe.refine.model_copy(update=values))[0]


def errors_px(columns, truth, site: str, margin_A: float = 4.0) -> np.ndarray:
    real = known(truth)
    row = match(columns, real)
    at = (real.site == site) & real.inside(margin_A) & (row >= 0)
    return columns.xy[row[at]] - real.xy[at]


@pytest.mark.parametrize(("site", "limit"), [("Ta", 0.002), ("K", 0.03)])
def test_without_noise_places_are_exact(exact, site, limit) -> None:
    analysis, truth = exact
    assert np.abs(errors_px(analysis.columns, truth, site)).max() < limit


def test_widths_heights_and_background(exact) -> None:
    analysis, truth = exact
    columns, row = analysis.columns, match(analysis.columns, known(truth))
    ta = (known(truth).site == "Ta") & known(truth).inside(4.0)
    np.testing.assert_allclose(columns.sigma[row[ta]], 50 / 12.5, rtol=0.02)
    np.testing.assert_allclose(columns.amplitude[row[ta]], 1e4, rtol=0.03)
    # A background that the fit and the tail share is known to a part of the tail.
    np.testing.assert_allclose(columns.background[row[ta]], 50, atol=400)
    assert columns.residual[row[ta]].max() < 0.01


def test_rows_stay_what_they_were(assigned) -> None:
    analysis, _ = assigned
    found = refined(analysis)
    for name in ("site", "hk", "island"):
        np.testing.assert_array_equal(getattr(found, name), getattr(analysis.columns, name))
    assert found.signals == ("HAADF",) and np.isfinite(found.xy).all()
    usable = found.usable
    assert np.isfinite(found.cov[usable]).all() and (found.xy_std[usable] > 0).all()


def test_the_start_is_forgotten(assigned) -> None:
    analysis, _ = assigned
    jolt = np.random.default_rng(0).uniform(-0.8, 0.8, analysis.columns.xy.shape)
    jolt[analysis.columns.of_site("O")] = 0
    one = refined(analysis, tolerance=1e-5, max_iterations=100)
    other = refined(
        analysis.having(columns=analysis.columns.replace(xy=analysis.columns.xy + jolt)),
        tolerance=1e-5,
        max_iterations=100,
    )
    both = one.usable & other.usable
    assert both.mean() > 0.3
    # Which pixels count is decided by the start: the noise of those at the rim remains.
    for site in ("Ta", "K"):
        rows = both & one.of_site(site)
        assert np.sqrt(((one.xy - other.xy)[rows] ** 2).mean()) < 0.6 * one.xy_std[rows].mean()


def test_oxygen_in_haadf(assigned) -> None:
    analysis, _ = assigned
    oxygen = analysis.columns.of_site("O")
    inner = ((analysis.columns.xy > 15) & (analysis.columns.xy < [176, 164])).all(axis=1)
    fixed, free = (refined(analysis, oxygen_in_haadf=how) for how in ("fixed", "free"))
    np.testing.assert_array_equal(fixed.xy[oxygen & inner], analysis.columns.xy[oxygen & inner])
    assert (fixed.flags[oxygen & inner] & int(Flag.FIXED_POSITION) > 0).all()
    assert (free.flags[oxygen & inner] & int(Flag.FIXED_POSITION) == 0).all()
    assert (free.xy[oxygen & inner] != analysis.columns.xy[oxygen & inner]).all()
    assert not (fixed.flags & int(Flag.HELD)).any() and not (free.flags & int(Flag.HELD)).any()


def test_oxygen_near_its_place_goes_as_far_as_the_image_demands(assigned) -> None:
    """Held tightly it is marked as known from its neighbours; held loosely it ends where it does when free."""
    analysis, _ = assigned
    oxygen, start = analysis.columns.of_site("O"), analysis.columns.xy
    inner = ((start > 32) & (start < [159, 147])).all(axis=1)
    rows = oxygen & inner
    away, held = {}, {}
    for spread in (1.0, 10.0, 100.0):
        found = refined(analysis, oxygen_in_haadf="near", oxygen_spread=spread)
        away[spread] = np.hypot(*(found.xy - start)[rows].T)
        held[spread] = (~found.usable[rows]).mean()
        assert (found.flags[rows] & int(Flag.FIXED_POSITION) == 0).all()
        assert not (found.flags[~oxygen] & int(Flag.HELD)).any()
        # No farther than four standard deviations.
        assert away[spread].max() <= 4 * spread / 12.5 + 1e-6
        assert np.nanmax(found.xy_std[rows]) <= spread / 12.5 + 1e-9
    assert away[1.0].mean() < away[10.0].mean() < away[100.0].mean()
    assert held[1.0] == 1 and held[1.0] >= held[10.0] >= held[100.0]


def test_what_counts_as_held_is_not_used(assigned) -> None:
    found = refined(assigned[0], oxygen_in_haadf="near", oxygen_spread=1.0)
    assert not found.usable[found.flags & int(Flag.HELD) > 0].any()


def test_columns_that_the_frame_cuts_keep_their_place(until) -> None:
    analysis, _ = until(replace(SCENE, view=replace(SCENE.view, origin_A=(0.5, 1.2))), "assign")
    found = refined(analysis)
    edge = found.flags & int(Flag.EDGE) > 0
    assert edge.any()
    np.testing.assert_array_equal(found.xy[edge], analysis.columns.xy[edge])
    away = np.minimum(analysis.columns.xy, np.array([191, 179]) - analysis.columns.xy).min(axis=1)
    assert away[edge].max() < 5
    assert (edge | (away > -0.5)).all() and not edge[away > 5].any()


def test_a_column_that_is_not_there_is_weak(until) -> None:
    analysis, truth = until(replace(SCENE, missing=0.06, seed=5), "refine")
    inner = ((truth.xy > 15) & (truth.xy < [176, 164])).all(axis=1) & ~truth.motif.oxygen[truth.site_index]
    holes = inner & ~truth.present
    assert holes.sum() >= 1
    columns = analysis.columns
    row = np.linalg.norm(truth.ideal_xy[holes, None] - columns.xy, axis=2).argmin(axis=1)
    assert (columns.flags[row] & int(Flag.WEAK) > 0).all()
    there = match(columns, known(truth))[known(truth).inside(2.0) & ~(known(truth).site == "O")]
    assert (columns.flags[there] & int(Flag.WEAK) == 0).all()


@pytest.mark.parametrize(
    "values",
    [
        {"weights": "uniform"},
        {"oxygen_in_haadf": "fixed"},
        {"oxygen_in_haadf": "free"},
        {"oxygen_spread": 3.0},
        {"profile": "gaussian"},
        {"background_spacing": 6.0},
        {"weak_window": 2.2},
        {"max_iterations": 2},
        {"tolerance": 0.05},
    ],
)
def test_every_choice_bites(assigned, values) -> None:
    analysis, _ = assigned
    usual, other = refined(analysis), refined(analysis, **values)
    assert np.abs(usual.xy - other.xy).max() > 1e-7


def test_weights_are_those_of_the_images_noise(assigned) -> None:
    """Raw counts weigh as such; a filtered image, of which the pixels share their noise, does not."""
    analysis, _ = assigned
    raw = analysis.micrograph.signals["HAADF"].image
    filtered = ndimage.gaussian_filter(raw.astype(float), 0.7)
    for image, weights in ((raw, "poisson"), (3.5 * raw, "poisson"), (filtered, "uniform")):
        found, same = refined(analysis, image), refined(analysis, image, weights=weights)
        other = refined(analysis, image, weights={"poisson": "uniform", "uniform": "poisson"}[weights])
        assert found.fits[0].weights == weights, found.fits[0].reason
        usable = found.usable
        away, elsewhere = (
            np.sqrt(np.mean((((found.xy - columns.xy) / found.xy_std)[usable]) ** 2)) for columns in (same, other)
        )
        # Which pixels count is decided where columns stood when the weights were changed.
        assert away < 0.15 and elsewhere > 0.3
    assert found.fits[0].gain is None
    assert refined(analysis, 3.5 * raw).fits[0].gain == pytest.approx(3.5, rel=0.1)


def test_too_few_iterations_are_flagged(assigned) -> None:
    found = refined(assigned[0], max_iterations=2, tolerance=1e-6)
    assert (found.flags & int(Flag.NO_CONVERGENCE) > 0).sum() > 5


def test_missing_pixels_are_flagged_and_change_little(until) -> None:
    scene = replace(SCENE, dose=replace(SCENE.dose, peak_counts=2e4))
    micrograph, truth = stemdisp.simulate(scene)
    image = micrograph.signals["HAADF"].image.copy()
    image[np.random.default_rng(1).random(image.shape) < 0.01] = np.nan
    recipe = stemdisp.recipe_for("KTaO3", "1-10")
    whole = stemdisp.analyse(micrograph, recipe)
    holed = stemdisp.analyse(replace(micrograph, signals={"HAADF": Signal("HAADF", image)}), recipe)
    assert (holed.columns.flags & int(Flag.BAD_PIXELS) > 0).sum() > 0.2 * len(holed.columns)
    assert (whole.columns.flags & int(Flag.BAD_PIXELS) == 0).all()
    one, other = displacements(whole, known(truth), 3.0), displacements(holed, known(truth), 3.0)
    np.testing.assert_array_equal(one.row, other.row)
    assert len(one) >= 8
    # A hundredth of the pixels carries a hundredth of the information.
    assert np.sqrt(((one.measured - other.measured) ** 2).mean()) < 0.4 * one.std.mean()


def test_saturated_columns_do_no_harm(assigned) -> None:
    analysis, truth = assigned
    image = np.minimum(analysis.micrograph.signals["HAADF"].image, 6000)
    found = refined(analysis, image)
    assert np.isfinite(found.xy).all()
    assert np.abs(errors_px(found, truth, "Ta")).max() < 0.06
    assert (found.flags[found.of_site("Ta")] & int(Flag.BAD_PIXELS) > 0).mean() > 0.9


@pytest.mark.parametrize("size", [198, 199, 200, 201, 202])
def test_the_fit_holds_together_at_every_image_size(until, size) -> None:
    scene = Scene(view=View(shape=(size, size)), motion=Motion(jitter_pm=3))
    analysis, truth = until(scene, "refine")
    flags = analysis.columns.flags
    assert (flags & int(Flag.NO_CONVERGENCE) > 0).sum() == 0
    assert np.abs(errors_px(analysis.columns, truth, "Ta")).max() < 0.5


def test_columns_that_are_only_shoulders_are_flagged(until) -> None:
    """Along [11-2] the flank of Ta hides K in HAADF: fitted, but never used."""
    analysis, _ = until(replace(SCENE, zone=(1, 1, -2)), "refine")
    columns = analysis.columns
    flagged = columns.flags & int(Flag.UNRESOLVED) > 0
    inner = ((columns.xy > 15) & (columns.xy < [176, 164])).all(axis=1)
    assert flagged[columns.of_site("K") & inner].all() and (columns.of_site("K") & inner).sum() > 20
    assert not flagged[~columns.of_site("K")].any() and not columns.usable[flagged].any()


def test_columns_that_stand_apart_are_never_flagged_as_shoulders(exact, assigned) -> None:
    for columns in (exact[0].columns, refined(assigned[0])):
        assert not (columns.flags & int(Flag.UNRESOLVED)).any()
