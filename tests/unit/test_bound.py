"""The Cramer-Rao bound: against closed forms, finite differences and published numbers of the same model."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from stemdisp.bound import cramer_rao
from stemdisp.errors import StageError
from stemdisp.synthetic import Dose, Look, Motion, Scan, Scene, Truth, View, simulate

BOTH = {(0, 0, 1): Look(amplitude={"K": 0.10, "O1": 0, "O2": 0}), (1, -1, 0): Look(amplitude={"K": 0.125, "O": 0.046})}
KNOTS_PX = 85.0


def truth_of(zone=(1, -1, 0), look: Look | None = None, size: int = 256, **dose) -> Truth:
    scene = Scene(
        zone=zone, look=look or BOTH[zone], view=View(shape=(size, size)), dose=Dose(background_variation=0, **dose)
    )
    return simulate(scene)[1]


def mean_pm(truth: Truth, bound: np.ndarray, site: str) -> float:
    """Mean over the columns at least 6 A from the frame, in pm."""
    inner = ((truth.xy > 60) & (truth.xy < 195)).all(axis=1) & (truth.site == site)
    return float(np.sqrt((bound[inner] ** 2).mean())) * truth.pixel_size_pm[0]


@pytest.mark.parametrize(
    ("zone", "shape", "expected"),
    [
        ((0, 0, 1), "known", {"Ta": 0.236, "K": 1.35}),
        ((0, 0, 1), "column", {"Ta": 0.238, "K": 1.35}),
        ((1, -1, 0), "known", {"Ta": 0.32, "K": 1.22, "O": 5.0}),
        ((1, -1, 0), "column", {"Ta": 0.33, "K": 1.31}),
    ],
)
def test_numbers_of_the_fit_study(zone, shape, expected) -> None:
    """500 counts, 0.1 A pixels. The study fitted windows on local planes, here the frame is one fit: 10 % apart."""
    truth = truth_of(zone)
    bound = cramer_rao(truth, "HAADF", shape=shape, background_px=KNOTS_PX)
    for site, value in expected.items():
        assert mean_pm(truth, bound, site) == pytest.approx(value, rel=0.11)


def isolated(background: float, **look) -> Truth:
    only_ta = {"K": 0.0, "O": 0.0}
    view = View(shape=(61, 61), pixel_size_pm=(20, 20), origin_A=(0, -1.99415))
    truth = simulate(
        Scene(
            look=Look(amplitude=only_ta, **look),
            view=view,
            dose=Dose(background_counts=background, background_variation=0),
        )
    )[1]
    middle = np.hypot(*(truth.xy - 30).T) < 5
    return replace(truth, present=truth.present & middle)


def test_an_isolated_column_without_background_counts_its_photons() -> None:
    """sigma / sqrt(counts), counts = 2 pi A sigma^2: the textbook limit."""
    truth = isolated(1e-9)
    row = np.flatnonzero(truth.present)
    lonely = replace(truth, expected={"HAADF": _gaussian(truth, int(row[0]))})
    bound = cramer_rao(lonely, "HAADF", shape="known")[row[0]]
    sigma = 50 / 20
    assert bound == pytest.approx([sigma / np.sqrt(2 * np.pi * 500 * sigma**2)] * 2, rel=1e-3)


def _gaussian(truth: Truth, row: int) -> np.ndarray:
    y, x = np.mgrid[:61, :61]
    d = np.stack([x, y], axis=-1) - truth.xy[row]
    q = np.einsum("yxi,ij,yxj->yx", d, truth.metric, d) / truth.sigma_A[row] ** 2
    core, wide = np.exp(-q / 2), np.exp(-q / (2 * truth.tail_ratio**2))
    return truth.amplitude["HAADF"][row] * ((1 - truth.tail) * core + truth.tail * wide)


def test_against_finite_differences() -> None:
    """The bound from numerical derivatives of an elliptical, sheared, tailed column with every parameter free."""
    scene = Scene(
        look=Look(amplitude={"K": 0, "O": 0}, tail=0.12),
        view=View(shape=(61, 61), pixel_size_pm=(20, 16), origin_A=(0, -1.99415)),
        scan=Scan(affine=((1, 0.06), (0, 1))),
        dose=Dose(background_variation=0),
    )
    truth = simulate(scene)[1]
    rows = np.hypot(*(truth.xy - 30).T) < 4
    truth = replace(truth, present=truth.present & rows)
    row = int(np.flatnonzero(truth.present)[0])
    weight = truth.expected["HAADF"]

    def model(values: np.ndarray) -> np.ndarray:
        x, y, height, log_width, tail, log_ratio = values
        moved = replace(
            truth,
            xy=truth.xy + np.array([x, y]),
            amplitude={"HAADF": truth.amplitude["HAADF"] + height},
            sigma_A=truth.sigma_A * np.exp(log_width),
            tail=truth.tail + tail,
            tail_ratio=truth.tail_ratio * np.exp(log_ratio),
        )
        return _gaussian(moved, row)

    step = 1e-4
    slopes = [(model(e) - model(-e)) / (2 * step) for e in np.eye(6) * step]
    fisher = np.array([[(a * b / weight).sum() for b in slopes] for a in slopes])
    expected = np.sqrt(np.diag(np.linalg.inv(fisher))[:2])
    assert cramer_rao(truth, "HAADF", tail=True)[row] == pytest.approx(expected, rel=2e-3)


def test_more_counts_and_more_frames_help_with_the_root() -> None:
    one, nine = (cramer_rao(truth_of(size=128, frames=f), "HAADF", background_px=KNOTS_PX) for f in (1, 9))
    np.testing.assert_allclose(one, 3 * nine, rtol=1e-9)
    many = cramer_rao(truth_of(size=128, peak_counts=5000, background_counts=500), "HAADF", background_px=KNOTS_PX)
    np.testing.assert_allclose(one, np.sqrt(10) * many, rtol=1e-6)


def test_every_freedom_costs() -> None:
    truth = truth_of(look=replace(BOTH[1, -1, 0], tail=0.12), size=128)
    steps = [
        {"shape": "known"},
        {"shape": "known", "background_px": KNOTS_PX},
        {"same_width": (("K", "O"),), "background_px": KNOTS_PX},
        {"background_px": KNOTS_PX},
        {"background_px": KNOTS_PX, "tail": True},
        {"background_px": KNOTS_PX, "tail": True, "shape": "column"},
    ]
    bounds = [cramer_rao(truth, "HAADF", **step) for step in steps]
    for less, more in pairwise(bounds):
        assert (more >= less * (1 - 1e-9)).all()
        assert (more > less * (1 + 1e-9)).any()


def test_columns_of_known_position_and_missing_columns_have_none() -> None:
    scene = Scene(look=BOTH[1, -1, 0], missing=0.1, seed=3)
    truth = simulate(scene)[1]
    free = truth.site != "O"
    bound = cramer_rao(truth, "HAADF", free_xy=free)
    np.testing.assert_array_equal(np.isfinite(bound).all(axis=1), free & truth.present)
    assert (~truth.present).any()


def test_dark_columns_are_bounded_where_they_appear() -> None:
    """ABF: thousands of counts under every column, oxygen becomes as sharp as potassium."""
    scene = Scene(signals=("ABF",), motion=Motion(tilt_pm={"ABF": (12.0, 0.0)}))
    truth = simulate(scene)[1]
    bound = cramer_rao(truth, "ABF", background_px=KNOTS_PX)
    assert mean_pm(truth, bound, "Ta") < mean_pm(truth, bound, "K") < mean_pm(truth, bound, "O") < 2


def test_a_tail_that_is_not_there_cannot_be_bounded() -> None:
    with pytest.raises(StageError, match="do not determine all parameters"):
        cramer_rao(truth_of(size=128), "HAADF", tail=True)


def test_what_is_known_beforehand_adds_to_the_counts() -> None:
    """Information adds up: 1 / bound^2 = 1 / (bound of the counts)^2 + 1 / prior^2 where x and y do not mix."""
    truth = isolated(50.0)
    row = int(np.flatnonzero(truth.present)[0])
    counts = cramer_rao(truth, "HAADF", shape="known")[row]
    prior = np.full(len(truth), 0.02)
    both = cramer_rao(truth, "HAADF", shape="known", prior_px=prior)[row]
    np.testing.assert_allclose(1 / both**2, 1 / counts**2 + 1 / 0.02**2, rtol=1e-6)


def test_a_prior_lies_between_a_known_and_an_unknown_position() -> None:
    truth = truth_of(size=128)
    oxygen = truth.site == "O"
    freedom = {"same_width": (("K", "O"),), "background_px": KNOTS_PX}
    known = cramer_rao(truth, "HAADF", free_xy=~oxygen, **freedom)
    unknown = cramer_rao(truth, "HAADF", **freedom)
    for prior_px, limit in ((1e-7, known), (1e7, unknown), (np.nan, unknown)):
        bound = cramer_rao(truth, "HAADF", prior_px=np.where(oxygen, prior_px, np.nan), **freedom)
        np.testing.assert_allclose(bound[~oxygen], limit[~oxygen], rtol=1e-5)
    half = cramer_rao(truth, "HAADF", prior_px=np.where(oxygen, 0.3, np.nan), **freedom)
    assert (half[oxygen] < np.minimum(0.3, unknown[oxygen])).all()
    assert (half[~oxygen] > known[~oxygen]).all() and (half[~oxygen] < unknown[~oxygen]).all()


def test_a_thousand_columns_are_bounded_as_few_are() -> None:
    """A frame twice as large bounds the columns in its middle alike."""
    inner_rms = []
    for side, fewest in ((160, 250), (320, 1000)):
        view = View(shape=(side, side), pixel_size_pm=(20, 20))
        truth = simulate(Scene(view=view, dose=Dose(background_variation=0)))[1]
        assert len(truth) > fewest
        bound = cramer_rao(truth, "HAADF", shape="known")
        inner = np.hypot(*(truth.xy - (side - 1) / 2).T) < 45
        inner_rms.append([np.sqrt((bound[inner & (truth.site == site)] ** 2).mean()) for site in ("Ta", "K", "O")])
    np.testing.assert_allclose(*inner_rms, rtol=0.01)
