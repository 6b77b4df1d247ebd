"""Layer statistics by hand."""

from __future__ import annotations

import numpy as np
import pytest

from stemdisp.fitting.directions import rayleigh
from stemdisp.model.fields import VectorField
from stemdisp.model.interface import Interface
from stemdisp.recipe import LayersSection
from stemdisp.stages.layers import layers

UV = np.array([[1.0, -2], [3, -2], [2, -5], [7, 0], [9, 0], [np.nan, np.nan], [1, 1], [50, 50]])
LAYER = np.array([0, 0, 0, 1, 1, 0, -1, 2])


def built(uv: np.ndarray = UV, layer: np.ndarray = LAYER, flags: np.ndarray | None = None):
    n = len(uv)
    field = VectorField("pm", np.zeros((n, 2)), uv, np.broadcast_to(np.eye(2), (n, 2, 2)))
    edge = Interface(np.zeros(2), np.array([0.0, -1.0]), (1, 1, 1), 230.0, layer, 0.1 + 0.23 * layer, 0.01, "automatic")
    return field, edge


def test_mean_scatter_and_error() -> None:
    field, edge = built()
    found = layers(field, None, edge, LayersSection(minimum_cells=2))
    np.testing.assert_array_equal(found.layer, [0, 1, 2])
    np.testing.assert_array_equal(found.n, [3, 2, 1])
    # The normal points up, where y is negative; parallel is it turned clockwise: right.
    np.testing.assert_allclose(found.normal_pm[:2], [3.0, 0.0])
    np.testing.assert_allclose(found.parallel_pm[:2], [2.0, 8.0])
    np.testing.assert_allclose(found.normal_sd_pm[0], np.sqrt(3))
    np.testing.assert_allclose(found.normal_sem_pm[0], 1.0)
    np.testing.assert_allclose(found.parallel_sd_pm[:2], [1.0, np.sqrt(2)])
    np.testing.assert_allclose(found.parallel_sem_pm[:2], [1 / np.sqrt(3), 1.0])
    np.testing.assert_allclose(found.magnitude_pm[:2], [np.hypot(2, 3), 8.0])
    np.testing.assert_allclose(found.distance_nm, [0.1, 0.33, 0.56])
    assert np.isnan(found.normal_pm[2]) and np.isnan(found.p_value[2])


def test_minimum_cells_bites() -> None:
    field, edge = built()
    found = layers(field, None, edge, LayersSection(minimum_cells=3))
    np.testing.assert_array_equal(found.n, [3, 2, 1])
    np.testing.assert_array_equal(np.isfinite(found.parallel_pm), [True, False, False])


def test_polarization_is_the_length_of_the_mean() -> None:
    field, edge = built()
    charge = VectorField("uC/cm2", field.xy, field.uv * 0.3, field.cov * 0.09)
    found = layers(field, charge, edge, LayersSection(minimum_cells=2))
    np.testing.assert_allclose(found.polarization_uC_cm2[:2], 0.3 * found.magnitude_pm[:2])
    assert np.isnan(layers(field, None, edge, LayersSection()).polarization_uC_cm2).all()


def test_coherence_ignores_lengths() -> None:
    uv = np.array([[1.0, 0], [100, 0], [0, 2], [0, 0]])
    field, edge = built(uv, np.zeros(4, dtype=np.int64))
    found = layers(field, None, edge, LayersSection())
    assert found.coherence[0] == pytest.approx(np.hypot(2, 1) / 3)
    assert found.p_value[0] == rayleigh(found.coherence[0], 3)


def test_rayleigh_at_its_ends() -> None:
    assert rayleigh(0.0, 20) == 1
    assert rayleigh(1.0, 100) < 1e-30
    # exp(-3.2) (1 + (6.4 - 10.24) / 80)
    assert rayleigh(0.4, 20) == pytest.approx(0.0388056, rel=1e-5)


def test_rayleigh_is_uniform_where_directions_are() -> None:
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, (4000, 12))
    levels = [rayleigh(r, 12) for r in np.hypot(np.cos(angle).mean(axis=1), np.sin(angle).mean(axis=1))]
    for p in (0.01, 0.05, 0.5):
        assert np.mean(np.array(levels) <= p) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 4000))


def test_no_cell_in_any_layer() -> None:
    field, edge = built(UV[:3], np.full(3, -1))
    assert len(layers(field, None, edge, LayersSection())) == 0
