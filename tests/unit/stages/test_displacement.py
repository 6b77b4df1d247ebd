"""Displacements by hand: sign, unit, error, zero and significance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stemdisp.flags import Flag
from stemdisp.model.interface import Interface
from stemdisp.model.micrograph import PixelSize
from stemdisp.recipe import DisplacementSection
from stemdisp.stages.cells import cells
from stemdisp.stages.displacement import displacement, significant

SIZE = PixelSize(10.0, 12.0, "file")
AUTO = DisplacementSection()


def moved(crystal, uv_px, n: int = 12):
    """Columns whose K stand ``uv_px`` (right, down) off, their cells and an interface with layers along h."""
    lattice, columns = crystal((0, 0, 1), n)
    k, xy = columns.of_site("K"), columns.xy.copy()
    xy[k] += uv_px
    columns = columns.replace(xy=xy)
    found = cells(columns, lattice)
    layer = found.hk[:, 0] - 1
    edge = Interface(
        np.array([[0.0, 0.0], [0.0, 9.0]]),
        np.array([-1.0, 0.0]),
        (1, 0, 0),
        400.0,
        layer,
        (layer + 0.5) * 0.4,
        0.01,
        "automatic",
    )
    return columns, found, edge


def test_right_and_down_in_pm_with_the_covariance_of_all_five_columns(crystal) -> None:
    columns, found, _ = moved(crystal, [0.5, -0.25])
    field = displacement(columns, found, (), SIZE, AUTO)
    np.testing.assert_allclose(field.uv[field.valid], np.broadcast_to([5.0, -3.0], (field.valid.sum(), 2)))
    np.testing.assert_array_equal(field.valid, found.complete)
    np.testing.assert_allclose(field.angle_deg[field.valid], np.degrees(np.arctan2(3, 5)))
    # K and the mean of four Ta, each with 0.2 px along x and 0.1 px along y.
    np.testing.assert_allclose(field.std[field.valid], np.broadcast_to([2.0, 1.2], (field.valid.sum(), 2)) * 1.25**0.5)
    assert np.isnan(field.cov[~field.valid]).all()
    assert field.offset is None and field.offset_std is None and not field.offset_cells.any()


def test_moving_a_reference_column_moves_four_cells_the_other_way_by_a_quarter(crystal) -> None:
    columns, found, _ = moved(crystal, [0.0, 0.0])
    xy = columns.xy.copy()
    row = found.reference[np.flatnonzero(found.complete)[40], 0]
    xy[row] += [0.4, 0.0]
    lattice, _ = crystal((0, 0, 1), 12)
    field = displacement(columns.replace(xy=xy), cells(columns.replace(xy=xy), lattice), (), SIZE, AUTO)
    touched = (found.reference == row).any(axis=1) & found.complete
    np.testing.assert_allclose(field.uv[touched], [[-1.0, 0.0]] * 4, atol=1e-9)
    np.testing.assert_allclose(field.uv[found.complete & ~touched], 0, atol=1e-9)


def decaying(crystal, seed: int = 0):
    rng = np.random.default_rng(seed)
    depth = np.repeat(np.arange(12) - 1.0, 12)
    return moved(crystal, np.stack([2 * np.exp(-depth / 1.5) + 0.3, 0 * depth], axis=1) + rng.normal(0, 0.1, (144, 2)))


def test_zero_by_bulk(crystal) -> None:
    columns, found, edge = decaying(crystal)
    field = displacement(columns, found, (edge,), SIZE, AUTO)
    np.testing.assert_allclose(field.offset, [3.0, 0.0], atol=0.5)
    np.testing.assert_allclose(field.uv[field.offset_cells].mean(axis=0), 0, atol=1e-12)
    assert (edge.layer[field.offset_cells] >= 5).all() and "bulk (layers" in field.assumption
    raw = displacement(columns, found, (), SIZE, AUTO)
    scatter = raw.uv[field.offset_cells].std(axis=0, ddof=1) / np.sqrt(field.offset_cells.sum())
    np.testing.assert_allclose(field.offset_std, scatter)
    np.testing.assert_allclose(raw.uv[raw.valid] - field.offset, field.uv[field.valid])


def test_zero_by_recipe_layer(crystal) -> None:
    columns, found, edge = decaying(crystal)
    field = displacement(columns, found, (edge,), SIZE, DisplacementSection(bulk_from_layer=8))
    np.testing.assert_array_equal(field.offset_cells, found.complete & (edge.layer >= 8))
    assert "layers 8 and deeper" in field.assumption


def test_a_trend_that_never_ends_is_said(crystal) -> None:
    depth = np.repeat(np.arange(12.0), 12)
    noise = np.random.default_rng(2).normal(0, 0.02, (144, 2))
    columns, found, edge = moved(crystal, np.stack([0.5 * depth, 0 * depth], axis=1) + noise)
    assert "still show a trend" in displacement(columns, found, (edge,), SIZE, AUTO).assumption


def test_zero_by_region_wins(crystal) -> None:
    columns, found, edge = decaying(crystal)
    x0, y0 = np.nanmin(found.xy, axis=0)
    corners = np.array([[x0 - 1, y0 - 1], [x0 + 130, y0 - 1], [x0 + 130, y0 + 130], [x0 - 1, y0 + 130]])
    field = displacement(columns, found, (edge,), SIZE, AUTO, corners)
    inside = found.complete & ((found.xy <= [x0 + 130, y0 + 130]).all(axis=1))
    np.testing.assert_array_equal(field.offset_cells, inside)
    assert "region drawn" in field.assumption


@pytest.mark.parametrize(
    ("with_edge", "recipe", "sentence"),
    [(False, AUTO, "uniform tilt"), (True, DisplacementSection(reference="none"), "as the recipe says")],
)
def test_nothing_subtracted(crystal, with_edge, recipe, sentence) -> None:
    columns, found, edge = decaying(crystal)
    field = displacement(columns, found, (edge,) if with_edge else (), SIZE, recipe)
    assert field.offset is None and sentence in field.assumption
    np.testing.assert_allclose(field.uv[field.valid & (edge.layer > 6)].mean(axis=0), [3, 0], atol=0.5)


def test_too_small_a_region_subtracts_nothing(crystal) -> None:
    columns, found, edge = decaying(crystal)
    corner = np.nanmin(found.xy, axis=0) + np.array([[-1, -1], [5, -1], [5, 5], [-1, 5]])
    field = displacement(columns, found, (edge,), SIZE, AUTO, corner)
    assert field.offset is None
    assert field.assumption.startswith("the region drawn on this image holds only 1 cells with a displacement")
    assert field.assumption.endswith("nothing was subtracted")


@pytest.mark.parametrize("recipe", [AUTO, DisplacementSection(bulk_from_layer=100)], ids=["region", "layer"])
def test_a_reference_without_a_cell_is_not_said_to_be_subtracted(crystal, recipe) -> None:
    columns, found, edge = decaying(crystal)
    away = np.array([[-900.0, -900.0], [-800.0, -900.0], [-800.0, -800.0]]) if recipe is AUTO else None
    field = displacement(columns, found, (edge,), SIZE, recipe, away)
    assert field.offset is None and not field.offset_cells.any()
    assert "only 0 cells" in field.assumption and "nothing was subtracted" in field.assumption
    assert "was subtracted, as" not in field.assumption


def test_excluded_columns_have_no_displacement(crystal) -> None:
    columns, found, _ = moved(crystal, [0.1, 0.1])
    lattice, _ = crystal((0, 0, 1), 12)
    flags = columns.flags.copy()
    row = found.moving[np.flatnonzero(found.complete)[7]]
    flags[row] = int(Flag.EXCLUDED)
    excluded = columns.replace(flags=flags)
    field = displacement(excluded, cells(excluded, lattice), (), SIZE, AUTO)
    assert np.isnan(field.uv[found.moving == row]).all() and field.valid.sum() == found.complete.sum() - 1


def test_noise_is_hardly_ever_significant() -> None:
    cov = np.array([[4.0, 1.0], [1.0, 2.0]])
    rng = np.random.default_rng(0)
    runs = [
        significant(rng.multivariate_normal([0, 0], cov, 200), np.broadcast_to(cov, (200, 2, 2))) for _ in range(400)
    ]
    # With nothing there, the rate of false discoveries is the rate of images with any.
    assert np.mean([run.any() for run in runs]) == pytest.approx(0.05, abs=0.035)


def test_most_of_what_is_significant_is_true() -> None:
    rng = np.random.default_rng(1)
    false, called = 0, 0
    for _ in range(100):
        uv = rng.normal(0, 1, (200, 2))
        uv[:50] += [4.0, 0.0]
        found = significant(uv, np.broadcast_to(np.eye(2), (200, 2, 2)))
        false, called = false + found[50:].sum(), called + found.sum()
    assert 0.01 < false / called < 0.08
    assert called / 100 > 35


def test_what_has_no_error_is_not_significant() -> None:
    uv = np.array([[50.0, 0], [np.nan, 0], [50, 0], [50, 0]])
    cov = np.stack([np.eye(2), np.eye(2), np.full((2, 2), np.nan), np.zeros((2, 2))])
    np.testing.assert_array_equal(significant(uv, cov), [True, False, False, False])
    assert significant(np.zeros((0, 2)), np.zeros((0, 2, 2))).shape == (0,)


def test_each_side_has_its_own_zero(crystal) -> None:
    """Two crystals with interfaces of their own, one tilted against the other."""
    columns, found, edge = moved(crystal, [0.5, -0.25], 24)
    half = 12
    upper = found.hk[:, 0] < half
    xy = columns.xy.copy()
    xy[found.moving[~upper]] += [1.0, 0.0]
    columns = columns.replace(xy=xy)
    found = cells(columns, crystal((0, 0, 1), 24)[0])
    below = replace(
        edge, layer=np.where(upper, half - 1 - found.hk[:, 0], -1), distance_nm=(half - found.hk[:, 0]) * 0.4
    )
    above = replace(
        edge,
        normal=-edge.normal,
        layer=np.where(upper, -1, found.hk[:, 0] - half),
        distance_nm=(found.hk[:, 0] + 0.5 - half) * 0.4,
    )
    field = displacement(columns, found, (below, above), SIZE, AUTO)
    np.testing.assert_allclose(field.uv[field.valid], 0, atol=1e-9)
    assert field.offset == pytest.approx([5.0, -3.0]) and field.beyond.vector == pytest.approx([15.0, -3.0])
    assert not (field.offset_cells & field.beyond.cells).any() and "beyond the interface" in field.assumption
    np.testing.assert_array_equal(field.of_side(1).offset, field.beyond.vector)
