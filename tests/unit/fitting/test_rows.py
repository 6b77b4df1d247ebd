"""Jitter of rows: as large as it was, whatever columns do, and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.fitting.rows import averaged, averaged_in_one, jitter, rows_of_fit, slices

SIGMA, PEAK, AROUND = 5.0, 1000.0, 100.0


def image(rms: float, seed: int, *, coherent: float = 0.0, turn: float = 0.03):
    """Pixels and places of columns in 9 x 9 cells; every row of columns is shifted as a whole by ``coherent`` px rms,
    every row of pixels by ``rms`` px."""
    draw = np.random.default_rng(seed)
    k, h = np.mgrid[0:9, 0:9]
    xy = np.stack([30 + 40 * h + turn * 40 * k, 40 + 40 * k - turn * 40 * h], axis=-1)
    xy[..., 0] += coherent * draw.standard_normal((9, 1))
    xy = xy.reshape(-1, 2)
    shift = rms * draw.standard_normal((400, 1))
    y, x = np.mgrid[0:400, 0:400].astype(float)
    expected = np.full((400, 400), AROUND)
    for cx, cy in xy:
        expected += PEAK * np.exp(-((x - shift - cx) ** 2 + (y - cy) ** 2) / (2 * SIGMA**2))
    return draw.poisson(expected).astype(float), xy


def measured(pixels, xy, width: float = SIGMA):
    found = slices(pixels, xy, np.full(2, width), np.full(len(xy), PEAK), (1.0, 0.0))
    assert found is not None
    return jitter(found, len(pixels))


@pytest.mark.parametrize("turn", [0.0, 0.03])
@pytest.mark.parametrize("rms", [0.03, 0.1, 0.3])
def test_a_jitter_comes_back_with_its_error(rms: float, turn: float) -> None:
    found = [measured(*image(rms, seed, turn=turn)) for seed in range(4)]
    print([(one.rms, one.std) for one in found])
    assert all(one.seen for one in found)
    assert np.mean([one.rms for one in found]) == pytest.approx(rms, rel=0.1)
    assert all(abs(one.rms - rms) < 3.5 * one.std for one in found)


def test_a_profile_that_is_not_the_columns_own_changes_little() -> None:
    """A width off by a tenth would make 20 % of the jitter; the rest comes from other rows in the window."""
    found = [measured(*image(0.1, 1), width=width).rms for width in (4.5, 5.0, 5.5)]
    assert found == pytest.approx([found[1]] * 3, rel=0.05)


@pytest.mark.parametrize("turn", [0.0, 0.03])
def test_rows_of_columns_that_move_together_are_no_jitter(turn: float) -> None:
    for seed in range(4):
        found = measured(*image(0.0, seed, coherent=0.5, turn=turn))
        assert not found.seen and found.upper < 0.03


def test_columns_of_a_few_pixels_or_too_few_of_them_are_not_asked() -> None:
    pixels, xy = image(0.0, 0)
    assert slices(pixels, xy, np.full(2, 1.2), np.full(len(xy), PEAK), (1.0, 0.0)) is None
    assert slices(pixels, xy[:5], np.full(2, SIGMA), np.full(5, PEAK), (1.0, 0.0)) is None
    pixels[:] = np.nan
    assert slices(pixels, xy, np.full(2, SIGMA), np.full(len(xy), PEAK), (1.0, 0.0)) is None


def test_a_fit_of_equal_pixels_averages_rows_of_the_squared_profile() -> None:
    width = np.array([4.0, 6.0])
    assert rows_of_fit(width, 0.0, 1.0) == pytest.approx(6 / np.sqrt(2), rel=0.01)
    assert 6 / np.sqrt(2) < rows_of_fit(width, 1.0, 1.0) < rows_of_fit(width, 100.0, 1.0) < 6.05


def test_what_sums_keep_is_what_weighted_rows_keep() -> None:
    draw = np.random.default_rng(2)
    y, rows, share = np.array([[50.2, 47.0, 60.0]]), np.array([[3.5, 4.0, 3.0]]), np.array([[1.0, -0.5, -0.5]])
    weight = np.exp(-((np.arange(100)[:, None] - y[0]) ** 2) / (2 * rows[0] ** 2))
    kept = (weight / weight.sum(axis=0)) @ share[0]
    assert averaged(y, rows, share)[0] == pytest.approx(np.linalg.norm(kept), rel=1e-3)
    assert (draw.standard_normal((4000, 100)) @ kept).std() == pytest.approx(np.linalg.norm(kept), rel=0.05)


def test_one_sum_of_many_positions_keeps_what_pairs_of_them_say() -> None:
    draw = np.random.default_rng(3)
    y, rows = draw.uniform(0, 400, 300), draw.choice([2.1, 3.4], 300)
    for share in (draw.normal(size=300), np.repeat([1 / 150, -1 / 150], 150)):
        pairs = averaged(y[None], rows[None], share[None])[0]
        assert averaged_in_one(y, rows, share) == pytest.approx(pairs, rel=1e-12)
