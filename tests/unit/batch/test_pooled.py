"""Layers pooled over images: means, scatter and errors of known layers."""

from __future__ import annotations

import math
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from small_results import SUMMARY, layer, write_result

from stemdisp.batch.brief import brief_of
from stemdisp.batch.catalogue import catalogue
from stemdisp.batch.pooled import pool, spread_of
from stemdisp.model.brief import QUANTITIES


def pooled(out: Path):
    return pool([brief_of(entry) for entry in catalogue(out)])


def test_known_layers_give_mean_scatter_and_error(tmp_path):
    for name, first in (("a", 10.0), ("b", 12.0), ("c", 17.0)):
        write_result(tmp_path / name, [layer(0, first), layer(1, first / 2)])
    (profile,) = pooled(tmp_path)
    assert profile.images == 3 and profile.recipes == 1
    assert profile.layer.tolist() == [0, 1] and profile.cells.tolist() == [27, 27]
    np.testing.assert_allclose(profile.distance_nm, [0.0, 0.2])
    parallel = profile.spreads["parallel_pm"]
    np.testing.assert_allclose(parallel.mean, [13.0, 6.5])
    np.testing.assert_allclose(parallel.sd, [math.sqrt(13.0), math.sqrt(13.0) / 2])
    np.testing.assert_allclose(parallel.sem, [math.sqrt(13.0 / 3), math.sqrt(13.0 / 3) / 2])
    assert parallel.images.tolist() == [3, 3]
    np.testing.assert_allclose(profile.spreads["normal_pm"].mean, [6.5, 3.25])
    np.testing.assert_allclose(profile.spreads["p_parallel_uC_cm2"].mean, [1.3, 0.65])
    np.testing.assert_allclose(profile.spreads["p_normal_uC_cm2"].sd, [math.sqrt(13.0) / 20, math.sqrt(13.0) / 40])


def test_one_image_gives_its_own_numbers_and_no_scatter(tmp_path):
    write_result(tmp_path / "a", [layer(0, 10.0, 0.4), layer(3, 1.0, 0.2)])
    (profile,) = pooled(tmp_path)
    parallel = profile.spreads["parallel_pm"]
    assert profile.layer.tolist() == [0, 3]
    assert parallel.mean.tolist() == [10.0, 1.0] and parallel.sem.tolist() == [0.4, 0.2]
    assert np.isnan(parallel.sd).all() and parallel.images.tolist() == [1, 1]


def test_the_order_of_images_changes_nothing(tmp_path):
    for n, value in enumerate((0.1, 1e9, -1e9, 0.3)):
        write_result(tmp_path / str(n), [layer(0, value, 0.1 * n)], recipe=f"recipe {n % 2}")
    briefs = [brief_of(entry) for entry in catalogue(tmp_path)]
    (first,) = pool(briefs)
    assert first.recipes == 2
    for order in permutations(briefs):
        (again,) = pool(order)
        for name in QUANTITIES:
            for field in ("mean", "sd", "sem", "images"):
                np.testing.assert_array_equal(
                    getattr(again.spreads[name], field), getattr(first.spreads[name], field), strict=True
                )


def test_only_what_is_alike_is_pooled(tmp_path):
    rows = [layer(0, 10.0)]
    write_result(tmp_path / "a", rows)
    write_result(tmp_path / "b", rows, interface={"plane": [-1, 1, -1], "spacing_pm": 230.3})
    write_result(tmp_path / "c", rows, interface={"plane": [0, 0, 1], "spacing_pm": 398.8})
    write_result(tmp_path / "d", rows, lattice={"material": "SrTiO3", "zone": [1, -1, 0]})
    write_result(tmp_path / "e", rows, lattice={"material": "KTaO3", "zone": [0, 0, 1]})
    write_result(tmp_path / "f", rows, polarization={"model": "born"})
    beyond = {"interface": {"plane": [-1, -1, -1], "spacing_pm": 230.3}, "polarization": {"model": "moving_site"}}
    write_result(tmp_path / "g", [*rows, layer(0, 3.0, side=1)], other_side=beyond)
    found = pooled(tmp_path)
    assert [one.images for one in found] == [3, 1, 1, 1, 1, 1]
    assert [one.kind.side for one in found].count(1) == 1
    assert found[0].kind.plane == (1, 1, 1) and found[0].kind.spacing_pm == 230


def test_layers_that_say_nothing_count_nowhere(tmp_path):
    nothing = layer(1, math.nan, math.nan)
    write_result(tmp_path / "a", [layer(0, 10.0), nothing])
    write_result(tmp_path / "b", [layer(0, 14.0), layer(1, 6.0)])
    write_result(tmp_path / "c", [nothing])
    write_result(tmp_path / "d")
    (profile,) = pooled(tmp_path)
    assert profile.spreads["parallel_pm"].images.tolist() == [2, 1]
    assert profile.spreads["parallel_pm"].mean.tolist() == [12.0, 6.0]


@pytest.mark.parametrize(
    ("values", "sems", "expected"),
    [
        ([], [], (math.nan, math.nan, math.nan, 0)),
        ([math.nan], [1.0], (math.nan, math.nan, math.nan, 0)),
        ([2.0], [math.nan], (2.0, math.nan, math.nan, 1)),
        ([2.0, 4.0], [math.nan, 0.1], (3.0, math.sqrt(2), 1.0, 2)),
        ([3.0, 3.0], [0.6, 0.8], (3.0, 0.0, 0.5, 2)),  # agree by chance: their own errors remain
        ([0.0, 6.0], [0.1, 0.1], (3.0, math.sqrt(18), 3.0, 2)),  # differ by more than these
    ],
)
def test_spread(values, sems, expected):
    np.testing.assert_allclose(spread_of(values, sems), expected)


def test_the_error_covers_what_differs_between_images():
    rng = np.random.default_rng(5)
    own, between, n = 0.5, 2.0, 12
    truth = 10 + rng.normal(0, between, (2000, n))
    values = truth + rng.normal(0, own, truth.shape)
    found = np.array([spread_of(row, [own] * n)[:3] for row in values])
    error = (found[:, 0] - 10) / found[:, 2]
    assert abs(found[:, 0].mean() - 10) < 3 * 2.06 / math.sqrt(n * 2000)
    assert abs(np.sqrt((found[:, 1] ** 2).mean()) / math.hypot(own, between) - 1) < 0.03
    # Student's t of 11 degrees of freedom: 66 % within one error
    assert 0.63 < (np.abs(error) < 1).mean() < 0.69


def test_what_a_brief_says(tmp_path):
    write_result(tmp_path / "a", [layer(0, 10.0, 0.4), layer(1, -20.0, 0.6)])
    (brief,) = (brief_of(entry) for entry in catalogue(tmp_path))
    assert (brief.status, brief.columns, brief.displacements, brief.seconds) == ("done", 480, 135, 3.5)
    assert brief.strongest_layer == 1 and brief.strongest is not None
    assert brief.strongest.value == pytest.approx(math.hypot(20, 10)) and brief.strongest.std == 0.6
    assert brief.mean_pm == pytest.approx((5.0, 0.5)) and brief.polarization == (9.5, 0.4)
    assert SUMMARY["polarization"]["model"] == brief.model
